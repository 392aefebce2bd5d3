"""What admission works out, and that it leaves the rest of an appointment alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from presenced.core.appointment import Appointment, Response, Sensitivity, ShowAs
from tests.core.appointments import WINDOW, admitted, at, timed

LIKE_NO_OTHER = Appointment(
    id="a",
    start=WINDOW.start,
    end=WINDOW.start + timedelta(days=1),
    show_as=ShowAs.OOF,
    subject="Trip",
    all_day=True,
    sensitivity=Sensitivity.PERSONAL,
    organizer="ann@example.com",
    cancelled=True,
    response=Response.ACCEPTED,
    prioritized=True,
    order=1,
)


def test_what_is_not_worked_out_stays() -> None:
    """No field has its default here, so that one forgotten would show."""
    assert all(getattr(LIKE_NO_OTHER, name) != value for name, value in Appointment._field_defaults.items())
    first = timed("b", "10:00", "11:00", subject="A")
    assert admitted(first, LIKE_NO_OTHER, words=("trip",)) == (
        LIKE_NO_OTHER,
        first._replace(order=0),
    )


@pytest.mark.parametrize(
    ("start", "end", "inside"),
    [
        (-60, 0, False),
        (-60, 1, True),
        (48 * 60 - 1, 49 * 60, True),
        (48 * 60, 49 * 60, False),
        (0, 0, True),
        (48 * 60, 48 * 60, False),
        (60, 30, True),
        (-1, -2, False),
    ],
)
def test_only_the_window_is_admitted(start: int, end: int, inside: bool) -> None:
    """In minutes from its start; one without an instant of its own lies where it starts."""
    one = Appointment(
        "a", WINDOW.start + timedelta(minutes=start), WINDOW.start + timedelta(minutes=end), subject="A"
    )
    assert bool(admitted(one)) is inside


def test_order_is_by_title_and_place_by_start() -> None:
    raw = [
        timed("c", "10:00", "11:00", subject=" B"),
        timed("b", "10:00", "12:00", subject="B "),
        timed("a", "09:00", "10:00", subject="C"),
        timed("d", "12:00", "13:00", subject="A", sensitivity=Sensitivity.PRIVATE),
    ]
    assert [(one.id, one.start, one.subject, one.order) for one in admitted(*raw)] == [
        ("a", at("09:00"), "C", 3),
        ("b", at("10:00"), "B", 1),
        ("c", at("10:00"), "B", 2),
        ("d", at("12:00"), None, 0),
    ]
