"""The daemon's day without the daemon: which presences follow one another, each with its reasons.

It decides with the daemon's own function and reads when the daemon would: a window from the first
instant on, and another at each local midnight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from presenced.core.appointment import Appointment
from presenced.core.decision import Decision, decide
from presenced.core.mapping import Mapping
from presenced.core.window import Window
from presenced.core.zones import next_midnight

Read = Callable[[Window], Sequence[Appointment]]
"""the admitted appointments of a window"""


@dataclass(frozen=True, slots=True)
class Step:
    """A presence that begins at an instant."""

    at: datetime
    decision: Decision


def timeline(
    read: Read, mapping: Mapping, at: datetime, until: datetime, length: timedelta
) -> Iterator[Step]:
    """The presence at `at`, then each change of activity or note in [at, until).

    `length` is that of the window read, at least a day and an hour (settings.md, `window_hours`).
    """
    now, shown = at, None
    appointments = read(Window(now, now + length))
    midnight = next_midnight(now, mapping.style.zone)
    while True:
        decision = decide(appointments, mapping, now)
        if decision.presence != shown:
            shown = decision.presence
            yield Step(now, decision)
        now = min(decision.deadline, midnight)
        if now >= until:
            return
        if now == midnight:
            appointments = read(Window(now, now + length))
            midnight = next_midnight(now, mapping.style.zone)
