"""The only place that decides: what a person's presence is at an instant, until when, and why.

Source: presence.md section 3. The daemon, `preview` and `explain` all call `decide`.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    style, presence_of = mapping.style, mapping.presence_of
    running: list[Shown] = []
    coming: list[_Pair] = []
    day = local_day(now, style.zone)
    deadline = day.end
    for appointment in appointments:
        end = appointment.end
        if end <= now or (mapped := presence_of(appointment)) is None:
            continue
        start = appointment.start
        if start > now:
            coming.append((appointment, mapped))
            if start < deadline:
                deadline = start
        else:
            running.append(Shown(appointment, mapped))
            if end < deadline:
                deadline = end
    current: Shown | None = None
    rule, until = Rule.NONE, None
    if running:
        current, rule = _foremost(running)
        until, following = _ahead(current, running, coming)
    elif following := _next(coming):
        until = Until(following.appointment.start, following.appointment.all_day)
    return Decision(
        presence=Presence(
            current.mapped.activity if current else "", style.write(current, until, following, day.date)
        ),
        until=until.instant if until else None,
        because=Because(current.appointment.id if current else None, rule, appointments, mapping, now),
        deadline=deadline,
    )


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
_Pair = tuple[Appointment, Mapped]
"""what `Shown` is, before it is known whether anybody looks at it: most of those to come nobody does"""
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
        return running[0], Rule.ONLY
    ranked = sorted((_rank(shown), index) for index, shown in enumerate(running))
    (best, index), (second, _) = ranked[0], ranked[1]
    differing = (rule for rule, ours, theirs in zip(_CRITERIA, best, second, strict=True) if ours != theirs)
    return running[index], next(differing, Rule.ORDER)


def _next(coming: Sequence[_Pair]) -> Shown | None:
    """The earliest one to come; of several with the same start the one that would be current."""
    if not coming:
        return None
    start = min([appointment.start for appointment, _ in coming])
    return _foremost([Shown(*pair) for pair in coming if pair[0].start == start])[0]


def _ahead(current: Shown, running: Sequence[Shown], coming: Sequence[_Pair]) -> tuple[Until, Shown | None]:
    """When the current one ends or is taken over, and, behind one shown as available, what comes then."""
    end = current.appointment.end
    taker = _next(
        [
            pair
            for pair in coming
            if pair[0].start < end and (pair[0].prioritized or not current.appointment.prioritized)
        ]
    )
    if taker is not None:
        until = Until(taker.appointment.start, taker.appointment.all_day)
        return until, taker if current.mapped is Mapped.AVAILABLE else None
    until = Until(end, current.appointment.all_day)
    if current.mapped is not Mapped.AVAILABLE:
        return until, None
    then = [Shown(*pair) for pair in (*running, *coming) if pair[0].start <= end < pair[0].end]
    successor = _foremost(then)[0] if then else None
    return until, successor if successor and successor.appointment.start == end else None
