"""How long changes took, counted in buckets: a number a bucket, however many changes there were.

The buckets are those of the histogram in the metrics (upper bounds, each including the ones below), so
that a scrape only has to copy them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import timedelta
from itertools import accumulate

BOUNDS = tuple(
    timedelta(seconds=seconds)
    for seconds in (0.1, 0.5, 1, 1.02, 1.05, 1.1, 1.2, 1.5, 2, 3, 5, 10, 30, 60, 120, 300, 900)
)
"""close together just above a second, because that long notices are gathered before anything is read"""


class Latencies:
    """Durations by bucket, their number and their sum."""

    def __init__(self, bounds: Sequence[timedelta] = BOUNDS) -> None:
        """`bounds` in ascending order; what is longer than the last counts in the total alone."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self.total = timedelta()

    def add(self, duration: timedelta) -> None:
        """One more."""
        self._counts[bisect_left(self._bounds, duration)] += 1
        self.total += duration

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self._counts)

    def up_to(self) -> list[tuple[timedelta, int]]:
        """Each bound with how many took no longer."""
        return list(zip(self._bounds, accumulate(self._counts), strict=False))
