"""The users of the organisation as the directory knows them: an id, a sign-in name, and the mail address.

The three differ on purpose: who takes the mail address for the sign-in name finds nobody.
"""

from __future__ import annotations

import uuid
from typing import Any

from presenced.sim.exchange.organisation import Organisation, SimulatedMailbox

PROPERTIES = frozenset({"id", "displayName", "mail", "userPrincipalName", "proxyAddresses", "accountEnabled"})
USUAL = frozenset({"id", "displayName", "mail", "userPrincipalName"})
"""what comes without $select"""
_NAMESPACE = uuid.UUID("7f0d1c0a-3a0e-5d52-9a36-0c9d6c6a2f10")


class Directory:
    """Finds mailboxes by what Graph calls users by."""

    def __init__(self, organisation: Organisation, tenant: str = "example.onmicrosoft.com") -> None:
        self._organisation = organisation
        self._tenant = tenant
        self._names: dict[str, SimulatedMailbox] = {}
        self._known = 0

    def id_of(self, mailbox: SimulatedMailbox) -> str:
        """The object id: the same for the same address, always."""
        return str(uuid.uuid5(_NAMESPACE, mailbox.address.casefold()))

    def upn_of(self, mailbox: SimulatedMailbox) -> str:
        """The sign-in name."""
        return f"{mailbox.address.partition('@')[0]}@{self._tenant}".casefold()

    def find(self, name: str) -> SimulatedMailbox | None:
        """By object id or sign-in name, nothing else."""
        if self._known != len(self._organisation):
            self._names = {}
            for mailbox in self._organisation.mailboxes:
                self._names[self.id_of(mailbox)] = mailbox
                self._names[self.upn_of(mailbox)] = mailbox
            self._known = len(self._organisation)
        return self._names.get(name.casefold())

    def by_proxy(self, addresses: list[str]) -> list[SimulatedMailbox]:
        """Whoever has one of these addresses, each once."""
        found = (self._organisation.find(address) for address in addresses)
        return list(dict.fromkeys(mailbox for mailbox in found if mailbox is not None))

    def show(self, mailbox: SimulatedMailbox, selected: frozenset[str] | None) -> dict[str, Any]:
        """The user as JSON."""
        values: dict[str, Any] = {
            "id": self.id_of(mailbox),
            "displayName": mailbox.name,
            "mail": mailbox.address,
            "userPrincipalName": self.upn_of(mailbox),
            "proxyAddresses": [f"SMTP:{mailbox.address}", *(f"smtp:{alias}" for alias in mailbox.aliases)],
            "accountEnabled": True,
        }
        return {name: value for name, value in values.items() if name in (selected or USUAL)}
