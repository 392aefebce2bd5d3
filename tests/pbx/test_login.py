"""Who may come in and who it is: login, password checks, PbxInfo, small talk (pbx-link.md section 2)."""

from __future__ import annotations

import hashlib
import json

import pytest

from presenced.config.settings import PbxSettings
from presenced.core.ports import PbxIdentity
from presenced.core.replica import PbxUser, UserChanged
from presenced.pbx.events import Close, Identified, Linked, Trouble
from tests.pbx.desk import BOTH, Desk, row

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
    assert desk.news() == [Close("a message can't be read: not JSON (or nested too deep)")]


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
