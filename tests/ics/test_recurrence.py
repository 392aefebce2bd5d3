"""Series: rules, exceptions, changed occurrences, and the two days on which the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.core.window import Window
from presenced.ics.expand import expand
from presenced.ics.reader import read
from tests.ics.write import YEAR, appointment, calendar, expanded, one, span, spans

BERLIN = ";TZID=Europe/Berlin"


def days(*lines: str, window: Window = YEAR, zone: str = "Europe/Berlin") -> list[str]:
    return [start[:5] for start, _ in spans(*lines, window=window, zone=zone)]


def daily(*lines: str) -> list[str]:
    """Days of a series at 10:00 in Berlin from 16 November on."""
    return days(f"DTSTART{BERLIN}:20261116T100000", f"DTEND{BERLIN}:20261116T103000", *lines)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["RRULE:FREQ=DAILY;COUNT=3"], ["11-16", "11-17", "11-18"]),
        (["RRULE:FREQ=DAILY;COUNT=3;"], ["11-16", "11-17", "11-18"]),
        (["RRULE:freq=daily;count=3"], ["11-16", "11-17", "11-18"]),
        (["RRULE:FREQ=WEEKLY;COUNT=4;BYDAY=MO,WE"], ["11-16", "11-18", "11-23", "11-25"]),
        (["RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=2;X-PART=1"], ["11-16", "11-30"]),
        (["RRULE:FREQ=MONTHLY;COUNT=2;BYDAY=3MO"], ["11-16", "12-21"]),
        # UNTIL in UTC, on the wall clock, as a date: the last one is in
        (["RRULE:FREQ=DAILY;UNTIL=20261118T090000Z"], ["11-16", "11-17", "11-18"]),
        (["RRULE:FREQ=DAILY;UNTIL=20261118T085959Z"], ["11-16", "11-17"]),
        (["RRULE:FREQ=DAILY;UNTIL=20261118T100000"], ["11-16", "11-17", "11-18"]),
        (["RRULE:FREQ=DAILY;UNTIL=20261118"], ["11-16", "11-17", "11-18"]),
        (["RRULE:FREQ=DAILY;UNTIL=20261110T000000Z"], []),
        # exceptions, in whatever zone they are written
        (["RRULE:FREQ=DAILY;COUNT=3", f"EXDATE{BERLIN}:20261117T100000"], ["11-16", "11-18"]),
        (["RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20261117T090000Z"], ["11-16", "11-18"]),
        (["RRULE:FREQ=DAILY;COUNT=3", "EXDATE;TZID=America/New_York:20261117T040000"], ["11-16", "11-18"]),
        (["RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20261117T100000"], ["11-16", "11-18"]),
        (["RRULE:FREQ=DAILY;COUNT=3", "EXDATE;VALUE=DATE:20261117"], ["11-16", "11-18"]),
        (["RRULE:FREQ=DAILY;COUNT=3", f"EXDATE{BERLIN}:20261117T100000,20261118T100000"], ["11-16"]),
        (["RRULE:FREQ=DAILY;COUNT=3", f"EXDATE{BERLIN}:20261117T110000"], ["11-16", "11-17", "11-18"]),
        # more dates
        ([f"RDATE{BERLIN}:20261119T100000,20261121T100000"], ["11-16", "11-19", "11-21"]),
        (["RRULE:FREQ=DAILY;COUNT=2", f"RDATE{BERLIN}:20261117T100000"], ["11-16", "11-17"]),
        (["RDATE;VALUE=DATE:20261119"], ["11-16", "11-19"]),
        (["RRULE:FREQ=DAILY;COUNT=-1;UNTIL=20261117T090000Z"], ["11-16", "11-17"]),
    ],
)
def test_days(lines: list[str], expected: list[str]) -> None:
    assert daily(*lines) == expected


@pytest.mark.parametrize(
    ("value", "end"),
    [("20261119T100000/PT2H", "11:00"), ("20261119T100000/20261119T130000", "12:00")],
)
def test_a_period_brings_its_own_end(value: str, end: str) -> None:
    found = spans(
        f"DTSTART{BERLIN}:20261116T100000",
        f"DTEND{BERLIN}:20261116T103000",
        f"RDATE;VALUE=PERIOD{BERLIN}:{value}",
    )
    assert found == [("11-16T09:00Z", "11-16T09:30Z"), ("11-19T09:00Z", f"11-19T{end}Z")]


def test_a_series_keeps_its_wall_clock() -> None:
    """22:00 to 06:00 in Berlin, whatever the night."""
    found = spans(
        f"DTSTART{BERLIN}:20260327T220000", f"DTEND{BERLIN}:20260328T060000", "RRULE:FREQ=DAILY;COUNT=3"
    )
    assert found == [
        ("03-27T21:00Z", "03-28T05:00Z"),
        ("03-28T21:00Z", "03-29T04:00Z"),
        ("03-29T20:00Z", "03-30T04:00Z"),
    ]


def test_a_series_keeps_the_wall_clock_of_where_it_was_made() -> None:
    found = spans(
        "DTSTART;TZID=America/New_York:20260307T080000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2"
    )
    assert found == [("03-07T13:00Z", "03-07T14:00Z"), ("03-08T12:00Z", "03-08T13:00Z")]


def test_a_single_one_keeps_its_instants() -> None:
    lines = (f"DTSTART{BERLIN}:20260329T013000", "DURATION:PT2H")
    assert spans(*lines) == [("03-29T00:30Z", "03-29T02:30Z")]
    assert spans(*lines, "RRULE:FREQ=DAILY;COUNT=1") == [("03-29T00:30Z", "03-29T01:30Z")]


@pytest.mark.parametrize(
    ("start", "end", "spring"),
    [
        ("013000", "020000", ("03-29T00:30Z", "03-29T01:00Z")),
        ("013000", "023000", ("03-29T00:30Z", "03-29T01:30Z")),
        # starts in the gap: moved forward, ends on the wall clock, and is empty if that is not later
        ("023000", "033000", ("03-29T01:30Z", "03-29T01:30Z")),
        ("023000", "031500", ("03-29T01:30Z", "03-29T01:15Z")),
        ("023000", "034500", ("03-29T01:30Z", "03-29T01:45Z")),
        ("021500", "024500", ("03-29T01:15Z", "03-29T01:45Z")),
        ("020000", "033000", ("03-29T01:00Z", "03-29T01:30Z")),
    ],
)
@pytest.mark.parametrize("rule", ["RRULE:FREQ=DAILY;COUNT=3", ""])
def test_times_that_do_not_exist(start: str, end: str, spring: tuple[str, str], rule: str) -> None:
    first = "20260328" if rule else "20260329"
    lines = [f"DTSTART{BERLIN}:{first}T{start}", f"DTEND{BERLIN}:{first}T{end}", rule]
    assert spring in spans(*filter(None, lines))


@pytest.mark.parametrize(
    ("start", "end", "autumn"),
    [
        ("013000", "023000", ("10-24T23:30Z", "10-25T00:30Z")),
        ("023000", "024500", ("10-25T00:30Z", "10-25T00:45Z")),
        ("023000", "033000", ("10-25T00:30Z", "10-25T02:30Z")),
    ],
)
@pytest.mark.parametrize("rule", ["RRULE:FREQ=DAILY;COUNT=3", ""])
def test_times_that_exist_twice(start: str, end: str, autumn: tuple[str, str], rule: str) -> None:
    first = "20261024" if rule else "20261025"
    lines = [f"DTSTART{BERLIN}:{first}T{start}", f"DTEND{BERLIN}:{first}T{end}", rule]
    assert autumn in spans(*filter(None, lines))


def test_floating_series_are_in_the_presence_zone() -> None:
    lines = ("DTSTART:20260328T090000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2")
    assert [start for start, _ in spans(*lines)] == ["03-28T08:00Z", "03-29T07:00Z"]
    assert [start for start, _ in spans(*lines, zone="Asia/Tokyo")] == ["03-28T00:00Z", "03-29T00:00Z"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("RRULE:FREQ=DAILY;UNTIL=20261118", ["11-16", "11-17", "11-18"]),
        ("RRULE:FREQ=DAILY;UNTIL=20261118T000000Z", ["11-16", "11-17", "11-18"]),
        ("RRULE:FREQ=DAILY;UNTIL=20261117T230000Z", ["11-16", "11-17", "11-18"]),
        ("RRULE:FREQ=DAILY;COUNT=3\r\nEXDATE;VALUE=DATE:20261117", ["11-16", "11-18"]),
        (
            "RRULE:FREQ=DAILY;COUNT=3\r\nEXDATE;TZID=W. Europe Standard Time:20261117T000000",
            ["11-16", "11-18"],
        ),
        ("RRULE:FREQ=DAILY;COUNT=3\r\nEXDATE:20261117T000000Z", ["11-16", "11-18"]),
        ("RRULE:FREQ=DAILY;COUNT=3\r\nEXDATE:20261116T230000Z", ["11-16", "11-18"]),
        ("RDATE;VALUE=DATE:20261120", ["11-16", "11-20"]),
    ],
)
def test_all_day_series(line: str, expected: list[str]) -> None:
    assert days("DTSTART;VALUE=DATE:20261116", "DTEND;VALUE=DATE:20261117", line) == expected


def test_ids_of_occurrences() -> None:
    timed = [f"DTSTART{BERLIN}:20260328T023000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2"]
    dates = ["DTSTART;VALUE=DATE:20260328", "RRULE:FREQ=DAILY;COUNT=2"]
    new_york = ["DTSTART;TZID=America/New_York:20260401T000000", "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE"]
    text = calendar(
        appointment(*timed, uid="t"),
        appointment(*dates, uid="d"),
        appointment(*new_york, "RRULE:FREQ=DAILY;COUNT=1", uid="n"),
    )
    assert sorted(found.id for found in expanded(text)) == [
        "d/2026-03-27T23:00:00Z",
        "d/2026-03-28T23:00:00Z",
        "n/2026-04-01T04:00:00Z",
        "t/2026-03-28T01:30:00Z",
        "t/2026-03-29T01:30:00Z",
    ]


SERIES = (
    f"DTSTART{BERLIN}:20261116T100000",
    f"DTEND{BERLIN}:20261116T103000",
    "SUMMARY:old",
    "RRULE:FREQ=DAILY;COUNT=4",
)


def change(*lines: str, sequence: int = 0) -> str:
    return appointment(f"SEQUENCE:{sequence}", *lines)


def told(*components: str) -> list[tuple[str, str, str]]:
    """(original day, start, subject) of each occurrence."""
    return [
        (found.id[-15:-10], span(found)[0][:11], found.subject or "")
        for found in expanded(calendar(*components))
    ]


@pytest.mark.parametrize(
    "identifier",
    [
        f"RECURRENCE-ID{BERLIN}:20261117T100000",
        "RECURRENCE-ID:20261117T090000Z",
        "RECURRENCE-ID;TZID=America/New_York:20261117T040000",
        "RECURRENCE-ID;VALUE=DATE:20261117",
    ],
)
def test_a_changed_occurrence_takes_the_place_of_the_regular_one(identifier: str) -> None:
    changed = change(identifier, f"DTSTART{BERLIN}:20261118T140000", "DURATION:PT1H", "SUMMARY:new")
    assert told(appointment(*SERIES), changed) == [
        ("11-16", "11-16T09:00", "old"),
        ("11-18", "11-18T09:00", "old"),
        ("11-17", "11-18T13:00", "new"),
        ("11-19", "11-19T09:00", "old"),
    ]


def test_a_changed_occurrence_of_an_all_day_series() -> None:
    series = appointment("DTSTART;VALUE=DATE:20261116", "RRULE:FREQ=DAILY;COUNT=2", "SUMMARY:old")
    identifiers = ("RECURRENCE-ID;VALUE=DATE:20261117", f"RECURRENCE-ID{BERLIN}:20261117T000000")
    for identifier in identifiers:
        changed = change(identifier, f"DTSTART{BERLIN}:20261117T140000", "DURATION:PT1H", "SUMMARY:new")
        assert [found.subject for found in expanded(calendar(series, changed))] == ["old", "new"]


def test_a_cancelled_occurrence() -> None:
    changed = change(
        f"RECURRENCE-ID{BERLIN}:20261117T100000", f"DTSTART{BERLIN}:20261117T100000", "STATUS:CANCELLED"
    )
    found = expanded(calendar(appointment(*SERIES), changed))
    assert [one.cancelled for one in found] == [False, True, False, False]


def test_an_excluded_occurrence_stays_away_though_an_old_change_is_left() -> None:
    excluded = appointment(*SERIES, f"EXDATE{BERLIN}:20261117T100000")
    changed = change(f"RECURRENCE-ID{BERLIN}:20261117T100000", f"DTSTART{BERLIN}:20261117T110000")
    assert [original for original, _, _ in told(excluded, changed)] == ["11-16", "11-18", "11-19"]


def test_the_latest_revision_counts() -> None:
    where = (f"RECURRENCE-ID{BERLIN}:20261117T100000", f"DTSTART{BERLIN}:20261117T140000", "DURATION:PT1H")
    newer, older = change(*where, "SUMMARY:newer", sequence=2), change(*where, "SUMMARY:older", sequence=1)
    for order in ((newer, older), (older, newer)):
        assert [subject for _, _, subject in told(appointment(*SERIES), *order)][1] == "newer"
    moved = appointment("DTSTART:20261116T200000Z", "SEQUENCE:3", "SUMMARY:moved")
    assert [found.subject for found in expanded(calendar(moved, appointment(*SERIES)))] == ["moved"]


def test_a_change_without_its_series_stands_for_itself() -> None:
    changed = change(f"RECURRENCE-ID{BERLIN}:20261117T100000", f"DTSTART{BERLIN}:20261117T140000")
    assert told(changed) == [("11-17", "11-17T13:00", "")]


def test_a_change_moved_into_the_window_is_found() -> None:
    changed = change(
        f"RECURRENCE-ID{BERLIN}:20261119T100000", f"DTSTART{BERLIN}:20261101T100000", "DURATION:PT1H"
    )
    window = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
    found = expanded(calendar(appointment(*SERIES), changed), window)
    assert [one.id for one in found] == ["u/2026-11-19T09:00:00Z"]


def test_this_and_all_that_follow() -> None:
    changed = change(
        f"RECURRENCE-ID;RANGE=THISANDFUTURE{BERLIN}:20261118T100000",
        f"DTSTART{BERLIN}:20261118T140000",
        f"DTEND{BERLIN}:20261118T150000",
        "SUMMARY:new",
    )
    assert told(appointment(*SERIES), changed) == [
        ("11-16", "11-16T09:00", "old"),
        ("11-17", "11-17T09:00", "old"),
        ("11-18", "11-18T13:00", "new"),
        ("11-19", "11-19T13:00", "new"),
    ]
    window = Window(datetime(2026, 11, 19, 13, tzinfo=UTC), datetime(2026, 11, 19, 14, tzinfo=UTC))
    assert len(expanded(calendar(appointment(*SERIES), changed), window)) == 1


def test_one_uid_in_several_files_is_one_series() -> None:
    changed = change(f"RECURRENCE-ID{BERLIN}:20261117T100000", f"DTSTART{BERLIN}:20261117T140000")
    files = [("b.ics", calendar(changed).encode()), ("a.ics", calendar(appointment(*SERIES)).encode())]
    for order in (files, files[::-1]):
        found = expand(read(order), YEAR, "Europe/Berlin")
        assert [span(one)[0] for one in found] == [
            "11-16T09:00Z",
            "11-17T13:00Z",
            "11-18T09:00Z",
            "11-19T09:00Z",
        ]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("16T09:30", "16T10:00", []),
        ("16T09:29", "16T10:00", ["16"]),
        ("16T08:00", "16T09:00", []),
        ("16T08:00", "16T09:01", ["16"]),
        ("16T00:00", "18T00:00", ["16", "17"]),
    ],
)
def test_the_window_is_half_open(start: str, end: str, expected: list[str]) -> None:
    window = Window(*(datetime.fromisoformat(f"2026-11-{moment}:00+00:00") for moment in (start, end)))
    found = spans(*SERIES, window=window)
    assert [begin[3:5] for begin, _ in found] == expected


def test_an_all_day_one_overlaps_by_its_dates_in_the_presence_zone() -> None:
    lines = ("DTSTART;VALUE=DATE:20261116",)
    night = Window(datetime(2026, 11, 15, 23, tzinfo=UTC), datetime(2026, 11, 15, 23, 30, tzinfo=UTC))
    assert spans(*lines, window=night, zone="Europe/Berlin")
    assert not spans(*lines, window=night, zone="Europe/London")
    evening = Window(datetime(2026, 11, 17, 4, tzinfo=UTC), datetime(2026, 11, 17, 5, tzinfo=UTC))
    assert spans(*lines, window=evening, zone="America/New_York")
    assert not spans(*lines, window=evening, zone="Europe/London")


def test_an_empty_one_is_handed_over_where_it_starts() -> None:
    window = Window(datetime(2026, 11, 16, 9, tzinfo=UTC), datetime(2026, 11, 16, 10, tzinfo=UTC))
    assert spans("DTSTART:20261116T090000Z", window=window)
    assert not spans("DTSTART:20261116T100000Z", window=window)


def test_long_running_series_do_not_take_long() -> None:
    """Entered close before the window: thirty million starts since 1970 would not end in time."""
    window = Window(datetime(2026, 11, 16, 9, tzinfo=UTC), datetime(2026, 11, 16, 9, 3, tzinfo=UTC))
    found = spans("DTSTART:19700101T000000Z", "DURATION:PT1M", "RRULE:FREQ=MINUTELY", window=window)
    assert [start for start, _ in found] == ["11-16T09:00Z", "11-16T09:01Z", "11-16T09:02Z"]


WEEKDAYS = st.lists(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), max_size=3, unique=True)


@settings(max_examples=120, deadline=None)
@given(
    frequency=st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY", "HOURLY"]),
    interval=st.integers(1, 5),
    weekdays=WEEKDAYS,
    count=st.none() | st.integers(1, 400),
    until=st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),  # noqa: DTZ001
    start=st.datetimes(datetime(2024, 1, 1), datetime(2026, 11, 1)),  # noqa: DTZ001
    minutes=st.integers(1, 3000),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    opening=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1)),  # noqa: DTZ001
)
def test_against_the_rule_written_out(
    *,
    frequency: str,
    interval: int,
    weekdays: list[str],
    count: int | None,
    until: datetime | None,
    start: datetime,
    minutes: int,
    zone: str,
    opening: datetime,
) -> None:
    """Every occurrence since the first, made instants by another zone database, cut to the window."""
    start = start.replace(microsecond=0)
    rule = f"FREQ={frequency};INTERVAL={interval}"
    if weekdays:
        rule += f";BYDAY={','.join(weekdays)}"
    if count:
        rule += f";COUNT={count}"
    bound = until.replace(microsecond=0, tzinfo=UTC) if until and not count else None
    window = Window(opening.replace(tzinfo=UTC), opening.replace(tzinfo=UTC) + timedelta(days=9))

    def instant(wall: datetime) -> datetime:
        return wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)

    horizon = opening + timedelta(days=11)
    walls = {start, *rrulestr(rule, dtstart=start).between(start, horizon, inc=True)}
    ends: dict[datetime, datetime] = {}
    for wall in sorted(walls):  # in a gap two walls are one instant: one original start, one occurrence
        if bound is None or instant(wall) <= bound:
            ends.setdefault(instant(wall), instant(wall + timedelta(minutes=minutes)))
    expected = set(ends.items())
    lines = [
        f"DTSTART;TZID={zone}:{start:%Y%m%dT%H%M%S}",
        f"DURATION:PT{minutes}M",
        f"RRULE:{rule}" + (f";UNTIL={bound:%Y%m%dT%H%M%SZ}" if bound else ""),
    ]
    found = {(one.start, one.end) for one in expanded(calendar(appointment(*lines)), window)}
    assert {pair for pair in found if pair[0] < pair[1]} == {
        pair for pair in expected if pair[0] < pair[1] and window.overlaps(*pair)
    }


def test_one_occurrence_carries_what_its_series_says() -> None:
    found = one(
        *SERIES[:2],
        "SUMMARY:S",
        "CLASS:PRIVATE",
        "X-MICROSOFT-CDO-BUSYSTATUS:OOF",
        "RRULE:FREQ=DAILY;COUNT=1",
    )
    assert (found.subject, found.sensitivity.value, found.show_as.value) == ("S", "private", "oof")
