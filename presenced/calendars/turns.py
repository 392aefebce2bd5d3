"""Whose turn it is to be asked for changes: everybody once an interval, spread evenly. Values only.

Each one has a phase of its own within the interval, so that the server sees an even trickle and never a
crowd; turns missed are left out, not made up for.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta

GOLDEN = 0.6180339887498949
"""Multiples of it, modulo 1, lie evenly in the interval however many there are."""


@dataclass(slots=True)
class _Seat:
    phase: float
    due: datetime | None
    """None: it is being asked"""
    plan: int = 0
    """number of the plan that counts; those before are void"""


class Turns:
    """Who is due when. Names are addresses."""

    def __init__(self, epoch: datetime) -> None:
        self._epoch = epoch
        self._seats: dict[str, _Seat] = {}
        self._heap: list[tuple[datetime, int, str, _Seat]] = []
        self._newcomers = itertools.count()
        self._plans = itertools.count()

    def __len__(self) -> int:
        return len(self._seats)

    def __contains__(self, name: object) -> bool:
        return name in self._seats

    def add(self, name: str, now: datetime) -> None:
        """A newcomer, or one that begins anew: due at once."""
        seat = self._seats[name] = _Seat((next(self._newcomers) * GOLDEN) % 1, now)
        self._push(name, seat, now)

    def remove(self, name: str) -> None:
        """It has no turn any more."""
        self._seats.pop(name, None)

    def plan(self, name: str, due: datetime) -> None:
        """Its next turn, instead of what was planned."""
        seat = self._seats.get(name)
        if seat is not None:
            self._push(name, seat, due)

    def plan_turn(self, name: str, now: datetime, interval: timedelta) -> None:
        """Its next turn is the first moment of its own after now."""
        seat = self._seats.get(name)
        if seat is not None:
            first = self._epoch + seat.phase * interval
            turns = (now - first) // interval + 1
            self._push(name, seat, first + turns * interval)

    def take(self, now: datetime, most: int = 1, *, gathered: timedelta = timedelta()) -> list[str]:
        """Up to `most` that are due, the longest due first; they have no next turn until one is planned.

        With `gathered` nobody is taken before there are `most`, or the first has waited so long.
        """
        self._skip_stale()
        if gathered and self._heap and self._heap[0][0] > now - gathered and not self._are_due(now, most):
            return []
        taken: list[str] = []
        while self._heap and self._heap[0][0] <= now and len(taken) < most:
            _, _, name, seat = heapq.heappop(self._heap)
            seat.due, seat.plan = None, -1
            taken.append(name)
            self._skip_stale()
        return taken

    def next_due(self) -> datetime | None:
        """When the first is due; None where nobody has a turn."""
        self._skip_stale()
        return self._heap[0][0] if self._heap else None

    def due_at(self, name: str) -> datetime | None:
        """When it is this one's turn; None where it has none."""
        seat = self._seats.get(name)
        return None if seat is None else seat.due

    def _are_due(self, now: datetime, count: int) -> bool:
        """Whether so many are due: the heap is looked at from its top, no farther than needed."""
        places, found = [0], 0
        while places:
            place = places.pop()
            if place < len(self._heap) and self._heap[place][0] <= now:
                _, plan, name, seat = self._heap[place]
                found += self._is_current(name, seat, plan)
                if found >= count:
                    return True
                places += [2 * place + 1, 2 * place + 2]
        return False

    def _push(self, name: str, seat: _Seat, due: datetime) -> None:
        seat.due, seat.plan = due, next(self._plans)
        heapq.heappush(self._heap, (due, seat.plan, name, seat))

    def _skip_stale(self) -> None:
        while self._heap:
            _, plan, name, seat = self._heap[0]
            if self._is_current(name, seat, plan):
                return
            heapq.heappop(self._heap)

    def _is_current(self, name: str, seat: _Seat, plan: int) -> bool:
        return self._seats.get(name) is seat and seat.plan == plan
