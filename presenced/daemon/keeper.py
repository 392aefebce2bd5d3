"""One keeper a user: what is known of him, what was decided, what the PBX has.

A keeper does no input or output and has no task of its own; the roster asks it to decide, the watch
gives it appointments, the writer writes what it wants.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from presenced.core.admission import Admission
from presenced.core.appointment import Appointment
from presenced.core.decision import Decision, decide
from presenced.core.mapping import Mapping
from presenced.core.plan import plan
from presenced.core.ports import Answer, Mailbox, MailboxState, StoredUser
from presenced.core.presence import Presence
from presenced.core.replica import PbxUser
from presenced.core.window import Window

STALE_AFTER = timedelta(hours=1)
"""a read older than this, with the mailbox in trouble, is marked in the status"""


class Keeper:
    """All the state of one user."""

    __slots__ = (
        "admission",
        "answers",
        "appointments",
        "cause",
        "decision",
        "failures",
        "kept",
        "mailbox",
        "mapping",
        "noticed_at",
        "read_at",
        "reason",
        "remedy",
        "resolved_at",
        "state",
        "sync",
        "touched",
        "user",
        "window",
        "write_error",
        "write_failures",
        "written",
        "written_at",
    )

    def __init__(self, user: PbxUser, mapping: Mapping, admission: Admission, *, sync: bool) -> None:
        self.user = user
        self.mapping = mapping
        self.admission = admission
        self.sync = sync
        """whether the settings let this user's calendar be followed"""
        self.kept = False
        """whether the store knows the user"""
        self.mailbox: Mailbox | None = None
        self.resolved_at: datetime | None = None
        self.state = MailboxState.UNRESOLVED
        self.reason = "not looked up yet"
        self.remedy = ""
        self.answers: tuple[Answer, ...] = ()
        self.appointments: tuple[Appointment, ...] = ()
        self.window: Window | None = None
        self.read_at: datetime | None = None
        self.failures = 0
        """reads that failed in a row"""
        self.decision: Decision | None = None
        self.cause = "start"
        """what made the last decision necessary"""
        self.noticed_at: datetime | None = None
        """when the change was noticed that the decision under way stems from"""
        self.written: Presence | None = None
        self.written_at: datetime | None = None
        self.touched = False
        self.write_failures = 0
        self.write_error = ""

    def restore(self, stored: StoredUser) -> None:
        """Take over what was kept before a restart."""
        self.kept = True
        self.mailbox = stored.mailbox
        self.resolved_at = stored.resolved_at
        self.state = stored.state
        self.reason = stored.reason
        self.appointments = tuple(stored.appointments)
        self.window = stored.window
        self.read_at = stored.read_at
        self.written = stored.written
        self.touched = stored.touched

    @property
    def wanted(self) -> Presence | None:
        """What the PBX should show; None for a user without a calendar to speak of."""
        return self.decision.presence if self.decision else None

    @property
    def undecided(self) -> bool:
        """A mailbox is there (or may be), but nothing has been read yet: the PBX keeps what it has."""
        if not self.sync:
            return False
        return self.window is None and (self.mailbox is not None or self.resolved_at is None)

    def to_write(self) -> Presence | None:
        """What to write now, None for nothing."""
        if self.undecided:
            return None
        return plan(self.wanted, self.written, touched=self.touched)

    def admit(self, appointments: tuple[Appointment, ...], window: Window, at: datetime) -> None:
        """A window read: these are the appointments now."""
        self.appointments = appointments
        self.window = window
        self.read_at = at
        self.failures = 0

    def forget(self) -> None:
        """The mailbox is gone, or may not be followed any more."""
        self.mailbox = None
        self.appointments = ()
        self.window = None
        self.read_at = None

    def decide(self, now: datetime, cause: str) -> datetime | None:
        """Decide anew; when to decide again, None if no appointments are known.

        A window that is over says nothing any more: the calendar is unknown then, not empty.
        """
        self.cause = cause
        if not self.sync or self.window is None or now >= self.window.end:
            self.decision = None
            return None
        self.decision = decide(self.appointments, self.mapping, now)
        return min(self.decision.deadline, self.window.end)

    def is_stale(self, now: datetime) -> bool:
        """Whether the last known appointments go on deciding for want of newer ones."""
        return (
            self.state in {MailboxState.FAILING, MailboxState.BLOCKED}
            and self.read_at is not None
            and now - self.read_at > STALE_AFTER
        )
