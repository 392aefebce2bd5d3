"""The simulated PBX: logging in, being logged in to, losing sockets."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Mapping
from datetime import timedelta

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from presenced.sim.pbx import AWKWARD_INFO, LossPoint, PbxFaults, SimulatedPbx
from presenced.sim.pbx.login import digest
from tests.clock import FakeClock
from tests.sim.handmade import (
    ANNA,
    BERT,
    NEXT,
    START,
    Daemon,
    dialled_by,
    hear,
    log_in,
    presence,
    replicate,
    say,
    until,
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def make(clock: FakeClock, faults: PbxFaults | None = None) -> SimulatedPbx:
    return SimulatedPbx([ANNA, BERT], clock=clock, faults=faults or PbxFaults())


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({}, "a205299ed2ef2786c311e0be1b14db343f2cadd906a6ae7b564eee34bda5e9a1"),
        (
            {"info": {"cn": "Test User"}},
            "96db3c3f657230c2b68194becc6d2a77f05de9f79f01fc81e9ca0fb196b10d9d",
        ),
    ],
)
def test_the_digest_fits_the_document_s_vectors(message: Mapping[str, object], expected: str) -> None:
    assert digest({"app": "pbxadminapi", **message}, "0123456789abcdef", "pwd") == expected


@pytest.mark.parametrize(
    "faults",
    [
        PbxFaults(),
        PbxFaults(login_info=None),
        PbxFaults(login_info={}),
        PbxFaults(login_info=AWKWARD_INFO),
        PbxFaults(login_info=AWKWARD_INFO, escape_login=True),
    ],
)
async def test_it_logs_in_and_says_who_it_is(clock: FakeClock, faults: PbxFaults) -> None:
    pbx = make(clock, faults)
    async with dialled_by(pbx, clock) as daemon:
        ws = await daemon.accept()
        assert ws.request is not None
        assert ws.request.path == "/example.com/presenced"
        right = await daemon.challenge(ws)
        assert daemon.hello["digest"] == right
        assert daemon.hello.get("info") == (None if faults.login_info is None else dict(faults.login_info))
        assert (daemon.hello["app"], daemon.hello["domain"]) == ("presenced", "example.com")
        assert not pbx.connected
        await say(ws, {"mt": "AppLoginResult", "ok": True})
        info = await hear(ws, "PbxInfo")
        assert set(info) == {"mt", "domain", "pbx", "pbxDns", "apis", "version", "build"}
        assert (info["pbx"], info["domain"]) == ("master", "example.com")
        assert info["apis"] == ["PbxTableUsers", "PbxApi"]
        await until(lambda: pbx.connected)
        assert pbx.logins == 1
    assert pbx.client_bugs == []
    assert not pbx.connected


async def test_escaped_logins_are_spelt_otherwise_on_the_wire(clock: FakeClock) -> None:
    faults = PbxFaults(login_info=AWKWARD_INFO, escape_login=True)
    async with dialled_by(make(clock, faults), clock) as daemon:
        ws = await daemon.accept()
        await hear(ws, "AppChallenge")
        await say(ws, {"mt": "AppChallengeResult", "challenge": "x"})
        text = await ws.recv()
        assert isinstance(text, str)
        assert text.isascii()
        assert "\\u00f6" in text
        assert "\n" in text


async def test_a_master_and_a_slave_are_two_instances(clock: FakeClock) -> None:
    slave = SimulatedPbx([], clock=clock, name="slave", faults=PbxFaults(slave=True))
    async with dialled_by(slave, clock) as daemon:
        ws = await daemon.accept()
        await daemon.let_in(ws)
        assert daemon.info["pbx"] == "slave"
        assert slave.client_bugs == []
        await say(ws, START)
        await hear(ws, "ReplicateStartResult")
        await say(ws, presence("x"))
        await hear(ws, "SetPresenceResult")
    assert [bug for bug in slave.client_bugs if "not the master" in bug] == [
        "ReplicateStart at a PBX that is not the master",
        "SetPresence at a PBX that is not the master",
    ]


async def test_apis_can_be_missing(clock: FakeClock) -> None:
    faults = PbxFaults(without_pbx_api=True)
    pbx = make(clock, faults)
    async with dialled_by(pbx, clock) as daemon:
        ws = await daemon.accept()
        await daemon.let_in(ws)
        assert daemon.info["apis"] == ["PbxTableUsers"]
        await say(ws, presence(ANNA.guid))
        answer = await hear(ws, "SetPresenceResult")
        assert (answer["src"], answer["error"] != 0) == ("w1", True)
        assert pbx.presences == {}
        faults.without_pbx_api, faults.without_table_users = False, True
        pbx.drop_connection()
        await daemon.let_in(await daemon.accept_again(), "another")
        assert daemon.info["apis"] == ["PbxApi"]
    assert pbx.client_bugs == ["sends SetPresence though PbxApi is not granted"]


@pytest.mark.parametrize("accepted", [False, True])
async def test_a_wrong_password_must_be_refused(clock: FakeClock, accepted: bool) -> None:
    pbx = make(clock, PbxFaults(wrong_password=True))
    async with dialled_by(pbx, clock) as daemon:
        ws = await daemon.accept()
        assert await daemon.challenge(ws) != daemon.hello["digest"]
        if accepted:
            await say(ws, {"mt": "AppLoginResult", "ok": True})
            await hear(ws, "PbxInfo")
            assert pbx.client_bugs == ["accepts a wrong password"]
            return
        await say(ws, {"mt": "AppLoginResult"})
        await ws.close()
        await daemon.accept_again()
        assert (pbx.logins, pbx.counters["refused"], pbx.client_bugs) == (0, 1, [])


async def test_a_challenge_is_for_one_use(clock: FakeClock) -> None:
    faults = PbxFaults()
    pbx = make(clock, faults)
    async with dialled_by(pbx, clock) as daemon:
        await daemon.let_in(await daemon.accept(), "first")
        faults.reuse_challenge = True
        pbx.drop_connection()
        ws = await daemon.accept_again()
        right = await daemon.challenge(ws, "second")
        parts = [daemon.hello[name] for name in ("app", "domain", "sip", "guid", "dn")]
        old = ":".join([*parts, '{"unlicensed":true}', "first", "pwd"])
        assert daemon.hello["digest"] == hashlib.sha256(old.encode()).hexdigest() != right
        await say(ws, {"mt": "AppLoginResult", "ok": True})
        await hear(ws, "PbxInfo")
    assert pbx.client_bugs == ["accepts a reused challenge"]


@pytest.mark.parametrize(
    ("challenge", "bug"),
    [
        ("0123456789abcdef0", "the challenge has 17 characters, 16 are allowed"),
        ("", "the challenge '' is no string with something in it"),
        (7, "the challenge 7 is no string with something in it"),
    ],
)
async def test_a_bad_challenge_is_noted(clock: FakeClock, challenge: object, bug: str) -> None:
    pbx = make(clock)
    async with dialled_by(pbx, clock) as daemon:
        ws = await daemon.accept()
        await hear(ws, "AppChallenge")
        await say(ws, {"mt": "AppChallengeResult", "challenge": challenge})
        await hear(ws, "AppLogin")
    assert pbx.client_bugs == [bug]


async def test_what_else_is_wrong_with_a_login_is_noted(clock: FakeClock) -> None:
    pbx = make(clock)
    async with dialled_by(pbx, clock) as daemon:
        ws = await daemon.accept()
        await hear(ws, "AppChallenge")
        await say(ws, {"mt": "Hello"})
        await say(ws, {"mt": "AppChallengeResult", "challenge": "x"})
        await hear(ws, "AppLogin")
        await say(ws, {"mt": "AppLoginResult", "ok": False})
        await until(lambda: clock.sleepers)
        await clock.advance(timedelta(seconds=10))
        await until(lambda: len(pbx.client_bugs) == 3)
        await ws.wait_closed()
        again = await daemon.accept_again()
        await daemon.let_in(again, "x")
    assert pbx.client_bugs == [
        "sends Hello where AppChallengeResult was due",
        "refuses with ok False in place of no ok",
        "does not close after refusing a login",
        "gives the challenge 'x' again",
    ]


async def test_a_daemon_that_says_nothing_is_dialled_again(clock: FakeClock) -> None:
    pbx = make(clock)
    async with dialled_by(pbx, clock) as daemon:
        ws = await daemon.accept()
        await hear(ws, "AppChallenge")
        await until(lambda: clock.sleepers)
        await clock.advance(timedelta(seconds=10))
        await ws.wait_closed()
        await daemon.accept_again()
    assert pbx.client_bugs == []


async def test_a_daemon_that_is_not_there_is_dialled_again(clock: FakeClock) -> None:
    pbx = make(clock)
    async with serve(lambda ws: ws.close(), "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
    task = asyncio.create_task(pbx.run_dialing(f"ws://127.0.0.1:{port}/x/y"))
    for dials in (1, 2, 3):
        await until(lambda: clock.sleepers)
        assert pbx.counters["dials"] == dials
        await clock.advance(timedelta(seconds=1))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def go_on(daemon: Daemon, challenge: str) -> None:
    """Log in, replicate, write, until the socket is lost."""
    ws = await daemon.accept() if challenge == "c0" else await daemon.accept_again()
    await daemon.let_in(ws, challenge)
    await replicate(ws)
    await say(ws, presence(ANNA.guid))
    await hear(ws, "SetPresenceResult")


@pytest.mark.parametrize("point", LossPoint)
async def test_the_socket_is_lost_in_every_state_once(clock: FakeClock, point: LossPoint) -> None:
    faults = PbxFaults(lose_at=point)
    pbx = make(clock, faults)
    async with dialled_by(pbx, clock) as daemon:
        with pytest.raises(ConnectionClosed):
            await go_on(daemon, "c0")
        early = {LossPoint.CONNECTED, LossPoint.CHALLENGED, LossPoint.LOGIN_SENT, LossPoint.LOGGED_IN}
        assert pbx.logins == (point not in early | {LossPoint.INFORMED})
        assert pbx.counters["passes"] == (
            point in {LossPoint.REPLICATED, LossPoint.WRITING, LossPoint.WRITTEN}
        )
        assert len(pbx.writes) == (point is LossPoint.WRITTEN)
        assert faults.lose_at is None
        await go_on(daemon, "c1")
    assert pbx.presences == {ANNA.guid: {"calendar:": ("busy", "Meeting #busy")}}
    assert pbx.client_bugs == []


async def test_the_pass_is_lost_after_so_many_rows(clock: FakeClock) -> None:
    pbx = make(clock, PbxFaults(lose_at=LossPoint.REPLICATING, rows_before_loss=2))
    async with dialled_by(pbx, clock) as daemon:
        ws = await daemon.accept()
        await daemon.let_in(ws)
        await say(ws, START)
        await hear(ws, "ReplicateStartResult")
        for user in (ANNA, BERT):
            await say(ws, NEXT)
            assert (await hear(ws))["columns"]["guid"] == user.guid
        await say(ws, NEXT)
        with pytest.raises(ConnectionClosed):
            await hear(ws)


async def test_the_old_socket_can_stay_half_open(clock: FakeClock) -> None:
    pbx = make(clock, PbxFaults(half_open=True))
    async with dialled_by(pbx, clock) as daemon:
        old = await daemon.accept()
        await daemon.let_in(old, "old")
        await until(lambda: pbx.connected)
        await (await old.ping())
        pbx.drop_connection()
        await until(lambda: not pbx.connected)
        new = await daemon.accept_again()
        await daemon.let_in(new, "new")
        await until(lambda: pbx.connected)
        pong = asyncio.ensure_future(await old.ping())
        await say(old, START)
        assert await replicate(new)
        assert not pong.done()
        assert old.close_code is None
        assert pbx.half_open == 1
        assert pbx.counters["replications"] == 1
    assert pbx.half_open == 0
    await old.wait_closed()


async def test_keep_alives_are_echoed_both_ways(clock: FakeClock) -> None:
    pbx = make(clock, PbxFaults(keep_alive=True))
    async with dialled_by(pbx, clock) as daemon:
        ws = await daemon.accept()
        await daemon.let_in(ws)
        await hear(ws, "KeepAlive")
        await say(ws, {"mt": "KeepAlive"})
        await until(lambda: pbx.counters["keep-alives echoed"] == 1)
        await say(ws, {"mt": "KeepAlive"})
        await hear(ws, "KeepAlive")
        pbx.send_keep_alive()
        await hear(ws, "KeepAlive")
        await say(ws, {"mt": "KeepAlive"})
        await until(lambda: pbx.counters["keep-alives echoed"] == 2)
    assert pbx.client_bugs == []


async def test_it_asks_for_the_app_s_info_and_checks_a_login(clock: FakeClock) -> None:
    pbx = make(clock)
    async with dialled_by(pbx, clock) as daemon:
        ws = await daemon.accept()
        await daemon.let_in(ws)
        await until(lambda: pbx.connected)
        asking = asyncio.create_task(pbx.fetch_app_info())
        assert await hear(ws) == {"mt": "AppInfo", "app": "presenced"}
        await say(ws, {"mt": "AppInfoResult", "app": "presenced", "info": {"hidden": True}})
        assert (await asking)["info"] == {"hidden": True}
        for password, ok, src in (("pwd", True, None), ("nope", False, "other")):
            checking = asyncio.create_task(pbx.check_login(password))
            await hear(ws, "AppChallenge")
            await say(ws, {"mt": "AppChallengeResult", "challenge": "abc"})
            check = await hear(ws, "AppCheckLogin")
            assert set(check) == {"mt", "src", "app", "domain", "challenge", "digest"}
            spelt = f"presenced:example.com::::abc:{password}"
            assert check["digest"] == hashlib.sha256(spelt.encode()).hexdigest()
            result = {"mt": "AppCheckLoginResult", "src": src or check["src"]}
            await say(ws, result | ({"ok": True} if ok else {}))
            assert await checking is ok
        assert pbx.client_bugs == ["AppCheckLoginResult with src 'other', asked with 'check2'"]
        lost = asyncio.create_task(pbx.fetch_app_info())
        await hear(ws, "AppInfo")
        await ws.close()
        with pytest.raises(Exception, match="the connection is gone"):
            await lost


async def test_messages_nobody_knows_come_in_between(clock: FakeClock) -> None:
    pbx = make(clock, PbxFaults(unknown_messages=True))
    async with dialled_by(pbx, clock) as daemon:
        ws = await daemon.accept()
        await daemon.let_in(ws)
        assert [(await hear(ws))["mt"] for _ in range(3)] == [
            "NobodyKnowsThis",
            "NorThis",
            "ReplicateSurprise",
        ]
        assert [row["guid"] for row in await replicate(ws)] == [ANNA.guid, BERT.guid]
        await say(ws, {"mt": "NorDoI", "api": "PbxApi"})
        await say(ws, presence(ANNA.guid))
        while (await hear(ws))["mt"] != "SetPresenceResult":
            pass
    assert pbx.client_bugs == ["sends a message nobody knows: NorDoI of PbxApi"]


async def test_both_ways_work_with_tls(clock: FakeClock) -> None:
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert("localhost").configure_cert(theirs)
    pbx = make(clock)
    port = await pbx.serve("localhost", tls=theirs)
    async with connect(f"wss://localhost:{port}/PBX0/APPS/websocket", ssl=ours, proxy=None) as ws:
        assert (await log_in(ws))["ok"] is True
    await pbx.close()
    daemon = Daemon(clock)
    async with serve(daemon.meet, "localhost", 0, ssl=theirs) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        task = asyncio.create_task(pbx.run_dialing(f"wss://localhost:{port}/a/b", tls=ours))
        await daemon.let_in(await daemon.accept())
        await until(lambda: pbx.connected)
        pbx.drop_connection()
        await daemon.let_in(await daemon.accept_again(), "next")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (pbx.logins, pbx.client_bugs) == (3, [])
