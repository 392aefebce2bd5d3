"""Which stretch of time to ask a server for, and what of its answer concerns the window that was meant.

The same for every door: an all-day appointment is kept on the server as two instants, and they may lie
far from the days it stands for here.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from pytz.tzinfo import BaseTzInfo

from presenced.core.appointment import Appointment
from presenced.core.window import Window
from presenced.core.zones import zone_of

EASTERNMOST = timedelta(hours=14)
WESTERNMOST = timedelta(hours=-12)
"""local time less UTC: Kiritimati, and ships at the date line"""
FARTHEST = EASTERNMOST - WESTERNMOST


def span_of(window: Window, zone: str = "") -> Window:
    """What to ask for: wider on both sides, and in whole seconds.

    The server compares the instants that an all-day appointment's maker had: his midnight comes before
    ours by as much as his clock is ahead. `zone` is the IANA name of the zone its dates will be anchored
    to; where it is unknown ("", or a name that is none) it may lie anywhere, too.
    """
    earlier, later = _margins(zone, window.start.date(), window.end.date())
    start, end = window.start - earlier, window.end + later
    whole = end.replace(microsecond=0)
    return Window(start.replace(microsecond=0), whole if whole == end else whole + timedelta(seconds=1))


def concerns(appointment: Appointment, window: Window) -> bool:
    """Timed ones must overlap the window; all-day ones stand at UTC midnights still, so generously."""
    asked = window.widened(FARTHEST) if appointment.all_day else window
    return asked.overlaps(appointment.start, appointment.end)


@lru_cache(maxsize=1024)
def _margins(zone: str, first: date, last: date) -> tuple[timedelta, timedelta]:
    try:
        ours = zone_of(zone)
    except ValueError:
        return FARTHEST, FARTHEST
    around = first - timedelta(days=1), last + timedelta(days=2)  # the clocks may be changed in between
    offsets = [_offset(datetime.combine(day, time(), UTC), ours) for day in around]
    return EASTERNMOST - min(offsets), max(offsets) - WESTERNMOST


def _offset(moment: datetime, zone: BaseTzInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()
