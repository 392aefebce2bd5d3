"""What the link tests talk to: a scripted PBX, a listener that writes down, a link that runs.

The scripts are written from pbx-link.md alone and share no code with the link.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from presenced.config.settings import Address, PbxSettings, Secret
from presenced.core.ports import PbxDoor, PbxIdentity
from presenced.core.presence import Presence
from presenced.core.replica import PbxUser
from presenced.pbx.link import PbxLink
from tests.clock import FakeClock

SETTINGS = PbxSettings(
    listen=Address("127.0.0.1", 0),
    app_name="presenced",
    app_password=Secret("pwd"),
    master_pbx_name="master",
    writes_in_flight=16,
)
BUSY = Presence("busy", "Dentist")
BOTH = ("PbxTableUsers", "PbxApi")


async def until(condition: Callable[[], object]) -> None:
    """Turn the loop until the condition holds; the tests' own time-out ends a hopeless wait."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0)


class Listener:
    """Writes down what the door tells, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, object]] = []

    def linked(self, pbx: PbxIdentity) -> None:
        self.heard.append(("linked", pbx.name))

    def changed(self, user: PbxUser) -> None:
        self.heard.append(("changed", user.guid))

    def removed(self, guid: str) -> None:
        self.heard.append(("removed", guid))

    def replicated(self, guids: frozenset[str]) -> None:
        self.heard.append(("replicated", set(guids)))

    def unlinked(self, reason: str) -> None:
        self.heard.append(("unlinked", reason))

    def times(self, what: str) -> int:
        return sum(kind == what for kind, _ in self.heard)


class Pbx:
    """One WebSocket of a PBX, whichever side dialled."""

    def __init__(self, socket: ClientConnection | ServerConnection) -> None:
        self.socket = socket

    @classmethod
    async def dial(
        cls, port: int, path: str = "/ex.org/presenced", context: ssl.SSLContext | None = None
    ) -> Self:
        scheme = "wss" if context else "ws"
        url = f"{scheme}://localhost:{port}{path}" if context else f"{scheme}://127.0.0.1:{port}{path}"
        return cls(await connect(url, ssl=context, proxy=None, compression=None, ping_interval=None))

    async def say(self, mt: str, **members: object) -> None:
        await self.socket.send(json.dumps({"mt": mt, **members}, ensure_ascii=False))

    async def hear(self) -> dict[str, object]:
        message = json.loads(await self.socket.recv())
        assert isinstance(message, dict)
        return message

    async def ask(self, mt: str, **members: object) -> dict[str, object]:
        await self.say(mt, **members)
        return await self.hear()

    async def login(self, password: str = "pwd") -> dict[str, object]:
        challenge = (await self.ask("AppChallenge"))["challenge"]
        digest = hashlib.sha256(f"presenced:::::{challenge}:{password}".encode()).hexdigest()
        return await self.ask("AppLogin", app="presenced", domain="", sip="", guid="", dn="", digest=digest)

    async def name(self, name: str = "master", apis: tuple[str, ...] = BOTH) -> None:
        assert (await self.login())["ok"] is True
        await self.say("PbxInfo", pbx=name, domain="ex.org", pbxDns="m", apis=list(apis), version="14r2")

    async def replicate(self, *guids: str) -> None:
        """Answer the replication with one row a guid."""
        start = await self.hear()
        assert start["mt"] == "ReplicateStart"
        await self.say("ReplicateStartResult", api="PbxTableUsers", src=start["src"], columns={})
        for guid in (*guids, None):
            asked = await self.hear()
            assert asked["mt"] == "ReplicateNext"
            row = {} if guid is None else {"columns": {"guid": guid, "h323": guid}}
            await self.say("ReplicateNextResult", api="PbxTableUsers", src=asked["src"], **row)

    async def link(self, *guids: str) -> Self:
        await self.name()
        await self.replicate(*guids)
        return self

    async def gone(self) -> int | None:
        """Read until the other side has closed; the close code, None where there was no handshake."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.socket.recv()
        received = self.socket.protocol.close_rcvd
        return received.code if received else None

    def abort(self) -> None:
        self.socket.transport.abort()


class Door:
    """A link that runs, and what it told."""

    def __init__(self, settings: PbxSettings) -> None:
        self.clock = FakeClock()
        self.listener = Listener()
        self.link = PbxLink(settings, self.listener, self.clock)
        self.port: PbxDoor = self.link
        self.task: asyncio.Task[None] | None = None

    async def pbx(self, context: ssl.SSLContext | None = None) -> Pbx:
        return await Pbx.dial(self.link.port, context=context)

    async def master(self, *guids: str) -> Pbx:
        """A linked master, its users replicated."""
        before = self.listener.times("replicated")
        pbx = await (await self.pbx()).link(*guids)
        await until(lambda: self.listener.times("replicated") > before)
        return pbx

    async def write(self, pbx: Pbx, guid: str = "a") -> tuple[asyncio.Task[None], str]:
        """A write under way: its task and its `src` as the PBX sees it."""
        task = asyncio.create_task(self.port.send_presence(guid, BUSY))
        src = (await pbx.hear())["src"]
        assert isinstance(src, str)
        return task, src

    def details(self) -> list[str]:
        return [status.detail for status in self.link.status()]

    async def stop(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[Door]:
    """A link between start and stop; nothing here may take longer than a few real seconds."""
    door = Door(replace(SETTINGS, **changes))
    async with asyncio.timeout(30):
        door.task = asyncio.create_task(door.link.run())
        ready = asyncio.create_task(door.link.listening.wait())
        await asyncio.wait([door.task, ready], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if door.task.done():
            door.task.result()
        try:
            yield door
        finally:
            await door.stop()


def write_pem(folder: Path, name: str, *parts: bytes) -> Path:
    path = folder / name
    path.write_bytes(b"".join(parts))
    return path
