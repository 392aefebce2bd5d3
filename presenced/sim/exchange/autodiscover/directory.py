"""What the simulated Exchange says of an address: its mailbox, a redirection or an error.

The three dialects word the same finding differently; the words here are those of the SOAP dialect
([MS-OXWSADISC] ErrorCode). Redirections and failures are set by whoever stages a move, a hybrid or a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from presenced.sim.exchange.organisation import Organisation, SimulatedMailbox


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one address."""

    code: str
    """an ErrorCode of the SOAP dialect"""
    message: str
    target: str = ""
    """address or URL of a redirection"""
    mailbox: SimulatedMailbox | None = None
    """set with NoError"""


def _home(mailbox: SimulatedMailbox) -> str:
    return mailbox.home or "Default"


class Directory:
    """Everything autodiscover knows; keys are addresses, or `@domain` for a whole domain, in lower case."""

    def __init__(
        self, organisation: Organisation, *, grouping: Callable[[SimulatedMailbox], str] = _home
    ) -> None:
        self.organisation = organisation
        self.grouping = grouping
        """GroupingInformation of a mailbox; "" for a server that knows none"""
        self.address_redirections: dict[str, str] = {}
        """to another address"""
        self.url_redirections: dict[str, str] = {}
        """to another autodiscover URL, also for addresses that have a mailbox here"""
        self.internal_endpoints: dict[str, str] = {}
        """like the organisation's endpoints, for InternalEwsUrl where it is another than ExternalEwsUrl"""
        self.failures: dict[str, str] = {}
        """an error code, for whom nothing else shall be said"""

    def find(self, address: str) -> Finding:
        """The finding for one address, whatever it looks like."""
        name = address.strip().casefold()
        keys = (name, "@" + name.rpartition("@")[2])
        for key in keys:
            if key in self.failures:
                return Finding(self.failures[key], _MESSAGES.get(self.failures[key], "").format(address))
            if key in self.address_redirections:
                return Finding("RedirectAddress", "Redirection address.", self.address_redirections[key])
            if key in self.url_redirections:
                return Finding("RedirectUrl", "Redirection URL.", self.url_redirections[key])
        mailbox = self.organisation.find(name)
        if mailbox is None:
            return Finding("InvalidUser", _MESSAGES["InvalidUser"].format(address))
        return Finding("NoError", "No error.", mailbox=mailbox)

    def ews_url(self, mailbox: SimulatedMailbox) -> str:
        """The EWS URL of the endpoint that serves the mailbox, as the world reaches it."""
        endpoints = self.organisation.endpoints
        return endpoints.get(mailbox.home) or next(iter(endpoints.values()), "")

    def internal_ews_url(self, mailbox: SimulatedMailbox) -> str:
        """The same from inside the organisation's network."""
        return self.internal_endpoints.get(mailbox.home) or self.ews_url(mailbox)


_MESSAGES = {
    "InvalidUser": "Invalid user: '{}'",
    "InvalidDomain": "The domain of '{}' is not valid.",
    "NotFederated": "The organization of '{}' is not federated.",
    "ServerBusy": "The server is too busy to handle the request.",
    "InternalServerError": "An internal server error occurred.",
}
