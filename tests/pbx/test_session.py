"""The protocol of one connection, in tables: login, identity, replication, writes, deadlines."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.config.settings import PbxSettings, Secret
from presenced.core.ports import PbxIdentity
from presenced.core.presence import CLEARED, Presence
from presenced.core.replica import PassComplete, PbxUser, Replica, RowUnreadable, UserChanged, UserRemoved
from presenced.pbx.events import Close, Event, Identified, Linked, Trouble, Written
from presenced.pbx.session import Session
from presenced.pbx.wire import WireError

START = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
SETTINGS = PbxSettings(app_name="presenced", app_password=Secret("pwd"), master_pbx_name="master")
BOTH = ["PbxTableUsers", "PbxApi"]
NEXT = {"api": "PbxTableUsers", "mt": "ReplicateNext", "src": "users"}
END = {"mt": "ReplicateNextResult", "api": "PbxTableUsers"}


class Desk:
    """One session, the clock on its wall, and what came out of it so far."""

    def __init__(
        self, config: PbxSettings = SETTINGS, *, dialled: bool = False, replica: Replica | None = None
    ) -> None:
        self.now = START
        self.counts: Counter[str] = Counter()
        self.replica = Replica() if replica is None else replica
        self.session = Session(config, self.replica, self.counts, START, dialled=dialled)
        self.nonces: Iterator[str] = iter(f"{number:016x}" for number in range(1000))
        self.events: list[Event] = []

    def say(self, mt: str, **members: object) -> list[dict[str, object]]:
        return self.hear(json.dumps({"mt": mt, **members}))

    def hear(self, data: str | bytes) -> list[dict[str, object]]:
        self.session.receive(data, self.now, next(self.nonces))
        return self.sent()

    def wait(self, seconds: float) -> list[dict[str, object]]:
        self.now += timedelta(seconds=seconds)
        self.session.tick(self.now)
        return self.sent()

    def sent(self) -> list[dict[str, object]]:
        while (event := self.session.take_event()) is not None:
            self.events.append(event)
        texts: list[dict[str, object]] = []
        while (text := self.session.take_text()) is not None:
            texts.append(json.loads(text))
        return texts

    def news(self) -> list[Event]:
        """The events since the last look."""
        events, self.events = self.events, []
        return events

    def due(self) -> float | None:
        """Seconds until the deadline."""
        deadline = self.session.deadline
        return None if deadline is None else (deadline - self.now).total_seconds()

    def challenge(self) -> str:
        (answer,) = self.say("AppChallenge", pbx="ignored")
        challenge = answer["challenge"]
        assert isinstance(challenge, str)
        return challenge

    def login(self, password: str = "pwd", info: str = "", **members: object) -> list[dict[str, object]]:
        fields = {
            "app": "presenced",
            "domain": "ex.org",
            "sip": "presenced",
            "guid": "1",
            "dn": "P",
            **members,
        }
        parts = [*map(str, fields.values()), *([info] if info else []), self.challenge(), password]
        digest = hashlib.sha256(":".join(parts).encode()).hexdigest()
        body = json.dumps({"mt": "AppLogin", **fields, "digest": digest})
        return self.hear(f'{body[:-1]},"info":{info}}}' if info else body)

    def link(self, pbx: str = "master", apis: list[str] = BOTH) -> list[dict[str, object]]:
        self.login()
        return self.say("PbxInfo", pbx=pbx, domain="ex.org", pbxDns="m.ex.org", apis=apis, version="14r2")

    def complete(self, *rows: dict[str, object]) -> None:
        self.link()
        self.say("ReplicateStartResult", api="PbxTableUsers", columns={})
        for row in rows:
            self.say("ReplicateNextResult", api="PbxTableUsers", columns=row)
        self.hear(json.dumps(END))
        self.news()


def row(guid: str, **columns: object) -> dict[str, object]:
    return {"guid": guid, "h323": guid, **columns}


def user(guid: str, cn: str = "") -> PbxUser:
    return PbxUser(guid=guid, sip=guid, cn=cn, addresses=(f"{guid}@ex.org",))


# --- login ---------------------------------------------------------------------------------------


def test_the_challenge_is_the_nonce_and_never_longer_than_16() -> None:
    desk = Desk()
    desk.nonces = iter(["0123456789abcdefXYZ"])
    assert desk.say("AppChallenge", src="s") == [
        {"mt": "AppChallengeResult", "challenge": "0123456789abcdef", "src": "s"}
    ]


@pytest.mark.parametrize(
    "info",
    [
        pytest.param("", id="without info"),
        pytest.param("{}", id="empty info"),
        pytest.param('{"cn":"Änne \\"<M>\\" & Söhne","n":1.50}', id="signs, quotes, umlauts"),
        pytest.param('{"appobj":"Presenced","unlicensed":true}', id="the App object itself"),
    ],
)
def test_a_login_with_the_password_is_taken(info: str) -> None:
    desk = Desk()
    assert desk.login(info=info) == [{"mt": "AppLoginResult", "ok": True}]
    assert desk.news() == []
    assert desk.counts["logins"] == 1


def test_the_src_of_a_login_comes_back() -> None:
    desk = Desk()
    challenge = desk.challenge()
    digest = hashlib.sha256(f":::::{challenge}:pwd".encode()).hexdigest()
    assert desk.say("AppLogin", digest=digest, src=17) == [{"mt": "AppLoginResult", "ok": True, "src": 17}]


def _refused(desk: Desk, answers: list[dict[str, object]], words: str) -> None:
    assert answers == [{"mt": "AppLoginResult"}]
    (close,) = desk.news()
    assert isinstance(close, Close)
    assert words in close.reason
    assert desk.counts["logins_refused"] == 1
    assert desk.session.deadline is None
    assert desk.say("PbxInfo", pbx="master", apis=BOTH) == []
    assert desk.news() == []


def test_a_wrong_password_is_refused() -> None:
    desk = Desk()
    _refused(desk, desk.login("guess"), "its password is not app_password")


def test_info_that_was_not_signed_is_refused() -> None:
    desk = Desk()
    challenge = desk.challenge()
    digest = hashlib.sha256(f"presenced:::::{challenge}:pwd".encode()).hexdigest()
    _refused(desk, desk.say("AppLogin", app="presenced", digest=digest, info={}), "password")


@pytest.mark.parametrize("digest", ["", "ä", "0" * 64])
def test_any_other_digest_is_refused(digest: str) -> None:
    desk = Desk()
    desk.challenge()
    _refused(desk, desk.say("AppLogin", app="presenced", digest=digest), "password")


def test_a_login_without_a_challenge_is_refused() -> None:
    desk = Desk()
    digest = hashlib.sha256(b"::::::pwd").hexdigest()
    _refused(desk, desk.say("AppLogin", digest=digest), "no challenge")


def test_a_used_challenge_is_refused_even_with_the_right_digest() -> None:
    desk = Desk()
    challenge = desk.challenge()
    digest = hashlib.sha256(f"presenced:::::{challenge}:pwd".encode()).hexdigest()
    assert desk.say("AppLogin", app="presenced", digest=digest) == [{"mt": "AppLoginResult", "ok": True}]
    _refused(desk, desk.say("AppLogin", app="presenced", digest=digest), "used before")


def test_an_older_challenge_is_refused() -> None:
    desk = Desk()
    old = desk.challenge()
    desk.challenge()
    digest = hashlib.sha256(f"presenced:::::{old}:pwd".encode()).hexdigest()
    _refused(desk, desk.say("AppLogin", app="presenced", digest=digest), "password")


def test_without_a_password_set_nobody_gets_in() -> None:
    desk = Desk(PbxSettings(app_name="presenced", master_pbx_name="master"))
    _refused(desk, desk.login(""), "app_password is not set")


def test_a_persons_client_is_no_pbx() -> None:
    desk = Desk()
    answers = desk.login(info='{"appobj":"presenced","groups":[]}', sip="mallory")
    _refused(desk, answers, "login of 'mallory' refused: that is a person's client")


def test_no_secret_stands_in_an_event() -> None:
    desk = Desk()
    desk.login("guess")
    assert "pwd" not in repr(desk.events)


@pytest.mark.parametrize(
    "formula", ["{app}:{domain}::::{challenge}:{password}", "{app}:{domain}:{challenge}:{password}"]
)
@pytest.mark.parametrize(("password", "ok"), [("pwd", True), ("other", False)])
def test_the_managers_green_tick(formula: str, password: str, ok: bool) -> None:
    text = formula.format(app="presenced", domain="ex.org", challenge="c1", password=password)
    digest = hashlib.sha256(text.encode()).hexdigest()
    desk = Desk()
    answer = desk.say(
        "AppCheckLogin", app="presenced", domain="ex.org", challenge="c1", digest=digest, src="t"
    )
    assert answer == [{"mt": "AppCheckLoginResult", "ok": ok, "src": "t"}]
    assert desk.session.role == "login"


def test_guessing_by_checks_is_cut_off() -> None:
    desk = Desk()
    for _ in range(3):
        assert desk.news() == []
        desk.say("AppCheckLogin", app="a", domain="", challenge="c", digest="0")
    (close,) = desk.news()
    assert isinstance(close, Close)
    assert desk.counts["checks_failed"] == 3


def test_before_the_login_nothing_else_is_taken() -> None:
    desk = Desk()
    assert desk.say("PbxInfo", pbx="master", apis=BOTH) == []
    assert desk.say("ReplicateAdd", columns=row("a")) == []
    assert desk.say("SetPresenceResult", src="write-1") == []
    assert desk.news() == []
    assert desk.counts["ignored_messages"] == 3


def test_a_stranger_who_talks_nonsense_is_shown_out() -> None:
    desk = Desk()
    desk.hear("hello")
    trouble, close = desk.news()
    assert isinstance(trouble, Trouble)
    assert close == Close("a message can't be read: not JSON (or nested too deep)")


def test_a_stranger_may_send_little() -> None:
    desk = Desk()
    desk.say("Novel", text="x" * 65_536)
    assert isinstance(desk.news()[-1], Close)


def test_a_login_that_does_not_come_times_out() -> None:
    desk = Desk()
    assert desk.due() == 10
    desk.wait(9.9)
    assert desk.news() == []
    desk.wait(0.1)
    assert desk.news() == [Close("the peer did not log in within 10 s")]
    assert desk.due() is None


def test_a_pbx_that_does_not_say_its_name_times_out() -> None:
    desk = Desk()
    desk.wait(5)
    desk.login()
    assert desk.due() == 10
    desk.wait(10)
    assert desk.news() == [Close("the peer did not say which PBX it is (PbxInfo) within 10 s")]


# --- small talk ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        ({"mt": "KeepAlive"}, [{"mt": "KeepAlive"}]),
        ({"mt": "KeepAlive", "src": "k"}, [{"mt": "KeepAlive", "src": "k"}]),
        (
            {"mt": "AppInfo", "app": "presenced", "src": "i"},
            [
                {
                    "mt": "AppInfoResult",
                    "app": "presenced",
                    "info": {"hidden": True, "apis": {}},
                    "serviceInfo": {"apis": {}},
                    "src": "i",
                }
            ],
        ),
        ({"mt": "Weather", "sun": True}, []),
    ],
)
def test_small_talk(said: dict[str, object], answers: list[dict[str, object]]) -> None:
    desk = Desk()
    desk.complete()
    assert desk.hear(json.dumps(said)) == answers
    assert desk.news() == []


def test_unknown_messages_are_counted() -> None:
    desk = Desk()
    desk.say("Weather")
    desk.link()
    desk.say("ReplicateAdd", api="PbxTableDevices", columns={"guid": "d"})
    assert desk.counts["unknown_messages"] == 2


def test_a_master_that_talks_nonsense_stays() -> None:
    desk = Desk()
    desk.complete()
    desk.hear("{")
    assert desk.news() == [Trouble("a message can't be read: not JSON (or nested too deep)")]
    assert desk.session.linked


# --- who it is -----------------------------------------------------------------------------------

MASTER = PbxIdentity("master", "ex.org", "m.ex.org", "14r2", frozenset(BOTH))


def test_the_master_is_linked_and_asked_for_its_users() -> None:
    desk = Desk()
    (start,) = desk.link()
    assert start["mt"] == "ReplicateStart"
    assert desk.news() == [Identified(MASTER, master=True), Linked(MASTER)]
    assert (desk.session.role, desk.session.linked) == ("master", True)


def test_another_pbx_is_left_alone() -> None:
    desk = Desk()
    assert desk.link("branch") == []
    (identified,) = desk.news()
    assert isinstance(identified, Identified)
    assert not identified.master
    assert (desk.session.role, desk.session.linked, desk.due()) == ("other", False, None)
    assert desk.session.detail == "not the PBX named by master_pbx_name (master)"
    assert desk.say("ReplicateAdd", columns=row("a")) == []
    assert desk.say("KeepAlive") == [{"mt": "KeepAlive"}]
    assert desk.news() == []


@pytest.mark.parametrize(
    ("apis", "marks"),
    [(["PbxTableUsers"], "PBX"), (["PbxApi"], "TableUsers"), ([], "PBX and TableUsers")],
)
def test_a_missing_check_mark_is_named(apis: list[str], marks: str) -> None:
    desk = Desk()
    assert desk.link(apis=apis) == []
    assert (desk.session.role, desk.session.linked) == ("master", False)
    assert f"set the check mark {marks} in the App object presenced" in desk.session.detail
    _, trouble = desk.news()
    assert trouble == Trouble(desk.session.detail)
    assert desk.say("PbxInfo", pbx="master", domain="ex.org", apis=BOTH) != []
    assert desk.session.linked
    assert desk.session.detail == "asked for the users"


def test_a_second_pbx_info_changes_nothing_but_the_identity() -> None:
    desk = Desk()
    desk.complete()
    assert desk.say("PbxInfo", pbx="master", domain="ex.org", apis=BOTH, version="15r1") == []
    assert desk.news() == []
    assert desk.session.identity is not None
    assert desk.session.identity.version == "15r1"


def test_a_pbx_may_not_change_its_name() -> None:
    desk = Desk()
    desk.link("branch")
    desk.news()
    desk.say("PbxInfo", pbx="master", apis=BOTH)
    assert desk.news() == [Close("PBX branch changed its name to master")]


# --- replication ---------------------------------------------------------------------------------


def test_users_come_one_by_one() -> None:
    desk = Desk()
    desk.link()
    desk.news()
    assert desk.say("ReplicateStartResult", api="PbxTableUsers", src="users", columns={}) == [NEXT]
    assert desk.say("ReplicateNextResult", api="PbxTableUsers", columns=row("a")) == [NEXT]
    assert desk.say("ReplicateNextResult", columns=row("b", cn="Bea")) == [NEXT]
    assert desk.session.detail == "copying users, 2 so far"
    assert desk.hear(json.dumps(END)) == []
    assert desk.news() == [
        UserChanged(user("a")),
        UserChanged(user("b", "Bea")),
        PassComplete(frozenset({"a", "b"})),
    ]
    assert desk.session.detail == "2 users"
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
    assert desk.session.detail == "0 users"


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


# --- we dial -------------------------------------------------------------------------------------


def test_dialling_logs_in_with_empty_sip_and_copies_users() -> None:
    desk = Desk(dialled=True)
    assert desk.sent() == [{"mt": "AppChallenge"}]
    (login,) = desk.say("AppChallengeResult", challenge="0123456789abcdef")
    assert login == {
        "mt": "AppLogin",
        "app": "presenced",
        "domain": "",
        "sip": "",
        "guid": "",
        "dn": "",
        "digest": hashlib.sha256(b"presenced:::::0123456789abcdef:pwd").hexdigest(),
    }
    (start,) = desk.say("AppLoginResult", ok=True)
    assert start["mt"] == "ReplicateStart"
    assert desk.news() == [
        Identified(PbxIdentity("master", ""), master=True),
        Linked(PbxIdentity("master", "")),
    ]
    desk.say("ReplicateStartResult", columns={})
    desk.say("ReplicateNextResult", columns=row("a", emails=[{"email": "x"}, {"email": "a@x.org"}]))
    assert desk.news() == [UserChanged(PbxUser(guid="a", sip="a", addresses=("a@x.org",)))]


def test_a_refused_dial_says_what_to_check() -> None:
    desk = Desk(dialled=True)
    desk.say("AppChallengeResult", challenge="c")
    desk.say("AppLoginResult")
    assert desk.news() == [
        Close("the PBX refused the login of App object presenced: check app_name and app_password")
    ]


def test_a_dial_without_an_answer_times_out() -> None:
    desk = Desk(dialled=True)
    desk.wait(10)
    assert desk.news() == [Close("the peer did not log in within 10 s")]


@pytest.mark.parametrize("mt", ["AppChallenge", "AppLogin", "AppCheckLogin", "AppInfo", "PbxInfo"])
def test_who_is_dialled_does_not_log_in_to_us(mt: str) -> None:
    desk = Desk(dialled=True)
    desk.sent()
    assert desk.say(mt, pbx="master", apis=BOTH) == []
    assert desk.news() == []
    assert desk.counts["ignored_messages"] == 1


def test_a_second_login_result_is_ignored() -> None:
    desk = Desk(dialled=True)
    desk.say("AppChallengeResult", challenge="c")
    desk.say("AppLoginResult", ok=True)
    assert desk.say("AppLoginResult", ok=True) == []
    assert desk.say("AppChallengeResult", challenge="d") == []
    assert desk.counts["ignored_messages"] == 2


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
