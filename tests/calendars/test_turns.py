from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.calendars.turns import Turns

START = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def seconds(number: float) -> datetime:
    return START + timedelta(seconds=number)


@given(count=st.integers(1, 200))
@settings(max_examples=25)
def test_turns_lie_evenly_in_the_interval(count: int) -> None:
    turns = Turns(START)
    for number in range(count):
        turns.add(str(number), START)
    for name in turns.take(START, count):
        turns.plan_turn(name, START, MINUTE)
    due = sorted(turns.due_at(str(number)) or START for number in range(count))
    assert all(START < one <= START + MINUTE for one in due)
    gaps = [later - earlier for earlier, later in pairwise(due)]
    assert all(gap <= 2.7 * MINUTE / count for gap in gaps)


def test_a_turn_missed_is_left_out() -> None:
    turns = Turns(START)
    turns.add("ann", START)
    assert turns.take(START) == ["ann"]
    turns.plan_turn("ann", seconds(200), MINUTE)
    assert turns.due_at("ann") == seconds(240)


def test_whoever_is_being_asked_has_no_turn() -> None:
    turns = Turns(START)
    turns.add("ann", START)
    assert turns.take(START, 5) == ["ann"]
    assert turns.take(seconds(3600), 5) == []
    assert turns.next_due() is None


def test_the_longest_due_go_first() -> None:
    turns = Turns(START)
    for name, due in (("ann", 3), ("bob", 1), ("eve", 2), ("joe", 9)):
        turns.add(name, START)
        turns.plan(name, seconds(due))
    assert turns.take(seconds(5), 2) == ["bob", "eve"]
    assert turns.take(seconds(5), 2) == ["ann"]


def test_a_new_plan_replaces_the_old_one() -> None:
    turns = Turns(START)
    turns.add("ann", START)
    turns.plan("ann", seconds(60))
    turns.plan("ann", seconds(10))
    assert turns.next_due() == seconds(10)
    assert turns.take(seconds(100)) == ["ann"]
    assert turns.take(seconds(100)) == []


def test_a_removed_one_never_comes_and_a_plan_for_it_is_void() -> None:
    turns = Turns(START)
    turns.add("ann", START)
    turns.remove("ann")
    turns.plan("ann", START)
    turns.plan_turn("ann", START, MINUTE)
    assert (turns.take(seconds(100)), len(turns), "ann" in turns) == ([], 0, False)


def test_a_gathering_waits_for_company_but_not_for_ever() -> None:
    turns = Turns(START)
    second = timedelta(seconds=1)
    for name, due in (("ann", 0.0), ("bob", 0.4), ("eve", 0.6)):
        turns.add(name, START)
        turns.plan(name, seconds(due))
    assert turns.take(seconds(0.5), 3, gathered=second) == []
    assert turns.take(seconds(0.7), 3, gathered=second) == ["ann", "bob", "eve"]
    turns.plan("bob", seconds(2))
    assert turns.take(seconds(2.9), 3, gathered=second) == []
    assert turns.take(seconds(3), 3, gathered=second) == ["bob"]


def test_stale_plans_do_not_count_as_company() -> None:
    turns = Turns(START)
    turns.add("ann", START)
    for due in (1, 2, 3):
        turns.plan("ann", seconds(due))
    assert turns.take(seconds(3.5), 2, gathered=timedelta(seconds=1)) == []
