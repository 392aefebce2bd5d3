"""The protocol after the login, in tables: replication, writes, deadlines (pbx-link.md sections 3 and 4)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.config.settings import PbxSettings, Secret
from presenced.core.presence import CLEARED, Presence
from presenced.core.replica import PassComplete, Replica, RowUnreadable, UserChanged, UserRemoved
from presenced.pbx.events import Close, Trouble, Written
from presenced.pbx.wire import WireError
from tests.pbx.desk import BOTH, END, NEXT, Desk, row, user

# --- replication ---------------------------------------------------------------------------------


def test_users_come_one_by_one() -> None:
    desk = Desk()
    desk.link()
    desk.news()
    assert desk.say("ReplicateStartResult", api="PbxTableUsers", src="users", columns={}) == [NEXT]
    assert desk.say("ReplicateNextResult", api="PbxTableUsers", columns=row("a")) == [NEXT]
    assert desk.say("ReplicateNextResult", columns=row("b", cn="Bea")) == [NEXT]
    assert desk.session.detail == "copying users: 2 so far"
    assert desk.hear(json.dumps(END)) == []
    assert desk.news() == [
        UserChanged(user("a")),
        UserChanged(user("b", "Bea")),
        PassComplete(frozenset({"a", "b"})),
    ]
    assert desk.session.detail == "users: 2"
    assert desk.due() is None


def test_never_two_requests_in_flight() -> None:
    desk = Desk()
    desk.link()
    assert desk.say("ReplicateNextResult", columns=row("early")) == []
    assert desk.say("ReplicateStartResult", columns={}) == [NEXT]
    assert desk.say("ReplicateStartResult", columns={}) == []
    assert desk.say("ReplicateAdd", columns=row("a")) == []
    assert desk.hear(json.dumps(END)) == []
    assert desk.say("ReplicateNextResult", columns=row("late")) == []
    assert desk.hear(json.dumps(END)) == []
    assert desk.counts["ignored_messages"] == 4
    assert [event for event in desk.news() if isinstance(event, PassComplete)] == [
        PassComplete(frozenset({"a"}))
    ]


def test_answers_are_routed_by_api_not_by_src() -> None:
    desk = Desk()
    desk.link()
    assert desk.say("ReplicateStartResult", api="PbxTableUsers", src="whatever", columns={}) == [NEXT]
    assert desk.say("ReplicateNextResult", api="PbxTableDevices", src="users", columns=row("d")) == []
    assert desk.say("ReplicateNextResult", api="PbxTableUsers", columns=row("a")) == [NEXT]


def test_changes_come_at_any_time() -> None:
    desk = Desk()
    desk.link()
    desk.news()
    desk.say("ReplicateStartResult", columns={})
    desk.say("ReplicateUpdate", columns=row("b", cn="new"))
    desk.say("ReplicateNextResult", columns=row("a"))
    desk.say("ReplicateDel", columns={"guid": "a"})
    desk.hear(json.dumps(END))
    desk.say("ReplicateUpdate", columns=row("b"))
    desk.say("ReplicateUpdate", columns=row("b"))
    desk.say("ReplicateDel", columns={"guid": "stranger"})
    desk.say("ReplicateDel", columns={"guid": "b"})
    assert desk.news() == [
        UserChanged(user("b", "new")),
        UserChanged(user("a")),
        UserRemoved("a"),
        PassComplete(frozenset({"b"})),
        UserChanged(user("b")),
        UserRemoved("b"),
    ]
    assert desk.session.detail == "users: 0"


def test_the_replica_outlives_the_connection() -> None:
    replica = Replica()
    Desk(replica=replica).complete(row("a"), row("b"), row("c"))
    desk = Desk(replica=replica)
    desk.link()
    desk.news()
    desk.say("ReplicateStartResult", columns={})
    desk.say("ReplicateNextResult", columns=row("a"))
    desk.say("ReplicateNextResult", columns=row("b", cn="Bea"))
    desk.hear(json.dumps(END))
    assert desk.news() == [
        UserChanged(user("b", "Bea")),
        UserRemoved("c"),
        PassComplete(frozenset({"a", "b"})),
    ]


def test_a_row_that_lies_is_named_and_breaks_no_other() -> None:
    desk = Desk()
    desk.link()
    desk.news()
    desk.say("ReplicateStartResult", columns={})
    assert desk.say("ReplicateNextResult", columns=row("a", emails="a@x.org")) == [NEXT]
    assert desk.say("ReplicateNextResult", columns=row("b")) == [NEXT]
    unreadable, changed = desk.news()
    assert unreadable == RowUnreadable("a", "row of user a: column emails is not a list")
    assert changed == UserChanged(user("b"))
    assert desk.counts["rows_unreadable"] == 1


def test_a_refused_replication_is_asked_for_again() -> None:
    desk = Desk()
    desk.link()
    desk.news()
    assert desk.say("ReplicateStartResult", error=5, errorText="no rights") == []
    (trouble,) = desk.news()
    assert isinstance(trouble, Trouble)
    assert "error 5: no rights" in desk.session.detail
    assert "TableUsers" in desk.session.detail
    assert desk.wait(59) == []
    (again,) = desk.wait(1)
    assert again["mt"] == "ReplicateStart"
    assert desk.say("ReplicateStartResult", columns={}) == [NEXT]


def test_an_error_does_not_end_the_table() -> None:
    desk = Desk()
    desk.complete(row("a"))
    again = Desk(replica=desk.replica)
    again.link()
    again.say("ReplicateStartResult", columns={})
    assert again.say("ReplicateNextResult", error=1) == []
    assert not any(isinstance(event, UserRemoved | PassComplete) for event in again.news())
    assert len(again.replica) == 1


@pytest.mark.parametrize(("started", "asked"), [(False, "ReplicateStart"), (True, "ReplicateNext")])
def test_a_pass_that_stalls_ends_the_connection(started: bool, asked: str) -> None:
    desk = Desk()
    desk.link()
    if started:
        desk.say("ReplicateStartResult", columns={})
    desk.news()
    assert desk.due() == 60
    desk.wait(60)
    (close,) = desk.news()
    assert isinstance(close, Close)
    assert asked in close.reason
    assert (desk.session.linked, desk.due()) == (False, None)


# --- writing -------------------------------------------------------------------------------------


BUSY = Presence("busy", "In Bäckerei")


def _write(desk: Desk, presence: Presence = BUSY) -> str:
    return desk.session.write("g1", presence, desk.now)


def test_a_presence_is_written() -> None:
    desk = Desk()
    desk.complete()
    src = _write(desk)
    assert desk.sent() == [
        {
            "api": "PbxApi",
            "mt": "SetPresence",
            "src": src,
            "guid": "g1",
            "contact": "calendar:",
            "activity": "busy",
            "note": "In Bäckerei",
        }
    ]
    desk.say("SetPresenceResult", api="PbxApi", src=src)
    assert desk.news() == [Written(src)]
    assert desk.due() is None


def test_only_the_contact_of_the_settings_is_written() -> None:
    config = PbxSettings(app_password=Secret("pwd"), master_pbx_name="master", contact="test:")
    desk = Desk(config)
    desk.complete()
    _write(desk, CLEARED)
    (sent,) = desk.sent()
    assert (sent["contact"], sent["activity"], sent["note"]) == ("test:", "", "")


def test_each_write_has_its_own_src_and_outcome() -> None:
    desk = Desk()
    desk.complete()
    first, second = _write(desk), _write(desk)
    assert first != second
    desk.say("SetPresenceResult", src=second, error=2, errorText="no such user")
    desk.say("SetPresenceResult", src=first, error=0)
    assert desk.news() == [
        Written(second, "the PBX refused the presence (error 2: no such user)"),
        Written(first),
    ]


def test_a_write_that_is_not_answered_times_out() -> None:
    desk = Desk()
    desk.complete()
    first = _write(desk)
    desk.wait(4)
    second = _write(desk)
    assert desk.due() == 6
    desk.wait(6)
    assert desk.news() == [Written(first, "the PBX did not answer SetPresence within 10 s")]
    assert desk.due() == 4
    desk.say("SetPresenceResult", src=first)
    desk.say("SetPresenceResult", src=second)
    assert desk.news() == [Written(second)]
    assert desk.counts["late_results"] == 1
    assert desk.counts["writes_timed_out"] == 1


@pytest.mark.parametrize("src", ["write-9", 7, None, ["x"], {"a": 1}])
def test_results_of_nothing_are_counted(src: object) -> None:
    desk = Desk()
    desk.complete()
    desk.say("SetPresenceResult", src=src)
    assert desk.news() == []
    assert desk.counts["late_results"] == 1


def test_a_note_the_pbx_does_not_take_leaves_nothing_behind() -> None:
    desk = Desk()
    desk.complete()
    with pytest.raises(WireError):
        _write(desk, Presence("busy", "x" * 70_000))
    assert desk.sent() == []
    assert desk.due() is None


# --- anything ------------------------------------------------------------------------------------

_TEXTS = st.text(max_size=30) | st.builds(
    lambda mt, fields: json.dumps({"mt": mt, **fields}),
    st.sampled_from(
        [
            "AppChallenge",
            "AppChallengeResult",
            "AppLoginResult",
            "AppInfo",
            "PbxInfo",
            "KeepAlive",
            "ReplicateStartResult",
            "ReplicateNextResult",
            "ReplicateAdd",
            "ReplicateDel",
            "SetPresenceResult",
            "Weather",
        ]
    ),
    st.dictionaries(
        st.sampled_from(["src", "api", "columns", "error", "ok", "pbx", "apis", "challenge"]),
        st.none()
        | st.text(max_size=4)
        | st.integers()
        | st.floats()
        | st.sampled_from([BOTH, "write-1", "PbxTableUsers", {"guid": "a"}, {"guid": "b", "h323": []}, {}]),
        max_size=4,
    ),
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["new", "dialled", "linked", "complete"]),
    st.lists(_TEXTS | st.binary(max_size=9), max_size=8),
)
def test_no_text_breaks_a_session(state: str, texts: list[str | bytes]) -> None:
    desk = Desk(dialled=state == "dialled")
    if state == "linked":
        desk.link()
    elif state == "complete":
        desk.complete(row("a"))
        _write(desk)
    known = {"a"} if state == "complete" else set[str]()
    asked = 0
    for text in texts:
        asked += sum(sent["mt"] == "ReplicateNext" for sent in desk.hear(text))
    for event in desk.news():
        match event:
            case UserChanged(changed):
                known.add(changed.guid)
            case UserRemoved(gone):
                known.remove(gone)
    assert len(desk.replica) == len(known)
    assert asked <= len(texts)
