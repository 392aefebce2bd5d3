"""Wall-clock time in a presence zone: pytz is the zone database (house.md).

A local time that does not exist moves forward by the gap, one that exists twice is the first of the two
(cli.md, `preview`); a local day begins at its first instant, which is not always called 00:00.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

import pytz
from pytz.tzinfo import BaseTzInfo

_DAY = timedelta(days=1)


@lru_cache(maxsize=512)
def zone_of(name: str) -> BaseTzInfo:
    """The zone with this IANA name; raises ValueError for an unknown one."""
    try:
        return pytz.timezone(name)
    except pytz.UnknownTimeZoneError:
        raise ValueError(f"unknown time zone {name!r}") from None


def from_wall(wall: datetime, zone: BaseTzInfo) -> datetime:
    """The instant (UTC) at which clocks in `zone` show the naive `wall`."""
    try:
        return zone.localize(wall, is_dst=None).astimezone(UTC)
    except pytz.AmbiguousTimeError:
        return min(_both(wall, zone))
    except pytz.NonExistentTimeError:
        return max(_both(wall, zone))


def _both(wall: datetime, zone: BaseTzInfo) -> tuple[datetime, datetime]:
    return (
        zone.localize(wall, is_dst=True).astimezone(UTC),
        zone.localize(wall, is_dst=False).astimezone(UTC),
    )


@lru_cache(maxsize=4096)
def first_instant(day: date, zone: BaseTzInfo) -> datetime:
    """The first instant (UTC) of a local day; of the next one that exists where a zone skipped the day."""
    try:
        return zone.localize(datetime.combine(day, time()), is_dst=None).astimezone(UTC)
    except pytz.AmbiguousTimeError:
        return min(_both(datetime.combine(day, time()), zone))
    except pytz.NonExistentTimeError:
        return _first_instant_in_gap(day, zone)


def _first_instant_in_gap(day: date, zone: BaseTzInfo) -> datetime:
    """Where midnight falls into a gap: the transition itself, found to the second."""
    before = datetime.combine(day, time(), tzinfo=UTC) - _DAY
    after = before + 3 * _DAY
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).date() < day:
            before = middle
        else:
            after = middle
    return after


class LocalDay(NamedTuple):
    """A day of a zone's calendar, as instants (UTC)."""

    date: date
    start: datetime
    end: datetime
    """the first instant of the next day that exists"""


def local_day(now: datetime, zone: BaseTzInfo) -> LocalDay:
    """The local day that contains the instant."""
    utc = now.astimezone(UTC)
    days = _days_around(utc.date(), zone)
    return days[bisect_right(days, utc, key=_END)]


_END = attrgetter("end")


@lru_cache(maxsize=4096)
def _days_around(utc_date: date, zone: BaseTzInfo) -> tuple[LocalDay, ...]:
    """The local days that have an instant in common with a UTC date, in order."""
    start = datetime.combine(utc_date, time(), tzinfo=UTC)
    days: list[LocalDay] = []
    day = start.astimezone(zone).date()
    while not days or days[-1].end < start + _DAY:
        begin, end = first_instant(day, zone), first_instant(day + _DAY, zone)
        if begin < end:
            days.append(LocalDay(day, begin, end))
        day += _DAY
    return tuple(days)


def next_midnight(now: datetime, zone: BaseTzInfo) -> datetime:
    """The first instant (UTC) of the next local day."""
    return local_day(now, zone).end
