"""A clock for what waits by itself between answers from real sockets: each sleep is over at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta


class RushingClock:
    """The port `core.ports.Clock`; time passes by sleeping alone, and nothing takes too long."""

    def __init__(self, start: datetime = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)) -> None:
        self._now = start
        self.slept: list[float] = []
        """seconds"""

    def now(self) -> datetime:
        return self._now

    async def sleep(self, duration: timedelta) -> None:
        self.slept.append(duration.total_seconds())
        self._now += max(duration, timedelta())
        await asyncio.sleep(0)

    @asynccontextmanager
    async def timeout(self, duration: timedelta) -> AsyncIterator[None]:
        yield
