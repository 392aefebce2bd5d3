"""What each property of an appointment means (cli.md, `preview`)."""

from __future__ import annotations

import pytest

from presenced.core.appointment import Response, Sensitivity, ShowAs
from tests.ics.write import appointment, calendar, expanded, one, spans

WHEN = ("DTSTART:20261116T090000Z", "DTEND:20261116T100000Z")


@pytest.mark.parametrize(
    ("lines", "show_as"),
    [
        ([], ShowAs.BUSY),
        (["X-MICROSOFT-CDO-BUSYSTATUS:FREE"], ShowAs.FREE),
        (["X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE"], ShowAs.TENTATIVE),
        (["X-MICROSOFT-CDO-BUSYSTATUS:BUSY"], ShowAs.BUSY),
        (["X-MICROSOFT-CDO-BUSYSTATUS:OOF"], ShowAs.OOF),
        (["X-MICROSOFT-CDO-BUSYSTATUS:WORKINGELSEWHERE"], ShowAs.WORKING_ELSEWHERE),
        (["x-microsoft-cdo-busystatus:Oof"], ShowAs.OOF),
        (["X-MICROSOFT-CDO-BUSYSTATUS:SABBATICAL"], ShowAs.NO_DATA),
        (["X-MICROSOFT-CDO-BUSYSTATUS:BUSY", "TRANSP:TRANSPARENT", "STATUS:TENTATIVE"], ShowAs.BUSY),
        (["X-MICROSOFT-CDO-BUSYSTATUS:", "TRANSP:TRANSPARENT"], ShowAs.FREE),
        (["TRANSP:TRANSPARENT"], ShowAs.FREE),
        (["TRANSP:transparent", "STATUS:TENTATIVE"], ShowAs.FREE),
        (["TRANSP:OPAQUE", "STATUS:TENTATIVE"], ShowAs.TENTATIVE),
        (["STATUS:CONFIRMED"], ShowAs.BUSY),
    ],
)
def test_show_as(lines: list[str], show_as: ShowAs) -> None:
    assert one(*WHEN, *lines).show_as is show_as


@pytest.mark.parametrize(
    ("lines", "sensitivity"),
    [
        ([], Sensitivity.NORMAL),
        (["CLASS:PUBLIC"], Sensitivity.NORMAL),
        (["CLASS:"], Sensitivity.PRIVATE),
        (["CLASS:private"], Sensitivity.PRIVATE),
        (["CLASS:CONFIDENTIAL"], Sensitivity.CONFIDENTIAL),
        (["CLASS:X-SECRET"], Sensitivity.PRIVATE),
        (['CLASS;X="broken:PRIVATE'], Sensitivity.PRIVATE),
    ],
)
def test_class(lines: list[str], sensitivity: Sensitivity) -> None:
    assert one(*WHEN, *lines).sensitivity is sensitivity


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("ORGANIZER:mailto:a@b.example", "a@b.example"),
        ("ORGANIZER:MAILTO:A@b.example", "A@b.example"),
        ('ORGANIZER;CN="Muster, Erika":mailto:a@b.example', "a@b.example"),
        ('ORGANIZER;SENT-BY="mailto:x@b.example":mailto:a@b.example', "a@b.example"),
        ('ORGANIZER;CN=Erika "Eri" Muster:mailto:a@b.example', "a@b.example"),
        ("ORGANIZER:a@b.example", "a@b.example"),
        ("ORGANIZER;CN=Nobody:invalid:nomail", ""),
        ("ORGANIZER;CN=Nobody:", ""),
    ],
)
def test_organizer(line: str, address: str) -> None:
    assert one(*WHEN, line).organizer == address


@pytest.mark.parametrize(
    ("line", "subject"),
    [
        ("SUMMARY:Plan", "Plan"),
        ("SUMMARY;LANGUAGE=de:Plan: A", "Plan: A"),
        (r"SUMMARY:one\, two\; three\\ four\nfive", "one, two; three\\ four\nfive"),
        ("SUMMARY:Gr\r\n ün\r\n\t kohl", "Grün kohl"),
        ("SUMMARY:", ""),
        ("X-NOTHING:", ""),
    ],
)
def test_subject(line: str, subject: str) -> None:
    assert one(*WHEN, line).subject == subject


@pytest.mark.parametrize(
    ("status", "cancelled"),
    [("CANCELLED", True), ("cancelled", True), ("CONFIRMED", False), ("TENTATIVE", False)],
)
def test_status(status: str, cancelled: bool) -> None:
    assert one(*WHEN, f"STATUS:{status}").cancelled is cancelled


def test_an_export_does_not_tell_who_declined() -> None:
    line = "ATTENDEE;PARTSTAT=DECLINED:mailto:me@b.example"
    assert one(*WHEN, line).response is Response.UNKNOWN


def test_an_alarm_is_not_the_appointment() -> None:
    alarm = ["BEGIN:VALARM", "TRIGGER:-PT15M", "DURATION:PT5M", "SUMMARY:ring", "END:VALARM"]
    found = one("DTSTART:20261116T090000Z", *alarm, "DURATION:PT1H", "SUMMARY:Plan")
    assert (found.subject, (found.end - found.start).total_seconds()) == ("Plan", 3600)


def test_tasks_and_journals_are_no_appointments() -> None:
    others = [
        f"BEGIN:{name}\r\nUID:x\r\nDTSTART:20261116T090000Z\r\nEND:{name}" for name in ("VTODO", "VJOURNAL")
    ]
    assert expanded(calendar(*others)) == []


@pytest.mark.parametrize(
    ("lines", "span"),
    [
        (["DTSTART:20261116T090000Z", "DTEND:20261116T100000Z"], ("11-16T09:00Z", "11-16T10:00Z")),
        (["DTSTART:20261116T090000Z", "DURATION:PT90M"], ("11-16T09:00Z", "11-16T10:30Z")),
        (["DTSTART:20261116T090000Z"], ("11-16T09:00Z", "11-16T09:00Z")),
        (["DTSTART:20261116T090000Z", "DTEND:20261116T080000Z"], ("11-16T09:00Z", "11-16T08:00Z")),
        # a duration's days are the calendar's, its hours the clock's (RFC 5545 section 3.3.6)
        (["DTSTART;TZID=Europe/Berlin:20260328T120000", "DURATION:P1D"], ("03-28T11:00Z", "03-29T10:00Z")),
        (["DTSTART;TZID=Europe/Berlin:20260328T120000", "DURATION:PT24H"], ("03-28T11:00Z", "03-29T10:00Z")),
        (["DTSTART;TZID=Europe/Berlin:20260329T013000", "DURATION:PT1H"], ("03-29T00:30Z", "03-29T01:30Z")),
        # floating: in the presence zone
        (["DTSTART:20261116T090000", "DTEND:20261116T100000"], ("11-16T08:00Z", "11-16T09:00Z")),
        # start and end in different zones
        (
            ["DTSTART;TZID=Europe/Berlin:20261116T100000", "DTEND;TZID=America/New_York:20261116T080000"],
            ("11-16T09:00Z", "11-16T13:00Z"),
        ),
    ],
)
def test_when(lines: list[str], span: tuple[str, str]) -> None:
    assert spans(*lines) == [span]


@pytest.mark.parametrize(
    ("lines", "dates"),
    [
        (["DTSTART;VALUE=DATE:20261116", "DTEND;VALUE=DATE:20261118"], ("11-16T00:00Z", "11-18T00:00Z")),
        (["DTSTART;VALUE=DATE:20261116"], ("11-16T00:00Z", "11-17T00:00Z")),
        (["DTSTART;VALUE=DATE:20261116", "DURATION:P2D"], ("11-16T00:00Z", "11-18T00:00Z")),
        (["DTSTART:20261116", "DTEND:20261117"], ("11-16T00:00Z", "11-17T00:00Z")),
        (["DTSTART;VALUE=DATE:20261116T000000"], ("11-16T00:00Z", "11-17T00:00Z")),
        (
            [
                "DTSTART;TZID=America/New_York:20261116T000000",
                "DTEND;TZID=America/New_York:20261117T000000",
                "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE",
            ],
            ("11-16T00:00Z", "11-17T00:00Z"),
        ),
        (
            [
                "DTSTART:20261116T000000Z",
                "DTEND:20261117T000000Z",
                "X-MICROSOFT-CDO-ALLDAYEVENT:true",
            ],
            ("11-16T00:00Z", "11-17T00:00Z"),
        ),
        # not midnight in UTC: somebody's midnight, Berlin's here
        (
            ["DTSTART:20261115T230000Z", "DTEND:20261116T230000Z", "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE"],
            ("11-16T00:00Z", "11-17T00:00Z"),
        ),
        (["DTSTART:20261116T000000", "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE"], ("11-16T00:00Z", "11-17T00:00Z")),
        (
            ["DTSTART:20261116T000000", "DTEND:20261116T235900", "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE"],
            ("11-16T00:00Z", "11-17T00:00Z"),
        ),
    ],
)
def test_all_day(lines: list[str], dates: tuple[str, str]) -> None:
    found = one(*lines)
    assert found.all_day
    assert (f"{found.start:%m-%dT%H:%MZ}", f"{found.end:%m-%dT%H:%MZ}") == dates


def test_a_midnight_to_midnight_appointment_is_not_all_day() -> None:
    lines = ["DTSTART:20261116T000000", "DTEND:20261117T000000", "X-MICROSOFT-CDO-ALLDAYEVENT:FALSE"]
    assert not one(*lines).all_day


def test_ids_of_single_appointments_are_the_uid() -> None:
    assert one(*WHEN).id == "u"


def test_a_missing_uid_is_made_up_the_same_in_every_export() -> None:
    def export(stamp: str, *more: str) -> list[str]:
        lines = [*WHEN, "SUMMARY:A", f"DTSTAMP:{stamp}"]
        bodies = ["\r\n".join(["BEGIN:VEVENT", *lines, "END:VEVENT"]), *more]
        return [found.id for found in expanded(calendar(*bodies))]

    other = "\r\n".join(["BEGIN:VEVENT", *WHEN, "SUMMARY:B", "END:VEVENT"])
    first = export("20261101T000000Z")
    assert first == export("20261102T000000Z")
    assert first[0]
    assert len(set(export("20261101T000000Z", other))) == 2


def test_appointments_come_in_order_of_start_and_id() -> None:
    late = appointment("DTSTART:20261116T100000Z", "DTEND:20261116T110000Z", uid="a")
    text = calendar(late, appointment(*WHEN, uid="c"), appointment(*WHEN, uid="b"))
    assert [found.id for found in expanded(text)] == ["b", "c", "a"]
