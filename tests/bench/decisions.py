"""How many decisions a core makes in a second."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from presenced.core.admission import Admission, admit
from presenced.core.appointment import Appointment, ShowAs
from presenced.core.decision import decide
from presenced.core.mapping import Mapping, MappingTable
from presenced.core.note import NoteStyle
from presenced.core.window import Window
from tests.bench import staff

_SHOWN = {
    "Free": ShowAs.FREE,
    "Tentative": ShowAs.TENTATIVE,
    "Busy": ShowAs.BUSY,
    "OOF": ShowAs.OOF,
    "WorkingElsewhere": ShowAs.WORKING_ELSEWHERE,
}
START = datetime(2026, 11, 17, tzinfo=UTC)


def appointments_of(kind: int, window: Window) -> tuple[Appointment, ...]:
    """A mailbox's window as it stands in memory, ten appointments."""
    raw = (
        Appointment(item.id, item.start, item.end, _SHOWN[item.show_as], item.subject)
        for item in staff.FullCalendar(kind).view(window.start, window.end)
    )
    return admit(raw, window, Admission(staff.ZONE))


def measure_decisions(seconds: float) -> tuple[float, float]:
    """Decisions a second of processor time, the best of five stretches, and appointments in each."""
    mapping = Mapping(MappingTable(), NoteStyle("en", staff.ZONE))
    window = Window(START, START + timedelta(hours=48))
    calendars = [appointments_of(kind, window) for kind in range(staff.KINDS)]
    instants = [START + timedelta(minutes=7 * step) for step in range(200)]
    pairs = [(calendar, now) for now in instants for calendar in calendars]
    best = 0.0
    for _ in range(5):
        count, began = 0, time.process_time()
        while (spent := time.process_time() - began) < seconds / 5:
            for calendar, now in pairs[:1000]:
                decide(calendar, mapping, now)
            count += 1000
            pairs = pairs[1000:] + pairs[:1000]
        best = max(best, count / spent)
    return best, sum(map(len, calendars)) / len(calendars)
