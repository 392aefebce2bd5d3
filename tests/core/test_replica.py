"""Rows of the PBX's user table as users, and the replica through full passes (pbx-link.md section 3)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.core.replica import (
    Change,
    PassComplete,
    PbxUser,
    Replica,
    RowProblem,
    RowUnreadable,
    UserChanged,
    UserRemoved,
    read_row,
)

RECORDED = {
    "apps-my": "users",
    "cn": "Charlotte Maihoff",
    "config": "Config User",
    "dn": "Maihoff, Charlotte",
    "e164": "403",
    "fax": False,
    "grps": [{"name": "Support"}],
    "guid": "66eaaee678464cffb9a3c8ae259fedd2",
    "h323": "charlottemaihoff",
    "hide": False,
    "loc": "pbx-main",
    "node": "master",
}


def row(guid: str, **columns: object) -> dict[str, object]:
    return {"guid": guid, "h323": guid, **columns}


def user(guid: str, *addresses: str, cn: str = "") -> PbxUser:
    return PbxUser(guid=guid, sip=guid, cn=cn, addresses=addresses)


def test_a_recorded_row_is_read() -> None:
    assert read_row(RECORDED, "example.com") == PbxUser(
        guid="66eaaee678464cffb9a3c8ae259fedd2",
        sip="charlottemaihoff",
        cn="Charlotte Maihoff",
        dn="Maihoff, Charlotte",
        node="master",
        loc="pbx-main",
        addresses=("charlottemaihoff@example.com",),
    )


@pytest.mark.parametrize(
    ("columns", "domain", "addresses"),
    [
        pytest.param({}, "ex.org", ("ada@ex.org",), id="no emails"),
        pytest.param({"emails": None, "h323-email": None}, "ex.org", ("ada@ex.org",), id="null is empty"),
        pytest.param({"emails": []}, "ex.org", ("ada@ex.org",), id="an empty list"),
        pytest.param({"emails": [{}]}, "ex.org", ("ada@ex.org",), id="an entry without email"),
        pytest.param({"emails": [{"email": "a@x.org"}]}, "ex.org", ("a@x.org", "ada@ex.org"), id="one"),
        pytest.param(
            {"emails": [{"email": "b@x.org"}, {"email": "a@x.org"}]},
            "ex.org",
            ("b@x.org", "a@x.org", "ada@ex.org"),
            id="in their order",
        ),
        pytest.param(
            {"emails": [{"email": " b@x.org ;; a@x.org;c"}]},
            "ex.org",
            ("b@x.org", "a@x.org", "c@ex.org", "ada@ex.org"),
            id="a list in one entry",
        ),
        pytest.param(
            {"emails": [{"email": "lovelace"}]}, "ex.org", ("lovelace@ex.org", "ada@ex.org"), id="no @"
        ),
        pytest.param({"h323-email": True}, "ex.org", ("ada@ex.org",), id="the name is an address"),
        pytest.param(
            {"h323": "ada@else.org", "h323-email": True}, "ex.org", ("ada@else.org",), id="a name with @"
        ),
        pytest.param({"h323": "ada@else.org"}, "ex.org", (), id="a name with @ that is no address"),
        pytest.param(
            {"emails": [{"email": "ADA@EX.org"}, {"email": "Ada@ex.ORG"}]},
            "ex.org",
            ("ADA@EX.org",),
            id="the first spelling stays",
        ),
        pytest.param({"h323": ""}, "ex.org", (), id="no name"),
        pytest.param({"emails": [{"email": "lovelace;a@x.org"}]}, "", ("a@x.org",), id="domain unknown"),
    ],
)
def test_candidate_addresses(columns: dict[str, object], domain: str, addresses: tuple[str, ...]) -> None:
    assert read_row({"guid": "1", "h323": "ada", **columns}, domain).addresses == addresses


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, "without guid.*guid is missing"),
        ({"guid": 7}, "without guid.*guid is missing or not text"),
        ({"guid": ""}, "without guid"),
        ({"guid": "g1", "h323": 5}, "g1.*h323 is not text"),
        ({"guid": "g1", "cn": ["x"]}, "g1.*cn is not text"),
        ({"guid": "g1", "emails": "a@x.org"}, "g1.*emails is not a list"),
        ({"guid": "g1", "emails": ["a@x.org"]}, "g1.*entry of column emails"),
        ({"guid": "g1", "emails": [{"email": 1}]}, "g1.*email is not text"),
        ({"guid": "g1", "h323-email": "yes"}, "g1.*h323-email is neither true nor false"),
    ],
)
def test_a_wrong_row_names_user_and_column(columns: dict[str, object], words: str) -> None:
    with pytest.raises(RowProblem, match=words):
        read_row(columns, "ex.org")


def _whole_pass(replica: Replica, *rows: dict[str, object]) -> list[Change]:
    replica.begin("ex.org")
    changes = [replica.bring(columns) for columns in rows]
    return [change for change in changes if change is not None] + replica.complete()


def test_a_first_pass_brings_everybody() -> None:
    replica = Replica()
    assert _whole_pass(replica, row("a"), row("b")) == [
        UserChanged(user("a", "a@ex.org")),
        UserChanged(user("b", "b@ex.org")),
        PassComplete(frozenset({"a", "b"})),
    ]
    assert len(replica) == 2


def test_a_second_pass_tells_only_differences() -> None:
    replica = Replica()
    _whole_pass(replica, row("a"), row("b", cn="Bea"), row("c"))
    assert _whole_pass(replica, row("a"), row("b", cn="Bea M"), row("d")) == [
        UserChanged(user("b", "b@ex.org", cn="Bea M")),
        UserChanged(user("d", "d@ex.org")),
        UserRemoved("c"),
        PassComplete(frozenset({"a", "b", "d"})),
    ]


def test_an_empty_pass_empties_the_replica() -> None:
    replica = Replica()
    _whole_pass(replica, row("a"))
    assert _whole_pass(replica) == [UserRemoved("a"), PassComplete(frozenset())]


def test_another_domain_changes_addresses() -> None:
    replica = Replica()
    _whole_pass(replica, row("a"))
    replica.begin("other.org")
    assert replica.bring(row("a")) == UserChanged(user("a", "a@other.org"))


def test_an_update_carries_the_whole_row() -> None:
    replica = Replica()
    _whole_pass(replica, row("a", cn="Ada", emails=[{"email": "ada@x.org"}]))
    assert replica.bring(row("a")) == UserChanged(user("a", "a@ex.org"))


def test_an_update_of_an_unknown_user_adds_him() -> None:
    replica = Replica()
    _whole_pass(replica)
    assert replica.bring(row("a")) == UserChanged(user("a", "a@ex.org"))


def test_a_deletion_needs_the_guid_alone() -> None:
    replica = Replica()
    _whole_pass(replica, row("a"))
    assert replica.remove({"guid": "a"}) == UserRemoved("a")
    assert replica.remove({"guid": "a"}) is None
    assert isinstance(replica.remove({"h323": "a"}), RowUnreadable)


def test_changes_during_the_pass_count() -> None:
    replica = Replica()
    _whole_pass(replica, row("old"), row("deleted"), row("back"))
    replica.begin("ex.org")
    assert replica.bring(row("added")) == UserChanged(user("added", "added@ex.org"))
    assert replica.remove({"guid": "deleted"}) == UserRemoved("deleted")
    assert replica.remove({"guid": "back"}) == UserRemoved("back")
    assert replica.bring(row("back")) == UserChanged(user("back", "back@ex.org"))
    assert replica.bring(row("old")) is None
    assert replica.complete() == [PassComplete(frozenset({"added", "old", "back"}))]


def test_a_user_brought_and_then_deleted_is_gone_once() -> None:
    replica = Replica()
    replica.begin("ex.org")
    replica.bring(row("a"))
    assert replica.remove({"guid": "a"}) == UserRemoved("a")
    assert replica.complete() == [PassComplete(frozenset())]


def test_an_unfinished_pass_removes_nobody() -> None:
    replica = Replica()
    _whole_pass(replica, row("a"), row("b"))
    replica.begin("ex.org")
    replica.bring(row("c"))
    assert _whole_pass(replica, row("a"), row("b")) == [UserRemoved("c"), PassComplete(frozenset({"a", "b"}))]


def test_completing_without_a_pass_removes_nobody() -> None:
    replica = Replica()
    _whole_pass(replica, row("a"))
    assert replica.complete() == []
    assert len(replica) == 1


def test_an_unreadable_row_leaves_the_user_as_he_was() -> None:
    replica = Replica()
    _whole_pass(replica, row("a", cn="Ada"), row("b"))
    changes = _whole_pass(replica, row("a", cn=1), row("b"))
    assert changes == [
        RowUnreadable("a", "row of user a: column cn is not text"),
        PassComplete(frozenset({"a", "b"})),
    ]
    assert replica.bring(row("a", cn="Ada")) is None


def test_a_row_without_guid_breaks_no_other() -> None:
    changes = _whole_pass(Replica(), {"h323": "x"}, row("b"))
    assert changes == [
        RowUnreadable("", "row of user (without guid): column guid is missing or not text"),
        UserChanged(user("b", "b@ex.org")),
        PassComplete(frozenset({"b"})),
    ]


_GUIDS = st.sampled_from("abcd")
_STEPS = st.lists(st.tuples(st.sampled_from(["bring", "remove", "begin", "complete"]), _GUIDS), max_size=30)


@settings(max_examples=60)
@given(_STEPS)
def test_who_follows_the_changes_knows_the_replica(steps: list[tuple[str, str]]) -> None:
    replica, known = Replica(), set[str]()
    for number, (step, guid) in enumerate(steps):
        match step:
            case "begin":
                replica.begin("ex.org")
                continue
            case "bring":
                changes = [replica.bring(row(guid, cn=str(number % 2)))]
            case "remove":
                changes = [replica.remove({"guid": guid})]
            case _:
                changes = list(replica.complete())
        for change in changes:
            match change:
                case UserChanged(changed):
                    known.add(changed.guid)
                case UserRemoved(gone):
                    known.remove(gone)
                case PassComplete(guids):
                    assert known == guids
        assert len(replica) == len(known)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_COLUMNS = st.dictionaries(
    st.sampled_from(["guid", "h323", "cn", "emails", "h323-email", "loc"]) | st.text(max_size=4),
    _JSON | st.lists(st.fixed_dictionaries({"email": st.text(max_size=12)}), max_size=3),
    max_size=6,
)


@settings(max_examples=150)
@given(_COLUMNS, st.sampled_from(["", "ex.org"]))
def test_any_columns_are_a_user_or_a_problem(columns: dict[str, object], domain: str) -> None:
    try:
        found = read_row(columns, domain)
    except RowProblem:
        return
    assert found.guid
    assert all("@" in address for address in found.addresses)
    assert len({address.casefold() for address in found.addresses}) == len(found.addresses)
