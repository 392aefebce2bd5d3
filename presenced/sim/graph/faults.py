"""What can be made to go wrong in the simulated Graph, as switches a test turns while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from presenced.sim.graph.problems import GraphProblem
from presenced.sim.switches import Switchboard


class Trouble(StrEnum):
    """What happens to a request instead of its answer."""

    THROTTLED = "throttled"
    """HTTP 429 with Retry-After"""
    UNAVAILABLE = "unavailable"
    """HTTP 503, with Retry-After where `retry_after` is positive"""
    FAULT = "fault"
    """HTTP 500"""
    DENIED = "denied"
    """HTTP 403 ErrorAccessDenied: outside the scope of RBAC for Applications"""
    ELSEWHERE = "elsewhere"
    """HTTP 404 MailboxNotEnabledForRESTAPI: the mailbox lies on-premises, or has no licence"""
    GONE = "gone"
    """HTTP 410 syncStateNotFound for a delta token"""
    NOT_JSON = "not-json"
    """a page of some proxy, HTTP 200; of a whole batch only"""
    RESET = "reset"
    """the connection is reset; of a whole batch only"""


WHOLE = frozenset({Trouble.NOT_JSON, Trouble.RESET})


@dataclass(slots=True)
class Switch:
    """One trouble that is switched on."""

    trouble: Trouble
    resource: str = ""
    """`users`, `calendarView`, `delta`, `events`, `subscriptions`, `$batch`; "" for every one"""
    mailbox: str = ""
    """primary address; "" for every mailbox"""
    times: int | None = None
    retry_after: timedelta = timedelta()

    def meets(self, resource: str, mailbox: str) -> bool:
        """Whether a request gets into it."""
        return self.resource in {"", resource} and self.mailbox.casefold() in {"", mailbox.casefold()}

    def problem(self) -> GraphProblem:
        """What the client is told."""
        seconds = self.retry_after // timedelta(seconds=1)
        waits = {"Retry-After": str(seconds)} if seconds > 0 else {}
        match self.trouble:
            case Trouble.THROTTLED:
                return GraphProblem(429, "TooManyRequests", "Too many requests.", headers=waits)
            case Trouble.UNAVAILABLE:
                return GraphProblem(503, "serviceNotAvailable", "Service is unavailable.", headers=waits)
            case Trouble.DENIED:
                return GraphProblem(
                    403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."
                )
            case Trouble.ELSEWHERE:
                return GraphProblem(
                    404,
                    "MailboxNotEnabledForRESTAPI",
                    "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
                )
            case Trouble.GONE:
                return GraphProblem(410, "syncStateNotFound", "The sync state was not found.")
            case _:
                return GraphProblem(500, "generalException", "An unspecified error has occurred.")


@dataclass(slots=True)
class GraphFaults(Switchboard[Switch]):
    """All that can be made to go wrong, and habits that are no error."""

    stubs: bool = False
    """delta rounds tell occurrences as stubs"""
    lose_notices: int = 0
    """so many change notices never come"""
    double_notices: bool = False
    late_notices: timedelta = timedelta()
    page_size: int = 0
    """entries a page holds at most, whatever is asked for; 0: as asked"""
    per_mailbox: int = 4
    """requests at the same time a mailbox takes of an app, else 429"""

    def on(
        self,
        trouble: Trouble,
        *,
        resource: str = "",
        mailbox: str = "",
        times: int | None = None,
        retry_after: timedelta = timedelta(),
    ) -> Switch:
        """Switch a trouble on; the first one switched on is met first."""
        switch = Switch(trouble, resource, mailbox, times, retry_after)
        self.switches.append(switch)
        return switch

    def meet(self, resource: str, mailbox: str, *, whole: bool = False) -> Switch | None:
        """The trouble this request gets into, if any; counts it."""
        for switch in self.usable():
            if switch.meets(resource, mailbox) and (whole or switch.trouble not in WHOLE):
                self.use(switch)
                return switch
        return None
