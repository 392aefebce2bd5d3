"""What can be made to go wrong, as switches a test turns while the endpoint runs.

A switch says which trouble, for which operation and mailbox (none means all) and how many times. Limits
and habits of a server that are no error of the moment are plain fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from presenced.sim.switches import Switchboard


class Trouble(StrEnum):
    """What happens instead of an answer, or to it."""

    BUSY = "busy"
    """SOAP fault ErrorServerBusy with HTTP 500, `back_off` inside (may be 0)"""
    BUSY_WRAPPED = "busy-wrapped"
    """HTTP 200, ErrorServerBusy inside an ErrorInternalServerError"""
    BUSY_MESSAGE = "busy-message"
    """HTTP 200, ErrorServerBusy as the error of each response message"""
    FAULT = "fault"
    """SOAP fault with `code`"""
    ERROR = "error"
    """every response message carries `code`; a stream that is open ends with it"""
    MOVING = "moving"
    """ErrorMailboxMoveInProgress as a SOAP fault"""
    UNAVAILABLE = "unavailable"
    """HTTP 503; Retry-After where `back_off` is positive"""
    UNAUTHORIZED = "unauthorized"
    """HTTP 401 although the sign-in was good"""
    BLOCKED = "blocked"
    """HTTP 403 with X-EWS-Policy-Reason `text`"""
    SLOW = "slow"
    """the answer waits for `delay`; goes together with any other trouble"""
    NOT_XML = "not-xml"
    TRUNCATED = "truncated"
    """half an answer, its length in order"""
    HTML = "html"
    """an HTML error page with HTTP 200"""
    RESET = "reset"
    """the connection is reset; a stream that is open likewise"""
    STALL = "stall"
    """a stream says nothing any more but stays open"""
    EOF = "eof"
    """a stream ends cleanly without saying Closed"""
    CLOSED = "closed"
    """a stream says Closed at once and ends"""


STREAM_TROUBLES = frozenset({Trouble.STALL, Trouble.EOF, Trouble.CLOSED})
"""those that only a stream can have"""


@dataclass(slots=True)
class Switch:
    """One trouble that is switched on."""

    trouble: Trouble
    operation: str = ""
    """`FindItem`; "" for every operation"""
    mailbox: str = ""
    """primary address of the mailbox acted for; "" for every mailbox"""
    times: int | None = None
    """how many requests still meet it; None: until it is switched off"""
    back_off: timedelta = timedelta()
    delay: timedelta = timedelta()
    code: str = "ErrorInternalServerError"
    text: str = "EWS is disabled for this user or tenant"

    def meets(self, operation: str, mailbox: str) -> bool:
        """Whether a request of this operation for this mailbox gets into the trouble."""
        return self.operation in {"", operation} and self.mailbox.casefold() in {"", mailbox.casefold()}


@dataclass(slots=True)
class ExchangeFaults(Switchboard[Switch]):
    """All that can be made to go wrong."""

    find_limit: int = 1000
    """items a FindItem with a CalendarView may answer, else ErrorExceededFindCountLimit"""
    streams_per_budget: int = 10
    """open streams charged to one mailbox (3 on Exchange 2013), else ErrorExceededConnectionCount"""
    subscriptions_per_budget: int = 5000
    """subscriptions charged to one mailbox, else ErrorExceededSubscriptionCount"""
    organizer_addresses: bool = True
    """whether FindItem tells the address of an organizer, not only the name"""
    several_mailboxes_a_stream: bool = True
    """whether one GetStreamingEvents may carry subscriptions of several mailboxes"""
    scatter: bool = False
    """requests without a valid affinity cookie land on each back end in turn, whatever their anchor"""
    dead_ids_hang: bool = False
    """a stream with a dead subscription id among good ones stays open and silent instead of closing"""
    piece_size: int = 0
    """streamed envelopes are cut into chunks of so many bytes, across tags; 0: whole"""
    piece_pause: timedelta = timedelta()
    """time between two such chunks"""

    def on(
        self,
        trouble: Trouble,
        *,
        operation: str = "",
        mailbox: str = "",
        times: int | None = None,
        back_off: timedelta = timedelta(),
        delay: timedelta = timedelta(),
        code: str = "ErrorInternalServerError",
        text: str = "EWS is disabled for this user or tenant",
    ) -> Switch:
        """Switch a trouble on; the first one switched on is met first."""
        switch = Switch(trouble, operation, mailbox, times, back_off, delay, code, text)
        self.switches.append(switch)
        return switch

    def meet(self, operation: str, mailbox: str) -> tuple[Switch | None, timedelta]:
        """The trouble this request gets into, if any, and how long its answer waits; counts it."""
        trouble: Switch | None = None
        delay = timedelta()
        for switch in self.usable():
            if not switch.meets(operation, mailbox):
                continue
            if switch.trouble is Trouble.SLOW:
                delay += switch.delay
            elif trouble is None and (
                switch.trouble not in STREAM_TROUBLES or operation == "GetStreamingEvents"
            ):
                trouble = switch
            else:
                continue
            self.use(switch)
        return trouble, delay
