"""The only place that decides: what a person's presence is at an instant, until when, and why.

Source: presence.md section 3. The daemon, `preview` and `explain` all call `decide`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from presenced.core.activity import Mapped
from presenced.core.appointment import Appointment
from presenced.core.mapping import Ignored, Mapping
from presenced.core.note import Shown, Until
from presenced.core.presence import Presence
from presenced.core.zones import local_day


class Rule(StrEnum):
    """Why the current appointment is the current one: what set it before the next best."""

    NONE = "none"
    ONLY = "only"
    PRIORITY = "priority"
    LATEST_START = "latest-start"
    TIMED_BEFORE_ALL_DAY = "timed-before-all-day"
    STRONGER = "stronger"
    EARLIER_END = "earlier-end"
    ORDER = "order"


class IgnoredAppointment(NamedTuple):
    """An appointment of the window that is not current, and why."""

    id: str
    why: Ignored


class Because(NamedTuple):
    """The reasons behind a decision; the long list is made only when somebody asks."""

    current: str | None
    """id of the current appointment"""
    rule: Rule
    appointments: Sequence[Appointment]
    mapping: Mapping
    now: datetime

    @property
    def ignored(self) -> tuple[IgnoredAppointment, ...]:
        """All in the window that are not current, in order of start and id."""
        return tuple(
            IgnoredAppointment(appointment.id, self._why(appointment))
            for appointment in sorted(self.appointments, key=lambda one: (one.start, one.id))
            if appointment.id != self.current
        )

    def _why(self, appointment: Appointment) -> Ignored:
        why = self.mapping.why_ignored(appointment)
        if why is not None:
            return why
        return Ignored.LATER if appointment.start > self.now else Ignored.OUTRANKED


class Decision(NamedTuple):
    """One user's presence at one instant."""

    presence: Presence
    until: datetime | None
    """the instant in the text; None for free without an end in sight"""
    because: Because
    deadline: datetime
    """decide again then at the latest: the next start, end or local midnight"""


def decide(appointments: Sequence[Appointment], mapping: Mapping, now: datetime) -> Decision:
    """Decide over admitted appointments (see `admission.admit`); `now` is aware.

    The outcome never depends on the order of `appointments`.
    """
    day = local_day(now, mapping.style.zone)
    running, coming = _around(appointments, mapping, now)
    current, until, following = None, None, None
    rule = _NONE
    if running:
        current, rule = _foremost(running)
        until, following = _ahead(current, coming, appointments, mapping, now)
    elif coming:
        following, _ = _foremost(coming)
        until = Until(following.appointment.start, following.appointment.all_day)
    note = mapping.style.write(current, until, following, day.date)
    return Decision(
        Presence(current.mapped.activity if current else "", note),
        until.instant if until else None,
        Because(current.appointment.id if current else None, rule, appointments, mapping, now),
        _deadline(day.end, running, coming),
    )


_NONE, _ONLY, _AVAILABLE = Rule.NONE, Rule.ONLY, Mapped.AVAILABLE
"""asked for in every decision, where an enumeration's own look-up would show"""
_FAR = datetime.max.replace(tzinfo=UTC)


def _around(
    appointments: Iterable[Appointment], mapping: Mapping, now: datetime
) -> tuple[list[Shown], list[Shown]]:
    """Of those that count: the ones that contain the instant, and the first to come, all of the same start.

    What starts later than another one to come is not even looked at: of a sorted calendar, most.
    """
    running: list[Shown] = []
    coming: list[Shown] = []
    first = _FAR
    for appointment in appointments:
        start = appointment.start
        if start > first or appointment.end <= now:
            continue
        mapped = mapping.presence_of(appointment)
        if mapped is None:
            continue
        if start <= now:
            running.append(Shown(appointment, mapped))
            continue
        if start < first:
            coming.clear()
            first = start
        coming.append(Shown(appointment, mapped))
    return running, coming


_CRITERIA = (
    Rule.PRIORITY,
    Rule.LATEST_START,
    Rule.TIMED_BEFORE_ALL_DAY,
    Rule.STRONGER,
    Rule.EARLIER_END,
    Rule.ORDER,
    Rule.ORDER,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Rank = tuple[bool, timedelta, bool, int, datetime, int, str]


def _rank(shown: Shown) -> _Rank:
    """The rules as a sort key, the foremost first; in the order of `_CRITERIA`."""
    appointment = shown.appointment
    return (
        not appointment.prioritized,
        _EPOCH - appointment.start,
        appointment.all_day,
        -shown.mapped.strength,
        appointment.end,
        appointment.order,
        appointment.id,
    )


def _foremost(running: Sequence[Shown]) -> tuple[Shown, Rule]:
    """The current one of those that contain the instant, and the rule that set it before the next best."""
    if len(running) == 1:
        return running[0], _ONLY
    ranked = sorted((_rank(shown), index) for index, shown in enumerate(running))
    (best, index), (second, _) = ranked[0], ranked[1]
    differing = (rule for rule, ours, theirs in zip(_CRITERIA, best, second, strict=True) if ours != theirs)
    return running[index], next(differing, Rule.ORDER)


def _deadline(midnight: datetime, running: Sequence[Shown], coming: Sequence[Shown]) -> datetime:
    """The next start, end or local midnight."""
    deadline = midnight
    if coming and coming[0].appointment.start < deadline:
        deadline = coming[0].appointment.start
    for shown in running:
        if shown.appointment.end < deadline:
            deadline = shown.appointment.end
    return deadline


def _ahead(
    current: Shown,
    coming: Sequence[Shown],
    appointments: Sequence[Appointment],
    mapping: Mapping,
    now: datetime,
) -> tuple[Until, Shown | None]:
    """When the current one ends or is taken over, and, behind one shown as available, what comes then."""
    end = current.appointment.end
    if current.appointment.prioritized:  # only its like take over
        _, coming = _around([one for one in appointments if one.prioritized], mapping, now)
    if coming and coming[0].appointment.start < end:
        taker, _ = _foremost(coming)
        until = Until(taker.appointment.start, taker.appointment.all_day)
        return until, taker if current.mapped is _AVAILABLE else None
    until = Until(end, current.appointment.all_day)
    if current.mapped is not _AVAILABLE:
        return until, None
    then, _ = _around(appointments, mapping, end)
    successor = _foremost(then)[0] if then else None
    return until, successor if successor and successor.appointment.start == end else None
