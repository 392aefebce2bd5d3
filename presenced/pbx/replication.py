"""Copying the user table of the master PBX over one connection, sans-I/O (pbx-link.md section 3).

ReplicateStart, then ReplicateNext until a result without a row; one request in flight, never two, all
with one `src`. Adds, updates and deletions are taken whenever they come. It is always a full pass, so
that nothing depends on what the PBX remembers of us.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from enum import Enum, auto

from presenced.core.replica import Change, PassComplete, Replica, RowUnreadable
from presenced.pbx import messages as m
from presenced.pbx.events import Close, Send, Tell, Trouble

STEP_WITHIN = timedelta(seconds=60)
"""how long the PBX may take to answer one request of the pass"""
RETRY_AFTER = timedelta(seconds=60)
"""until a refused replication is asked for again"""
_SRC = "users"


class _Step(Enum):
    IDLE = auto()
    STARTING = auto()
    ASKING = auto()
    FOLLOWING = auto()
    REFUSED = auto()


class Replication:
    """One connection's replication into a replica that outlives it."""

    def __init__(self, replica: Replica, counts: Counter[str], send: Send, tell: Tell) -> None:
        self._replica = replica
        self._counts = counts
        self._send = send
        self._tell = tell
        self._step = _Step.IDLE
        self._domain = ""
        self.deadline: datetime | None = None
        self.detail = ""
        """how far the copy is, in words for the status"""

    def start(self, domain: str, now: datetime) -> None:
        """Ask for the whole table; `domain` completes addresses without one."""
        self._domain = domain
        self._replica.begin(domain)
        self._ask(_Step.STARTING, m.ReplicateStart(_SRC), now)
        self.detail = "asked for the users"

    def receive(self, message: m.Replicated, now: datetime) -> None:
        """Take a result or a change; what was not asked for is counted and left alone."""
        match message:
            case m.ReplicateStartResult(error) if self._step is _Step.STARTING:
                self._started(error, now)
            case m.ReplicateNextResult() if self._step is _Step.ASKING:
                self._next(message, now)
            case m.ReplicateAdd(columns) | m.ReplicateUpdate(columns) if self._step is not _Step.IDLE:
                self._counts["row_changes"] += 1
                self._changed(self._replica.bring(columns))
            case m.ReplicateDel(columns) if self._step is not _Step.IDLE:
                self._counts["row_changes"] += 1
                self._changed(self._replica.remove(columns))
            case _:
                self._counts["ignored_messages"] += 1

    def tick(self, now: datetime) -> None:
        """Act on a deadline that has come."""
        if self.deadline is None or now < self.deadline:
            return
        if self._step is _Step.REFUSED:
            self.start(self._domain, now)
            return
        self.deadline = None
        asked = "ReplicateStart" if self._step is _Step.STARTING else "ReplicateNext"
        seconds = int(STEP_WITHIN.total_seconds())
        self._tell(Close(f"the PBX did not answer {asked} within {seconds} s; its users are copied anew"))

    def _started(self, error: str, now: datetime) -> None:
        if error:
            self._refused(f"the PBX refuses to give its users ({error})", now)
        else:
            self._ask(_Step.ASKING, m.ReplicateNext(_SRC), now)

    def _next(self, result: m.ReplicateNextResult, now: datetime) -> None:
        if result.error:
            self._refused(f"the PBX broke off the copy of its users ({result.error})", now)
        elif result.columns is not None:
            self._counts["rows"] += 1
            self._changed(self._replica.bring(result.columns))
            self._ask(_Step.ASKING, m.ReplicateNext(_SRC), now)
            self.detail = f"copying users: {len(self._replica)} so far"
        else:
            self._complete()

    def _complete(self) -> None:
        self._step = _Step.FOLLOWING
        self.deadline = None
        self._counts["replications"] += 1
        for change in self._replica.complete():
            self._changed(change)

    def _refused(self, reason: str, now: datetime) -> None:
        self._step = _Step.REFUSED
        self.deadline = now + RETRY_AFTER
        self.detail = f"{reason}; check that the App object has the check mark TableUsers"
        self._tell(Trouble(self.detail))

    def _changed(self, change: Change | None) -> None:
        if isinstance(change, RowUnreadable):
            self._counts["rows_unreadable"] += 1
        if change is not None:
            self._tell(change)
        if isinstance(change, PassComplete) or self._step is _Step.FOLLOWING:
            self.detail = f"users: {len(self._replica)}"

    def _ask(self, step: _Step, message: m.ReplicateStart | m.ReplicateNext, now: datetime) -> None:
        self._step = step
        self.deadline = now + STEP_WITHIN
        self._send(message)
