"""What is kept in the store by and by, because nobody waits for it: rows, states, unchanged reads."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from presenced.core.ports import Clock
from presenced.daemon.agenda import LONGEST_WAIT
from presenced.daemon.roster import Chore

log = logging.getLogger(__name__)

_TOGETHER = 500
"""chores done at once: the store makes one transaction of them"""


class Chores:
    """A queue of store work, done in order of arrival, many at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queue: deque[Chore] = deque()
        self._arrived = asyncio.Event()

    def add(self, chore: Chore) -> None:
        self._queue.append(chore)
        self._arrived.set()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def run(self, beat: Callable[[], None]) -> None:
        """Do chores until cancelled."""
        while True:
            try:
                async with self._clock.timeout(LONGEST_WAIT):
                    await self._arrived.wait()
            except TimeoutError:
                beat()
                continue
            await self.finish()
            beat()

    async def finish(self) -> None:
        """Do everything that waits now."""
        self._arrived.clear()
        while self._queue:
            some = [self._queue.popleft() for _ in range(min(_TOGETHER, len(self._queue)))]
            for outcome in await asyncio.gather(*(chore() for chore in some), return_exceptions=True):
                if isinstance(outcome, BaseException):
                    log.error("the store refused because=%r; restart to be sure nothing is missing", outcome)
