"""The door to the PBX over WebSockets, whichever side dials; the only file that knows the library.

What is said over a connection is settled in `session`, what becomes of it in `peers`; here sockets are
opened, bounded, and closed. Liveness is the transport's affair: pings of the library and TCP keepalive
find a peer that vanished, for a PBX may rightly be silent for days.

The library prints frames when its logger is at debug level; frames hold titles and digests, so its
logger stays at warnings, whatever level the daemon logs at.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from tenacity import RetryCallState, Retrying, wait_exponential_jitter
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, WebSocketException

from presenced.config.settings import PbxSettings
from presenced.core.ports import Clock, DoorProblem, PbxLinkStatus, PbxListener
from presenced.core.presence import Presence
from presenced.pbx import tls
from presenced.pbx.peers import STOPPING, Peers, SocketEnded
from presenced.pbx.session import NONCE_LENGTH
from presenced.pbx.wire import INCOMING_LIMIT, frames

log = logging.getLogger(__name__)
_library_log = logging.getLogger(f"{__name__}.websockets")
_library_log.setLevel(logging.WARNING)

STRANGERS_LIMIT = 64
"""connections that have not yet said which PBX they are"""
_OPEN_SECONDS = 5.0
_CLOSE_SECONDS = 2.0
_PING_SECONDS = 20.0
_QUEUED_FRAMES = 4
_POLICY_VIOLATION = 1008
_GOING_AWAY = 1001
_REASON_BYTES = 100
_KERNEL_OPTIONS = {
    "TCP_KEEPIDLE": 30,
    "TCP_KEEPINTVL": 10,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 60_000,
}
"""seconds, seconds, probes, milliseconds; where the system has them"""
_BACK_OFF = wait_exponential_jitter(max=60)


class PbxLink:
    """`core.ports.PbxDoor`: listens for PBXes, or dials one, as `[pbx]` says."""

    def __init__(
        self,
        settings: PbxSettings,
        listener: PbxListener,
        clock: Clock,
        *,
        nonce: Callable[[], str] = lambda: secrets.token_hex(NONCE_LENGTH // 2),
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._peers = Peers(settings, listener, clock, nonce)
        self._strangers: set[ServerConnection] = set()
        self._context: ssl.SSLContext | None = None
        self.certificate_expires_at: datetime | None = None
        """the end of the certificate shown to PBXes; None where there is none"""
        self._unconnected: PbxLinkStatus | None = None
        """when dialling: what to show while there is no connection"""
        self.listening = asyncio.Event()
        """set when PBXes can connect; when dialling, as soon as that has begun"""
        self.port = 0
        """the port bound, once `listening` is set in listen mode"""
        self.failure = ""
        """when dialling: why the last connection ended or did not come about"""

    async def run(self) -> None:
        """Listen or dial until cancelled; raises DoorProblem where that can't even begin."""
        try:
            if self._settings.mode == "dial":
                await self._keep_dialling()
            else:
                await self._listen()
        finally:
            self.listening.clear()

    async def send_presence(self, guid: str, presence: Presence) -> None:
        """Write one user's calendar presence; raises PresenceRefused or LinkDown."""
        await self._peers.send_presence(guid, presence)

    def status(self) -> Sequence[PbxLinkStatus]:
        """Every PBX connected now; when dialling in vain, what is tried and why it failed."""
        return self._peers.status() or ([self._unconnected] if self._unconnected else [])

    def counters(self) -> Mapping[str, int]:
        """Named counts since start; every name is there from the beginning."""
        return dict(self._peers.counts)

    def reload_certificate(self) -> None:
        """Read `tls_certificate` and `tls_key` again; open connections keep theirs. Raises DoorProblem."""
        if self._context is not None and self._settings.mode != "dial":
            tls.load_certificate(self._context, self._settings)
            self.certificate_expires_at = tls.certificate_end(self._settings)

    @property
    def certificate_files(self) -> tuple[Path, ...]:
        """The files `reload_certificate` reads."""
        return tls.certificate_files(self._settings)

    # --- listening -----------------------------------------------------------------------------

    async def _listen(self) -> None:
        server = await self._open()
        self.port = next(iter(server.sockets)).getsockname()[1]
        log.info("listening for PBXes", extra={"host": self._settings.listen.host, "port": self.port})
        self.listening.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._peers.part(STOPPING)
            server.close(code=_GOING_AWAY)
            await server.wait_closed()

    async def _open(self) -> Server:
        where = self._settings.listen
        self._context = tls.server_context(self._settings)
        self.certificate_expires_at = tls.certificate_end(self._settings)
        try:
            return await serve(
                self._accept,
                where.host,
                where.port,
                ssl=self._context,
                create_connection=self._doorway(),
                compression=None,
                open_timeout=_OPEN_SECONDS,
                close_timeout=_CLOSE_SECONDS,
                ping_interval=_PING_SECONDS,
                ping_timeout=_PING_SECONDS,
                max_size=INCOMING_LIMIT,
                max_queue=_QUEUED_FRAMES,
                server_header=None,
                logger=_library_log,
            )
        except OSError as problem:
            raise DoorProblem(
                f"can't listen for the PBX on {where.host}:{where.port}: {problem.strerror or problem}",
                remedy="set listen in [pbx] to a free address of this machine",
            ) from problem

    def _doorway(self) -> type[ServerConnection]:
        """Connections that count as strangers from their first byte, and are cut off beyond the limit."""
        strangers, counts = self._strangers, self._peers.counts

        class Doorway(ServerConnection):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                if len(strangers) >= STRANGERS_LIMIT:
                    counts["turned_away"] += 1
                    self.transport.abort()
                else:
                    strangers.add(self)

            def connection_lost(self, exc: Exception | None) -> None:
                strangers.discard(self)
                super().connection_lost(exc)

        return Doorway

    async def _accept(self, connection: ServerConnection) -> None:
        await self._peers.attend(_Socket(connection, lambda: self._strangers.discard(connection)))

    # --- dialling ------------------------------------------------------------------------------

    async def _keep_dialling(self) -> None:
        self._context = tls.client_context(self._settings)
        self._dialling("dialling")
        self.listening.set()
        attempt = 0
        while True:
            reason, steady = await self._dial()
            self.failure = reason
            attempt = 1 if steady else attempt + 1
            pause = _pause(attempt)
            detail = f"{reason}; next try in {pause.total_seconds():.0f} s"
            log.warning("no link to the PBX: %s", detail, extra={"url": self._settings.url})
            self._dialling(detail)
            await self._clock.sleep(pause)
            self._dialling(f"{reason}; dialling again")

    def _dialling(self, detail: str) -> None:
        self._unconnected = PbxLinkStatus(
            self._settings.master_pbx_name, "login", self._settings.url, self._clock.now(), detail=detail
        )

    async def _dial(self) -> tuple[str, bool]:
        """One connection from beginning to end: why it ended, and whether it had held for a while."""
        url = self._settings.url
        try:
            connection = await connect(
                url,
                ssl=self._context,
                proxy=None,
                compression=None,
                open_timeout=_OPEN_SECONDS,
                close_timeout=_CLOSE_SECONDS,
                ping_interval=_PING_SECONDS,
                ping_timeout=_PING_SECONDS,
                max_size=INCOMING_LIMIT,
                max_queue=_QUEUED_FRAMES,
                user_agent_header=None,
                logger=_library_log,
            )
        except (OSError, WebSocketException) as problem:
            return _no_connection(url, problem, self._settings.tls_ca), False
        try:
            return await self._peers.attend(_Socket(connection), dialled=True)
        finally:
            await connection.close(_GOING_AWAY)


class _Socket:
    """A connection of the library as `peers.Socket`."""

    def __init__(
        self, connection: ClientConnection | ServerConnection, welcome: Callable[[], None] = lambda: None
    ) -> None:
        self._connection = connection
        self.welcome = welcome
        address = connection.remote_address
        self.address = f"{address[0]}:{address[1]}" if address else "unknown"
        _keep_alive(connection.transport)

    async def receive(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed as closed:
            raise SocketEnded(_ended(closed)) from closed

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(frames(text), text=True)
        except ConnectionClosed as closed:
            raise SocketEnded(_ended(closed)) from closed

    async def close(self, reason: str) -> None:
        words = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        await self._connection.close(_POLICY_VIOLATION, words)

    def abort(self) -> None:
        self._connection.transport.abort()


def _keep_alive(transport: asyncio.BaseTransport) -> None:
    """Let the kernel notice a peer that vanished, and one that takes nothing any more."""
    wire = transport.get_extra_info("socket")
    if wire is None:
        return
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KERNEL_OPTIONS.items():
        if (option := getattr(socket, name, None)) is not None:
            wire.setsockopt(socket.IPPROTO_TCP, option, value)


def _pause(attempt: int) -> timedelta:
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = attempt
    return timedelta(seconds=_BACK_OFF(state))


def _ended(closed: ConnectionClosed) -> str:
    if closed.rcvd is not None and closed.rcvd_then_sent is not False:
        words = f", {closed.rcvd.reason!r}" if closed.rcvd.reason else ""
        return f"the PBX closed the connection (code {closed.rcvd.code}{words})"
    if closed.sent is not None:
        return f"the connection was closed: {closed.sent.reason or f'code {closed.sent.code}'}"
    return "the connection broke off"


def _no_connection(url: str, problem: Exception, authority: Path | None) -> str:
    if isinstance(problem, ssl.SSLCertVerificationError):
        if authority is not None and problem.verify_code in tls.CHAIN_ENDS_ELSEWHERE:
            return (
                f"the certificate of {url} is not trusted ({problem.verify_message}):"
                f" tls_ca in [pbx] must name the CA that issued it, {authority} holds another"
            )
        return f"the certificate of {url} is not trusted ({problem.verify_message}): set tls_ca in [pbx]"
    if isinstance(problem, TimeoutError):
        return f"{url} did not answer in time"
    if isinstance(problem, OSError):
        return f"can't connect to {url}: {problem.strerror or problem}"
    return f"{url} does not answer as a WebSocket server: {problem}"
