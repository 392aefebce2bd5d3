"""Today and tomorrow of one user: what is in the calendar, and what the PBX shows because of it.

Pure. What is past comes from the record of writes, what is ahead from deciding, deadline by deadline,
exactly as the daemon will; what no window read covers stays unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from presenced.core.appointment import Appointment
from presenced.core.decision import decide
from presenced.core.mapping import Ignored, Mapping
from presenced.core.note import Shown as ShownAppointment
from presenced.core.ports import Write
from presenced.core.presence import Presence
from presenced.core.window import Window
from presenced.core.zones import LocalDay, local_day
from presenced.daemon.web.showing import Shown

LANES = 6
"""appointments drawn above each other; more are told by their number"""
_MOST_STEPS = 300
"""decisions made for one picture"""

Show = Callable[[Presence | None], Shown]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time with one presence."""

    start: datetime
    end: datetime
    shown: Shown | None
    """None where nothing is known"""
    written: bool = False
    """on record; otherwise decided ahead"""


@dataclass(frozen=True, slots=True)
class Bar:
    """An appointment in the picture, cut to the day."""

    start: datetime
    end: datetime
    appointment: Appointment
    title: str
    kind: str
    """the presence it is mapped to, or `ignored`"""
    current: bool
    why: str
    lane: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    """One local day."""

    date: date
    start: datetime
    end: datetime
    stretches: tuple[Stretch, ...]
    bars: tuple[Bar, ...]
    lanes: int
    hidden: int
    """appointments beyond the last lane"""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose picture it is."""

    appointments: Sequence[Appointment]
    mapping: Mapping
    window: Window | None
    """the last one read"""
    current: str | None
    """id of the current appointment"""
    show: Show
    titles: bool
    """whether they may be shown"""


def two_days(subject: Subject, writes: Sequence[Write], now: datetime) -> tuple[Day, Day]:
    """Today and tomorrow in the user's zone; `writes` newest first."""
    today = local_day(now, subject.mapping.style.zone)
    tomorrow = local_day(today.end, subject.mapping.style.zone)
    stretches = [
        *_behind(writes, today.start, now, subject.show),
        *_ahead(subject, now, tomorrow.end),
    ]
    first, second = (_day(day, subject, stretches) for day in (today, tomorrow))
    return first, second


def title_of(appointment: Appointment, mapping: Mapping, *, titles: bool) -> str:
    """The title as it may be shown, whether the appointment counts or not.

    `titles`: what was kept before a wish to hide them is not shown any more either.
    """
    if not titles:
        return mapping.style.words.private
    mapped = mapping.presence_of(appointment)
    if mapped is not None:
        return mapping.style.title_of(ShownAppointment(appointment, mapped))
    if appointment.subject is None or appointment.sensitivity.hides_title:
        return mapping.style.words.private
    return appointment.subject or mapping.style.words.busy


def kind_of(appointment: Appointment, mapping: Mapping) -> str:
    """The presence an appointment makes, or `ignored`."""
    mapped = mapping.presence_of(appointment)
    return mapped.value if mapped is not None else "ignored"


def _behind(writes: Sequence[Write], start: datetime, now: datetime, show: Show) -> list[Stretch]:
    """What the PBX was told from `start` on."""
    stretches: list[Stretch] = []
    end = now
    for write in writes:
        if write.error or write.at >= end:
            continue
        stretches.append(Stretch(max(write.at, start), end, show(write.presence), written=True))
        end = max(write.at, start)
        if end <= start:
            break
    if end > start:
        stretches.append(Stretch(start, end, None))
    return _joined(reversed(stretches))


def _ahead(subject: Subject, now: datetime, end: datetime) -> list[Stretch]:
    """What will be decided from now on, as far as the calendar is known."""
    known = min(subject.window.end, end) if subject.window else now
    stretches: list[Stretch] = []
    at = now
    for _ in range(_MOST_STEPS):
        if at >= known:
            break
        decision = decide(subject.appointments, subject.mapping, at)
        until = min(decision.deadline, known)
        stretches.append(Stretch(at, until, subject.show(decision.presence)))
        at = until
    if at < end:
        stretches.append(Stretch(at, end, None))
    return _joined(stretches)


def _joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Neighbours that show the same title are one."""
    joined: list[Stretch] = []
    for stretch in stretches:
        last = joined[-1] if joined else None
        if last is not None and last.end == stretch.start and _same(last.shown, stretch.shown):
            joined[-1] = replace(last, end=stretch.end)
        else:
            joined.append(stretch)
    return joined


def _same(one: Shown | None, other: Shown | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.kind, one.title) == (other.kind, other.title)


def _day(day: LocalDay, subject: Subject, stretches: Sequence[Stretch]) -> Day:
    window = Window(day.start, day.end)
    cut = [
        replace(stretch, start=max(stretch.start, day.start), end=min(stretch.end, day.end))
        for stretch in stretches
        if window.overlaps(stretch.start, stretch.end)
    ]
    bars = [
        _bar(appointment, subject, window)
        for appointment in subject.appointments
        if window.overlaps(appointment.start, appointment.end)
    ]
    placed, lanes = _in_lanes(bars)
    shown = tuple(bar for bar in placed if bar.lane < LANES)
    return Day(
        day.date, day.start, day.end, tuple(cut), shown, min(lanes, LANES), hidden=len(placed) - len(shown)
    )


def _bar(appointment: Appointment, subject: Subject, day: Window) -> Bar:
    ignored: Ignored | None = subject.mapping.why_ignored(appointment)
    return Bar(
        max(appointment.start, day.start),
        min(appointment.end, day.end),
        appointment,
        title_of(appointment, subject.mapping, titles=subject.titles),
        kind_of(appointment, subject.mapping),
        appointment.id == subject.current,
        ignored.value if ignored else "",
    )


def _in_lanes(bars: Iterable[Bar]) -> tuple[list[Bar], int]:
    """Overlapping appointments above each other, whole days first."""
    placed: list[Bar] = []
    ends: list[datetime] = []
    for bar in sorted(bars, key=lambda bar: (bar.start, not bar.appointment.all_day, -bar.end.timestamp())):
        lane = next((lane for lane, end in enumerate(ends) if end <= bar.start), len(ends))
        ends[lane : lane + 1] = [bar.end]
        placed.append(replace(bar, lane=lane))
    return placed, len(ends)
