"""The dates of an all-day appointment, from the two instants Exchange gives for it.

Exchange stores an all-day appointment as the instants of midnight in the zone of whoever made it. The
dates are what counts, so the zone in which both instants are midnight must be found again
(exchange.md section 5). In order: the appointment's own zone, the presence zone, then the bare offset
that makes the start a midnight. An end a little off midnight (23:59 from some clients, a zone whose
daylight saving differs) is rounded; instants that are midnights nowhere are rounded altogether.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

from pytz.tzinfo import BaseTzInfo

from presenced.core.zones import first_instant

DAY = timedelta(days=1)
_FARTHEST = timedelta(hours=2)
"""the greatest change of an offset at a daylight-saving border (Antarctica/Troll)"""
_QUARTER = timedelta(minutes=15)
_EASTERNMOST = timedelta(hours=13)
"""Offsets are looked for in the 24 hours up to +13:00, which hold nearly everybody: of the doubles, New
Zealand's summer (+13) wins over Samoa (-11), Hawaii (-10) over Kiribati (+14)."""
_CHATHAM = timedelta(hours=13, minutes=45)
"""the one offset in use above +13 whose double nobody uses"""


def find_dates(start: datetime, end: datetime, zones: Iterable[BaseTzInfo]) -> tuple[date, date]:
    """First date and exclusive last date of an all-day appointment; `zones` in order of trust."""
    zones = tuple(zones)
    for zone in zones:
        first, last = _date_at_midnight(start, zone), _date_at_midnight(end, zone)
        if first is not None and last is not None:
            return first, last
    for zone in zones:
        first, last = _date_at_midnight(start, zone), _nearest_date(end, zone, within=_FARTHEST)
        if first is not None and last is not None:
            return first, last
    offset = _offset_of_midnight(start)
    if offset is not None:
        last = _nearest_date(end, timezone(offset), within=_FARTHEST)
        if last is not None:
            return start.astimezone(timezone(offset)).date(), last
    return _rounded(start, end, zones[0] if zones else UTC)


def as_utc_midnights(dates: tuple[date, date]) -> tuple[datetime, datetime]:
    """The convention of `core.appointment` for raw all-day appointments."""
    first, last = dates
    return datetime.combine(first, time(), UTC), datetime.combine(last, time(), UTC)


def _date_at_midnight(instant: datetime, zone: BaseTzInfo) -> date | None:
    """The local date, if the instant is its midnight, or its first instant where midnight is skipped."""
    local = instant.astimezone(zone)
    if local.time() == time():
        return local.date()
    return local.date() if first_instant(local.date(), zone) == instant else None


def _offset_of_midnight(instant: datetime) -> timedelta | None:
    """The UTC offset, in quarter hours, for which this instant is midnight."""
    instant = instant.astimezone(UTC)
    since = timedelta(hours=instant.hour, minutes=instant.minute, seconds=instant.second)
    if since % _QUARTER or instant.microsecond:
        return None
    offset = -since
    if DAY - since == _CHATHAM:
        return _CHATHAM
    return offset + DAY if offset + DAY <= _EASTERNMOST else offset


def _nearest_date(instant: datetime, zone: tzinfo, *, within: timedelta) -> date | None:
    """The date whose midnight is nearest, None where it is farther than `within`."""
    local = instant.astimezone(zone)
    past = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    if past <= within:
        return local.date()
    return local.date() + DAY if DAY - past <= within else None


def _rounded(start: datetime, end: datetime, zone: tzinfo) -> tuple[date, date]:
    """For instants that are midnights nowhere: every date that the appointment mostly covers."""
    half = DAY / 2
    first, last = _nearest_date(start, zone, within=half), _nearest_date(end, zone, within=half)
    if first is None or last is None:  # a `within` of half a day leaves no gap
        raise ValueError("no nearest midnight")
    return first, max(last, first + DAY) if end > start else last
