"""What is told when: tables of looks, and properties that hold for any sequence of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.daemon.alerts.cases import MOST_CASES, Case, Cause, Kind, Look, Notice, weigh

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
AFTER = timedelta(minutes=10)
DOWN = Cause("pbx", "the PBX is gone", "it left", "bring it back")


def cause(key: str, stage: int = 0, *, patient: bool = True) -> Cause:
    return Cause(key, f"{key} at {stage}", "because", "do something", stage=stage, patient=patient)


class Desk:
    """Looks one after the other."""

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self.now = NOON
        self.last: datetime | None = None
        self.deadline: datetime | None = None

    def look(self, *causes: Cause, hidden: Iterable[str] = (), minutes: float = 1) -> list[Notice]:
        """Look now, then let some minutes pass."""
        weighed = weigh(self.cases, Look(causes, tuple(hidden)), self.now, last_look=self.last, after=AFTER)
        self.cases, self.last, self.deadline = dict(weighed.cases), self.now, weighed.deadline
        self.now += timedelta(minutes=minutes)
        return list(weighed.notices)

    def restart(self) -> None:
        self.last = None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("DDDDDDDDDD", ""),
        ("DDDDDDDDDDD", "begun@10"),
        ("DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD", "begun@10"),
        ("DDDDDDDDDDDUUUUUUUUUU", "begun@10"),
        ("DDDDDDDDDDDUUUUUUUUUUU", "begun@10 over@21"),
        ("DDDDDDDDDDDUUUUUUUUUUUUUUUUUUUUUUUUUUUUUU", "begun@10 over@21"),
        ("DUDUDUDUDUDUDUDUDUDUDUDUDU", "begun@20"),
        ("DUUUUUUUUUUUDUUUUUUUUUUUDUUUUUUUUUUUD", ""),
        ("DDDDDUUUUUDDDDDDDDDDD", "begun@15"),
        ("DDDDDDDDDDDUUUUUDUUUUUUUUUUU", "begun@10 over@27"),
        ("UUUUUUUUUUUU", ""),
    ],
)
def test_a_notice_when_it_lasts_and_one_when_it_is_over(line: str, told: str) -> None:
    desk, heard = Desk(), []
    for minute, state in enumerate(line):
        heard += [f"{each.kind}@{minute}" for each in desk.look(*[DOWN] * (state == "D"))]
    assert " ".join(heard) == told


def test_flapping_is_said_and_the_over_answers_the_first() -> None:
    desk, notices = Desk(), []
    for state in "DDDDDDUDDDDDDDD" + "U" * 11:
        notices += desk.look(*[DOWN] * (state == "D"))
    begun, over = notices
    assert (begun.flapped, begun.since, begun.case) == (True, NOON, begun.id)
    assert (over.kind, over.case) == (Kind.OVER, begun.id)
    assert over.id != begun.id
    assert over.until == NOON + timedelta(minutes=15)


def test_stages_are_told_at_once_and_only_when_worse() -> None:
    desk, heard = Desk(), []
    for stage in (0, 0, 1, 1, 2, 2, 0, 0, 1, None, None):
        looked = () if stage is None else (cause("certificate", stage, patient=False),)
        heard.append([f"{each.kind} {each.cause.stage}" for each in desk.look(*looked, minutes=600)])
    assert heard == [["begun 0"], [], ["worse 1"], [], ["worse 2"], [], [], [], ["worse 1"], ["over 1"], []]


def test_ids_are_unique_and_stable() -> None:
    desk = Desk()
    notices = [desk.look(cause("a", stage, patient=False))[0] for stage in range(3)] + desk.look()
    assert len({notice.id for notice in notices}) == 4
    assert {notice.case for notice in notices} == {notices[0].id}
    assert Desk().look(cause("a", patient=False))[0].id == notices[0].id


def test_what_can_not_be_seen_is_neither_there_nor_over() -> None:
    desk = Desk()
    blocked = cause("mailboxes:1")
    begun = [desk.look(blocked) for _ in range(11)][-1]
    assert [each.kind for each in begun] == [Kind.BEGUN]
    assert not any(desk.look(hidden=["mailboxes:"]) for _ in range(60))
    assert desk.look(blocked) == []
    assert [each.kind for each in [desk.look() for _ in range(11)][-1]] == [Kind.OVER]


def test_a_restart_counts_neither_way() -> None:
    desk = Desk()
    for _ in range(6):
        assert desk.look(DOWN) == []
    desk.restart()
    desk.now += timedelta(hours=8)
    assert [bool(desk.look(DOWN)) for _ in range(6)] == [False] * 5 + [True]
    desk.restart()
    assert desk.look(DOWN) == []
    assert [each.kind for _ in range(12) for each in desk.look()] == [Kind.OVER]


def test_the_deadline_is_when_the_next_notice_is_due() -> None:
    desk = Desk()
    desk.look(DOWN, minutes=4)
    assert desk.deadline == NOON + AFTER
    desk.look(minutes=1)
    assert desk.deadline == NOON + timedelta(minutes=14)
    desk.look(DOWN, minutes=6)
    assert desk.deadline == NOON + timedelta(minutes=5 + 10 - 4)
    assert desk.look(DOWN)
    assert desk.deadline is None


def test_a_clock_set_back_does_no_harm() -> None:
    desk = Desk()
    desk.look(DOWN, minutes=-30)
    assert desk.look(DOWN, minutes=5) == []
    assert desk.cases["pbx"].lasted == timedelta()


def test_there_is_a_limit_to_what_is_told() -> None:
    desk = Desk()
    assert len(desk.look(*[cause(f"mailboxes:{n}", patient=False) for n in range(200)])) == MOST_CASES
    assert len(desk.cases) == MOST_CASES


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.integers(0, 15)), max_size=40))
def test_begun_and_over_take_turns(looks: list[tuple[set[str], int]]) -> None:
    desk, told = Desk(), dict.fromkeys("abc", "")
    for keys, minutes in looks:
        for notice in desk.look(*[cause(key) for key in sorted(keys)], minutes=minutes):
            told[notice.cause.key] += notice.kind[0]
            assert (notice.kind is Kind.OVER) == (notice.cause.key not in keys)
            assert notice.at - notice.since >= AFTER
    for line in told.values():
        assert line == ("bo" * len(line))[: len(line)]
    if desk.deadline is not None:
        assert desk.last is not None
        assert desk.deadline > desk.last


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_told_only_after_so_much_trouble(minutes: list[bool]) -> None:
    desk = Desk()
    for place, down in enumerate(minutes):
        notices = desk.look(*[DOWN] * down)
        if any(notice.kind is Kind.BEGUN for notice in notices):
            assert sum(minutes[:place]) >= 10
