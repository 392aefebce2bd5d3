"""A whole day in a few minutes: clocks that are turned, generated calendars, people who change them.

Daemon and simulators are processes of their own as always; both clocks stand still until the parent turns
them, a few seconds at a time, and the daemon is given the time its work takes before they are turned
again. Streams end and are opened again every half hour. In the end every presence in the PBX is compared
with one worked out from the calendars alone, and the memory of the daemon with that of noon.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.child import Child, ChildFailed
from tests.bench.report import Figure
from tests.bench.world import World

MORNING = datetime(2026, 11, 17, 5, 0, tzinfo=UTC)
"""a Tuesday"""
STEP = 5.0
"""simulated seconds; less than anything times out after"""
MOST = 200
"""mailboxes: what grows, grows with time here"""
GROWN = 0.02
"""more memory than half a day before, as a share, that counts as growth"""


async def measure_day(mailboxes: int, hours: float, tell: Callable[[str], None]) -> Figure:
    """Live through so many hours."""
    count = min(mailboxes, MOST)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="presenced-bench-") as name:
        simulators = await Child.start("tests.bench.simulators", Path(name))
        try:
            place = await simulators.ask(
                "open", mailboxes=count, folder=name, start=MORNING.isoformat(), turned=True
            )
            world = World(Path(name), count, simulators, place)
            try:
                return await _live(world, hours, began, tell)
            finally:
                if world.daemon is not None:
                    await world.daemon.stop()
        finally:
            await simulators.stop()


async def _live(world: World, hours: float, began: float, tell: Callable[[str], None]) -> Figure:
    await world.start_daemon(start=MORNING, turned=True)
    await world.simulators.ask("dial", port=world.port)
    await _turn(world, 60)
    settled = await world.ask_daemon("state")
    if settled["written"] != world.mailboxes:
        raise ChildFailed(f"only {settled['written']} of {world.mailboxes} presences before the day began")
    await world.simulators.ask("live", live=True)
    memory = [(await world.ask_daemon("usage", collect=True))["uss"]]
    for hour in range(max(round(hours), 1)):
        await _turn(world, 3600 if hours >= 1 else hours * 3600)
        memory.append((await world.ask_daemon("usage", collect=True))["uss"])
        tell(f"{hour + 1} h: {memory[-1] / 1e6:.1f} MB")
    await world.simulators.ask("live", live=False)
    await _turn(world, 120)
    windows = (await world.ask_daemon("windows"))["windows"]
    compared = await world.simulators.ask("compare", windows=windows)
    counters = (await world.ask_daemon("usage"))["counters"]
    return _figure(world, hours, memory, compared["wrong"], compared["changes"], counters, began)


def _figure(
    world: World,
    hours: float,
    memory: list[int],
    wrong: list[str],
    changes: int,
    counters: dict[str, int],
    began: float,
) -> Figure:
    noon = memory[len(memory) // 2]  # until then caches of bounded size fill
    growth = (memory[-1] - noon) / noon
    return Figure(
        "day",
        world.mailboxes,
        100 * growth,
        "% more memory than half a day before",
        target=f"{hours:g} simulated hours: every presence right, no growth",
        met=not wrong and growth <= GROWN,
        detail={
            "presences_wrong": wrong,
            "changes": changes,
            "memory_mb_by_hour": [round(each / 1e6, 2) for each in memory],
            "reads": counters.get("reads_reads", 0),
            "writes": counters.get("writes_written", 0),
            "streams_reopened": counters.get("exchange_reopened", 0),
            "took_seconds": time.monotonic() - began,
        },
    )


async def _turn(world: World, seconds: float) -> None:
    """Turn both clocks, in steps, each when the daemon has done its work."""
    left = seconds
    while left > 0:
        step = min(STEP, left)
        await world.simulators.ask("turn", seconds=step, within=60)
        await world.ask_daemon("turn", seconds=step, within=60)
        left -= step
