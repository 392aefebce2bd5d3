"""The SetPresence requests under way on one connection, sans-I/O (pbx-link.md section 4).

Each has its own `src` and its own deadline. All have the same time to be answered, so the oldest is
always the next to run out.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import count

from presenced.core.presence import Presence
from presenced.pbx import messages as m
from presenced.pbx.events import Send, Tell, Written

WRITE_WITHIN = timedelta(seconds=10)
"""how long the PBX may take to answer one SetPresence"""


class Writes:
    """Presences sent and not yet answered."""

    def __init__(self, contact: str, counts: Counter[str], send: Send, tell: Tell) -> None:
        self._contact = contact
        self._counts = counts
        self._send = send
        self._tell = tell
        self._numbers = count(1)
        self._deadlines: dict[str, datetime] = {}
        """src -> deadline, oldest first"""

    @property
    def deadline(self) -> datetime | None:
        return next(iter(self._deadlines.values()), None)

    def write(self, guid: str, presence: Presence, now: datetime) -> str:
        """Send one presence; the `src` under which Written will tell the outcome. Raises WireError."""
        src = f"write-{next(self._numbers)}"
        self._send(m.SetPresence(src, guid, self._contact, presence.activity, presence.note))
        self._deadlines[src] = now + WRITE_WITHIN
        self._counts["writes"] += 1
        return src

    def receive(self, result: m.SetPresenceResult) -> None:
        src = result.src
        if not isinstance(src, str) or self._deadlines.pop(src, None) is None:
            self._counts["late_results"] += 1
            return
        if result.error:
            self._counts["writes_refused"] += 1
        self._tell(Written(src, f"the PBX refused the presence ({result.error})" if result.error else ""))

    def tick(self, now: datetime) -> None:
        """Give up on what was not answered in time."""
        for src in [src for src, deadline in self._deadlines.items() if deadline <= now]:
            del self._deadlines[src]
            self._counts["writes_timed_out"] += 1
            seconds = int(WRITE_WITHIN.total_seconds())
            self._tell(Written(src, f"the PBX did not answer SetPresence within {seconds} s"))
