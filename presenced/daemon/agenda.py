"""What is due when: one entry a key, the earliest wish wins.

Every waiting in the daemon (the next decision of a user, the next read of a mailbox, the next try of a
write) is an entry in an agenda, so that ten thousand users need a heap and not ten thousand tasks.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import datetime, timedelta
from typing import Generic, TypeAlias, TypeVar

from presenced.core.ports import Clock

K = TypeVar("K")
_Entry: TypeAlias = tuple[datetime, int, K]
"""when it is due, a number that breaks ties, and the key"""

LONGEST_WAIT = timedelta(seconds=30)
"""a wait is cut here, so that the waiting loop shows a sign of life and follows a clock that was set"""
_SPARE = 100
"""entries that count no more and may lie in the heap, beside as many as count"""


class Agenda(Generic[K]):
    """Keys with the instant at which each is due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[_Entry[K]] = []
        self._entries: dict[K, _Entry[K]] = {}
        """those of the heap that count"""
        self._numbers = itertools.count()
        self._sooner = asyncio.Event()
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = clock.now()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def due_at(self, key: K) -> datetime | None:
        """When the key is due, None where it has no entry."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def overdue(self, now: datetime) -> int:
        """How many keys are due and still wait."""
        return sum(due <= now for due, _, _ in self._entries.values())

    def wish(self, key: K, due: datetime) -> None:
        """Make the key due at `due`, unless it is due earlier already."""
        known = self.due_at(key)
        if known is None or due < known:
            self.put(key, due)

    def put(self, key: K, due: datetime) -> None:
        """Make the key due at `due`, whatever was wished before."""
        if self.due_at(key) == due:
            return
        entry = self._entries[key] = due, next(self._numbers), key
        heapq.heappush(self._heap, entry)
        if self._heap[0] is entry:
            self._sooner.set()
        if len(self._heap) > 2 * len(self._entries) + _SPARE:
            self._clear_up()

    def drop(self, key: K) -> None:
        """Forget the key."""
        self._entries.pop(key, None)

    def pop(self, now: datetime, most: int) -> list[K]:
        """Up to `most` keys that are due, the longest due first; they are forgotten."""
        ready: list[K] = []
        while self._heap and len(ready) < most and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if self._counts(entry):
                del self._entries[entry[2]]
                ready.append(entry[2])
        return ready

    def _clear_up(self) -> None:
        """Take out what has been put off or dropped: a read that is due at midnight is put off by every
        change of the day."""
        self._heap = list(self._entries.values())
        heapq.heapify(self._heap)

    def _counts(self, entry: _Entry[K]) -> bool:
        return self._entries.get(entry[2]) is entry

    def _next(self) -> datetime | None:
        while self._heap and not self._counts(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    async def wait(self, most: int) -> list[K]:
        """Return keys as soon as some are due; nothing after LONGEST_WAIT without any."""
        now = self._clock.now()
        ready = self.pop(now, most)
        if ready:
            return ready
        self._sooner.clear()
        longest, due = now + LONGEST_WAIT, self._next()
        self._wake_by(longest if due is None else min(due, longest), now)
        try:
            await self._sooner.wait()
        except asyncio.CancelledError:
            self._silence()
            raise
        return self.pop(self._clock.now(), most)

    def _wake_by(self, at: datetime, now: datetime) -> None:
        """Most waits are ended by a wish, so an alarm set for an earlier one serves the next, too."""
        if self._alarm is None or self._alarm.done() or at < self._alarm_at:
            self._silence()
            self._alarm_at = at
            self._alarm = asyncio.create_task(self._ring(at - now))

    def _silence(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    async def _ring(self, after: timedelta) -> None:
        await self._clock.sleep(after)
        self._sooner.set()
