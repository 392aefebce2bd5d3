"""Signs of life of the daemon's own loops, for systemd's watchdog and the health page."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from datetime import datetime, timedelta

import sdnotify

from presenced.core.ports import Clock

log = logging.getLogger(__name__)

STUCK_AFTER = timedelta(minutes=2)
"""a loop shows a sign of life every half minute; without one for this long it is stuck"""
_TICK = timedelta(milliseconds=500)


class Pulse:
    """Collects the beats of the loops and measures how late the event loop runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beats: dict[str, datetime] = {}
        self.loop_lag = timedelta()
        """the worst lag of the last minute or so"""

    def beat_of(self, name: str) -> Callable[[], None]:
        """What the loop `name` calls on every turn."""

        def beat() -> None:
            self._beats[name] = self._clock.now()

        beat()
        return beat

    def stuck(self) -> list[str]:
        """The loops without a sign of life."""
        now = self._clock.now()
        return [name for name, beat in self._beats.items() if now - beat > STUCK_AFTER]

    async def measure(self) -> None:
        """Measure the loop's lag until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await self._clock.sleep(_TICK)
            lag = max(timedelta(seconds=loop.time() - before) - _TICK, timedelta())
            self.loop_lag = max(lag, self.loop_lag * 0.95)


class ServiceManager:
    """Tells systemd how the service stands (sd_notify); silent where it was not started by systemd."""

    def __init__(self, clock: Clock, pulse: Pulse) -> None:
        self._clock = clock
        self._pulse = pulse
        self._notifier = sdnotify.SystemdNotifier() if os.environ.get("NOTIFY_SOCKET") else None
        self._interval = _watchdog_interval(os.environ.get("WATCHDOG_USEC", ""))

    def ready(self, status: str) -> None:
        self._notify(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        self._notify("RELOADING=1")

    def stopping(self) -> None:
        self._notify("STOPPING=1")

    def _notify(self, state: str) -> None:
        if self._notifier is not None:
            self._notifier.notify(state)

    async def watchdog(self) -> None:
        """WATCHDOG=1 while every loop makes progress, until cancelled."""
        while self._interval is not None:
            stuck = self._pulse.stuck()
            if stuck:
                log.critical("no progress in loops=%s; systemd will restart the service", ",".join(stuck))
            else:
                self._notify("WATCHDOG=1")
            await self._clock.sleep(self._interval)


def _watchdog_interval(microseconds: str) -> timedelta | None:
    """A third of what systemd allows between two signs."""
    return timedelta(microseconds=int(microseconds) / 3) if microseconds.isdecimal() else None
