"""A clock that stands still until a test turns it.

`advance` wakes every sleeper and every time-out whose moment has come, in order, and lets the loop
settle in between, so that no test ever waits for real time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

_ROUND = 0.0005
"""seconds of real time"""
_IDLE_ROUNDS = 4
_MOST_ROUNDS = 400


class FakeClock:
    """The port `core.ports.Clock` for tests."""

    def __init__(self, start: datetime = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._waiting: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> datetime:
        return self._now

    async def sleep(self, duration: timedelta) -> None:
        if duration <= timedelta():
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self._now + duration, next(self._numbers), future))
        await future

    @asynccontextmanager
    async def timeout(self, duration: timedelta) -> AsyncIterator[None]:
        async with asyncio.timeout(None) as scope:

            async def expire() -> None:
                await self.sleep(duration)
                scope.reschedule(asyncio.get_running_loop().time())

            timer = asyncio.create_task(expire())
            try:
                yield
            finally:
                timer.cancel()

    async def advance(self, duration: timedelta, *, turns: int = 20) -> None:
        """Let `duration` pass; whoever wakes up gets `turns` turns of the loop before time goes on."""
        end = self._now + duration
        await self.settle(turns)
        while self._waiting and self._waiting[0][0] <= end:
            self._now, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)
                await self.settle(turns)
        self._now = end
        await self.settle(turns)

    async def settle(self, turns: int = 20) -> None:
        """Give tasks that are ready a few turns of the loop."""
        for _ in range(turns):
            await asyncio.sleep(0)

    async def rest(self) -> None:
        """Let real sockets and threads do their work: return when the loop has had nothing to do for a while.

        Without it a busy machine would be slower than the time that is turned here.
        """
        loop = asyncio.get_running_loop()
        idle = 0
        for _ in range(_MOST_ROUNDS):
            await asyncio.sleep(_ROUND)
            selector, ready = loop._selector, loop._ready  # type: ignore[attr-defined]
            idle = 0 if ready or selector.select(0) else idle + 1
            if idle == _IDLE_ROUNDS:
                return

    @property
    def sleepers(self) -> int:
        """How many still wait."""
        return sum(not future.done() for _, _, future in self._waiting)
