"""The process of the daemon: the supervisor as `presenced run` composes it, and instruments beside it.

Two things differ from `run`: the clock can be set forward, and the reads after midnight are spread over
SPREAD instead of ten minutes. The instruments are one timer that notes how late it comes.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import psutil

from presenced.config.loading import load
from presenced.daemon import watch
from presenced.daemon.engine import Engine
from presenced.daemon.logs import set_up_logging
from presenced.daemon.supervisor import Supervisor
from tests.bench.child import Answer, serve
from tests.bench.clocks import JumpClock
from tests.clock import FakeClock

SPREAD = timedelta(minutes=3)
"""longer jumps of the clock would look like silent streams"""
_TICK = 0.01


class Lag:
    """How late the loop runs, and for how much of that it was computing itself."""

    def __init__(self) -> None:
        self.worst = self.worst_computing = 0.0

    async def measure(self) -> None:
        while True:
            due, spent = time.perf_counter() + _TICK, time.thread_time()
            await asyncio.sleep(_TICK)
            late = time.perf_counter() - due
            if late > self.worst:
                self.worst = late
                self.worst_computing = time.thread_time() - spent

    def take(self) -> tuple[float, float]:
        """Both in seconds, since the last time."""
        taken = self.worst, self.worst_computing
        self.worst = self.worst_computing = 0.0
        return taken


class Daemon:
    """What the parent asks for, by the names of the methods."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._lag = Lag()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, *, ini: str, start: str, turned: bool = False) -> Answer:
        """Compose the daemon from the ini file; the port it listens on for the PBX."""
        began = datetime.fromisoformat(start)
        self._clock: JumpClock | FakeClock = FakeClock(began)
        if not turned:
            watch.MIDNIGHT_SPREAD = SPREAD
            self._clock = JumpClock(began)
        settings = load(Path(ini))
        set_up_logging(settings.log)
        self._supervisor = Supervisor(settings, self._clock)
        self._tasks = [
            asyncio.create_task(self._supervisor.run()),
            asyncio.create_task(self._lag.measure()),
        ]
        await self._supervisor.ready.wait()
        return {"port": self._supervisor.link.port}

    @property
    def _engine(self) -> Engine:
        assert self._supervisor.engine is not None
        return self._supervisor.engine

    async def usage(self, *, collect: bool = False) -> Answer:
        """Memory (bytes), processor time (seconds), bytes written, counters, and the lag since last asked."""
        worst, computing = self._lag.take()
        if collect:
            gc.collect()
        memory = self._process.memory_full_info()
        spent = self._process.cpu_times()
        await asyncio.sleep(3 * _TICK)
        self._lag.take()  # looking at the memory blocks the loop, too
        return {
            "uss": memory.uss,
            "rss": memory.rss,
            "peak": _peak(),
            "cpu": spent.user + spent.system,
            "written": self._process.io_counters().write_bytes,
            "lag": worst,
            "lag_computing": computing,
            "counters": dict(self._engine.counters()),
        }

    async def take_lag(self) -> Answer:
        """The worst lag since last asked."""
        worst, computing = self._lag.take()
        return {"lag": worst, "lag_computing": computing, "at": time.monotonic()}

    async def waiting(self) -> Answer:
        """What is left to do; cheap, so that it can be asked often."""
        return dict(self._engine.queues())

    async def state(self) -> Answer:
        """How far it has come."""
        engine = self._engine
        keepers = engine.roster.keepers.values()
        return {
            "users": len(keepers),
            "read": sum(keeper.read_at is not None for keeper in keepers),
            "written": sum(keeper.written is not None for keeper in keepers),
            "followed": engine.watch.followed_count,
            "silent": (self._clock.now() - (engine.watch.oldest_sign() or self._clock.now())).total_seconds(),
        }

    async def turn(self, *, seconds: float) -> Answer:
        """Turn a clock that stands still, and return when the work is done."""
        assert isinstance(self._clock, FakeClock)
        await self._clock.advance(timedelta(seconds=seconds), turns=3)
        engine, deadline = self._engine, time.monotonic() + 30
        quiet = 0
        while quiet < 3 and time.monotonic() < deadline:
            await asyncio.sleep(0.001)
            await self._clock.settle(2)
            busy = len(engine.watch._reading) + len(engine.writer._busy) + engine.chores.waiting
            quiet = 0 if busy else quiet + 1
        return {}

    async def windows(self) -> Answer:
        """What has been read of each mailbox: from when to when."""
        keepers = self._engine.roster.keepers.values()
        return {
            "windows": {
                keeper.user.guid: (keeper.window.start.isoformat(), keeper.window.end.isoformat())
                for keeper in keepers
                if keeper.window is not None
            }
        }

    async def jump(self, *, seconds: float) -> Answer:
        """Set the clock forward; when that was."""
        assert isinstance(self._clock, JumpClock)
        at = time.monotonic()
        self._clock.jump(timedelta(seconds=seconds))
        return {"at": at}

    async def now(self) -> Answer:
        """The daemon's time."""
        return {"now": self._clock.now().isoformat()}

    async def reload(self) -> Answer:
        """Read the ini file again; seconds and processor seconds until that was done."""
        before, at = self._engine.settings, time.monotonic()
        spent, began = time.thread_time(), time.perf_counter()
        self._supervisor.reload()
        while self._engine.settings is before:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return {"seconds": time.perf_counter() - began, "computing": time.thread_time() - spent, "at": at}

    async def close(self) -> Answer:
        """Stop orderly."""
        self._supervisor.stop()
        await asyncio.wait(self._tasks[:1], timeout=30)
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        return {}


def _peak() -> int:
    """The most memory this process ever had resident (VmHWM, proc(5)), in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


async def main() -> None:
    """Serve until the parent is done."""
    daemon = Daemon()
    names = (
        *("open", "usage", "take_lag", "waiting", "state", "jump", "now", "turn"),
        *("windows", "reload", "close"),
    )
    await serve({name: getattr(daemon, name) for name in names})
    os._exit(0)  # a daemon whose clock nobody turns any more would never come to an orderly end


if __name__ == "__main__":
    asyncio.run(main())
