"""From the raw appointments of a door to those that are kept and decided over.

Worked out here, once a read: the instants of all-day appointments in the presence zone, the flag of the
priority words and the order of titles. After that a subject that may not be shown is not needed any
more and goes (exchange.md section 5: stored is what the mapping needs and nothing more).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

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
    anchored = [
        one
        for one in (_anchored(appointment, zone) for appointment in raw)
        if window.overlaps(one.start, one.end) or (one.start >= one.end and _lies_in(one, window))
    ]
    titled = sorted(
        ((clean(one.subject or ""), one.id, one) for one in anchored), key=lambda entry: entry[:2]
    )
    admitted = (_admitted(one, title, place, admission) for place, (title, _, one) in enumerate(titled))
    return tuple(sorted(admitted, key=lambda one: (one.start, one.id)))


def _lies_in(empty: Appointment, window: Window) -> bool:
    return window.start <= empty.start < window.end


def _anchored(appointment: Appointment, zone: BaseTzInfo) -> Appointment:
    """An all-day appointment covers whole local days of the presence zone."""
    if not appointment.all_day:
        return appointment
    return replace(
        appointment,
        start=first_instant(appointment.start.date(), zone),
        end=first_instant(appointment.end.date(), zone),
    )


def _admitted(appointment: Appointment, title: str, place: int, admission: Admission) -> Appointment:
    may_be_shown = admission.subject_shown and not appointment.sensitivity.hides_title
    return replace(
        appointment,
        subject=title if may_be_shown else None,
        prioritized=admission.priority.prioritize(appointment.subject or ""),
        order=place,
    )
