"""Time zones by their Windows names, and their rules in EWS words.

Clients name zones as Windows does; calendars here keep IANA names. tzlocal carries the CLDR table both
ways, zoneinfo the rules. MS-OXWSGTZ describes the definitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal.windows_tz import tz_win, win_tz

from presenced.sim.exchange.instants import write_duration
from presenced.sim.exchange.soap import escape

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WINDOWS_NAMES = tuple(sorted(win_tz))


@lru_cache(maxsize=1024)
def windows_name(zone: str) -> str:
    """The Windows name of an IANA zone; "UTC" where there is none."""
    return tz_win.get(zone, "UTC")


def find_zone(windows: str) -> ZoneInfo | None:
    """The zone of that Windows name, None where it is unknown; an IANA name is let through."""
    try:
        return ZoneInfo(win_tz.get(windows, windows))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the clocks in a year."""

    at: datetime
    """UTC"""
    before: timedelta
    """offset from UTC until then"""
    after: timedelta

    @property
    def wall(self) -> datetime:
        """What the clocks show when it comes, naive."""
        return (self.at + self.before).replace(tzinfo=None)

    @property
    def occurrence(self) -> int:
        """Which weekday of its kind in the month it is, -1 for the last."""
        wall = self.wall
        return -1 if (wall + timedelta(days=7)).month != wall.month else (wall.day - 1) // 7 + 1

    @property
    def is_summer(self) -> bool:
        """Whether the clocks go forward."""
        return self.after > self.before


@lru_cache(maxsize=4096)
def changes_in(zone: ZoneInfo, year: int) -> tuple[Change, ...]:
    """The changes of the clocks of a zone in a year, found to the minute."""
    found = []
    low = datetime(year, 1, 1, tzinfo=UTC)
    for _ in range(53):
        high = low + timedelta(days=7)
        before, after = _offset(zone, low), _offset(zone, high)
        if before != after:
            found.append(Change(_bisect(zone, low, high), before, after))
        low = high
    return tuple(change for change in found if change.at.year == year)


def _bisect(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    before = _offset(zone, low)
    while high - low > timedelta(minutes=1):
        middle = low + timedelta(minutes=(high - low) // timedelta(minutes=2))
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def zone_title(windows: str, year: int) -> str:
    """The name people see, `(UTC+01:00) W. Europe Standard Time`."""
    zone = find_zone(windows) or ZoneInfo("UTC")
    minutes = int(_standard(zone, year).total_seconds() // 60)
    sign = "-" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    return f"(UTC{sign}{hours:02d}:{rest:02d}) {windows}" if minutes else f"(UTC) {windows}"


def _standard(zone: ZoneInfo, year: int) -> timedelta:
    changes = changes_in(zone, year)
    winter = min((change.after for change in changes), default=None)
    return _offset(zone, datetime(year, 1, 1, tzinfo=UTC)) if winter is None else winter


@lru_cache(maxsize=1024)
def zone_definition(windows: str, year: int, *, tag: str = "t:TimeZoneDefinition", full: bool = True) -> str:
    """The zone as `TimeZoneDefinitionType`, its rules those of that year."""
    head = f'<{tag} Id="{escape(windows)}" Name="{escape(zone_title(windows, year))}"'
    zone = find_zone(windows)
    if not full or zone is None:
        return f"{head}/>"
    changes = changes_in(zone, year)
    has_summer = len(changes) == 2
    standard = _standard(zone, year)
    key = f"trule:Microsoft/Registry/{escape(windows)}/1"
    periods = f'<t:Period Bias="{write_duration(-standard)}" Name="Standard" Id="{key}-Standard"/>'
    if has_summer:
        summer = max(change.after for change in changes)
        periods += f'<t:Period Bias="{write_duration(-summer)}" Name="Daylight" Id="{key}-Daylight"/>'
        rules = "".join(_rule(change, key) for change in changes)
    else:
        rules = f'<t:Transition><t:To Kind="Period">{key}-Standard</t:To></t:Transition>'
    return (
        f"{head}><t:Periods>{periods}</t:Periods>"
        f'<t:TransitionsGroups><t:TransitionsGroup Id="0">{rules}</t:TransitionsGroup></t:TransitionsGroups>'
        '<t:Transitions><t:Transition><t:To Kind="Group">0</t:To></t:Transition></t:Transitions>'
        f"</{tag}>"
    )


def _rule(change: Change, key: str) -> str:
    wall = change.wall
    since_midnight = timedelta(hours=wall.hour, minutes=wall.minute)
    return (
        '<t:RecurringDayTransition><t:To Kind="Period">'
        f"{key}-{'Daylight' if change.is_summer else 'Standard'}</t:To>"
        f"<t:TimeOffset>{write_duration(since_midnight)}</t:TimeOffset><t:Month>{wall.month}</t:Month>"
        f"<t:DayOfWeek>{DAYS[wall.weekday()]}</t:DayOfWeek><t:Occurrence>{change.occurrence}</t:Occurrence>"
        "</t:RecurringDayTransition>"
    )
