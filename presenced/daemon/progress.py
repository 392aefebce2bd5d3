"""How far long work has come: how much is done, how fast it goes, how long it will take.

Pure: keys and instants in, figures out. The rate is that of the last while, not of the whole: after a
back-off of minutes an average over everything would promise an end that nobody keeps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

WHILE = timedelta(seconds=30)
"""the rate is that of the last half minute"""
_SLICE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Progress:
    """How a piece of long work stands."""

    done: int
    total: int
    rate: float
    """a second, over the last while"""
    left: timedelta | None
    """an estimate; None where nothing was done lately"""


class LongWork:
    """Work on many keys: begun by the first key expected, over when none is left."""

    def __init__(self, lately: timedelta = WHILE) -> None:
        self._lately = lately
        self._open: set[str] = set()
        self._done = 0
        self._began: datetime | None = None
        self._slices: deque[tuple[datetime, int]] = deque()
        """how many were done, by the second"""
        self.on_begun: Callable[[], None] = _nobody
        """told when there is work again"""

    def expect(self, key: str, now: datetime) -> None:
        """The key is still to be done."""
        begins = not self._open
        self._open.add(key)
        if begins:
            self._done, self._began = 0, now
            self._slices.clear()
            self.on_begun()

    def finish(self, key: str, now: datetime) -> None:
        """The key is done; nothing for one that was not expected."""
        if key not in self._open:
            return
        self._open.discard(key)
        self._done += 1
        if self._slices and now - self._slices[-1][0] < _SLICE:
            begun, count = self._slices.pop()
            self._slices.append((begun, count + 1))
        else:
            self._slices.append((now, 1))
        self._forget(now)

    def drop(self, key: str) -> None:
        """The key need not be done any more."""
        self._open.discard(key)

    def clear(self) -> None:
        """Nothing need be done any more."""
        self._open.clear()

    @property
    def under_way(self) -> bool:
        """Whether anything is still to be done."""
        return bool(self._open)

    def progress(self, now: datetime) -> Progress | None:
        """How it stands, None where no such work is under way."""
        if not self._open or self._began is None:
            return None
        self._forget(now)
        stretch = max(min(now - self._began, self._lately), _SLICE)
        rate = sum(count for _, count in self._slices) / stretch.total_seconds()
        left = timedelta(seconds=len(self._open) / rate) if rate else None
        return Progress(self._done, self._done + len(self._open), rate, left)

    def _forget(self, now: datetime) -> None:
        while self._slices and now - self._slices[0][0] > self._lately:
            self._slices.popleft()


def _nobody() -> None:
    """Before the engine is composed nobody listens."""
