"""One request on its way through the endpoint: who asks, for whom, and what the operations work on.

An operation is a plain function of a `Call` that returns the text of the answer's body; time is a value
here, only the edge holds the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeVar

from presenced.sim.exchange.faults import ExchangeFaults
from presenced.sim.exchange.organisation import Organisation, SimulatedMailbox
from presenced.sim.exchange.ports import Account
from presenced.sim.exchange.problems import Problem, Refusal
from presenced.sim.exchange.soap import Request, child, failure, local, text_of
from presenced.sim.exchange.subscriptions import Subscriptions
from presenced.sim.exchange.zones import find_zone

Part = TypeVar("Part")
HORIZON = timedelta(days=400)
"""how far around now everything that is not a CalendarView looks: generated calendars have no end"""


@dataclass(slots=True)
class Call:
    """What an operation needs to know."""

    request: Request
    account: Account
    principal: SimulatedMailbox | None
    """the mailbox acted for: the impersonated one, else the account's own, else none"""
    organisation: Organisation
    faults: ExchangeFaults
    now: datetime
    backend: str
    """name of the back-end server the request landed on"""
    subscriptions: Subscriptions
    endpoint: str = ""
    """name of the endpoint, as in `SimulatedMailbox.home`"""
    impersonating: bool = False
    problems: list[Problem] = field(default_factory=list)
    """errors answered for single parts"""

    @property
    def budget(self) -> str:
        """Who is charged: the mailbox acted for, else the account."""
        return self.principal.address.casefold() if self.principal else self.account.name.casefold()

    @property
    def horizon(self) -> tuple[datetime, datetime]:
        """Where everything that is not a CalendarView looks for items."""
        return self.now - HORIZON, self.now + HORIZON

    @property
    def zone(self) -> tzinfo:
        """The zone of bare local times: the TimeZoneContext of the request, else UTC."""
        definition = child(self.request.headers.get("TimeZoneContext"), "TimeZoneDefinition")
        return (find_zone(definition.get("Id", "")) if definition is not None else None) or UTC

    def open(self, address: str) -> SimulatedMailbox:
        """The mailbox of an address inside the request, where the caller may open it; raises Problem."""
        mailbox = self.organisation.find(address)
        if mailbox is None:
            raise Problem("ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it.")
        return self.admit(mailbox)

    def admit(self, mailbox: SimulatedMailbox) -> SimulatedMailbox:
        """The same mailbox, where the caller may open it and it lives here; raises Problem."""
        if mailbox is not self.principal and (
            self.impersonating or not may_impersonate(self.account, self.organisation)
        ):
            raise Problem("ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        if mailbox.home not in {"", self.endpoint}:
            raise Problem(
                "ErrorProxyRequestNotAllowed", "The mailbox lives elsewhere and can't be reached from here."
            )
        return mailbox

    def own(self) -> SimulatedMailbox:
        """The mailbox of a folder that is named without one; raises Problem where there is none."""
        if self.principal is None:
            raise Problem(
                "ErrorMissingEmailAddress",
                "When making a request as an account that does not have a mailbox, you must specify the"
                " mailbox primary SMTP address for any distinguished folder Ids.",
            )
        return self.principal


def may_impersonate(account: Account, organisation: Organisation) -> bool:
    """Whether the account may act for every mailbox of the organisation."""
    return account.impersonates or account.name.casefold() in organisation.service_accounts


def impersonate(request: Request, account: Account, organisation: Organisation) -> SimulatedMailbox | None:
    """The mailbox an ExchangeImpersonation header names, None without one; Refusal where it may not be.

    Source: "Identifying the account to impersonate" in Microsoft's EWS documentation.
    """
    header = request.headers.get("ExchangeImpersonation")
    if header is None:
        return None
    if not may_impersonate(account, organisation):
        raise Refusal(
            "ErrorImpersonateUserDenied",
            "The account does not have permission to impersonate the requested user.",
        )
    connecting = child(header, "ConnectingSID")
    who = None if connecting is None else next(iter(connecting), None)
    if who is None or local(who) not in {"PrincipalName", "PrimarySmtpAddress", "SmtpAddress", "SID"}:
        raise Refusal("ErrorInvalidExchangeImpersonationHeaderData", "The impersonation header is invalid.")
    mailbox = organisation.find(text_of(who)) if local(who) != "SID" else None
    if mailbox is None:
        raise _unknown(local(who))
    return mailbox


def _unknown(kind: str) -> Refusal:
    if kind in {"PrimarySmtpAddress", "SmtpAddress"}:
        return Refusal("ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it.")
    return Refusal("ErrorImpersonationFailed", "No user of that name or SID can be impersonated.")


def each(call: Call, parts: Iterable[Part], answer: Callable[[Part], str]) -> str:
    """One response message for every part of a request, each with its own error."""
    messages = []
    for part in parts:
        try:
            messages.append(answer(part))
        except Problem as problem:
            if isinstance(problem, Refusal):
                raise
            call.problems.append(problem)
            messages.append(failure(call.request.operation, problem))
    return "".join(messages)
