"""The door that dials the PBX: login, loss and back-off, TLS, over loopback WebSockets."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from presenced.core.ports import DoorProblem, LinkDown
from tests.pbx.scripted import BUSY, Door, Pbx, running, until, write_pem


class Hall:
    """Where the daemon's calls arrive, one after the other."""

    def __init__(self) -> None:
        self.url = ""
        self.paths: list[str] = []
        self._calls: asyncio.Queue[Pbx] = asyncio.Queue()

    async def receive(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.paths.append(socket.request.path)
        self._calls.put_nowait(Pbx(socket))
        await socket.wait_closed()

    async def call(self) -> Pbx:
        """The next connection."""
        return await self._calls.get()


async def _admit(pbx: Pbx) -> Pbx:
    """Log the daemon in as pbx-link.md section 2 says."""
    assert await pbx.hear() == {"mt": "AppChallenge"}
    login = await pbx.ask("AppChallengeResult", challenge="0123456789abcdef")
    proof = hashlib.sha256(b"presenced:::::0123456789abcdef:pwd").hexdigest()
    assert (login["app"], login["sip"], login["digest"]) == ("presenced", "", proof)
    await pbx.say("AppLoginResult", ok=True)
    return pbx


@asynccontextmanager
async def hall(
    context: ssl.SSLContext | None = None,
    answer: Callable[[ServerConnection, Request], Awaitable[Response | None] | Response | None] | None = None,
) -> AsyncIterator[Hall]:
    place = Hall()
    async with serve(
        place.receive,
        "localhost",
        0,
        ssl=context,
        process_request=answer,
        ping_interval=None,
        close_timeout=1,
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        place.url = f"{'wss' if context else 'ws'}://localhost:{port}/PBX0/APPS/websocket"
        yield place


async def _pausing(door: Door) -> tuple[str, int]:
    """Wait until the door rests before the next dial; why, and how many seconds, by its status."""
    await until(lambda: "next try" in door.details()[0] and door.clock.sleepers)
    (detail,) = door.details()
    reason, seconds = detail.removesuffix(" s").split("; next try in ")
    return reason, int(seconds)


async def _next_call(door: Door, place: Hall, seconds: int) -> Pbx:
    await door.clock.advance(timedelta(seconds=seconds + 1))
    return await place.call()


async def test_dialling_replicates_and_writes() -> None:
    async with hall() as place, running(mode="dial", url=place.url) as door:
        pbx = await _admit(await place.call())
        await pbx.replicate("a")
        task = asyncio.create_task(door.link.send_presence("a", BUSY))
        sent = await pbx.hear()
        await pbx.say("SetPresenceResult", api="PbxApi", src=sent["src"])
        await task
        assert place.paths == ["/PBX0/APPS/websocket"]
        assert door.listener.heard == [("linked", "master"), ("changed", "a"), ("replicated", {"a"})]
        (status,) = door.link.status()
        assert (status.name, status.role, status.detail) == ("master", "master", "users: 1")


async def test_a_lost_link_is_dialled_again() -> None:
    async with hall() as place, running(mode="dial", url=place.url) as door:
        pbx = await _admit(await place.call())
        await pbx.replicate("a", "b")
        await until(lambda: door.listener.times("replicated"))
        pbx.abort()
        reason, seconds = await _pausing(door)
        assert reason == "the connection broke off"
        with pytest.raises(LinkDown, match="PBX master is not connected"):
            await door.link.send_presence("a", BUSY)
        await (await _admit(await _next_call(door, place, seconds))).replicate("a")
        await until(lambda: door.listener.times("replicated") == 2)
        assert [kind for kind, _ in door.listener.heard] == [
            *["linked", "changed", "changed", "replicated"],
            *["unlinked", "linked", "removed", "replicated"],
        ]


async def test_a_refused_login_backs_off_further_each_time() -> None:
    async with hall() as place, running(mode="dial", url=place.url) as door:
        pbx, pauses = await place.call(), list[int]()
        for _ in range(5):
            await pbx.hear()
            await pbx.ask("AppChallengeResult", challenge="1")
            await pbx.say("AppLoginResult")
            reason, seconds = await _pausing(door)
            assert "check app_name and app_password" in reason
            pauses.append(seconds)
            pbx = await _next_call(door, place, seconds)
        assert pauses == sorted(pauses)
        assert pauses[0] <= 2
        assert 16 <= pauses[-1] <= 17
        assert door.link.counters()["logins_refused"] == 5
        assert door.listener.heard == []


async def test_a_link_that_held_begins_the_back_off_anew() -> None:
    async with hall() as place, running(mode="dial", url=place.url) as door:
        pbx, seconds = await place.call(), 0
        for _ in range(4):
            pbx.abort()
            _, seconds = await _pausing(door)
            pbx = await _next_call(door, place, seconds)
        assert seconds >= 8
        await (await _admit(pbx)).replicate("a")
        await until(lambda: door.listener.times("replicated"))
        await door.clock.advance(timedelta(minutes=1))
        pbx.abort()
        _, seconds = await _pausing(door)
        assert seconds <= 2


@pytest.mark.parametrize("trust", ["tls_ca", "tls_verify"])
async def test_tls(trust: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    ca = write_pem(tmp_path, "ca.pem", authority.cert_pem.bytes())
    settings = {"tls_ca": ca} if trust == "tls_ca" else {"tls_verify": False}
    async with hall(context) as place, running(mode="dial", url=place.url, **settings) as door:
        await (await _admit(await place.call())).replicate("a")
        await until(lambda: door.listener.times("replicated"))


async def test_an_untrusted_certificate_is_refused_in_words() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with hall(context) as place, running(mode="dial", url=place.url) as door:
        reason, _ = await _pausing(door)
        assert "is not trusted" in reason
        assert "set tls_ca" in reason


async def test_another_authority_in_tls_ca_is_named(tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    ca = write_pem(tmp_path, "ca.pem", trustme.CA().cert_pem.bytes())
    async with hall(context) as place, running(mode="dial", url=place.url, tls_ca=ca) as door:
        reason, _ = await _pausing(door)
        assert "is not trusted" in reason
        assert reason.endswith(f"tls_ca in [pbx] must name the CA that issued it, {ca} holds another")


async def test_an_unreadable_authority_is_a_door_problem(tmp_path: Path) -> None:
    with pytest.raises(DoorProblem, match=r"ca\.pem"):
        async with running(mode="dial", url="wss://localhost:1/", tls_ca=tmp_path / "ca.pem"):
            await asyncio.Event().wait()


async def test_what_is_no_websocket_server_is_named() -> None:
    def answer(socket: ServerConnection, _request: Request) -> Response:
        return socket.respond(HTTPStatus.NOT_FOUND, "nothing here\n")

    async with hall(answer=answer) as place, running(mode="dial", url=place.url) as door:
        reason, _ = await _pausing(door)
        assert "does not answer as a WebSocket server" in reason
        assert "404" in reason


async def test_nobody_at_home_is_tried_again() -> None:
    async with hall() as place:
        url = place.url
    async with running(mode="dial", url=url) as door:
        reason, _ = await _pausing(door)
        assert "can't connect to" in reason
        (status,) = door.link.status()
        assert (status.name, status.role, status.peer) == ("master", "login", url)


async def test_stopping_while_linked_closes_the_link() -> None:
    async with hall() as place, running(mode="dial", url=place.url) as door:
        pbx = await _admit(await place.call())
        await pbx.replicate("a")
        await until(lambda: door.listener.times("replicated"))
        closing = asyncio.create_task(pbx.gone())
        await door.stop()
        assert await closing == 1001
        assert door.listener.heard[-1] == ("unlinked", "presenced is stopping")
        assert not door.link.listening.is_set()


async def test_stopping_between_two_dials() -> None:
    async with hall() as place, running(mode="dial", url=place.url) as door:
        (await place.call()).abort()
        await _pausing(door)
        await door.stop()
        assert door.listener.heard == []
