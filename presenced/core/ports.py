"""What the daemon asks of its doors, and what they tell it: the seams of the house.

The doors (pbx, calendars, store) implement these protocols without knowing each other; the daemon is
written against them alone, and only the supervisor and the commands name a concrete door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from presenced.core.appointment import Appointment
from presenced.core.presence import Presence
from presenced.core.replica import PbxUser
from presenced.core.window import Window


class Clock(Protocol):
    """The only source of time: the daemon owns the real one, tests own one they can turn."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""

    async def sleep(self, duration: timedelta) -> None:
        """Return when `duration` has passed; at once (after one turn of the loop) when it is not positive."""

    def timeout(self, duration: timedelta) -> AbstractAsyncContextManager[object]:
        """Cancel what runs inside after `duration` and raise `TimeoutError`."""


# --- the PBX -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PbxIdentity:
    """Who a PBX says it is (message PbxInfo)."""

    name: str
    domain: str
    dns: str = ""
    version: str = ""
    apis: frozenset[str] = frozenset()


class PbxListener(Protocol):
    """Told by the PBX door, synchronously and in order, what happens to the replica and the link."""

    def linked(self, pbx: PbxIdentity) -> None:
        """The master PBX has logged in; its users follow."""

    def changed(self, user: PbxUser) -> None:
        """A user is new or his row changed (the whole row)."""

    def removed(self, guid: str) -> None:
        """A user left the PBX."""

    def replicated(self, guids: frozenset[str]) -> None:
        """A full pass ended: exactly these users exist now."""

    def unlinked(self, reason: str) -> None:
        """The master PBX is gone; `reason` is a sentence for the admin."""


class PresenceRefused(Exception):
    """The PBX answered a SetPresence with an error, or not in time. The text says which."""


class LinkDown(Exception):
    """There is no PBX to write to at the moment."""


@dataclass(frozen=True, slots=True)
class PbxLinkStatus:
    """What the status shows of one PBX connection."""

    name: str
    role: str
    """`master`, `other` (answered, otherwise left alone) or `login` (not yet logged in)"""
    peer: str
    since: datetime
    version: str = ""
    detail: str = ""


class PbxDoor(Protocol):
    """The link to the PBX, whichever side dials."""

    async def run(self) -> None:
        """Listen or dial, and keep at it until cancelled."""

    async def send_presence(self, guid: str, presence: Presence) -> None:
        """Write one user's calendar presence; raises PresenceRefused or LinkDown."""

    def status(self) -> Sequence[PbxLinkStatus]:
        """Every PBX connected now."""

    def counters(self) -> Mapping[str, int]:
        """Named counts since start (logins, refused logins, unknown messages, writes, ...)."""


# --- the calendars ------------------------------------------------------------------------------


class MailboxState(StrEnum):
    """daemon.md section Life: how a user's mailbox stands."""

    RESOLVED = "resolved"
    UNRESOLVED = "unresolved"
    BLOCKED = "blocked"
    FAILING = "failing"
    POLLED = "polled"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox that was found: where it lives and with whom it shares a stream."""

    address: str
    """primary SMTP address, as the server spells it"""
    endpoint: str
    """EWS URL or Graph root"""
    group: str = ""
    """GroupingInformation (Exchange 2013 and later), "" where unknown"""


@dataclass(frozen=True, slots=True)
class Answer:
    """One address asked while resolving, and what came back, in words for the status."""

    address: str
    outcome: str
    definite: bool = True
    """a server said so; False: nobody could be asked about this address, or nobody who knows"""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of one user's candidate addresses: a mailbox, or why there is none."""

    mailbox: Mailbox | None
    answers: tuple[Answer, ...] = ()


class MailboxProblem(Exception):
    """One mailbox can't be read or followed: its state, the reason in words and what to do."""

    def __init__(
        self,
        state: MailboxState,
        reason: str,
        *,
        remedy: str = "",
        retry_after: timedelta | None = None,
        rediscover: bool = False,
    ) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason
        self.remedy = remedy
        self.retry_after = retry_after
        """how long the server (or good sense) wants us to wait"""
        self.rediscover = rediscover
        """the mailbox may have moved: resolve the user again before the next try"""


class CalendarListener(Protocol):
    """Told by the calendar door, synchronously, what happens to the mailboxes it follows."""

    def changed(self, address: str) -> None:
        """Something in this calendar changed (a hint): read it. Several may come for one user action."""

    def followed(self, addresses: Sequence[str], *, polled: bool) -> None:
        """Change notices flow from now on; what happened before is unknown: read these mailboxes."""

    def alive(self, addresses: Sequence[str]) -> None:
        """A proof of life of the notices of these mailboxes."""

    def troubled(self, address: str, problem: MailboxProblem) -> None:
        """Change notices of this mailbox stopped for a reason the admin should see."""


@dataclass(frozen=True, slots=True)
class SignInStatus:
    """How a sign-in with OAuth2 stands."""

    kind: str
    """`client secret`, `certificate`, `federated token` or `signed-in account`; "" before the first try"""
    account: str
    """who signed in, "" for the app itself"""
    healthy: bool
    """the last try succeeded; or there was none yet"""
    reason: str = ""
    remedy: str = ""
    failing_since: datetime | None = None
    next_try: datetime | None = None
    expires_at: datetime | None = None
    """of the token in use"""
    credential_expires_at: datetime | None = None
    """of the app's certificate; Entra alone knows about secrets"""
    permissions: frozenset[str] = frozenset()
    """what the token names; none does not mean that there are none (RBAC for Applications)"""


@dataclass(frozen=True, slots=True)
class CalendarDoorStatus:
    """What the status shows of a calendar door."""

    kind: str
    """the sync type"""
    healthy: bool
    reason: str
    streams: tuple[StreamStatus, ...] = ()
    backoffs: Mapping[str, datetime] = field(default_factory=dict)
    """budget (mailbox or account) -> held until"""
    sign_in: SignInStatus | None = None
    """None where nobody signs in with OAuth2"""


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One group of subscriptions on one connection."""

    anchor: str
    endpoint: str
    mailboxes: int
    since: datetime | None
    last_sign: datetime | None
    detail: str = ""


class CalendarDoor(Protocol):
    """Exchange through EWS or Graph: finds mailboxes, reads windows, keeps change notices flowing."""

    async def run(self) -> None:
        """Keep every followed mailbox's change notices flowing until cancelled."""

    async def fetch_mailboxes(self, users: Sequence[Sequence[str]]) -> Sequence[Resolution]:
        """Resolve each user's candidate addresses (in order of preference); answers in the same order.

        Batches as the server allows. Never raises for one user; raises DoorProblem when nobody
        can be asked at all.
        """

    async def fetch_appointments(
        self, mailbox: Mailbox, window: Window, zone: str, *, organizers: bool
    ) -> tuple[Appointment, ...]:
        """The raw appointments overlapping the window (exactly one request where the server plays along).

        `zone` is the IANA name of the presence zone: the last resort for finding an all-day
        appointment's dates. `organizers` asks for the organizer's address of tentative appointments
        even where that takes a second request. Raises MailboxProblem, or DoorProblem for everybody.
        """

    def follow(self, mailboxes: Sequence[Mailbox]) -> None:
        """Follow these mailboxes too; `followed` is told when notices flow."""

    def unfollow(self, addresses: Sequence[str]) -> None:
        """Stop following; open subscriptions end by and by."""

    def status(self) -> CalendarDoorStatus:
        """How the door stands now."""

    def counters(self) -> Mapping[str, int]:
        """Named counts since start (requests, notices, reconnects, errors by code, ...)."""


class Notices(Protocol):
    """Where what a calendar server posts to us (`notification_url`) is handed in, without its HTTP."""

    @property
    def is_open(self) -> bool:
        """Whether there is a door to take notices."""

    def take(self, body: bytes) -> bool:
        """Take in a posted body, at once and without waiting; False where it is none."""


class DoorProblem(Exception):
    """Nobody can be served at the moment (sign-in refused, server away): reason and remedy in words."""

    def __init__(self, reason: str, *, remedy: str = "", retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.retry_after = retry_after

    @property
    def told(self) -> str:
        """Reason and remedy, in one line."""
        return f"{self.reason}; {self.remedy}" if self.remedy else self.reason


# --- the store ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredUser:
    """Everything kept of one PBX user."""

    user: PbxUser
    mailbox: Mailbox | None = None
    resolved_at: datetime | None = None
    state: MailboxState = MailboxState.UNRESOLVED
    reason: str = ""
    appointments: tuple[Appointment, ...] = ()
    """admitted ones, of the last window read"""
    window: Window | None = None
    """the last window read; None before the first read"""
    read_at: datetime | None = None
    written: Presence | None = None
    """what the PBX confirmed last; None where unknown (never written, or a write was under way)"""
    touched: bool = False
    """whether a presence was ever written, or may have been: only then is there something to clear"""


@dataclass(frozen=True, slots=True)
class Write:
    """One presence written, for the record."""

    guid: str
    at: datetime
    presence: Presence
    cause: str
    """why it was written: `change`, `deadline`, `start`, `reload`, `reconnect`, `cleared`, ..."""
    rule: str
    error: str = ""


class StoreProblem(Exception):
    """Something can't be kept or read (disk full, a newer version's file, ...): reason and remedy."""

    def __init__(self, reason: str, *, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class Store(Protocol):
    """What survives a restart. Every coroutine returns when the change would survive kill -9.

    Each may raise StoreProblem. What is kept about a guid that is not a user (any more) is dropped
    without a word; only the record of writes outlives its user.
    """

    async def load(self) -> Sequence[StoredUser]:
        """Everybody kept, at start."""

    async def keep_user(self, user: PbxUser) -> None:
        """A new or changed row of the replica."""

    async def drop_users(self, guids: Sequence[str]) -> None:
        """Users that left the PBX."""

    async def keep_mailbox(
        self, guid: str, mailbox: Mailbox | None, state: MailboxState, reason: str, at: datetime
    ) -> None:
        """What became of resolving, or of following, this user's mailbox."""

    async def keep_appointments(
        self, guid: str, appointments: Sequence[Appointment], window: Window, at: datetime
    ) -> None:
        """The admitted appointments of a window read; replaces what was kept before."""

    async def expect_write(self, guid: str) -> None:
        """A write is about to be sent: from now until `keep_write` what the PBX has is unknown."""

    async def keep_write(self, write: Write) -> None:
        """A write was confirmed (or failed: `error` set, what the PBX has stays unknown)."""

    async def fetch_writes(
        self, *, guid: str | None = None, since: datetime | None = None, limit: int = 100
    ) -> Sequence[Write]:
        """The record of writes, newest first."""

    async def forget_writes(self, before: datetime) -> int:
        """Drop the record of writes older than this; how many went."""

    async def keep_value(self, name: str, value: bytes | None) -> None:
        """A small named value (cursor, endpoint, encrypted secret); None removes it."""

    async def fetch_value(self, name: str) -> bytes | None:
        """The named value, None where there is none."""

    async def close(self) -> None:
        """Finish the writes under way and close."""
