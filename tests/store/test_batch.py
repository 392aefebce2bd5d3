"""Merging changes into groups keeps every order that matters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from presenced.store.batch import Change, Group, Row, merge

kinds = st.sampled_from([("INSERT",), ("DELETE", "INSERT"), ("UPDATE",)])


@st.composite
def numbered_changes(draw: st.DrawFn) -> list[Change]:
    """Changes whose rows say which change they belong to."""
    changes = []
    for number in range(draw(st.integers(0, 20))):
        statements = draw(kinds)
        concerns = draw(st.lists(st.sampled_from("abcd"), max_size=2, unique=True))
        rows: tuple[list[Row], ...] = tuple([(number, statement)] for statement in statements)
        changes.append(Change(statements, rows, tuple(concerns)))
    return changes


@given(numbered_changes())
def test_nothing_is_lost_and_order_is_kept(changes: list[Change]) -> None:
    groups = merge(changes)
    places = {member: place for place, group in enumerate(groups) for member in group.members}
    assert sorted(places) == list(range(len(changes)))
    for group in groups:
        for index, statement in enumerate(group.statements):
            assert group.rows[index] == [(member, statement) for member in group.members]
        assert all(changes[member].statements == group.statements for member in group.members)
    for later, change in enumerate(changes):
        for earlier, before in enumerate(changes[:later]):
            everybody = not change.concerns or not before.concerns
            if everybody or set(change.concerns) & set(before.concerns):
                assert places[earlier] < places[later]


def test_a_storm_of_one_kind_becomes_one_group() -> None:
    changes = [Change(("DELETE", "INSERT"), ([(n,)], [(n,), (n,)]), (str(n),)) for n in range(1000)]
    (group,) = merge(changes)
    assert [len(rows) for rows in group.rows] == [1000, 2000]


def test_mixed_calls_of_many_users_become_a_group_a_kind() -> None:
    changes = [
        Change((kind,), ([(user,)],), (str(user),)) for user in range(100) for kind in ("expect", "keep")
    ]
    assert [group.statements for group in merge(changes)] == [("expect",), ("keep",)]


def test_what_concerns_everybody_stands_alone() -> None:
    one, other, forget = (
        Change(("keep",), ([(1,)],), ("a",)),
        Change(("keep",), ([(2,)],), ("b",)),
        Change(("forget",), ([()],)),
    )
    assert merge([one, forget, other]) == [
        Group(("keep",), ([(1,)],), [0]),
        Group(("forget",), ([()],), [1]),
        Group(("keep",), ([(2,)],), [2]),
    ]
