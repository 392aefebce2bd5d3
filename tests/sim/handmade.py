"""The daemon's side of the PBX link by hand, as bare as can be: what the simulated PBX is tested with."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve

from presenced.sim.pbx import PbxFaults, PresenceWritten, SimulatedPbx, SimulatedUser
from tests.clock import FakeClock

SECOND = timedelta(seconds=1)
ANNA = SimulatedUser("a" * 32, "anna", "Anna Müller", "Müller, Anna", ("anna@x.com",), e164="403", loc="pbx")
BERT = SimulatedUser("b" * 32, "bert", hide=True)
CARL = SimulatedUser("c" * 32, "carl", h323_email=True, emails=("carl", "c1@x.com;c2@x.com"))
COLUMNS = ("guid", "h323", "cn", "dn", "e164", "node", "loc", "hide", "h323-email", "emails")
START = {
    "api": "PbxTableUsers",
    "mt": "ReplicateStart",
    "add": True,
    "del": True,
    "columns": {name: {} for name in COLUMNS},
    "pseudo": ["", "executive"],
    "src": "users",
}
NEXT = {"api": "PbxTableUsers", "mt": "ReplicateNext", "src": "users"}


def presence(guid: str, src: str = "w1", **changed: object) -> dict[str, object]:
    write = {"api": "PbxApi", "mt": "SetPresence", "src": src, "guid": guid, "contact": "calendar:"}
    return write | {"activity": "busy", "note": "Meeting #busy"} | changed


async def say(ws: Connection, message: dict[str, Any]) -> None:
    await ws.send(json.dumps(message))


async def hear(ws: Connection, mt: str = "") -> Any:
    """The next message, which must be an `mt`."""
    async with asyncio.timeout(5):
        message = json.loads(await ws.recv())
    assert mt in {"", message["mt"]}, message
    return message


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until it is so."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what the simulator does has no event to wait for
            await asyncio.sleep(0)


class Daemon:
    """Listens; a test accepts the PBX's connections one by one."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.url = ""
        self.hello: dict[str, Any] = {}
        """the last AppLogin"""
        self.info: dict[str, Any] = {}
        """the last PbxInfo"""
        self._waiting: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def meet(self, ws: ServerConnection) -> None:
        self._waiting.put_nowait(ws)
        await ws.wait_closed()

    async def accept(self) -> ServerConnection:
        async with asyncio.timeout(5):
            return await self._waiting.get()

    async def accept_again(self) -> ServerConnection:
        """The connection that follows a lost one, a second later."""
        await until(lambda: self.clock.sleepers)
        assert self._waiting.empty()
        await self.clock.advance(SECOND)
        return await self.accept()

    async def challenge(self, ws: Connection, challenge: str = "0123456789abcdef") -> str:
        """Answer AppChallenge, take AppLogin; the digest that would be right."""
        await hear(ws, "AppChallenge")
        await say(ws, {"mt": "AppChallengeResult", "challenge": challenge})
        self.hello = await hear(ws, "AppLogin")
        parts = [self.hello.get(name, "") for name in ("app", "domain", "sip", "guid", "dn")]
        if "info" in self.hello:
            parts.append(json.dumps(self.hello["info"], separators=(",", ":"), ensure_ascii=False))
        return hashlib.sha256(":".join([*parts, challenge, "pwd"]).encode()).hexdigest()

    async def let_in(self, ws: Connection, challenge: str = "0123456789abcdef") -> None:
        """A whole login."""
        assert self.hello.get("digest") != await self.challenge(ws, challenge)
        await say(ws, {"mt": "AppLoginResult", "ok": True})
        self.info = await hear(ws, "PbxInfo")


@asynccontextmanager
async def dialled_by(pbx: SimulatedPbx, clock: FakeClock) -> AsyncIterator[Daemon]:
    """A listening daemon that the PBX dials."""
    daemon = Daemon(clock)
    async with serve(daemon.meet, "127.0.0.1", 0, close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        task = asyncio.create_task(pbx.run_dialing(f"ws://127.0.0.1:{port}/example.com/presenced"))
        try:
            yield daemon
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def dialling(pbx: SimulatedPbx, path: str = "/PBX0/APPS/websocket") -> AsyncIterator[Connection]:
    """A daemon that dials the PBX, not logged in yet."""
    port = await pbx.serve()
    try:
        async with connect(f"ws://127.0.0.1:{port}{path}", proxy=None, close_timeout=0.1) as ws:
            yield ws
    finally:
        await pbx.close()


async def log_in(ws: Connection, **changed: object) -> dict[str, Any]:
    """The login of a dialling daemon; the AppLoginResult."""
    await say(ws, {"mt": "AppChallenge"})
    challenge = (await hear(ws, "AppChallengeResult"))["challenge"]
    assert len(challenge) <= 16
    digest = hashlib.sha256(f"presenced:example.com::::{challenge}:pwd".encode()).hexdigest()
    login = {"mt": "AppLogin", "app": "presenced", "domain": "example.com", "sip": "", "digest": digest}
    await say(ws, login | changed)
    result: dict[str, Any] = await hear(ws, "AppLoginResult")
    return result


async def replicate(ws: Connection) -> list[dict[str, Any]]:
    """A whole pass; its rows. Everything but answers is left out."""
    await say(ws, START)
    await hear(ws, "ReplicateStartResult")
    rows: list[dict[str, Any]] = []
    while True:
        await say(ws, NEXT)
        while (message := await hear(ws))["mt"] != "ReplicateNextResult":
            pass
        if "columns" not in message:
            return rows
        rows.append(message["columns"])


class Bench:
    """A PBX of these users with a daemon logged in."""

    def __init__(self, users: Sequence[SimulatedUser]) -> None:
        self.clock = FakeClock()
        self.faults = PbxFaults()
        self.told: list[PresenceWritten] = []
        self.pbx = SimulatedPbx(users, clock=self.clock, faults=self.faults, on_presence=self.told.append)
        self.ws: Connection


@asynccontextmanager
async def logged_in(*users: SimulatedUser) -> AsyncIterator[Bench]:
    bench = Bench(users)
    async with dialling(bench.pbx) as ws:
        bench.ws = ws
        await log_in(ws)
        yield bench
