"""What it costs to read the settings again with another mapping: everybody is decided anew."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tests.bench.report import Figure
from tests.bench.world import World

MAPPING = "\n[mapping]\nbusy = dnd\ntentative = busy\n"


@dataclass(frozen=True, slots=True)
class Reload:
    """One reload."""

    mailboxes: int
    seconds: float
    """until the new settings were in force"""
    computing: float
    """processor seconds of that"""
    settled: float
    """seconds until the last presence that changed was written and confirmed"""
    writes: int
    lag: float
    lag_computing: float


async def measure_reload(world: World) -> Reload:
    """In a world whose daemon is at rest."""
    await world.until_idle()
    await world.ask_daemon("take_lag")
    before = await world.progress()
    world.write_ini(MAPPING)
    applied = await world.ask_daemon("reload", within=120)
    state = await world.until_idle()
    after = await world.ask_daemon("take_lag")
    return Reload(
        mailboxes=world.mailboxes,
        seconds=applied["seconds"],
        computing=applied["computing"],
        settled=state["at"] - applied["at"],
        writes=(await world.progress())["writes"] - before["writes"],
        lag=after["lag"],
        lag_computing=after["lag_computing"],
    )


def figure_of(reload: Reload) -> Figure:
    return Figure(
        "reload",
        reload.mailboxes,
        1000 * reload.seconds,
        "ms",
        detail=asdict(reload),
    )
