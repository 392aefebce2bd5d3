from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.calendars.ews.grouping import (
    GroupKey,
    Phase,
    Placement,
    ServerTraits,
    absorbable,
    anchor_of,
    group_key,
    place,
)
from presenced.core.ports import Mailbox

KEY = ("https://mail.example.com/EWS/Exchange.asmx", "site-1")
OTHER = (KEY[0], "site-2")


@dataclass(frozen=True)
class Standing:
    """A group that exists."""

    key: GroupKey
    size: int
    phase: Phase


def standing(size: int, phase: Phase = Phase.STREAMING, key: GroupKey = KEY) -> Standing:
    return Standing(key, size, phase)


def names(count: int, first: int = 0) -> list[str]:
    return [f"user{number:05}@example.com" for number in range(first, first + count)]


def test_url_and_grouping_information_make_the_key() -> None:
    assert group_key(Mailbox("a@example.com", *KEY)) == KEY
    assert group_key(Mailbox("a@example.com", KEY[0])) == (KEY[0], "")


@pytest.mark.parametrize(
    ("addresses", "avoided", "anchor"),
    [
        (["b@x", "a@x", "c@x"], [], "a@x"),
        (["b@x", "A@x"], [], "A@x"),
        (["b@x", "a@x"], ["a@x"], "b@x"),
        (["b@x", "a@x"], ["a@x", "b@x"], "a@x"),
    ],
)
def test_the_alphabetically_first_is_the_anchor(
    addresses: list[str], avoided: list[str], anchor: str
) -> None:
    assert anchor_of(addresses, avoided) == anchor


def test_a_cold_start_makes_full_groups() -> None:
    placements = place(KEY, names(450), [], 200)
    assert [len(one.addresses) for one in placements] == [200, 200, 50]
    assert all(one.into is None for one in placements)


def test_who_comes_while_a_group_is_starting_joins_it() -> None:
    groups = [standing(200, Phase.STARTING), standing(150, Phase.STARTING), standing(10)]
    placements = place(KEY, names(60), groups, 200)
    assert [(len(one.addresses), one.into) for one in placements] == [(50, 1), (10, 2)]


@pytest.mark.parametrize(
    ("newcomers", "groups", "into"),
    [
        pytest.param(1, [standing(200)], None, id="a full group stays"),
        pytest.param(1, [standing(100)], None, id="a big group is not reopened for one"),
        pytest.param(1, [standing(3)], 0, id="a small one is"),
        pytest.param(1, [standing(200), standing(10)], 1, id="the small one of two"),
        pytest.param(1, [standing(3, Phase.RESTING)], None, id="one that rests would make him wait"),
        pytest.param(1, [standing(3, key=OTHER)], None, id="another server's"),
        pytest.param(1, [standing(3, Phase.STARTING, OTHER)], None, id="another server's, starting"),
        pytest.param(11, [standing(3)], None, id="many make their own"),
    ],
)
def test_where_later_ones_go(newcomers: int, groups: list[Standing], into: int | None) -> None:
    assert place(KEY, names(newcomers), groups, 200) == [Placement(tuple(names(newcomers)), into)]


def test_nobody_is_placed_where_there_is_nobody() -> None:
    assert place(KEY, [], [standing(3)], 200) == []


STANDING = st.builds(
    Standing, st.sampled_from([KEY, OTHER]), st.integers(1, 12), st.sampled_from(list(Phase))
)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 40), st.lists(STANDING, max_size=6), st.integers(1, 12))
def test_everybody_is_placed_once_and_no_group_gets_too_big(
    newcomers: int, groups: list[Standing], limit: int
) -> None:
    placements = place(KEY, names(newcomers), groups, limit)
    assert sorted(address for one in placements for address in one.addresses) == names(newcomers)
    assert all(one.addresses for one in placements)
    existing = [one.into for one in placements if one.into is not None]
    assert len(existing) == len(set(existing))
    for one in placements:
        before = 0 if one.into is None else groups[one.into].size
        assert before + len(one.addresses) <= limit
        assert one.into is None or groups[one.into].key == KEY


@pytest.mark.parametrize(
    ("size", "others", "taken"),
    [
        (100, [standing(60), standing(30), standing(20)], [2, 1]),
        (100, [standing(101)], []),
        (190, [standing(5), standing(7)], [0]),
        (200, [standing(1)], []),
        (50, [standing(3, Phase.STARTING), standing(3, key=OTHER), standing(3, Phase.RESTING)], []),
    ],
)
def test_smaller_groups_join_one_that_reconnects(size: int, others: list[Standing], taken: list[int]) -> None:
    assert absorbable(standing(size), others, 200) == taken


def test_a_group_does_not_absorb_itself() -> None:
    group = standing(5)
    assert absorbable(group, [group], 200) == []


def test_a_server_that_carries_one_is_found_by_halving() -> None:
    traits, tried = ServerTraits(200), []
    while traits.limit > 1:
        tried.append(traits.halve(traits.limit))
    assert tried == [100, 50, 25, 13, 7, 4, 2, 1]
    assert traits.halve(1) == 1


def test_halving_never_goes_below_what_was_carried_or_above_the_limit() -> None:
    traits = ServerTraits(200, carried=80)
    assert traits.halve(100) == 80
    traits = ServerTraits(25)
    assert traits.halve(200) == 25


def test_silence_without_any_keep_alive_earns_more_patience_up_to_a_limit() -> None:
    traits = ServerTraits(200)
    waits = []
    for _ in range(4):
        traits.stalled(None)
        waits.append(traits.patience)
    assert waits == [timedelta(minutes=3), *[timedelta(minutes=6)] * 3]
    traits.heard(timedelta(seconds=45))
    assert traits.patience == timedelta(seconds=90)
    traits.stalled(timedelta(seconds=45))
    traits.heard(None)
    assert traits.patience == timedelta(seconds=90)
