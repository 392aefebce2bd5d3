"""What calendar files look like in the wild, and what is told when one can't be read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.core.appointment import Appointment
from presenced.core.window import Window
from presenced.ics.expand import expand
from presenced.ics.model import IcsCalendar, IcsProblem
from presenced.ics.reader import read
from tests.ics.write import YEAR, appointment, calendar, span

SAMPLES = Path(__file__).parents[1] / "samples"
GRUEN = calendar(appointment("DTSTART:20261116T090000Z", "DTEND:20261116T100000Z", "SUMMARY:Grünkohl – ja"))


def subjects(data: bytes) -> list[str | None]:
    return [found.subject for found in expand(read([("x.ics", data)]), YEAR, "Europe/Berlin")]


@pytest.mark.parametrize(
    "data",
    [
        GRUEN.encode(),
        GRUEN.encode("utf-8-sig"),
        GRUEN.encode("utf-16"),
        GRUEN.encode("utf-16-le"),
        GRUEN.encode("utf-16-be"),
        GRUEN.encode("cp1252"),
        GRUEN.replace("\r\n", "\n").encode(),
        GRUEN.replace("\r\n", "\r").encode(),
        GRUEN.replace("\r\n", "\r\n\r\n").encode(),
        GRUEN.replace("Grün", "Gr\r\n ü\r\n\tn").encode(),
        GRUEN.encode().replace("ü".encode(), b"\xc3\r\n \xbc"),
        GRUEN.lower().replace("grünkohl", "Grünkohl").encode(),
        b"\r\n\r\n" + GRUEN.encode() + b"\x1a",
    ],
)
def test_encodings_and_line_ends(data: bytes) -> None:
    assert subjects(data) == ["Grünkohl – ja"]


def test_a_line_separator_in_a_title_is_no_line_end() -> None:
    assert subjects(GRUEN.replace("kohl", "\u2028kohl").encode()) == ["Grün\u2028kohl – ja"]


def test_lines_that_nobody_needs_may_be_broken() -> None:
    text = GRUEN.replace("SUMMARY", 'DESCRIPTION:one\r\ntwo: three\r\n;;;\r\nX-ODD;A="b:c\r\nSUMMARY')
    assert subjects(text.encode()) == ["Grünkohl – ja"]


def test_several_calendars_in_one_file() -> None:
    other = calendar(appointment("DTSTART:20261117T090000Z", "SUMMARY:Second", uid="v"))
    assert subjects((GRUEN + other).encode()) == ["Grünkohl – ja", "Second"]


def test_a_calendar_without_appointments() -> None:
    assert read([("x.ics", calendar().encode())]) == IcsCalendar()
    assert read([]) == IcsCalendar()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "x.ics: no calendar in this file (BEGIN:VCALENDAR); name an iCalendar file"),
        ("<html></html>", "x.ics: no calendar in this file"),
        ("BEGIN:VCARD\nEND:VCARD", "x.ics: no calendar in this file"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1", "x.ics:2: BEGIN:VEVENT without an END, the file is cut off"),
        ("BEGIN:VCALENDAR\nEND:VEVENT", "x.ics:2: END:VEVENT where BEGIN:VCALENDAR of line 1 is open"),
        ("\nEND:VEVENT", "x.ics:2: END:VEVENT where nothing is open"),
        ("BEGIN:A\n" * 9, "x.ics:9: components stand too deep in each other"),
        (calendar(appointment()), "x.ics:4: an appointment (VEVENT) without DTSTART"),
        (
            calendar(appointment("DTSTART:tomorrow")),
            "x.ics:6: DTSTART has 'tomorrow' where a time must stand",
        ),
        (calendar(appointment("DTSTART:20261332T090000Z")), "x.ics:6: DTSTART has '20261332T090000Z' where"),
        (calendar(appointment("DTSTART:20261116T090000Z", "DTEND:PT1H")), "x.ics:7: DTEND has 'PT1H' where"),
        (calendar(appointment("DTSTART:00010101T000000Z")), "x.ics:6: DTSTART has the year 1"),
        (calendar(appointment("DTSTART:")), "x.ics:6: DTSTART has not one value but 0"),
        (
            calendar(appointment('DTSTART;TZID="Europe/Berlin:20260101T000000')),
            "x.ics:6: DTSTART can't be taken",
        ),
        (calendar(appointment("DTSTART:20261116", "DURATION:1h")), "x.ics:7: DURATION has '1h' where"),
        (calendar(appointment("DTSTART:20261116", "DURATION:P9999999D")), "x.ics:7: DURATION is longer"),
        (calendar(appointment("DTSTART:20261116", "DURATION:P99999999999D")), "x.ics:7: DURATION has"),
        (calendar(appointment("DTSTART:20261116", "RRULE:FREQ=OFTEN")), "x.ics:7: RRULE has 'FREQ=OFTEN'"),
        (calendar(appointment("DTSTART:20261116", "RRULE:FREQ=DAILY;INTERVAL=0")), "x.ics:7: RRULE has"),
        (calendar(appointment("DTSTART:20261116", "RRULE:FREQ=DAILY;COUNT=0")), "x.ics:7: RRULE has"),
        (calendar(appointment("DTSTART:20261116", "RRULE:FREQ=HOURLY;BYMINUTE=60")), "x.ics:7: RRULE has"),
        (
            calendar(appointment("DTSTART:20261116", "RRULE:FREQ=DAILY;UNTIL=soon")),
            "x.ics:7: RRULE has 'SOON'",
        ),
        (calendar(appointment("DTSTART:20261116", "RRULE:")), "x.ics:7: RRULE has ''"),
        (calendar(appointment("DTSTART:20261116", "EXDATE:never")), "x.ics:7: EXDATE has 'never'"),
        (calendar(appointment("DTSTART:20261116", "RDATE:20261117/never")), "x.ics:7: RDATE has 'never'"),
        (
            calendar(appointment("DTSTART:20261116", "RECURRENCE-ID;RANGE=THISANDFUTURE:20291116")),
            "x.ics:7: all following occurrences are moved by years",
        ),
    ],
)
def test_problems_say_where_what_and_what_to_do(text: str, problem: str) -> None:
    with pytest.raises(IcsProblem) as caught:
        read([("good.ics", GRUEN.encode()), ("x.ics", text.encode())])
    assert str(caught.value).startswith(problem)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def in_winter(*names: str) -> list[str]:
    files = [(name, (SAMPLES / name).read_bytes()) for name in names]
    window = Window(datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC))
    return [
        " ".join([*span(one), one.show_as.value, one.sensitivity.value, one.subject or ""])
        for one in expand(read(files), window, "Europe/Berlin")
    ]


def test_an_outlook_export() -> None:
    long = "Budgetrunde mit sehr langem Titel zur Abstimmung der Grundsätze für übermäßige Überstunden"
    assert in_winter("outlook-calendar.ics") == [
        "11-16T00:00Z 11-17T00:00Z tentative normal Krank?",
        "11-16T00:00Z 11-17T00:00Z free normal Geburtstag Oma",
        "11-16T07:00Z 11-16T13:00Z working_elsewhere normal Homeoffice, wie besprochen",
        "11-16T08:30Z 11-16T09:15Z busy normal Jour fixe Entwicklung",
        f"11-16T09:30Z 11-16T10:30Z busy normal {long}",
        "11-16T10:00Z 11-16T11:00Z busy normal Abgesagt: Lenkungskreis",
        "11-16T14:00Z 11-16T15:00Z oof private Zahnarzt",
        "11-17T00:00Z 11-19T00:00Z oof normal Dienstreise Köln",
        "12-01T13:00Z 12-01T14:00Z busy normal Jour fixe Entwicklung (verschoben)",
        "12-07T08:30Z 12-07T09:15Z busy normal Jour fixe Entwicklung",
        "12-14T08:30Z 12-14T09:15Z busy normal Jour fixe Entwicklung",
        "12-25T00:00Z 12-27T00:00Z oof normal Weihnachten",
    ]


def test_an_invitation_in_a_zone_of_its_own() -> None:
    assert in_winter("outlook-custom-zone.ics") == [
        "12-07T07:00Z 12-07T08:00Z tentative confidential Remote maintenance"
    ]


def test_a_web_calendar_and_its_changes() -> None:
    assert in_winter("web-calendar.ics", "web-calendar-changes.ics") == [
        "11-16T13:00Z 11-16T13:30Z tentative normal Call",
        "11-16T13:00Z 11-16T14:00Z busy normal Stand-up",
        "11-17T13:00Z 11-17T14:00Z busy normal Stand-up",
        "11-18T00:00Z 11-19T00:00Z free normal Holiday",
        "11-18T16:00Z 11-18T17:00Z busy normal Stand-up (late)",
        "11-19T13:00Z 11-19T14:00Z busy normal Stand-up",
        "11-20T13:00Z 11-20T14:00Z busy normal Stand-up",
    ]


def read_or_say_why(data: bytes) -> None:
    """Whatever it is, it is a calendar or a problem told in one line; nothing else is raised."""
    week = Window(datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))
    problem = ""
    found: tuple[Appointment, ...] = ()
    try:
        found = expand(read([("x.ics", data)]), week, "Europe/Berlin")
    except IcsProblem as raised:
        problem = str(raised)
    assert "\n" not in problem
    assert all(one.start.tzinfo is one.end.tzinfo is UTC for one in found)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_any_bytes(data: bytes) -> None:
    read_or_say_why(data)
    read_or_say_why(b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n" + data + b"\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")


WORDS = [
    *(b"DTSTART", b"DTEND", b"DURATION", b"RRULE", b"RDATE", b"EXDATE", b"RECURRENCE-ID", b"UID", b"x"),
    *(b"RANGE=THISANDFUTURE", b"VALUE=DATE", b"TZID=W. Europe Standard Time"),
    *(b"20261116T090000Z", b"20261116", b"PT1H", b"P1D", b":", b";", b",", b"/", b"=", b"-", b"\\", b'"'),
    *(b"FREQ=DAILY", b"FREQ=WEEKLY", b"BYDAY=MO", b"UNTIL=20261120", b"COUNT=3", b"INTERVAL=2"),
    *(b"\r\n", b"BEGIN:VEVENT", b"END:VEVENT", b"X-MICROSOFT-CDO-ALLDAYEVENT:TRUE"),
]


@settings(max_examples=250, deadline=None)
@given(words=st.lists(st.sampled_from(WORDS), max_size=30))
def test_any_words(words: list[bytes]) -> None:
    start = b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20261116T090000Z\r\n"
    read_or_say_why(start + b"".join(words) + b"\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(path.name for path in SAMPLES.glob("*.ics"))),
    cuts=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 60), st.binary(max_size=6)), min_size=1, max_size=4
    ),
)
def test_damaged_samples(name: str, cuts: list[tuple[float, int, bytes]]) -> None:
    data = (SAMPLES / name).read_bytes()
    for place, length, instead in cuts:
        at = int(place * len(data))
        data = data[:at] + instead + data[at + length :]
    read_or_say_why(data)
