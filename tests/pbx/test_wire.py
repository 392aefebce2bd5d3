"""The texts of the PBX link: digests, reading whatever comes, writing within the limits."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.pbx import messages as m
from presenced.pbx import wire
from presenced.pbx.wire import WireError

CHALLENGE = "0123456789abcdef"


def _login(text: str) -> m.AppLogin:
    message = wire.read(text)
    assert isinstance(message, m.AppLogin)
    return message


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ("", "a205299ed2ef2786c311e0be1b14db343f2cadd906a6ae7b564eee34bda5e9a1"),
        (
            ',"info":{ "cn" : "Test User" }',
            "96db3c3f657230c2b68194becc6d2a77f05de9f79f01fc81e9ca0fb196b10d9d",
        ),
        (',"info":{}', "57b23fe824b9222a7ac879597cb509bcdc865a1bfeb057d9d12118cef0c3ba34"),
    ],
)
def test_the_vendors_vectors(members: str, expected: str) -> None:
    login = _login('{"mt":"AppLogin","app":"pbxadminapi"' + members + "}")
    assert wire.digest(login, CHALLENGE, "pwd") == expected


@pytest.mark.parametrize(
    ("received", "digested"),
    [
        pytest.param(r"{ }", "{}", id="empty"),
        pytest.param(
            r'{"b": 1, "a": [ 1, true, null ]}', '{"b":1,"a":[1,true,null]}', id="order, white space"
        ),
        pytest.param(
            r'{"cn":"\u00c4nne \u003cM\u0026S\u003e"}', '{"cn":"Änne <M&S>"}', id="needless escapes"
        ),
        pytest.param(r'{"u":"https:\/\/h\/x"}', '{"u":"https://h/x"}', id="slashes"),
        pytest.param(r'{"q":"a\"b\\c\n\u0001"}', '{"q":"a\\"b\\\\c\\n\\u0001"}', id="needed escapes"),
        pytest.param(r'{"e":"\ud83d\ude00"}', '{"e":"😀"}', id="a surrogate pair"),
        pytest.param(r'{"n":[1e2,1.50,-0.0,12]}', '{"n":[1e2,1.50,-0.0,12]}', id="numbers as written"),
        pytest.param("[]", "[]", id="not an object"),
        pytest.param("null", "null", id="null is a member too"),
    ],
)
def test_info_as_the_digest_wants_it(received: str, digested: str) -> None:
    assert _login('{"mt":"AppLogin","app":"a","info":' + received + "}").info == digested


def test_missing_texts_count_as_empty() -> None:
    login = _login('{"mt":"AppLogin","app":"a","sip":null}')
    assert (login.domain, login.sip, login.guid, login.dn, login.info) == ("", "", "", "", None)


def test_the_object_of_a_login() -> None:
    assert _login('{"mt":"AppLogin","app":"a","info":{"appobj":"cal"}}').app_object == "cal"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"mt":"AppChallenge","more":[1]}', m.AppChallenge()),
        ('{"mt":"AppChallenge","src":"7"}', m.AppChallenge("7")),
        ('{"mt":"AppChallengeResult","challenge":"c"}', m.AppChallengeResult("c")),
        ('{"mt":"AppLoginResult","ok":true}', m.AppLoginResult(ok=True)),
        ('{"mt":"AppLoginResult"}', m.AppLoginResult(ok=False)),
        ('{"mt":"AppLoginResult","ok":1}', m.AppLoginResult(ok=False)),
        (
            '{"mt":"AppCheckLogin","src":{"n":1},"app":"a","domain":"d","challenge":"c","digest":"x"}',
            m.AppCheckLogin("a", "d", "c", "x", {"n": 1}),
        ),
        ('{"mt":"AppInfo","app":"a","src":3}', m.AppInfo("a", 3)),
        ('{"mt":"KeepAlive"}', m.KeepAlive()),
        (
            (
                '{"mt":"PbxInfo","domain":"ex.org","pbx":"master","pbxDns":"p.ex.org",'
                '"apis":["PbxApi","PbxTableUsers"],"version":"14r2","build":1234}'
            ),
            m.PbxInfo("master", "ex.org", "p.ex.org", frozenset({"PbxApi", "PbxTableUsers"}), "14r2", "1234"),
        ),
        ('{"mt":"PbxInfo","pbx":"master"}', m.PbxInfo("master")),
        ('{"mt":"ReplicateStartResult","api":"PbxTableUsers","columns":{}}', m.ReplicateStartResult()),
        (
            '{"mt":"ReplicateStartResult","api":"PbxTableUsers","error":5,"errorText":"no rights"}',
            m.ReplicateStartResult("error 5: no rights"),
        ),
        ('{"mt":"ReplicateNextResult","columns":{"guid":"1"}}', m.ReplicateNextResult({"guid": "1"})),
        ('{"mt":"ReplicateNextResult","api":"PbxTableUsers"}', m.ReplicateNextResult(None)),
        ('{"mt":"ReplicateAdd","columns":{}}', m.ReplicateAdd({})),
        ('{"mt":"ReplicateUpdate","columns":{"a":[]}}', m.ReplicateUpdate({"a": []})),
        ('{"mt":"ReplicateDel","columns":{"guid":"1"}}', m.ReplicateDel({"guid": "1"})),
        ('{"mt":"SetPresenceResult","api":"PbxApi","src":"w1"}', m.SetPresenceResult("w1")),
        ('{"mt":"SetPresenceResult","src":"w1","error":0}', m.SetPresenceResult("w1")),
        ('{"mt":"SetPresenceResult","src":"w1","error":3}', m.SetPresenceResult("w1", "error 3")),
        (
            '{"mt":"SetPresenceResult","src":"w1","error":{},"errorText":"?"}',
            m.SetPresenceResult("w1", "error of an unknown kind: ?"),
        ),
        ('{"mt":"Weather"}', m.Unknown("Weather")),
        (
            '{"mt":"ReplicateAdd","api":"PbxTableDevices","columns":{}}',
            m.Unknown("ReplicateAdd", "PbxTableDevices"),
        ),
        ('{"mt":"PbxInfo","api":"x","apis":1}', m.Unknown("PbxInfo", "x")),
        ('{"mt":"SetPresenceResult","api":7}', m.Unknown("SetPresenceResult")),
    ],
)
def test_messages_are_read(text: str, message: m.Incoming) -> None:
    assert wire.read(text) == message
    assert wire.read(text.encode()) == message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "mt is missing"),
        ('{"mt":7}', "mt is missing or not text"),
        ('{"mt":"KeepAlive","src":NaN}', "not JSON"),
        ('{"mt":"KeepAlive","src":1e999}', "KeepAlive: member src can't be sent back"),
        ('{"mt":"KeepAlive","src":"' + "x" * 2000 + '"}', "KeepAlive: member src has more than 1024"),
        ('{"mt":"KeepAlive","src":[' + "1," * 2000 + "1]}", "KeepAlive: member src has more than 1024"),
        ('{"mt":"KeepAlive","src":' + "9" * 5000 + "}", "not JSON"),
        (r'{"mt":"KeepAlive","src":"\ud800"}', "surrogate"),
        ('{"mt":"KeepAlive","src":"\ud800"}', "not UTF-8"),
        (b'{"mt":"\xff"}', "not UTF-8"),
        ('{"mt":"AppLogin","app":["a"]}', "AppLogin: member app is not text"),
        ('{"mt":"AppLogin","info":{"appobj":1}}', "AppLogin: member appobj is not text"),
        (
            '{"mt":"AppLogin","info":' + "[" * 900 + "]" * 900 + "}",
            "AppLogin: member info is nested too deep",
        ),
        ('{"mt":"PbxInfo","apis":["PbxApi",7]}', "PbxInfo: member apis is not a list of names"),
        ('{"mt":"ReplicateAdd"}', "ReplicateAdd: member columns is missing"),
        ('{"mt":"ReplicateNextResult","columns":null}', "ReplicateNextResult: member columns"),
        ('{"mt":"ReplicateDel","columns":[]}', "ReplicateDel: member columns"),
        (" " * (wire.INCOMING_LIMIT + 1), "more than 1048576"),
    ],
)
def test_what_is_wrong_is_named(data: str | bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        wire.read(data)


def test_a_row_of_60_kib_is_read() -> None:
    emails = [{"email": f"user{number:06}@example.com"} for number in range(1700)]
    text = json.dumps({"mt": "ReplicateAdd", "columns": {"guid": "g", "emails": emails}})
    assert len(text) > 60 * 1024
    assert wire.read(text) == m.ReplicateAdd({"guid": "g", "emails": emails})


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (m.AppChallenge(), '{"mt":"AppChallenge"}'),
        (m.AppChallengeResult("c0", "s"), '{"mt":"AppChallengeResult","challenge":"c0","src":"s"}'),
        (m.AppLoginResult(ok=True), '{"mt":"AppLoginResult","ok":true}'),
        (m.AppLoginResult(ok=False, src=4), '{"mt":"AppLoginResult","src":4}'),
        (m.AppCheckLoginResult(ok=False, src="x"), '{"mt":"AppCheckLoginResult","ok":false,"src":"x"}'),
        (
            m.AppInfoResult("presenced"),
            '{"mt":"AppInfoResult","app":"presenced","info":{"hidden":true,"apis":{}},"serviceInfo":{"apis":{}}}',
        ),
        (m.KeepAlive(), '{"mt":"KeepAlive"}'),
        (
            m.AppLogin(app="cal", digest="d1"),
            '{"mt":"AppLogin","app":"cal","domain":"","sip":"","guid":"","dn":"","digest":"d1"}',
        ),
        (
            m.ReplicateStart("users"),
            (
                '{"api":"PbxTableUsers","mt":"ReplicateStart","add":true,"del":true,"columns":{"guid":{},"h323":{},'
                '"cn":{},"dn":{},"e164":{},"node":{},"loc":{},"hide":{},"h323-email":{},"emails":{}},'
                '"pseudo":["","executive"],"src":"users"}'
            ),
        ),
        (m.ReplicateNext("users"), '{"api":"PbxTableUsers","mt":"ReplicateNext","src":"users"}'),
        (
            m.SetPresence("w1", "g", "calendar:", "busy", 'Bäcker "Ö" 😀'),
            (
                '{"api":"PbxApi","mt":"SetPresence","src":"w1","guid":"g","contact":"calendar:","activity":"busy",'
                '"note":"Bäcker \\"Ö\\" 😀"}'
            ),
        ),
    ],
)
def test_messages_are_written(message: m.Outgoing, text: str) -> None:
    assert wire.write(message) == text


@pytest.mark.parametrize(
    ("note", "words"), [("ä" * 32_768, "takes less than 65536"), ("\ud800", "surrogate")]
)
def test_what_the_pbx_does_not_take_is_not_written(note: str, words: str) -> None:
    with pytest.raises(WireError, match=words):
        wire.write(m.SetPresence("w1", "g", "calendar:", "busy", note))


def test_secrets_and_titles_are_not_printed() -> None:
    printed = repr([m.SetPresence("w", "g", "c", "busy", "Dentist"), m.AppLogin("a", "d1gest")])
    assert "Dentist" not in printed
    assert "d1gest" not in printed


@pytest.mark.parametrize("length", [0, 16_368, 16_369, 50_000])
def test_frames_stay_under_16_kib(length: int) -> None:
    text = "ä" * (length // 2)
    payloads = wire.frames(text)
    if isinstance(payloads, str):
        assert payloads == text
        assert len(text.encode()) + 14 < wire.FRAME_LIMIT
    else:
        assert b"".join(payloads).decode() == text
        assert max(map(len, payloads)) + 14 < wire.FRAME_LIMIT


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from(
    ["src", "app", "info", "digest", "apis", "columns", "error", "errorText", "api", "ok"]
)
_MTS = st.sampled_from(sorted(wire._READERS)) | st.text(max_size=5)
TEXTS = st.text(max_size=40) | st.builds(
    lambda mt, fields: json.dumps({"mt": mt, **fields}), _MTS, st.dictionaries(_NAMES, _VALUES, max_size=5)
)


@settings(max_examples=300)
@given(TEXTS | st.binary(max_size=40))
def test_any_text_is_a_message_or_a_wire_error(data: str | bytes) -> None:
    try:
        message = wire.read(data)
    except WireError:
        return
    if isinstance(message, m.KeepAlive | m.AppChallenge):
        wire.write(m.KeepAlive(message.src))


@settings(max_examples=100)
@given(st.dictionaries(st.text(max_size=4), _VALUES, max_size=4))
def test_info_is_digested_like_json_stringify_writes_it(info: dict[str, object]) -> None:
    try:
        stringified = json.dumps(info, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        stringified.encode()
    except ValueError:
        return
    spaced = json.dumps(info, ensure_ascii=True, indent=2)
    try:
        login = _login('{"mt":"AppLogin","app":"a","info":' + spaced + "}")
    except WireError:
        assert not isinstance(info.get("appobj", ""), str)
        return
    assert login.info == stringified
