"""From a VEVENT to an item: which of its properties count, and what they mean.

Sources: RFC 5545 section 3.8, cli.md (`preview`). Only times must be right; whatever else can't be read
is taken as absent, but a CLASS nobody understands is private.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from presenced.core.appointment import Sensitivity, ShowAs
from presenced.core.zones import zone_of
from presenced.ics.grammar import Property, read_duration, read_moment, split_line
from presenced.ics.lines import Component, Line
from presenced.ics.model import ExtraDate, IcsProblem, Item, Rule, Stamp
from presenced.ics.recurrence import parse_rule
from presenced.ics.zones import Zones

_TIMES = frozenset({"DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "RRULE", "RDATE", "EXDATE"})
_BUSY_STATUS = "X-MICROSOFT-CDO-BUSYSTATUS"
_ALL_DAY = "X-MICROSOFT-CDO-ALLDAYEVENT"
_IDENTITY = _TIMES | {"SUMMARY", "ORGANIZER", "CLASS"}
_OTHERS = frozenset(
    {"UID", "SUMMARY", "CLASS", "STATUS", "TRANSP", "ORGANIZER", "SEQUENCE", "LAST-MODIFIED", "DTSTAMP"}
    | {_BUSY_STATUS, _ALL_DAY}
)
_SHOW_AS = {
    "FREE": ShowAs.FREE,
    "TENTATIVE": ShowAs.TENTATIVE,
    "BUSY": ShowAs.BUSY,
    "OOF": ShowAs.OOF,
    "WORKINGELSEWHERE": ShowAs.WORKING_ELSEWHERE,
}
_SENSITIVITIES = {
    "PUBLIC": Sensitivity.NORMAL,
    "PRIVATE": Sensitivity.PRIVATE,
    "CONFIDENTIAL": Sensitivity.CONFIDENTIAL,
}
_MAIL = re.compile(r"mailto:\s*([^\s<>\"',;]+)", re.IGNORECASE)
_YEARS = range(1600, 4601)
"""what Outlook knows, so that nobody who works with a time need fear for the ends of the calendar"""
_LONGEST = timedelta(days=366 * 1000)
_FARTHEST_MOVE = timedelta(days=366)
_CORRECT = "correct the line or export the calendar again"


def parse_item(name: str, component: Component, zones: Zones, place: int) -> Item:
    """One VEVENT of the file `name`; `place` is where it stands among all; raises IcsProblem."""
    return _Reading(name, component, zones).item(place)


class _Reading:
    """The properties of one VEVENT while they are read."""

    def __init__(self, name: str, component: Component, zones: Zones) -> None:
        self._name = name
        self._component = component
        self._zones = zones
        self._lines: dict[str, list[Line]] = {}
        for line in component.lines:
            if line.name in _TIMES or line.name in _OTHERS:
                self._lines.setdefault(line.name, []).append(line)

    def item(self, place: int) -> Item:
        start = self._start()
        identifier, this_and_future = self._identifier(start)
        return Item(
            uid=self._word("UID") or self._made_up_uid(),
            start=start,
            end=next((self._stamp(line) for line in self._lines.get("DTEND", [])), None),
            duration=next(self._durations(), None),
            all_day=start.is_date or self._word(_ALL_DAY).upper() == "TRUE",
            recurrence_id=identifier,
            this_and_future=this_and_future,
            rules=tuple(self._rule(line, start) for line in self._lines.get("RRULE", [])),
            extra_dates=tuple(self._extra_dates()),
            excluded=tuple(stamp for line in self._lines.get("EXDATE", []) for stamp in self._stamps(line)),
            subject=self._word("SUMMARY"),
            show_as=self._show_as(),
            sensitivity=self._sensitivity(),
            organizer=self._organizer(),
            cancelled=self._word("STATUS").upper() in {"CANCELLED", "CANCELED"},
            revision=(self._sequence(), self._word("LAST-MODIFIED") or self._word("DTSTAMP"), place),
        )

    def _start(self) -> Stamp:
        for line in self._lines.get("DTSTART", []):
            return self._stamp(line)
        raise self._problem(self._component.line, "an appointment (VEVENT) without DTSTART")

    def _identifier(self, start: Stamp) -> tuple[Stamp | None, bool]:
        """RECURRENCE-ID, and whether it stands for all that follow too."""
        for line in self._lines.get("RECURRENCE-ID", []):
            stamp = self._stamp(line)
            following = self._property(line).parameters.get("RANGE", "").upper() == "THISANDFUTURE"
            if following and abs(start.wall - stamp.wall) > _FARTHEST_MOVE:
                raise self._problem(line.number, "all following occurrences are moved by years")
            return stamp, following
        return None, False

    def _word(self, name: str) -> str:
        """A property's value, "" where it is absent."""
        for line in self._lines.get(name, []):
            return self._property(line).value.strip()
        return ""

    def _property(self, line: Line) -> Property:
        try:
            return split_line(line.text)
        except ValueError:
            if line.name in _TIMES:
                raise self._problem(line.number, f"{line.name} can't be taken apart") from None
            return Property({}, line.text.partition(":")[2])

    def _stamp(self, line: Line) -> Stamp:
        stamps = self._stamps(line)
        if len(stamps) != 1:
            raise self._problem(line.number, f"{line.name} has not one value but {len(stamps)}")
        return stamps[0]

    def _stamps(self, line: Line) -> list[Stamp]:
        tzid, date_wanted, values = self._values(line)
        return [self._read_stamp(line, value, tzid, date_wanted=date_wanted) for value in values]

    def _values(self, line: Line) -> tuple[str, bool, list[str]]:
        """TZID, whether VALUE=DATE, and the values of a property of times.

        A zone name with a colon in it that should stand in quotation marks and does not ("(UTC+01:00)
        Berlin") is put together again: no time has a colon.
        """
        line_property = self._property(line)
        tzid = line_property.parameters.get("TZID", "")
        value = line_property.value
        if tzid and ":" in value:
            more, _, value = value.rpartition(":")
            tzid = f"{tzid}:{more}"
        date_wanted = line_property.parameters.get("VALUE", "").upper() == "DATE"
        return tzid, date_wanted, [part.strip() for part in value.split(",") if part.strip()]

    def _read_stamp(self, line: Line, value: str, tzid: str, *, date_wanted: bool = False) -> Stamp:
        try:
            wall, is_date, is_utc = read_moment(value)
        except ValueError:
            raise self._problem(
                line.number, f"{line.name} has {value[:40]!r} where a time must stand"
            ) from None
        if wall.year not in _YEARS:
            raise self._problem(line.number, f"{line.name} has the year {wall.year}")
        if is_date or date_wanted:
            return Stamp(datetime.combine(wall.date(), datetime.min.time()), is_date=True)
        if is_utc:
            return Stamp(wall, zone=zone_of("UTC"))
        return Stamp(wall, zone=self._zones.find(tzid, line.number) if tzid else None)

    def _durations(self) -> Iterator[timedelta]:
        for line in self._lines.get("DURATION", []):
            yield self._duration(line, self._property(line).value)

    def _duration(self, line: Line, value: str) -> timedelta:
        try:
            duration = read_duration(value)
        except ValueError:
            raise self._problem(
                line.number, f"{line.name} has {value[:40]!r} where a duration must stand"
            ) from None
        if abs(duration) > _LONGEST:
            raise self._problem(line.number, f"{line.name} is longer than any calendar")
        return duration

    def _rule(self, line: Line, start: Stamp) -> Rule:
        value = self._property(line).value
        try:
            return parse_rule(value, start.wall, lambda until: self._read_stamp(line, until, ""))
        except (ValueError, OverflowError, TypeError, KeyError):
            raise self._problem(line.number, f"RRULE has {value[:80]!r}, no rule that can be read") from None

    def _extra_dates(self) -> Iterator[ExtraDate]:
        for line in self._lines.get("RDATE", []):
            tzid, date_wanted, values = self._values(line)
            for value in values:
                begin, _, end = value.partition("/")
                start = self._read_stamp(line, begin, tzid, date_wanted=date_wanted)
                if not end:
                    yield ExtraDate(start)
                elif end.upper().startswith(("P", "+P", "-P")):
                    yield ExtraDate(start, self._duration(line, end))
                else:
                    yield ExtraDate(start, self._read_stamp(line, end, tzid))

    def _show_as(self) -> ShowAs:
        busy_status = self._word(_BUSY_STATUS).upper()
        if busy_status:
            return _SHOW_AS.get(busy_status, ShowAs.NO_DATA)
        if self._word("TRANSP").upper() == "TRANSPARENT":
            return ShowAs.FREE
        if self._word("STATUS").upper() == "TENTATIVE":
            return ShowAs.TENTATIVE
        return ShowAs.BUSY

    def _sensitivity(self) -> Sensitivity:
        if "CLASS" not in self._lines:
            return Sensitivity.NORMAL
        return _SENSITIVITIES.get(self._word("CLASS").upper(), Sensitivity.PRIVATE)

    def _organizer(self) -> str:
        value = self._word("ORGANIZER")
        addresses = _MAIL.findall(value)
        if addresses:
            return str(addresses[-1])
        return value if "@" in value and ":" not in value else ""

    def _sequence(self) -> int:
        digits = self._word("SEQUENCE")
        return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else 0

    def _made_up_uid(self) -> str:
        """The same in every export of the appointment: made of what it is, not of when it was written."""
        told = sorted(line.text for line in self._component.lines if line.name in _IDENTITY)
        return f"no-uid-{hashlib.sha256(chr(10).join(told).encode()).hexdigest()[:16]}"

    def _problem(self, line: int, what: str) -> IcsProblem:
        return IcsProblem(self._name, line, what, _CORRECT)
