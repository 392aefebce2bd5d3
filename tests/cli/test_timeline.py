"""Presences one after another: decided when the daemon would, read when the daemon would."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from presenced.cli.timeline import Step, timeline
from presenced.core.admission import Admission, admit
from presenced.core.appointment import Appointment
from presenced.core.mapping import Mapping, MappingTable
from presenced.core.note import NoteStyle
from presenced.core.window import Window

LENGTH = timedelta(hours=48)
MAPPING = Mapping(MappingTable(), NoteStyle("en", "Europe/Berlin"))


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def busy(name: str, start: datetime, end: datetime) -> Appointment:
    return Appointment(id=name, start=start, end=end, subject=name)


class Mailbox:
    """Appointments, and the windows that were read."""

    def __init__(self, *appointments: Appointment) -> None:
        self.appointments = appointments
        self.read_windows: list[Window] = []

    def read(self, window: Window) -> Sequence[Appointment]:
        self.read_windows.append(window)
        return admit(self.appointments, window, Admission("Europe/Berlin"))

    def steps(self, start: datetime, end: datetime) -> list[Step]:
        return list(timeline(self.read, MAPPING, start, end, LENGTH))


def test_nothing_is_one_line() -> None:
    mailbox = Mailbox()
    steps = mailbox.steps(at(16, 8), at(18, 8))
    assert [(step.at, step.decision.presence.note) for step in steps] == [(at(16, 8), "Free")]


def test_one_step_a_change_and_none_at_the_end() -> None:
    mailbox = Mailbox(busy("a", at(16, 9), at(16, 10)), busy("b", at(16, 10), at(16, 11)))
    whole = [(step.at, step.decision.because.current) for step in mailbox.steps(at(16, 8), at(16, 12))]
    assert whole == [(at(16, 8), None), (at(16, 9), "a"), (at(16, 10), "b"), (at(16, 11), None)]
    assert [step.at for step in mailbox.steps(at(16, 8), at(16, 10))] == [at(16, 8), at(16, 9)]
    assert [step.at for step in mailbox.steps(at(16, 9, 30), at(16, 9, 31))] == [at(16, 9, 30)]


def test_what_does_not_change_the_presence_is_no_step() -> None:
    long, hidden = busy("long", at(16, 8), at(16, 12)), busy("x", at(16, 9), at(16, 9))
    steps = Mailbox(long, hidden).steps(at(16, 8), at(16, 12))
    assert [step.at for step in steps] == [at(16, 8)]


def test_midnight_changes_the_note_where_a_date_goes() -> None:
    steps = Mailbox(busy("a", at(17, 9), at(17, 10))).steps(at(16, 8), at(17, 9))
    assert [(step.at, step.decision.presence.note.partition(" (")[0]) for step in steps] == [
        (at(16, 8), "Free until 17.11.2026 10:00"),
        (at(16, 23), "Free until 10:00"),
    ]


def test_the_calendar_is_read_again_at_each_local_midnight() -> None:
    mailbox = Mailbox(busy("far", at(18, 9), at(18, 10)))
    steps = mailbox.steps(at(16, 8), at(18, 8))
    assert mailbox.read_windows == [
        Window(start, start + LENGTH) for start in (at(16, 8), at(16, 23), at(17, 23))
    ]
    # not yet in the first window: seen from midnight on
    assert [step.at for step in steps] == [at(16, 8), at(16, 23), at(17, 23)]
    assert steps[0].decision.until is None
    assert steps[1].decision.until == at(18, 9)


def test_a_day_with_another_length() -> None:
    mailbox = Mailbox()
    start = datetime(2026, 10, 24, 12, tzinfo=UTC)
    list(timeline(mailbox.read, MAPPING, start, start + timedelta(days=2), LENGTH))
    assert [window.start.hour for window in mailbox.read_windows] == [12, 22, 23]
