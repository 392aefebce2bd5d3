"""One WebSocket of the simulated PBX: JSON text messages in and out, within the vendor's limits.

The only file of the simulator that knows the websockets library. What breaks a limit or the framing is
reported as the client's bug and ends the connection, as the vendor's socket code would end it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, NoReturn

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.http11 import Request, Response

from presenced.sim.pbx.login import spell

FRAME_LIMIT = 16 * 1024
MESSAGE_LIMIT = 64 * 1024
RECEIVE_LIMIT = 1024 * 1024
SPLIT_CHARACTER = 3
"""bytes of a character that the decoder may have carried over from the frame before"""
PIECE = 4_000
"""characters to a frame: at most 16,000 bytes"""
DIAL_PATH = "/PBX0/APPS/websocket"
UNSUPPORTED, TOO_BIG = 1003, 1009

Report = Callable[[str], None]


class LineLost(Exception):
    """The connection is gone, or never came about; the text says why."""


class Line:
    """A connection, whoever dialled."""

    def __init__(self, connection: Connection, report: Report) -> None:
        self._connection = connection
        self._report = report
        self._scope: asyncio.Timeout | None = None
        """around the message being waited for"""
        self.muted = False

    async def receive(self) -> dict[str, Any]:
        """The next message; raises LineLost."""
        if self.muted:
            raise LineLost("half-open")
        try:
            async with asyncio.timeout(None) as self._scope:
                text = await self._receive_text()
        except TimeoutError as error:
            raise LineLost("half-open") from error
        except ConnectionClosed as error:
            if error.sent is not None and error.sent.code == TOO_BIG:
                self._report(f"sends a message of more than {RECEIVE_LIMIT} bytes")
            raise LineLost(str(error)) from error
        finally:
            self._scope = None
        if (size := len(text.encode())) > MESSAGE_LIMIT:
            await self._end(TOO_BIG, f"sends a message of {size} bytes, {MESSAGE_LIMIT} are allowed")
        return await self._parse(text)

    async def send(self, message: dict[str, Any], *, escape: bool = False) -> None:
        """Send a message, in frames under 16 KiB; raises LineLost."""
        text = json.dumps(message, indent=1) if escape else spell(message)
        try:
            if len(text) <= PIECE:
                await self._connection.send(text)
            else:
                await self._connection.send([text[at : at + PIECE] for at in range(0, len(text), PIECE)])
        except ConnectionClosed as error:
            raise LineLost(str(error)) from error

    async def close(self) -> None:
        """Close as one should."""
        await self._connection.close()

    def lose(self) -> None:
        """Lose the socket: no closing handshake, no TLS goodbye."""
        self._connection.transport.abort()

    def mute(self) -> None:
        """From now on nothing is read or answered, not even pings: the socket is half-open."""
        self.muted = True
        self._connection.transport.pause_reading()
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def wait_closed(self) -> None:
        """Return when the other side has closed."""
        await self._connection.wait_closed()

    async def _receive_text(self) -> str:
        pieces: list[str] = []
        async for piece in self._connection.recv_streaming():
            if not isinstance(piece, str):
                await self._end(UNSUPPORTED, "sends a binary frame")
            size = len(piece) if piece.isascii() else len(piece.encode())
            if size > FRAME_LIMIT + SPLIT_CHARACTER * bool(pieces):
                self._report(f"sends a frame of {size} bytes, {FRAME_LIMIT} are allowed")
            pieces.append(piece)
        return "".join(pieces)

    async def _parse(self, text: str) -> dict[str, Any]:
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("mt"), str):
            await self._end(UNSUPPORTED, f"sends what is no message: {text[:80]!r}")
        return message

    async def _end(self, code: int, bug: str) -> NoReturn:
        """Report, close and give up."""
        self._report(bug)
        await self._connection.close(code)
        raise LineLost(bug)


async def dial(url: str, tls: ssl.SSLContext | None, report: Report) -> Line:
    """Connect to a listening daemon; raises LineLost."""
    try:
        connection = await connect(
            url,
            proxy=None,
            compression=None,
            ping_interval=None,
            max_size=RECEIVE_LIMIT,
            ssl=True if tls is None and url.startswith("wss:") else tls,
        )
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
        raise LineLost(f"{url} can't be dialled: {error}") from error
    return Line(connection, report)


class Listener:
    """A server that is listening."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def close(self) -> None:
        """Stop listening and close what is open."""
        self._server.close()
        await self._server.wait_closed()


async def listen(
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    report: Report,
    talk: Callable[[Line], Awaitable[None]],
) -> Listener:
    """Take connections of a dialling daemon, at the path of the document only."""

    def check(connection: ServerConnection, request: Request) -> Response | None:
        if "Sec-WebSocket-Protocol" in request.headers:
            report("asks for a subprotocol")
        if request.path != DIAL_PATH:
            report(f"dials {request.path}, not {DIAL_PATH}")
            return connection.respond(HTTPStatus.NOT_FOUND, "no such path\n")
        return None

    async def meet(connection: ServerConnection) -> None:
        await talk(Line(connection, report))

    server = await serve(
        meet,
        host,
        port,
        ssl=tls,
        process_request=check,
        compression=None,
        ping_interval=None,
        max_size=RECEIVE_LIMIT,
    )
    return Listener(server)
