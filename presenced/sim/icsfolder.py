"""Calendars out of a folder of ICS files, one file a mailbox: real exports instead of made-up days.

The file's name is the mailbox: `anna@example.com.ics`, or `anna.ics` for anna at the organisation's domain. A
file that can't be read costs its own mailbox and is reported; all others are served.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from presenced.core.appointment import Appointment, Sensitivity, ShowAs
from presenced.core.window import Window
from presenced.core.zones import zone_of
from presenced.ics.expand import expand
from presenced.ics.model import IcsCalendar, IcsProblem
from presenced.ics.reader import read
from presenced.sim.exchange.organisation import Item
from presenced.sim.localtime import midnight

MOST_BYTES = 64 * 1024 * 1024
_ADDRESS = re.compile(r"[^@\s<>\"]+@[^@\s<>\"]+")
_SHOW_AS = {
    ShowAs.FREE: "Free",
    ShowAs.TENTATIVE: "Tentative",
    ShowAs.BUSY: "Busy",
    ShowAs.OOF: "OOF",
    ShowAs.WORKING_ELSEWHERE: "WorkingElsewhere",
    ShowAs.NO_DATA: "NoData",
}
_SENSITIVITY = {
    Sensitivity.NORMAL: "Normal",
    Sensitivity.PERSONAL: "Personal",
    Sensitivity.PRIVATE: "Private",
    Sensitivity.CONFIDENTIAL: "Confidential",
}


@dataclass(frozen=True, slots=True)
class IcsFolder:
    """What a folder gave."""

    calendars: Mapping[str, FileCalendar]
    """by address, as the file's name spells it, in order of names"""
    problems: tuple[str, ...]
    """a line for each file that gave nothing: where, what, what to do"""


class FileCalendar:
    """The port `Calendar` of sim.exchange.organisation, over one file."""

    __slots__ = ("_calendar", "_last", "_series", "address", "zone")

    def __init__(self, address: str, calendar: IcsCalendar, zone: str) -> None:
        self.address = address
        self.zone = zone
        """the mailbox's zone, in which floating times and dates are"""
        self._calendar = calendar
        self._series = frozenset(
            one.uid for one in calendar.series if one.changes or one.master is None or one.master.recurs
        )
        self._last: tuple[datetime, datetime, list[Item]] | None = None

    def view(self, start: datetime, end: datetime) -> list[Item]:
        """The items that overlap `[start, end)`, by start; the latest window asked for is remembered."""
        if self._last is None or self._last[:2] != (start, end):
            items = list(map(self._item, expand(self._calendar, Window(start, end), self.zone)))
            items.sort(key=lambda item: (item.start, item.id))
            self._last = (start, end, items)
        return list(self._last[2])

    def _item(self, found: Appointment) -> Item:
        start, end = found.start, found.end
        if found.all_day:
            # raw all-day appointments have the UTC midnights of their dates (core.appointment)
            start = midnight(self.zone, start.toordinal())
            end = midnight(self.zone, end.toordinal())
        uid = found.id.rpartition("/")[0]
        recurs = uid in self._series
        return Item(
            id=found.id,
            change_key="0",
            subject=found.subject or "",
            start=start,
            end=end,
            all_day=found.all_day,
            show_as=_SHOW_AS[found.show_as],
            sensitivity=_SENSITIVITY[found.sensitivity],
            organizer_name=found.organizer,
            organizer_address=found.organizer,
            cancelled=found.cancelled,
            my_response=self._response(found),
            zone=self.zone,
            uid=uid if recurs else found.id,
            item_type="Occurrence" if recurs else "Single",
        )

    def _response(self, found: Appointment) -> str:
        """An export doesn't tell the answer; what is shown as tentative was not accepted."""
        if found.organizer.casefold() in {"", self.address.casefold()}:
            return "Organizer"
        return "Tentative" if found.show_as is ShowAs.TENTATIVE else "Accept"


def read_folder(folder: Path, *, domain: str, zone: str) -> IcsFolder:
    """Every `*.ics` file right in the folder; `zone` (IANA name) is the zone of all its mailboxes.

    Raises ValueError for an unknown zone.
    """
    zone_of(zone)
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".ics")
    except OSError as problem:
        return IcsFolder({}, (f"{folder}: {problem.strerror}; name a folder of ICS files",))
    calendars: dict[str, FileCalendar] = {}
    taken: dict[str, Path] = {}
    problems: list[str] = []
    for path in files:
        try:
            address = _address(path, domain, taken)
            calendars[address] = FileCalendar(address, _read_file(path), zone)
            taken[address.casefold()] = path
        except IcsProblem as problem:
            problems.append(str(problem))
    return IcsFolder(calendars, tuple(problems))


def _address(path: Path, domain: str, taken: Mapping[str, Path]) -> str:
    address = path.stem if "@" in path.stem else f"{path.stem}@{domain}"
    if not _ADDRESS.fullmatch(address):
        raise IcsProblem(str(path), None, f"{address!r} is not an address", "rename the file")
    other = taken.get(address.casefold())
    if other is not None:
        raise IcsProblem(str(path), None, f"{other.name} is the same mailbox", "keep one of the two")
    return address


def _read_file(path: Path) -> IcsCalendar:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise IcsProblem(str(path), None, f"more than {MOST_BYTES} bytes", "split or shorten the export")
        content = path.read_bytes()
    except OSError as problem:
        raise IcsProblem(
            str(path), None, problem.strerror or "unreadable", "look at its permissions"
        ) from None
    return read([(str(path), content)])
