"""Tells how far long work has come: in the log while it lasts, in the status whenever somebody asks.

The first look-up and the first read of thousands of mailboxes take minutes, and an admin who sees nothing
for minutes restarts the service. While there is no such work this loop sleeps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from presenced.core.ports import Clock
from presenced.daemon.progress import LongWork

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=10)
"""how often the log tells; work that is over sooner is not told at all"""


class Milestones:
    """Watches over pieces of long work, by name."""

    def __init__(self, clock: Clock, works: Mapping[str, LongWork]) -> None:
        self._clock = clock
        self._works = works
        self._begun = asyncio.Event()
        for work in works.values():
            work.on_begun = self._begun.set

    async def run(self) -> None:
        """Log the progress of what is under way, until cancelled."""
        told: dict[str, tuple[int, int]] = {}
        while True:
            if not self._under_way():
                self._begun.clear()
                await self._begun.wait()
            await self._clock.sleep(EVERY)
            self._tell(told)

    def as_json(self) -> dict[str, Any]:
        """By name of the work: `done`, `total`, `rate` (a second), `left` (seconds); None where none is."""
        return {name: self._as_json(work) for name, work in self._works.items()}

    def _as_json(self, work: LongWork) -> dict[str, Any] | None:
        progress = work.progress(self._clock.now())
        if progress is None:
            return None
        return {
            "done": progress.done,
            "total": progress.total,
            "rate": round(progress.rate, 1),
            "left": None if progress.left is None else round(progress.left.total_seconds()),
        }

    def _under_way(self) -> bool:
        return any(work.under_way for work in self._works.values())

    def _tell(self, told: dict[str, tuple[int, int]]) -> None:
        """One line for each that got on since the last; standing still is for the door to tell."""
        for name, work in self._works.items():
            progress = work.progress(self._clock.now())
            if progress is None:
                if told.pop(name, None):
                    log.info("progress: all %s done", name)
            elif told.get(name) != (progress.done, progress.total):
                told[name] = progress.done, progress.total
                left = "unknown" if progress.left is None else f"{progress.left.total_seconds():.0f}s"
                log.info(
                    "progress work=%s done=%d total=%d rate=%.1f left=%s",
                    name,
                    progress.done,
                    progress.total,
                    progress.rate,
                    left,
                )
