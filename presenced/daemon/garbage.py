"""When Python looks for circular garbage: often among the young, seldom among all.

What is kept of ten thousand mailboxes is half a million objects without a circle among them, and looking
through all of them blocks everything for a tenth of a second and more. Python would do so whenever a
quarter is new: at midnight, of all times, when every window is read again. So everything is looked through
once an hour, when nothing is waiting.

The young are looked through every second. Python would wait for so many more objects made than freed, and a
window that takes the place of another frees as many as it makes: the young grew to a quarter of a million
before anybody looked, which blocked everything for fifty milliseconds.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from datetime import timedelta

from presenced.core.ports import Clock

log = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
_OFTEN = timedelta(seconds=1)
_LOOK_AGAIN = timedelta(seconds=10)
_MOST_LOOKS = 90
"""a daemon that has work all the time has its garbage collected all the same"""
_YOUNG = 5_000
"""more objects made than freed before Python looks through the young by itself"""
_NEVER = 1_000_000


async def collect_garbage(clock: Clock, waiting: Callable[[], int]) -> None:
    """Take the collector over, until cancelled; `waiting` says how much work there is."""
    before = gc.get_threshold()
    gc.set_threshold(_YOUNG, _NEVER, _NEVER)
    try:
        while True:
            await _look_through_the_young(clock, EVERY)
            for _ in range(_MOST_LOOKS):
                if not waiting():
                    break
                await _look_through_the_young(clock, _LOOK_AGAIN)
            log.debug("garbage collected objects=%d", gc.collect())
    finally:
        gc.set_threshold(*before)


async def _look_through_the_young(clock: Clock, duration: timedelta) -> None:
    end = clock.now() + duration
    while clock.now() < end:
        await clock.sleep(_OFTEN)
        gc.collect(1)
