"""The simulated PBX: being dialled and logged in to, and what its client may put on the wire."""

from __future__ import annotations

import hashlib
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from presenced.sim.pbx import SimulatedPbx
from tests.clock import FakeClock
from tests.sim.handmade import ANNA, BERT, dialling, hear, log_in, replicate, say, until


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def pbx(clock: FakeClock) -> SimulatedPbx:
    return SimulatedPbx([ANNA, BERT], clock=clock)


@pytest.mark.parametrize(
    ("data", "bug"),
    [
        (b'{"mt":"KeepAlive"}', "sends a binary frame"),
        ("hello", "sends what is no message: 'hello'"),
        ("[]", "sends what is no message: '[]'"),
        ('{"mt":1}', "sends what is no message"),
        (
            json.dumps({"mt": "KeepAlive", "x": "y" * 16384}),
            "sends a frame of 16412 bytes, 16384 are allowed",
        ),
        (["x" * 16000] * 5, "sends a message of 80000 bytes, 65536 are allowed"),
        (["x" * 16000] * 70, "sends a message of more than 1048576 bytes"),
    ],
)
async def test_what_breaks_the_framing_is_a_bug(
    pbx: SimulatedPbx, data: str | bytes | list[str], bug: str
) -> None:
    async with dialling(pbx) as ws:
        await log_in(ws)
        await ws.send(data)
        await until(lambda: pbx.client_bugs)
    (found,) = pbx.client_bugs
    assert found.startswith(bug)


async def test_frames_within_the_limit_are_no_bug(pbx: SimulatedPbx) -> None:
    async with dialling(pbx) as ws:
        await log_in(ws)
        text = json.dumps({"mt": "KeepAlive", "x": "ü€" * 8_000}, ensure_ascii=False).encode()
        # cut through characters
        await ws.send([text[at : at + 16_384] for at in range(0, len(text), 16_384)], text=True)
        await hear(ws, "KeepAlive")
    assert pbx.client_bugs == []


async def test_a_dialling_daemon_logs_in_and_gets_no_pbx_info(pbx: SimulatedPbx) -> None:
    async with dialling(pbx) as ws:
        assert await log_in(ws) == {"mt": "AppLoginResult", "ok": True}
        assert [row["guid"] for row in await replicate(ws)] == [ANNA.guid, BERT.guid]
        assert pbx.connected
        pbx.drop_connection()
        with pytest.raises(ConnectionClosed):
            await hear(ws)
    assert (pbx.logins, pbx.client_bugs) == (1, [])


@pytest.mark.parametrize(
    ("changed", "bugs"),
    [
        ({"digest": "0" * 64}, []),
        ({"digest": None}, []),
        ({"app": "other"}, []),
        ({"domain": "other"}, []),
        ({"sip": "anna"}, ["logs in with sip: the App object's own rights would not apply"]),
    ],
)
async def test_a_dialling_daemon_s_login_is_checked(
    pbx: SimulatedPbx, changed: dict[str, object], bugs: list[str]
) -> None:
    async with dialling(pbx) as ws:
        assert await log_in(ws, **changed) == {"mt": "AppLoginResult"}
        with pytest.raises(ConnectionClosed):
            await hear(ws)
    assert (pbx.logins, pbx.counters["refused"], pbx.client_bugs) == (0, 1, bugs)


async def test_a_login_without_a_challenge_is_refused(pbx: SimulatedPbx) -> None:
    async with dialling(pbx) as ws:
        digest = hashlib.sha256(b"presenced::::::pwd").hexdigest()
        await say(ws, {"mt": "ReplicateStart"})
        await say(ws, {"mt": "AppLogin", "app": "presenced", "digest": digest})
        assert "ok" not in await hear(ws, "AppLoginResult")
    assert pbx.client_bugs == ["sends ReplicateStart before the login", "logs in without a challenge"]


async def test_only_the_document_s_path_is_served(pbx: SimulatedPbx) -> None:
    with pytest.raises(InvalidStatus, match="404"):
        async with dialling(pbx, "/PBX0/APPS"):
            pass
    assert pbx.client_bugs == ["dials /PBX0/APPS, not /PBX0/APPS/websocket"]


async def test_subprotocols_are_not_asked_for(pbx: SimulatedPbx) -> None:
    port = await pbx.serve()
    with pytest.raises(InvalidStatus):
        await connect(f"ws://127.0.0.1:{port}/", subprotocols=["innovaphone"], proxy=None)  # type: ignore[list-item]
    await pbx.close()
    assert pbx.client_bugs[0] == "asks for a subprotocol"
