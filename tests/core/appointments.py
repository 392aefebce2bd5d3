"""Appointments, mappings and strategies for the tests of the core."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from presenced.core.activity import Mapped
from presenced.core.admission import Admission, admit
from presenced.core.appointment import Appointment, Response, Sensitivity, ShowAs
from presenced.core.mapping import Mapping, MappingTable
from presenced.core.note import NoteStyle
from presenced.core.priority import PriorityWords
from presenced.core.window import Window

DAY = datetime(2026, 11, 16, tzinfo=UTC)
"""a Monday"""
WINDOW = Window(DAY, DAY + timedelta(hours=48))


def at(text: str, day: int = 0) -> datetime:
    """`HH:MM` UTC on the Monday, or `day` days later."""
    hour, minute = text.split(":")
    return DAY + timedelta(days=day, hours=int(hour), minutes=int(minute))


def timed(id_: str, start: str, end: str, **fields: Any) -> Appointment:
    """A timed appointment on the Monday, its subject its id in capitals unless given."""
    fields.setdefault("subject", id_.upper())
    return Appointment(id_, at(start), at(end), **fields)


def all_day(id_: str, first: int, days: int, **fields: Any) -> Appointment:
    """A raw all-day appointment from `first` days after the Monday on."""
    fields.setdefault("subject", id_.upper())
    start = DAY + timedelta(days=first)
    return Appointment(id_, start, start + timedelta(days=days), all_day=True, **fields)


def mapping(language: str = "en", timezone: str = "UTC", **table: Any) -> Mapping:
    return Mapping(MappingTable(**table), NoteStyle(language, timezone))


def admitted(
    *raw: Appointment,
    timezone: str = "UTC",
    window: Window = WINDOW,
    subject_shown: bool = True,
    words: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
) -> tuple[Appointment, ...]:
    return admit(raw, window, Admission(timezone, subject_shown, PriorityWords(words, exclude)))


QUARTERS = st.integers(0, 48 * 4 - 1)

SUBJECTS = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            [
                "#free",
                "#whole-day",
                "#next-activity:away",
                "#len:1:1",
                "##",
                "#",
                "$1",
                "$0",
                "until",
                "(Busy:",
                ")",
            ]
            + ["ä", "👩‍👩‍👧", "e\u0301", "\u00a0", "\u2028", "\t", "\x00", "\u200b", "Meeting", "Free"]
        ),
        max_size=8,
    ).map(" ".join),
)


@st.composite
def raw_appointments(draw: st.DrawFn) -> Appointment:
    start = DAY + timedelta(minutes=15 * draw(QUARTERS))
    is_all_day = draw(st.sampled_from([False, False, False, True]))
    if is_all_day:
        start = start.replace(hour=0, minute=0)
        end = start + timedelta(days=draw(st.integers(0, 3)))
    else:
        end = start + timedelta(minutes=15 * draw(st.integers(0, 40)))
    return Appointment(
        id=draw(st.text("abcdef", min_size=1, max_size=4)),
        start=start,
        end=end,
        all_day=is_all_day,
        show_as=draw(st.sampled_from(ShowAs)),
        subject=draw(SUBJECTS),
        sensitivity=draw(st.sampled_from(Sensitivity)),
        organizer=draw(st.sampled_from(["", "hr@example.com", "HR@Example.com", "x@example.com"])),
        cancelled=draw(st.sampled_from([False, False, False, True])),
        response=draw(st.sampled_from(Response)),
    )


calendars = st.lists(raw_appointments(), max_size=8, unique_by=lambda one: one.id)
tables = st.builds(
    MappingTable,
    busy=st.sampled_from(Mapped),
    tentative=st.sampled_from(Mapped),
    tentative_exception_organizers=st.sampled_from([(), ("hr@example.com",)]),
    tentative_exception=st.sampled_from(Mapped),
    out_of_office=st.sampled_from(Mapped),
    working_elsewhere=st.sampled_from(Mapped),
    no_data=st.sampled_from(Mapped),
)
