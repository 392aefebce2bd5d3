"""What is due when: one entry a key, the earliest wish wins.

Every waiting in the daemon (the next decision of a user, the next read of a mailbox, the next try of a
write) is an entry in an agenda, so that ten thousand users need a heap and not ten thousand tasks.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from presenced.core.ports import Clock

K = TypeVar("K")

LONGEST_WAIT = timedelta(seconds=30)
"""a wait is cut here, so that the waiting loop shows a sign of life and follows a clock that was set"""


class Agenda(Generic[K]):
    """Keys with the instant at which each is due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[datetime, int, K]] = []
        self._due: dict[K, datetime] = {}
        self._numbers = itertools.count()
        self._sooner = asyncio.Event()
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = clock.now()

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: K) -> bool:
        return key in self._due

    def due_at(self, key: K) -> datetime | None:
        """When the key is due, None where it has no entry."""
        return self._due.get(key)

    def overdue(self, now: datetime) -> int:
        """How many keys are due and still wait."""
        return sum(due <= now for due in self._due.values())

    def wish(self, key: K, due: datetime) -> None:
        """Make the key due at `due`, unless it is due earlier already."""
        known = self._due.get(key)
        if known is None or due < known:
            self.put(key, due)

    def put(self, key: K, due: datetime) -> None:
        """Make the key due at `due`, whatever was wished before."""
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._numbers), key))
        if self._heap[0][2] == key:
            self._sooner.set()

    def drop(self, key: K) -> None:
        """Forget the key."""
        self._due.pop(key, None)

    def pop(self, now: datetime, most: int) -> list[K]:
        """Up to `most` keys that are due, the longest due first; they are forgotten."""
        ready: list[K] = []
        while self._heap and len(ready) < most and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                ready.append(key)
        return ready

    def _next(self) -> datetime | None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
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
