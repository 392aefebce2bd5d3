"""Which appointment is current, until when, what comes next: presence.md sections 2 and 3 as tables."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.core.activity import Mapped
from presenced.core.appointment import Appointment, Response, Sensitivity, ShowAs
from presenced.core.decision import Rule, decide
from presenced.core.mapping import MappingTable
from tests.core.appointments import (
    WINDOW,
    admitted,
    all_day,
    at,
    calendars,
    mapping,
    tables,
    timed,
)

ELSEWHERE = ShowAs.WORKING_ELSEWHERE


@pytest.mark.parametrize(
    ("show_as", "key"),
    [
        (ShowAs.BUSY, "busy"),
        (ShowAs.TENTATIVE, "tentative"),
        (ShowAs.OOF, "out_of_office"),
        (ShowAs.WORKING_ELSEWHERE, "working_elsewhere"),
        (ShowAs.NO_DATA, "no_data"),
    ],
)
@pytest.mark.parametrize(
    ("mapped", "activity", "note"),
    [
        (Mapped.AVAILABLE, "", "A until 11:00 #free #len:1:1 #until:1794826800000"),
        (Mapped.BUSY, "busy", "A until 11:00 #busy #len:1:1 #until:1794826800000"),
        (Mapped.AWAY, "away", "A until 11:00 #away #len:1:1 #until:1794826800000"),
        (Mapped.DND, "dnd", "A until 11:00 #busy #len:1:1 #until:1794826800000"),
        (Mapped.IGNORE, "", "Free"),
    ],
)
def test_every_kind_takes_every_value(
    show_as: ShowAs, key: str, mapped: Mapped, activity: str, note: str
) -> None:
    appointments = admitted(timed("a", "10:00", "11:00", show_as=show_as))
    presence = decide(appointments, mapping(**{key: mapped}), at("10:30")).presence
    assert (presence.activity, presence.note) == (activity, note)


def test_defaults() -> None:
    table = MappingTable()
    assert [
        table.busy,
        table.tentative,
        table.tentative_exception,
        table.out_of_office,
        table.working_elsewhere,
        table.no_data,
    ] == ["busy", "ignore", "away", "away", "available", "ignore"]


@pytest.mark.parametrize(
    ("organizer", "note"),
    [
        ("personnel@example.com", "SICK until 17:00 #away #len:4:4 #until:1794848400000"),
        ("Personnel@EXAMPLE.com", "SICK until 17:00 #away #len:4:4 #until:1794848400000"),
        ("other@example.com", "Free"),
        ("", "Free"),
    ],
)
def test_tentative_exceptions_by_organizer(organizer: str, note: str) -> None:
    rules = mapping(tentative_exception_organizers=("PERSONNEL@example.com", "hr@example.com"))
    appointments = admitted(timed("sick", "08:00", "17:00", show_as=ShowAs.TENTATIVE, organizer=organizer))
    assert decide(appointments, rules, at("09:00")).presence.note == note


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"show_as": ShowAs.FREE}, "free"),
        ({"show_as": ShowAs.TENTATIVE}, "mapped-ignore"),
        ({"cancelled": True}, "cancelled"),
        ({"response": Response.DECLINED}, "declined"),
        ({"end": at("10:00")}, "empty"),
    ],
)
def test_what_never_counts(fields: dict[str, Any], why: str) -> None:
    changed = timed("a", "10:00", "11:00")._replace(**fields)
    decision = decide(admitted(changed), mapping(), at("10:00"))
    assert decision.presence.note == "Free"
    assert decision.until is None
    assert decision.because.rule == Rule.NONE
    assert decision.because.ignored == (("a", why),)
    assert decide(admitted(changed), mapping(), at("08:00")).presence.note == "Free"


CASES = [
    # (what is in the calendar, now, current, rule, until)
    ("the only one", [timed("a", "10:00", "11:00")], "10:00", "a", Rule.ONLY, at("11:00")),
    ("end is exclusive", [timed("a", "10:00", "11:00")], "11:00", None, Rule.NONE, None),
    (
        "a meeting inside a trip",
        [timed("trip", "08:00", "18:00"), timed("meeting", "10:00", "11:00")],
        "10:30", "meeting", Rule.LATEST_START, at("11:00"),
    ),
    (
        "the trip before the meeting ends where the meeting takes over",
        [timed("trip", "08:00", "18:00"), timed("meeting", "10:00", "11:00")],
        "09:00", "trip", Rule.ONLY, at("10:00"),
    ),
    (
        "the trip is back after the meeting",
        [timed("trip", "08:00", "18:00"), timed("meeting", "10:00", "11:00")],
        "11:00", "trip", Rule.ONLY, at("18:00"),
    ),
    (
        "timed before all-day at the same start",
        [all_day("day", 0, 1), timed("night", "00:00", "06:00")],
        "01:00", "night", Rule.TIMED_BEFORE_ALL_DAY, at("06:00"),
    ),
    (
        "the stronger presence at the same start",
        [timed("a", "10:00", "11:00"), timed("b", "10:00", "12:00", show_as=ShowAs.OOF)],
        "10:00", "b", Rule.STRONGER, at("12:00"),
    ),
    (
        "the earlier end at the same start",
        [timed("a", "10:00", "12:00"), timed("b", "10:00", "11:00")],
        "10:00", "b", Rule.EARLIER_END, at("11:00"),
    ),
    (
        "then the subject",
        [timed("b", "10:00", "11:00", subject="A"), timed("a", "10:00", "11:00", subject="B")],
        "10:00", "b", Rule.ORDER, at("11:00"),
    ),
    (
        "then the id",
        [timed("b", "10:00", "11:00", subject="A"), timed("a", "10:00", "11:00", subject="A")],
        "10:00", "a", Rule.ORDER, at("11:00"),
    ),
    (
        "a taken-over one with the same start does not shorten",
        [timed("a", "10:00", "12:00", show_as=ShowAs.OOF), timed("b", "10:00", "13:00")],
        "10:00", "a", Rule.STRONGER, at("12:00"),
    ),
    (
        "the seam of two adjoining ones",
        [timed("a", "10:00", "11:00"), timed("b", "11:00", "12:00")],
        "10:00", "a", Rule.ONLY, at("11:00"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "raw", "now", "current", "rule", "until"), CASES, ids=[case[0] for case in CASES]
)
def test_current_and_until(
    what: str, raw: list[Appointment], now: str, current: str | None, rule: Rule, until: datetime | None
) -> None:
    decision = decide(admitted(*raw), mapping(), at(now))
    assert (decision.because.current, decision.because.rule, decision.until) == (current, rule, until), what


def test_priority_beats_later_start_and_is_not_shortened() -> None:
    raw = [timed("v", "08:00", "18:00", subject="Vacation"), timed("m", "10:00", "11:00")]
    appointments = admitted(*raw, words=("vacation",))
    for now in ("09:00", "10:30", "11:30"):
        decision = decide(appointments, mapping(), at(now))
        assert (decision.because.current, decision.until) == ("v", at("18:00"))
    assert decide(appointments, mapping(), at("10:30")).because.rule == Rule.PRIORITY


def test_a_prioritized_one_takes_over_another_prioritized_one() -> None:
    raw = [
        timed("v", "08:00", "18:00", subject="Vacation"),
        timed("w", "10:00", "11:00", subject="vacation talk"),
    ]
    decision = decide(admitted(*raw, words=("vacation",)), mapping(), at("09:00"))
    assert (decision.because.current, decision.until) == ("v", at("10:00"))


def test_priority_of_a_private_title_counts_though_it_is_not_kept() -> None:
    raw = [
        timed("v", "08:00", "18:00", subject="Vacation", sensitivity=Sensitivity.PRIVATE),
        timed("m", "10:00", "11:00"),
    ]
    appointments = admitted(*raw, words=("Vacation",))
    assert [one.subject for one in appointments] == [None, "M"]
    assert decide(appointments, mapping(), at("10:30")).presence.note.startswith("Private until 18:00 #busy")


@pytest.mark.parametrize(
    ("raw", "now", "note"),
    [
        pytest.param(
            [
                timed("h", "09:00", "14:00", show_as=ELSEWHERE, subject="Homeoffice"),
                timed("m", "14:00", "15:00"),
            ],
            "09:00",
            "Homeoffice until 14:00 (Busy: M) #free #len:10:10 #until:1794837600000"
            " #next-activity:busy #next:30:1:30:1",
            id="the one that starts at its end",
        ),
        pytest.param(
            [
                timed("h", "09:00", "14:00", show_as=ELSEWHERE, subject="Homeoffice"),
                timed("m", "12:00", "13:00"),
            ],
            "09:00",
            "Homeoffice until 12:00 (Busy: M) #free #len:10:10 #until:1794830400000"
            " #next-activity:busy #next:30:1:30:1",
            id="the one that takes over",
        ),
        pytest.param(
            [timed("h", "09:00", "14:00", show_as=ELSEWHERE), timed("trip", "08:00", "18:00")],
            "09:30",
            "H until 14:00 #free #len:1:1 #until:1794837600000",
            id="not one that is merely back",
        ),
        pytest.param(
            [timed("h", "09:00", "14:00", show_as=ELSEWHERE), timed("m", "14:30", "15:00")],
            "09:30",
            "H until 14:00 #free #len:1:1 #until:1794837600000",
            id="not one that starts later",
        ),
        pytest.param(
            [timed("m", "09:00", "10:00"), timed("n", "10:00", "11:00")],
            "09:30",
            "M until 10:00 #busy #len:1:1 #until:1794823200000",
            id="nothing behind busy",
        ),
        pytest.param(
            [timed("m", "10:00", "11:00", show_as=ELSEWHERE)],
            "09:30",
            "Free until 10:00 (M) #free #until:1794823200000 #next-activity:free #next:18:1:18:1",
            id="no prefix before an available one",
        ),
        pytest.param(
            [timed("m", "10:00", "12:00"), timed("n", "10:00", "11:00", show_as=ShowAs.OOF)],
            "09:30",
            "Free until 10:00 (Away: N) #free #until:1794823200000 #next-activity:away #next:24:1:24:1",
            id="of several at the same start the one that will be current",
        ),
    ],
)
def test_what_comes_next(raw: list[Appointment], now: str, note: str) -> None:
    assert decide(admitted(*raw), mapping(), at(now)).presence.note == note


def test_whole_day_belongs_to_whoever_gives_the_date() -> None:
    taken_over = admitted(all_day("day", 0, 1), timed("m", "10:00", "11:00"))
    assert "#whole-day" not in decide(taken_over, mapping(), at("09:00")).presence.note
    assert decide(taken_over, mapping(), at("11:00")).presence.note == (
        "DAY until 17.11.2026 #busy #len:3:3 #until:1794873600000 #whole-day"
    )
    seam = admitted(timed("m", "22:00", "24:00"), all_day("day", 1, 1))
    assert decide(seam, mapping(), at("22:00")).presence.note == (
        "M until 17.11.2026 00:00 #busy #len:1:1 #until:1794873600000"
    )
    coming = admitted(all_day("day", 1, 1))
    assert decide(coming, mapping(), at("22:00")).presence.note == (
        "Free until 17.11.2026 (Busy: DAY) #free #until:1794873600000 #whole-day"
        " #next-activity:busy #next:29:3:29:3"
    )


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        ("Europe/Berlin", datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 10, 25, 4, tzinfo=UTC), datetime(2026, 10, 26, 4, tzinfo=UTC)),
        ("Asia/Tokyo", datetime(2026, 10, 24, 15, tzinfo=UTC), datetime(2026, 10, 25, 15, tzinfo=UTC)),
    ],
)
def test_all_day_covers_whole_local_days(zone: str, first: datetime, last: datetime) -> None:
    day = datetime(2026, 10, 25, tzinfo=UTC)
    raw = Appointment("day", day, day + timedelta(days=1), all_day=True, subject="Day")
    window = type(WINDOW)(day - timedelta(days=1), day + timedelta(days=2))
    (one,) = admitted(raw, timezone=zone, window=window)
    assert (one.start, one.end) == (first, last)
    note = decide([one], mapping(timezone=zone), first).presence.note
    assert note.startswith("Day until 26.10.2026 #busy")


@given(calendars, tables, st.integers(0, 48 * 60), st.randoms(use_true_random=False))
def test_the_order_of_the_input_never_matters(
    raw: list[Appointment], table: MappingTable, minute: int, rng: random.Random
) -> None:
    rules = mapping("en", "Europe/Berlin")
    rules = type(rules)(table, rules.style)
    now = WINDOW.start + timedelta(minutes=minute)
    ours = decide(admitted(*raw, timezone="Europe/Berlin"), rules, now)
    shuffled = list(admitted(*rng.sample(raw, len(raw)), timezone="Europe/Berlin"))
    rng.shuffle(shuffled)
    theirs = decide(shuffled, rules, now)
    assert (ours.presence, ours.until, ours.deadline) == (theirs.presence, theirs.until, theirs.deadline)
    assert ours.because.ignored == theirs.because.ignored
    assert ours.because.rule == theirs.because.rule


@settings(max_examples=60)
@given(calendars, tables)
def test_nothing_changes_between_deadlines(raw: list[Appointment], table: MappingTable) -> None:
    """Held against an oracle that decides every quarter of an hour."""
    rules = type(mapping())(table, mapping("en", "Europe/Berlin").style)
    appointments = admitted(*raw, timezone="Europe/Berlin")
    decision = decide(appointments, rules, WINDOW.start)
    for quarter in range(48 * 4):
        now = WINDOW.start + timedelta(minutes=15 * quarter)
        if now >= decision.deadline:
            decision = decide(appointments, rules, now)
        assert decide(appointments, rules, now).presence == decision.presence


@given(calendars, tables, st.integers(0, 48 * 4))
def test_until_is_when_another_becomes_current(
    raw: list[Appointment], table: MappingTable, quarter: int
) -> None:
    rules = type(mapping())(table, mapping().style)
    appointments = admitted(*raw)
    now = WINDOW.start + timedelta(minutes=15 * quarter)
    decision = decide(appointments, rules, now)
    if decision.until is None:
        return
    before = decide(appointments, rules, decision.until - timedelta(seconds=1))
    after = decide(appointments, rules, decision.until)
    assert before.because.current == decision.because.current
    assert after.because.current != decision.because.current
