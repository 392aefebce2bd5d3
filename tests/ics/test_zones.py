"""Which zone a TZID means, and what happens at its changes."""

from __future__ import annotations

import pytest

from presenced.ics.expand import expand
from presenced.ics.model import IcsProblem
from presenced.ics.reader import read
from tests.ics.write import YEAR, appointment, calendar, expanded, span, spans

CUSTOM = """BEGIN:VTIMEZONE
TZID:{name}
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0500
TZOFFSETTO:+0400
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0400
TZOFFSETTO:+0500
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
END:VTIMEZONE"""
FIXED = """BEGIN:VTIMEZONE
TZID:{name}
BEGIN:STANDARD
DTSTART:16010101T000000
TZOFFSETFROM:{offset}
TZOFFSETTO:{offset}
END:STANDARD
END:VTIMEZONE"""


@pytest.mark.parametrize(
    ("tzid", "utc"),
    [
        ("Europe/Berlin", "08"),
        ('"Europe/Berlin"', "08"),
        ("europe/berlin", "08"),
        ("W. Europe Standard Time", "08"),
        ('"W. Europe Standard Time"', "08"),
        ("w. europe standard time", "08"),
        ("'W. Europe Standard Time'", "08"),
        ("Pacific Standard Time", "17"),
        ("India Standard Time", "03"),
        ("UTC", "09"),
        ("Etc/GMT+5", "14"),
        ("tzone://Microsoft/Utc", "09"),
        ("/freeassociation.sourceforge.net/Tzfile/Europe/Berlin", "08"),
        ("/example.org/20261101/America/Argentina/Buenos_Aires", "12"),
    ],
)
def test_known_names_need_no_description(tzid: str, utc: str) -> None:
    (found,) = spans(f"DTSTART;TZID={tzid}:20261116T090000")
    assert found[0].startswith(f"11-16T{utc}:")


def test_utc_wins_over_a_tzid() -> None:
    assert spans("DTSTART;TZID=Europe/Berlin:20261116T090000Z")[0][0] == "11-16T09:00Z"


@pytest.mark.parametrize(
    ("name", "tzid"),
    [
        ("Customized Time Zone", "Customized Time Zone"),
        ("Customized Time Zone", '"Customized Time Zone"'),
        (r"(UTC+04:00) Port Louis\, Jerewan", '"(UTC+04:00) Port Louis, Jerewan"'),
        ("(UTC+04:00) Port Louis, Jerewan", "(UTC+04:00) Port Louis, Jerewan"),
    ],
)
def test_unknown_names_are_described_by_the_file(name: str, tzid: str) -> None:
    lines = [f"DTSTART;TZID={tzid}:20261116T090000", f"DTEND;TZID={tzid}:20261116T100000"]
    text = calendar(CUSTOM.format(name=name).replace("\n", "\r\n"), appointment(*lines))
    assert [span(found) for found in expanded(text)] == [("11-16T05:00Z", "11-16T06:00Z")]


@pytest.mark.parametrize(
    ("wall", "utc"),
    [
        ("20260101T120000", "01-01T08:00Z"),
        ("20260329T015959", "03-28T21:59Z"),
        ("20260329T023000", "03-28T22:30Z"),
        ("20260329T030000", "03-28T22:00Z"),
        ("20260701T120000", "07-01T07:00Z"),
        ("20261025T015900", "10-24T20:59Z"),
        ("20261025T023000", "10-24T21:30Z"),
        ("20261025T030000", "10-24T23:00Z"),
    ],
)
def test_described_zones_change_like_others(wall: str, utc: str) -> None:
    zone = CUSTOM.format(name="Customized Time Zone")
    (found,) = expanded(calendar(zone, appointment(f"DTSTART;TZID=Customized Time Zone:{wall}")))
    assert span(found)[0] == utc


def test_a_description_belongs_to_its_file() -> None:
    def file(uid: str, offset: str) -> bytes:
        zone = FIXED.format(name="Customized Time Zone", offset=offset)
        return calendar(
            zone, appointment("DTSTART;TZID=Customized Time Zone:20261116T090000", uid=uid)
        ).encode()

    mailbox = read([("a.ics", file("a", "+0100")), ("b.ics", file("b", "-0500"))])
    found = expand(mailbox, YEAR, "Europe/Berlin")
    assert [(one.id, span(one)[0]) for one in found] == [("a", "11-16T08:00Z"), ("b", "11-16T14:00Z")]


def test_a_known_name_wins_over_its_description() -> None:
    zone = FIXED.format(name="W. Europe Standard Time", offset="+0900")
    text = calendar(zone, appointment('DTSTART;TZID="W. Europe Standard Time":20261116T090000'))
    assert span(expanded(text)[0])[0] == "11-16T08:00Z"


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("", "nobody knows the time zone"),
        (
            "BEGIN:VTIMEZONE\r\nTZID:Elsewhere\r\nEND:VTIMEZONE",
            "description of the time zone",
        ),
        (CUSTOM.format(name="Elsewhere").replace("YEARLY", "SECONDLY"), "neither yearly nor monthly"),
        (CUSTOM.format(name="Elsewhere").replace("16010101T030000", "tomorrow"), "can't be read"),
    ],
)
def test_a_zone_nobody_can_tell_is_a_problem(zone: str, words: str) -> None:
    text = calendar(*filter(None, [zone]), appointment("DTSTART;TZID=Elsewhere:20261116T090000"))
    with pytest.raises(IcsProblem, match=words) as caught:
        expanded(text)
    assert caught.value.line is not None
    assert "\n" not in str(caught.value)


def test_a_bad_description_nobody_uses_is_no_problem() -> None:
    text = calendar("BEGIN:VTIMEZONE\r\nEND:VTIMEZONE", appointment("DTSTART:20261116T090000Z"))
    assert len(expanded(text)) == 1
