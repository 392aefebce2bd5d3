"""A sleep that can be cut short: until a moment, or until somebody rings."""

from __future__ import annotations

import asyncio
from datetime import datetime

from presenced.core.ports import Clock


class Alarm:
    """One waits, anybody rings."""

    __slots__ = ("_clock", "_event")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiter now, or let his next wait return at once."""
        self._event.set()

    async def wait(self, until: datetime | None) -> None:
        """Return at `until` (None: never by itself), or when rung."""
        if until is None:
            await self._event.wait()
        else:
            try:
                async with self._clock.timeout(until - self._clock.now()):
                    await self._event.wait()
            except TimeoutError:
                return
        self._event.clear()
