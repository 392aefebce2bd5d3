"""Local midnights and noons as instants: where a simulated day lies in a zone.

Office hours all have noon's offset from UTC (clocks change at night), so a day needs two instants and no
more; they are the same for every mailbox of the zone and therefore kept.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from presenced.core.zones import first_instant, zone_of


def midnight(zone: str, ordinal: int) -> datetime:
    """The first instant of the day (proleptic Gregorian ordinal) in the zone (IANA name), as UTC."""
    return first_instant(date.fromordinal(ordinal), zone_of(zone))


@lru_cache(maxsize=8192)
def noon(zone: str, ordinal: int) -> datetime:
    """Twelve o'clock of that day in that zone, as UTC."""
    local = datetime.combine(date.fromordinal(ordinal), time(12))
    return zone_of(zone).localize(local).astimezone(UTC)


def clock_time(zone: str, ordinal: int, minute: int) -> datetime:
    """The instant at `minute` minutes past midnight by the offset that holds at noon, as UTC."""
    return noon(zone, ordinal) + timedelta(minutes=minute - 720)


def day_of(zone: str, instant: datetime) -> int:
    """The ordinal of the local date of an instant."""
    return instant.astimezone(zone_of(zone)).toordinal()
