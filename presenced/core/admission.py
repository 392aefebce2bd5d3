"""From the raw appointments of a door to those that are kept and decided over.

Worked out here, once a read: the instants of all-day appointments in the presence zone, the flag of the
priority words and the order of titles. After that a subject that may not be shown is not needed any
more and goes (exchange.md section 5: stored is what the mapping needs and nothing more).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter, itemgetter

from pytz.tzinfo import BaseTzInfo

from presenced.core.appointment import Appointment
from presenced.core.priority import PriorityWords
from presenced.core.title import clean
from presenced.core.window import Window
from presenced.core.zones import first_instant, zone_of


@dataclass(frozen=True, slots=True)
class Admission:
    """What one user's settings say about reading: a change of these needs a new read."""

    timezone: str
    """IANA name of the presence time zone"""
    subject_shown: bool = True
    priority: PriorityWords = PriorityWords()


def admit(raw: Iterable[Appointment], window: Window, admission: Admission) -> tuple[Appointment, ...]:
    """The appointments of one window read, ready for `decide`; those outside the window are left out.

    The order of the outcome is by start and id, whatever order the server had.
    """
    zone = zone_of(admission.timezone)
    entries: list[_Entry] = []
    for appointment in raw:
        start, end = _instants(appointment, zone)
        if window.overlaps(start, end) or (start >= end and window.start <= start < window.end):
            entries.append((clean(appointment.subject or ""), appointment.id, start, end, appointment))
    entries.sort(key=_BY_TITLE)
    admitted = [_admitted(entry, place, admission) for place, entry in enumerate(entries)]
    admitted.sort(key=_BY_START)
    return tuple(admitted)


_Entry = tuple[str, str, datetime, datetime, Appointment]
"""cleaned full subject and id, then the instants that the raw appointment behind them covers"""
_BY_TITLE, _BY_START = itemgetter(0, 1), attrgetter("start", "id")


def _instants(appointment: Appointment, zone: BaseTzInfo) -> tuple[datetime, datetime]:
    """From when until when; an all-day appointment covers whole local days of the presence zone."""
    start, end = appointment.start, appointment.end
    if appointment.all_day:
        return first_instant(start.date(), zone), first_instant(end.date(), zone)
    return start, end


def _admitted(entry: _Entry, place: int, admission: Admission) -> Appointment:
    title, _, start, end, raw = entry
    may_be_shown = admission.subject_shown and not raw.sensitivity.hides_title
    return raw._replace(
        start=start,
        end=end,
        subject=title if may_be_shown else None,
        prioritized=admission.priority.prioritize(raw.subject or ""),
        order=place,
    )
