"""A real clock that can be set forward, so that midnight comes when the measurement is ready for it."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta


class JumpClock:
    """The port `core.ports.Clock`: time from `start` on, at the machine's pace.

    A jump wakes every sleeper whose moment has come. Time-outs go on in real time: they bound the work of
    other machines, which a jump does not make any older.
    """

    def __init__(self, start: datetime) -> None:
        self._ahead = start - datetime.now(UTC)
        self._sleeping: dict[asyncio.Future[None], datetime] = {}

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    async def sleep(self, duration: timedelta) -> None:
        if duration <= timedelta():
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._sleeping[future] = self.now() + duration
        timer = loop.call_later(duration.total_seconds(), _wake, future)
        try:
            await future
        finally:
            timer.cancel()
            del self._sleeping[future]

    def timeout(self, duration: timedelta) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(duration.total_seconds())

    def jump(self, distance: timedelta) -> None:
        """Set the clock forward."""
        self._ahead += distance
        now = self.now()
        for future, due in self._sleeping.items():
            if due <= now:
                _wake(future)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
