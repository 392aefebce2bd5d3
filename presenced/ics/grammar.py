"""The only file that knows the icalendar library: content lines, values and time zone components.

Its calendar objects are not used: they keep no line numbers, and they put every VTIMEZONE into one
table for the whole process, in which the "Customized Time Zone" of the first file stays the one of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from icalendar import Timezone
from icalendar.error import InvalidCalendar
from icalendar.parser import Contentline
from icalendar.prop import vDDDTypes
from icalendar.timezone import TZP
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON
from pytz.tzinfo import BaseTzInfo

_BY_WINDOWS_NAME = {name.casefold(): iana for name, iana in WINDOWS_TO_OLSON.items()}


@dataclass(frozen=True, slots=True)
class Property:
    """A content line taken apart; names of parameters in capitals, the value's escapes undone."""

    parameters: Mapping[str, str]
    value: str


def split_line(text: str) -> Property:
    """Raises ValueError for a line that can't be taken apart."""
    _, parameters, value = Contentline(text).parts()  # type: ignore[no-untyped-call]
    return Property(
        {
            str(name).upper(): ",".join(value) if isinstance(value, list) else str(value)
            for name, value in parameters.items()
        },
        value,
    )


def read_moment(value: str) -> tuple[datetime, bool, bool]:
    """A DATE or DATE-TIME as (naive wall clock, is it a date, is it UTC); raises ValueError."""
    moment = vDDDTypes.from_ical(value.strip().upper())  # type: ignore[no-untyped-call]
    if isinstance(moment, datetime):
        return moment.replace(tzinfo=None), False, moment.tzinfo is not None
    if isinstance(moment, date):
        return datetime(moment.year, moment.month, moment.day), True, False  # noqa: DTZ001 - a wall clock
    raise ValueError(f"{value!r} is not a date or time")


def read_duration(value: str) -> timedelta:
    """A DURATION; raises ValueError."""
    try:
        duration = vDDDTypes.from_ical(value.strip().upper())  # type: ignore[no-untyped-call]
    except InvalidCalendar as error:
        raise ValueError(str(error)) from None
    if not isinstance(duration, timedelta):
        raise ValueError(f"{value!r} is not a duration")  # noqa: TRY004 - the value is wrong, not its type
    return duration


def zone_from(component: str) -> BaseTzInfo:
    """The zone a VTIMEZONE component describes; raises ValueError."""
    try:
        parsed = Timezone.from_ical(component)
        zone = parsed.to_tz(TZP("pytz"), lookup_tzid=False) if isinstance(parsed, Timezone) else None
    except Exception as error:  # noqa: BLE001 - the library raises whatever its parts raise on odd input
        raise ValueError(f"{type(error).__name__}: {error}") from None
    if not isinstance(zone, BaseTzInfo):
        raise ValueError("no VTIMEZONE")  # noqa: TRY004 - the value is wrong, not its type
    return zone


def iana_of(windows_name: str) -> str | None:
    """The IANA name of a Windows zone (Unicode CLDR windowsZones), None for an unknown one."""
    return _BY_WINDOWS_NAME.get(windows_name.casefold())
