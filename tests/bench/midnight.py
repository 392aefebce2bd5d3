"""Midnight: everybody decided anew, and everybody's window read again.

The daemon spreads the reads over ten minutes, so that nobody has to work hard at midnight; what is
measured is the work, all of it at once. The clocks are set to midnight first: the notes that name a day
change, and are written. Then they are set past the (shorter) spread: all reads are due in that instant.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from tests.bench import floor
from tests.bench.child import ChildFailed
from tests.bench.daemon import SPREAD
from tests.bench.world import MIDNIGHT, World


@dataclass(frozen=True, slots=True)
class Midnight:
    """One midnight."""

    mailboxes: int
    reads: int
    seconds: float
    cpu: float
    floors: tuple[float, float]
    lag: float
    lag_computing: float
    decided_seconds: float
    """for the decisions and writes at midnight itself"""
    decided_writes: int
    decided_lag: float
    decided_lag_computing: float
    written: int
    """bytes the store wrote for the reads"""

    @property
    def floor(self) -> float:
        return sum(self.floors) / 2


async def measure_midnight(world: World) -> Midnight:
    """In a world whose daemon is at rest."""
    await world.travel(MIDNIGHT - timedelta(seconds=30))
    await world.until_heard()
    await world.until_idle()
    before = await _floor(world, world.mailboxes)
    await world.until_idle()
    await world.ask_daemon("take_lag")
    asked = await world.progress()
    at = await world.jump(timedelta(seconds=31))
    turned = await world.until_idle()
    await world.until_heard()
    decided = await world.ask_daemon("usage")
    wrote = (await world.progress())["writes"] - asked["writes"]

    reads_before = (await world.progress())["requests"]["FindItem"]
    begun = await world.jump(SPREAD)
    early = reads_before - asked["requests"]["FindItem"]
    await world.until_asked("FindItem", asked["requests"]["FindItem"] + world.mailboxes)
    state = await world.until_idle()
    after = await world.ask_daemon("usage")
    reads = (await world.progress())["requests"]["FindItem"] - reads_before
    if not world.mailboxes - early <= reads <= 2 * world.mailboxes:
        raise ChildFailed(f"{early} + {reads} reads after midnight for {world.mailboxes} mailboxes")
    return Midnight(
        mailboxes=world.mailboxes,
        reads=reads,
        seconds=state["at"] - begun,
        cpu=after["cpu"] - decided["cpu"],
        floors=(before, await _floor(world, reads)),
        lag=after["lag"],
        lag_computing=after["lag_computing"],
        decided_seconds=turned["at"] - at,
        decided_writes=wrote,
        decided_lag=decided["lag"],
        decided_lag_computing=decided["lag_computing"],
        written=after["written"] - decided["written"],
    )


async def _floor(world: World, count: int) -> float:
    return await world.client().run(floor.reads(world.place["ews"], count, MIDNIGHT))
