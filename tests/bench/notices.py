"""From a change's notice on the wire to the SetPresence that shows it, at several rates of change.

Both instants are taken in the process of the simulators, where both wires end. The daemon gathers the
notices of a mailbox for GATHER before it reads; that length is known, waited in full for every change
(each changes another mailbox) and subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass

from presenced.daemon.watch import GATHER
from tests.bench.child import ChildFailed
from tests.bench.world import World

LASTING = 12.0
"""seconds of changes at each rate, as far as there are mailboxes"""


@dataclass(frozen=True, slots=True)
class Latencies:
    """At one rate; seconds, gathering subtracted."""

    rate: float
    changes: int
    p50: float
    p90: float
    p99: float
    worst: float
    cpu: float
    """seconds of the daemon's processor time a change"""
    lag: float
    lag_computing: float
    written: float
    """bytes the store wrote a change"""


async def measure_notices(world: World, rate: float) -> Latencies:
    """Change calendars at this rate in a world whose daemon is at rest."""
    await world.until_idle()
    before = await world.ask_daemon("usage")
    count = int(min(rate * LASTING, world.mailboxes))
    await world.simulators.ask("begin_changes", rate=rate, count=count, mailboxes=world.mailboxes)
    changed = await world.simulators.ask("end_changes", longest=60)
    after = await world.ask_daemon("usage")
    if changed["missing"]:
        raise ChildFailed(f"{changed['missing']} of {count} changes were never shown")
    gathered = GATHER.total_seconds()
    waits = sorted(latency - gathered for latency in changed["latencies"])
    return Latencies(
        rate=rate,
        changes=count,
        p50=percentile(waits, 50),
        p90=percentile(waits, 90),
        p99=percentile(waits, 99),
        worst=waits[-1],
        cpu=(after["cpu"] - before["cpu"]) / count,
        lag=after["lag"],
        lag_computing=after["lag_computing"],
        written=(after["written"] - before["written"]) / count,
    )


def percentile(ordered: list[float], percent: float) -> float:
    """The value that `percent` of the ordered values do not exceed (nearest rank)."""
    place = -(-len(ordered) * percent // 100)
    return ordered[int(max(place, 1)) - 1]
