"""What a calendar file says, before anybody asks for a window.

Times stay as they are written (wall clock and zone): which instant a floating time is depends on the
presence zone, and a recurring appointment is worked out on the wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from pytz.tzinfo import BaseTzInfo

from presenced.core.appointment import Sensitivity, ShowAs
from presenced.core.zones import first_instant, from_wall, zone_of

_UTC = zone_of("UTC")


class IcsProblem(Exception):
    """A calendar file that can't be read: where, what is wrong and what to do, in one line."""

    def __init__(self, name: str, line: int | None, what: str, remedy: str) -> None:
        self.name = name
        self.line = line
        self.what = what
        self.remedy = remedy
        place = name if line is None else f"{name}:{line}"
        super().__init__(f"{place}: {what}; {remedy}")


@dataclass(frozen=True, slots=True)
class Stamp:
    """A DATE or DATE-TIME as written."""

    wall: datetime
    """naive; midnight for a date"""
    is_date: bool = False
    zone: BaseTzInfo | None = None
    """None: floating, or a date"""

    def instant(self, default: BaseTzInfo) -> datetime:
        """The instant (UTC); what has no zone is taken in `default`, a date at its first instant."""
        if self.is_date:
            return first_instant(self.wall.date(), default)
        return from_wall(self.wall, self.zone or default)

    def wall_in(self, zone: BaseTzInfo) -> datetime:
        """What clocks in `zone` show then (naive); what has no zone of its own is in `zone` already."""
        if self.zone is None or self.zone is zone:
            return self.wall
        return from_wall(self.wall, self.zone).astimezone(zone).replace(tzinfo=None)

    def date_in(self, zone: BaseTzInfo) -> date:
        """The date meant where only a date makes sense: the one written, whatever the zone.

        An instant in UTC that is not midnight there is a midnight of somewhere else: taken in `zone`.
        """
        if self.zone is _UTC and self.wall.time() != time():
            return self.wall_in(zone).date()
        return self.wall.date()


@dataclass(frozen=True, slots=True)
class Rule:
    """One RRULE, its UNTIL apart."""

    text: str
    """the parts that stand for themselves, without UNTIL"""
    frequency: str
    interval: int
    counted: bool
    """has COUNT"""
    until: Stamp | None = None


@dataclass(frozen=True, slots=True)
class ExtraDate:
    """One RDATE; a PERIOD brings its own end or length."""

    start: Stamp
    end: Stamp | timedelta | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One VEVENT."""

    uid: str
    start: Stamp
    end: Stamp | None = None
    duration: timedelta | None = None
    all_day: bool = False
    recurrence_id: Stamp | None = None
    this_and_future: bool = False
    rules: tuple[Rule, ...] = ()
    extra_dates: tuple[ExtraDate, ...] = ()
    excluded: tuple[Stamp, ...] = ()
    subject: str = ""
    show_as: ShowAs = ShowAs.BUSY
    sensitivity: Sensitivity = Sensitivity.NORMAL
    organizer: str = ""
    cancelled: bool = False
    revision: tuple[int, str, int] = (0, "", 0)
    """SEQUENCE, LAST-MODIFIED or DTSTAMP, place in the files: the greatest of two counts"""

    @property
    def recurs(self) -> bool:
        """Whether it stands for several appointments."""
        return bool(self.rules or self.extra_dates)

    def home(self, presence: BaseTzInfo) -> BaseTzInfo:
        """The zone on whose wall clock this item is worked out; `presence` where it has none.

        An all-day item in UTC whose times are not midnight there was made somewhere else.
        """
        zone = self.start.zone or presence
        if self.all_day and zone is _UTC and self.start.wall.time() != time():
            return presence
        return zone

    def length(self, home: BaseTzInfo) -> timedelta:
        """How long it lasts on the wall clock of `home` (RFC 5545 section 3.6.1 where no end is given)."""
        if self.end is not None:
            return self.end.wall_in(home) - self.start.wall_in(home)
        if self.duration is not None:
            return self.duration
        return timedelta(days=1) if self.all_day else timedelta()

    def exact_end(self, presence: BaseTzInfo) -> datetime:
        """When a single one ends: days of a duration are the calendar's, hours the clock's."""
        if self.end is not None:
            return self.end.instant(self.start.zone or presence)
        duration = self.duration or timedelta()
        days = timedelta(days=duration.days)
        zone = self.start.zone or presence
        begin = from_wall(self.start.wall + days, zone) if days else self.start.instant(presence)
        return (begin + (duration - days)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Series:
    """All items of one UID: the appointment itself and its changed occurrences."""

    uid: str
    master: Item | None
    changes: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class IcsCalendar:
    """One mailbox, out of one or several files."""

    series: tuple[Series, ...] = ()
