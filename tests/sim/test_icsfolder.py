"""A folder of ICS files as calendars: names to mailboxes, files to items, and what can't be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from presenced.sim.exchange.organisation import Item, Organisation, SimulatedMailbox
from presenced.sim.icsfolder import FileCalendar, IcsFolder, read_folder

DAY = timedelta(days=1)
MONDAY = datetime(2026, 11, 16, tzinfo=UTC)


def event(*lines: str, uid: str = "one@example.com") -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20261101T000000Z", *lines, "END:VEVENT"])


def calendar(*events: str) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test", *events, "END:VCALENDAR", ""])


TIMED = event("DTSTART:20261116T090000Z", "DTEND:20261116T100000Z", "SUMMARY:Besprechung")


def folder(path: Path, files: dict[str, str], zone: str = "Europe/Berlin") -> IcsFolder:
    for name, content in files.items():
        (path / name).write_text(content, encoding="utf-8", newline="")
    return read_folder(path, domain="example.com", zone=zone)


def view(found: IcsFolder, address: str = "anna@example.com", days: int = 7) -> list[Item]:
    return found.calendars[address].view(MONDAY, MONDAY + days * DAY)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("anna.ics", "anna@example.com"),
        ("Anna.Ärmel.ICS", "Anna.Ärmel@example.com"),
        ("ben@other.example.ics", "ben@other.example"),
    ],
)
def test_the_name_is_the_mailbox(tmp_path: Path, name: str, address: str) -> None:
    found = folder(tmp_path, {name: calendar(TIMED)})
    assert found.problems == ()
    assert list(found.calendars) == [address]


def test_what_is_broken_costs_its_own_mailbox_alone(tmp_path: Path) -> None:
    (tmp_path / "folder.ics").mkdir()
    found = folder(
        tmp_path,
        {
            "anna.ics": calendar(TIMED),
            "broken.ics": "this is no calendar",
            "two words.ics": calendar(TIMED),
            "ANNA@example.com.ics": calendar(TIMED),
            "notes.txt": "not looked at",
            "zoe.ics": calendar(TIMED),
        },
    )
    assert set(found.calendars) == {"ANNA@example.com", "zoe@example.com"}
    places = [problem.partition(": ")[0].partition(":")[0] for problem in found.problems]
    assert places == [
        str(tmp_path / name) for name in ("anna.ics", "broken.ics", "folder.ics", "two words.ics")
    ]
    assert "ANNA@example.com.ics is the same mailbox" in found.problems[0]
    assert all("\n" not in problem and ";" in problem for problem in found.problems)


def test_a_folder_that_is_none_is_a_problem(tmp_path: Path) -> None:
    found = read_folder(tmp_path / "nowhere", domain="example.com", zone="UTC")
    assert not found.calendars
    assert str(tmp_path / "nowhere") in found.problems[0]


def test_an_unknown_zone_is_nobodys_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Mars/Olympus"):
        folder(tmp_path, {}, zone="Mars/Olympus")


def test_a_timed_appointment(tmp_path: Path) -> None:
    text = event(
        "DTSTART:20261116T090000Z",
        "DTEND:20261116T100000Z",
        "SUMMARY:Zahnarzt",
        "CLASS:PRIVATE",
        "ORGANIZER:mailto:boss@example.com",
        "X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE",
    )
    [item] = view(folder(tmp_path, {"anna.ics": calendar(text)}))
    assert (item.start, item.end) == (MONDAY.replace(hour=9), MONDAY.replace(hour=10))
    assert (item.subject, item.sensitivity, item.show_as) == ("Zahnarzt", "Private", "Tentative")
    assert (item.organizer_address, item.my_response) == ("boss@example.com", "Tentative")
    assert (item.uid, item.item_type, item.all_day) == ("one@example.com", "Single", False)


@pytest.mark.parametrize(
    ("organizer", "status", "response"),
    [
        ("", "BUSY", "Organizer"),
        ("ORGANIZER:mailto:Anna@Example.com", "BUSY", "Organizer"),
        ("ORGANIZER:mailto:boss@example.com", "OOF", "Accept"),
    ],
)
def test_the_answer_an_export_does_not_tell(
    tmp_path: Path, organizer: str, status: str, response: str
) -> None:
    lines = ["DTSTART:20261116T090000Z", "DTEND:20261116T100000Z", f"X-MICROSOFT-CDO-BUSYSTATUS:{status}"]
    text = event(*lines, *([organizer] if organizer else []))
    [item] = view(folder(tmp_path, {"anna.ics": calendar(text)}))
    assert item.my_response == response


@pytest.mark.parametrize(
    ("zone", "hours"), [("Europe/Berlin", -1), ("America/New_York", 5), ("Pacific/Auckland", -13)]
)
def test_whole_days_are_the_mailboxes_own(tmp_path: Path, zone: str, hours: int) -> None:
    text = event("DTSTART;VALUE=DATE:20261118", "DTEND;VALUE=DATE:20261120", "SUMMARY:Urlaub")
    [item] = view(folder(tmp_path, {"anna.ics": calendar(text)}, zone=zone))
    assert item.all_day
    assert item.zone == zone
    assert item.start == MONDAY + 2 * DAY + timedelta(hours=hours)
    assert item.end == item.start + 2 * DAY


def test_a_series_is_expanded_with_stable_ids(tmp_path: Path) -> None:
    text = event(
        "DTSTART;TZID=Europe/Berlin:20261102T093000",
        "DTEND;TZID=Europe/Berlin:20261102T094500",
        "RRULE:FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR",
        "SUMMARY:Stand-up",
    )
    found = folder(tmp_path, {"anna.ics": calendar(text)})
    items = view(found)
    assert [item.start for item in items] == [
        MONDAY + number * DAY + timedelta(hours=8.5) for number in range(5)
    ]
    assert {(item.uid, item.item_type) for item in items} == {("one@example.com", "Occurrence")}
    assert len({item.id for item in items}) == 5
    [wednesday] = found.calendars["anna@example.com"].view(MONDAY + 2 * DAY, MONDAY + 3 * DAY)
    assert wednesday == items[2]


def test_a_mailbox_puts_its_changes_on_top(tmp_path: Path) -> None:
    found = folder(tmp_path, {"anna.ics": calendar(TIMED)})
    house = Organisation()
    for address, one in found.calendars.items():
        assert isinstance(one, FileCalendar)
        house.add(SimulatedMailbox(address, zone=one.zone, calendar=one))
    mailbox = house.find("anna@example.com")
    assert mailbox is not None
    [item] = mailbox.view(MONDAY, MONDAY + DAY)
    mailbox.remove(item.id)
    assert mailbox.view(MONDAY, MONDAY + DAY) == []
    assert len(view(found)) == 1
