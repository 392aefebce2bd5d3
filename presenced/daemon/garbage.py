"""When Python looks for circular garbage: seldom, and never in the middle of the work.

What is kept of ten thousand mailboxes is half a million objects without a circle among them, and looking
through all of them blocks everything for a tenth of a second and more. Python would do so whenever a
quarter is new: at midnight, of all times, when every window is read again. So only the young are looked
through as usual, and everything once an hour, when nothing is waiting.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from datetime import timedelta

from presenced.core.ports import Clock

log = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
_LOOK_AGAIN = timedelta(seconds=10)
_MOST_LOOKS = 90
"""a daemon that has work all the time has its garbage collected all the same"""
_YOUNG = 5_000
"""new objects before the youngest are looked through"""
_MIDDLE = 10
_NEVER = 1_000_000


async def collect_garbage(clock: Clock, waiting: Callable[[], int]) -> None:
    """Take the collector over, until cancelled; `waiting` says how much work there is."""
    before = gc.get_threshold()
    gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)
    try:
        while True:
            await clock.sleep(EVERY)
            for _ in range(_MOST_LOOKS):
                if not waiting():
                    break
                await clock.sleep(_LOOK_AGAIN)
            log.debug("garbage collected objects=%d", gc.collect())
    finally:
        gc.set_threshold(*before)
