"""Calendar files to one mailbox: several files are read together, one UID in several is one series."""

from __future__ import annotations

from collections.abc import Sequence

from presenced.ics.item import parse_item
from presenced.ics.lines import parse
from presenced.ics.model import IcsCalendar, Item, Series
from presenced.ics.zones import Zones


def read(files: Sequence[tuple[str, bytes]]) -> IcsCalendar:
    """The calendar in these files (name for messages, content); raises IcsProblem.

    Of several items that say the same about one appointment the latest revision counts (SEQUENCE, then
    LAST-MODIFIED, then the later place in the files).
    """
    items: dict[str, list[Item]] = {}
    place = 0
    for name, data in files:
        for calendar in parse(name, data):
            zones = Zones(name, calendar)
            for component in calendar.children:
                if component.name == "VEVENT":
                    item = parse_item(name, component, zones, place)
                    items.setdefault(item.uid, []).append(item)
                    place += 1
    return IcsCalendar(tuple(_series(uid, found) for uid, found in items.items()))


def _series(uid: str, items: Sequence[Item]) -> Series:
    latest = sorted(items, key=lambda item: item.revision)
    masters = [item for item in latest if item.recurrence_id is None]
    changes = tuple(item for item in latest if item.recurrence_id is not None)
    return Series(uid, masters[-1] if masters else None, changes)
