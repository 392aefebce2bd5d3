"""From a calendar and a window to raw appointments, one for each occurrence.

cli.md, `preview`: a single appointment keeps its exact instants, a recurring one its length on the wall
clock of its own zone; a local time that does not exist moves forward by the gap, one that exists twice
is the first. What starts in a gap ends at its wall-clock end and so may be empty; it is handed over all
the same, for the admin to see why it is not shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from pytz.tzinfo import BaseTzInfo

from presenced.core.appointment import Appointment
from presenced.core.window import Window
from presenced.core.zones import first_instant, from_wall, zone_of
from presenced.ics.model import IcsCalendar, Item, Rule, Series, Stamp
from presenced.ics.recurrence import starts

_DAY = timedelta(days=1)
_SLACK = 2 * _DAY
"""more than two zones can be apart"""


def expand(calendar: IcsCalendar, window: Window, zone: str) -> tuple[Appointment, ...]:
    """The raw appointments that overlap the window, in order of start and id.

    `zone` is the IANA name of the presence zone, in which floating times and dates are; an all-day
    appointment overlaps by its dates there. Raises ValueError for an unknown zone.
    """
    view = _View(window, zone_of(zone))
    found: list[Appointment] = []
    for series in calendar.series:
        if series.master is not None and not series.master.recurs and not series.changes:
            found.extend(view.whole(series.master, series.uid))
        else:
            found.extend(_Occurrences(series, view).appointments())
    return tuple(sorted(found, key=lambda one: (one.start, one.id)))


@dataclass(frozen=True, slots=True)
class _View:
    """The window asked for, and the presence zone it is seen in."""

    window: Window
    presence: BaseTzInfo

    @property
    def low(self) -> datetime:
        """Naive, before the window's start on any wall clock."""
        return self.window.start.astimezone(UTC).replace(tzinfo=None) - _SLACK

    @property
    def high(self) -> datetime:
        """Naive, after the window's end on any wall clock."""
        return self.window.end.astimezone(UTC).replace(tzinfo=None) + _SLACK

    def whole(self, item: Item, identifier: str) -> Iterator[Appointment]:
        """A single item, or a changed occurrence: as it stands."""
        if item.start.wall > self.high:
            return
        if item.all_day:
            home = item.home(self.presence)
            begin = item.start.wall_in(home)
            yield from self.placed(item, identifier, home, begin, begin + item.length(home))
        else:
            begin, end = item.start.instant(self.presence), item.exact_end(self.presence)
            yield from self._if_inside(item, identifier, begin, end)

    def placed(
        self, item: Item, identifier: str, home: BaseTzInfo, begin: datetime, end: datetime
    ) -> Iterator[Appointment]:
        """An item between two wall clock times of `home`."""
        if not item.all_day:
            yield from self._if_inside(item, identifier, from_wall(begin, home), from_wall(end, home))
            return
        first, last = begin.date(), end.date()
        if end.time() > time():
            last += _DAY
        if self._touches(first_instant(first, self.presence), first_instant(last, self.presence)):
            yield _appointment(item, identifier, _midnight(first), _midnight(last))

    def _if_inside(
        self, item: Item, identifier: str, begin: datetime, end: datetime
    ) -> Iterator[Appointment]:
        if self._touches(begin, end):
            yield _appointment(item, identifier, begin, end)

    def _touches(self, begin: datetime, end: datetime) -> bool:
        """An empty one lies where it starts."""
        if begin < end:
            return self.window.overlaps(begin, end)
        return self.window.start <= begin < self.window.end


class _Occurrences:
    """The occurrences of one series; each is known by the instant at which the rule would start it."""

    def __init__(self, series: Series, view: _View) -> None:
        self._series = series
        self._view = view
        told = series.master or series.changes[0]
        self._dated = told.start.is_date
        self._home = told.home(view.presence)
        self._start = told.start.wall_in(self._home)
        self._excluded = frozenset(map(self._original_of, series.master.excluded if series.master else ()))
        self._changes = {
            self._original_of(item.recurrence_id): item
            for item in series.changes
            if item.recurrence_id is not None
        }
        moved = (original for original, item in self._changes.items() if item.this_and_future)
        self._moves = [self._move(original) for original in sorted(moved)]

    def appointments(self) -> Iterator[Appointment]:
        """Those of the rule, then the changed ones, whether the rule has them or not."""
        master = self._series.master
        if master is not None:
            yield from self._regular(master)
        for original, item in self._changes.items():
            if original not in self._excluded:
                yield from self._view.whole(item, self._id(original))

    def _regular(self, master: Item) -> Iterator[Appointment]:
        done = set(self._changes) | self._excluded
        length = max(master.length(self._home), timedelta())
        for wall, end in self._walls(master, length):
            original = self._original(wall)
            if original in done:
                continue
            done.add(original)
            move = next((move for move in reversed(self._moves) if move.original <= original), None)
            if move is not None:
                begin = original.astimezone(move.home).replace(tzinfo=None) + move.shift
                moved_end = begin + move.item.length(move.home)
                yield from self._view.placed(move.item, self._id(original), move.home, begin, moved_end)
            elif not master.recurs:
                yield from self._view.whole(master, self._id(original))
            else:
                yield from self._view.placed(master, self._id(original), self._home, wall, end)

    def _walls(self, master: Item, length: timedelta) -> Iterator[tuple[datetime, datetime]]:
        """Start and end on the wall clock of home, of all that may touch the window."""
        low = _earlier(self._view.low, max([length, *(move.reach for move in self._moves)]))
        high = self._view.high + max([timedelta(), *(abs(move.shift) for move in self._moves)])
        rules = master.rules
        if not rules or any(self._allows(rule, self._start) for rule in rules):
            yield self._start, self._start + master.length(self._home)
        for extra in master.extra_dates:
            wall = self._wall_of(extra.start)
            if isinstance(extra.end, Stamp):
                yield wall, extra.end.wall_in(self._home)
            else:
                yield wall, wall + (master.length(self._home) if extra.end is None else extra.end)
        for rule in rules:
            for wall in starts(rule, self._start, low, high):
                if not self._allows(rule, wall):
                    break
                yield wall, wall + master.length(self._home)

    def _allows(self, rule: Rule, wall: datetime) -> bool:
        """Whether an occurrence is not after the rule's UNTIL."""
        until = rule.until
        if until is None:
            return True
        if until.is_date or self._dated:
            return wall.date() <= until.date_in(self._home)
        return self._original(wall) <= until.instant(self._home)

    def _wall_of(self, stamp: Stamp) -> datetime:
        """A time written somewhere in the series, on the wall clock of home."""
        if self._dated:
            return datetime.combine(stamp.date_in(self._home), time())
        if stamp.is_date:
            return datetime.combine(stamp.wall.date(), self._start.time())
        return stamp.wall_in(self._home)

    def _original(self, wall: datetime) -> datetime:
        return first_instant(wall.date(), self._home) if self._dated else from_wall(wall, self._home)

    def _original_of(self, stamp: Stamp) -> datetime:
        if self._dated or stamp.is_date:
            return self._original(self._wall_of(stamp))
        return stamp.instant(self._home)

    def _id(self, original: datetime) -> str:
        return f"{self._series.uid}/{original:%Y-%m-%dT%H:%M:%SZ}"

    def _move(self, original: datetime) -> _Move:
        item = self._changes[original]
        home = item.home(self._view.presence)
        shift = item.start.wall_in(home) - original.astimezone(home).replace(tzinfo=None)
        return _Move(original, item, home, shift)


@dataclass(frozen=True, slots=True)
class _Move:
    """A change of this and all future occurrences (RANGE=THISANDFUTURE, RFC 5545 section 3.2.13)."""

    original: datetime
    item: Item
    home: BaseTzInfo
    shift: timedelta

    @property
    def reach(self) -> timedelta:
        """How far from its original start such an occurrence can be seen."""
        return abs(self.shift) + max(self.item.length(self.home), timedelta())


def _appointment(item: Item, identifier: str, start: datetime, end: datetime) -> Appointment:
    return Appointment(
        id=identifier,
        start=start,
        end=end,
        show_as=item.show_as,
        subject=item.subject,
        all_day=item.all_day,
        sensitivity=item.sensitivity,
        organizer=item.organizer,
        cancelled=item.cancelled,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _earlier(wall: datetime, by: timedelta) -> datetime:
    try:
        return wall - by
    except OverflowError:
        return datetime.min  # noqa: DTZ901 - a wall clock
