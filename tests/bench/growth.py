"""How time and memory grow with the number of mailboxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.cold import ColdStart, measure_cold_start
from tests.bench.report import Figure
from tests.bench.world import open_world

TOLERANCE = 1.25
"""by how much a mailbox among many may cost more than one among few and growth still be called linear"""


@dataclass(frozen=True, slots=True)
class Point:
    """What one mailbox costs in a daemon with so many."""

    mailboxes: int
    seconds: float
    floor: float
    cpu: float
    bytes: int
    peak_bytes: int

    @classmethod
    def of(cls, cold: ColdStart) -> Point:
        grown = cold.bytes_after - cold.bytes_before
        return cls(
            cold.mailboxes, cold.seconds, cold.floor, cold.cpu, grown, cold.peak_after - cold.peak_before
        )


async def measure_growth(
    sizes: Sequence[int], known: ColdStart | None, tell: Callable[[str], None]
) -> list[Point]:
    """A cold start of each size; one that was measured already is taken as it is."""
    points = []
    for size in sorted(set(sizes)):
        if known is not None and size == known.mailboxes:
            points.append(Point.of(known))
            continue
        tell(f"cold start of {size} mailboxes")
        async with open_world(size) as world:
            points.append(Point.of(await measure_cold_start(world)))
    return points


def growth_of(points: Sequence[Point]) -> Figure:
    """Processor time a mailbox at the largest size, as a multiple of that at the middle size.

    The smallest size is in the picture, but no measure: the start's fixed costs weigh on it.
    """
    middle, last = points[len(points) // 2], points[-1]

    def growth(value: Callable[[Point], float]) -> float:
        return (value(last) / last.mailboxes) / (value(middle) / middle.mailboxes)

    times, floors = growth(lambda one: one.seconds), growth(lambda one: one.floor)
    memory = growth(lambda one: one.bytes)
    return Figure(
        "growth",
        last.mailboxes,
        times,
        f"time a mailbox at {last.mailboxes} by that at {middle.mailboxes}",
        floors,
        target=f"linear: time and memory a mailbox within {TOLERANCE}",
        met=times <= TOLERANCE and memory <= TOLERANCE,
        detail={
            "memory": memory,
            "cpu": growth(lambda one: one.cpu),
            "points": [
                {
                    "mailboxes": one.mailboxes,
                    "seconds": one.seconds,
                    "floor_seconds": one.floor,
                    "ratio": one.seconds / one.floor,
                    "cpu_ms_a_mailbox": 1000 * one.cpu / one.mailboxes,
                    "kb_a_mailbox": one.bytes / 1000 / one.mailboxes,
                    "peak_kb_a_mailbox": one.peak_bytes / 1000 / one.mailboxes,
                }
                for one in points
            ],
        },
    )
