"""The connections open now, what happens on them, and the presences being written.

Every connection has a session (the protocol, sans-I/O) and two tasks: one reads, one waits for the
session's deadline or for something to send. The reader sends its own answers, so that a peer that asks
without reading slows itself down. Whoever writes a presence waits for its outcome alone, never for the
socket. The replica outlives the connections.

A new connection of the same PBX replaces the old one: what looks like two is a socket that died on one
side only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from presenced.config.settings import PbxSettings
from presenced.core.ports import Clock, LinkDown, PbxLinkStatus, PbxListener, PresenceRefused
from presenced.core.presence import Presence
from presenced.core.replica import PassComplete, Replica, RowUnreadable, UserChanged, UserRemoved
from presenced.pbx.events import Close, Event, Identified, Linked, Trouble, Written
from presenced.pbx.session import Session
from presenced.pbx.wire import WireError

log = logging.getLogger(__name__)

SEND_WITHIN = timedelta(seconds=30)
"""how long a peer may leave what we send unread"""
STEADY_AFTER = timedelta(minutes=1)
"""a link that held this long is not the one to back off from"""
TROUBLES_LOGGED = 20
"""of one connection, so that a PBX that talks nonsense can't fill the log"""
STOPPING = "presenced is stopping"
COUNTS = (
    "connections",
    "turned_away",
    "replaced",
    "logins",
    "logins_refused",
    "checks_failed",
    "replications",
    "rows",
    "row_changes",
    "rows_unreadable",
    "writes",
    "writes_refused",
    "writes_timed_out",
    "late_results",
    "unknown_messages",
    "ignored_messages",
    "malformed_messages",
)


class SocketEnded(Exception):
    """The connection is over; the text is a sentence for the admin."""


class Socket(Protocol):
    """A WebSocket that carries texts. Every coroutine raises SocketEnded once it is over."""

    @property
    def address(self) -> str:
        """The other end, as host and port."""

    async def receive(self) -> str | bytes:
        """The next message."""

    async def send(self, text: str) -> None:
        """Send one message; returns when there is room for the next."""

    async def close(self, reason: str) -> None:
        """End it with a closing handshake that takes a bounded time."""

    def abort(self) -> None:
        """End it at once."""

    def welcome(self) -> None:
        """The peer is known from now on."""


class _Peer:
    """One connection and what goes on over it."""

    def __init__(self, socket: Socket, session: Session, since: datetime) -> None:
        self.socket = socket
        self.session = session
        self.since = since
        self.wake = asyncio.Event()
        self.armed: datetime | None = None
        """the deadline its task waits for"""
        self.writes: dict[str, asyncio.Future[None]] = {}
        self.linked = False
        self.linked_at: datetime | None = None
        self.ending = ""
        """why we close the connection, "" as long as we don't"""
        self.troubles = 0

    @property
    def name(self) -> str:
        return self.session.identity.name if self.session.identity else ""

    @property
    def label(self) -> dict[str, str]:
        """Whose connection it is, for the log."""
        return {"pbx": self.name, "peer": self.socket.address}

    def status(self) -> PbxLinkStatus:
        identity = self.session.identity
        return PbxLinkStatus(
            name=self.name,
            role=self.session.role,
            peer=self.socket.address,
            since=self.since,
            version=identity.version if identity else "",
            detail=self.session.detail,
        )


class Peers:
    """All connections of one door."""

    def __init__(
        self, settings: PbxSettings, listener: PbxListener, clock: Clock, nonce: Callable[[], str]
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._clock = clock
        self._nonce = nonce
        self._replica = Replica()
        self._peers: dict[_Peer, None] = {}
        """a set in the order of arrival"""
        self._master: _Peer | None = None
        self._slots = asyncio.Semaphore(settings.writes_in_flight)
        self.counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))

    def status(self) -> list[PbxLinkStatus]:
        """Every connection, the oldest first."""
        return [peer.status() for peer in self._peers]

    async def attend(self, socket: Socket, *, dialled: bool = False) -> tuple[str, bool]:
        """Talk until the connection ends: why it ended, and whether the link had held for a while."""
        now = self._clock.now()
        peer = _Peer(socket, Session(self._settings, self._replica, self.counts, now, dialled=dialled), now)
        self.counts["connections"] += 1
        self._peers[peer] = None
        reason = STOPPING
        try:
            async with asyncio.TaskGroup() as tasks:
                pump = tasks.create_task(self._pump(peer))
                reason = await self._converse(peer)
                pump.cancel()
        finally:
            self._peers.pop(peer, None)
            reason = peer.ending or reason
            self._unlink(peer, reason)
            peer.session.close()
            log.log(logging.INFO if peer.name else logging.DEBUG, "link ended: %s", reason, extra=peer.label)
        return reason, peer.linked_at is not None and self._clock.now() - peer.linked_at >= STEADY_AFTER

    def part(self, reason: str) -> None:
        """No more work on any connection; the sockets are for the caller to close."""
        for peer in self._peers:
            peer.ending = peer.ending or reason
            self._unlink(peer, reason)
            peer.session.close()

    async def send_presence(self, guid: str, presence: Presence) -> None:
        """Write to the master PBX; raises PresenceRefused or LinkDown.

        At most `writes_in_flight` are under way; a slot is held until the PBX answers or its time is
        over, even where the caller has stopped waiting.
        """
        self._linked_peer()
        await self._slots.acquire()
        try:
            peer = self._linked_peer()
            src = peer.session.write(guid, presence, self._clock.now())
        except WireError as problem:
            self._slots.release()
            raise PresenceRefused(f"the presence was not sent: {problem}") from problem
        except LinkDown:
            self._slots.release()
            raise
        outcome = asyncio.get_running_loop().create_future()
        peer.writes[src] = outcome
        peer.wake.set()
        await outcome

    # --- one connection ------------------------------------------------------------------------

    async def _converse(self, peer: _Peer) -> str:
        try:
            await self._act(peer)
            while True:
                data = await peer.socket.receive()
                peer.session.receive(data, self._clock.now(), self._nonce)
                await self._act(peer)
        except SocketEnded as ended:
            return str(ended)

    async def _pump(self, peer: _Peer) -> None:
        """Send what others leave to be sent, and keep the session's deadlines."""
        with contextlib.suppress(SocketEnded):
            while True:
                await self._idle(peer)
                peer.session.tick(self._clock.now())
                await self._act(peer)

    async def _idle(self, peer: _Peer) -> None:
        peer.armed = peer.session.deadline
        if peer.armed is None:
            await peer.wake.wait()
        else:
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(peer.armed - self._clock.now()):
                    await peer.wake.wait()
        peer.wake.clear()

    async def _act(self, peer: _Peer) -> None:
        """Send what the session has to send, then tell what it has to tell: the PBX works meanwhile."""
        try:
            if (text := peer.session.take_text()) is not None:
                await self._send(peer, text)
        finally:
            while (event := peer.session.take_event()) is not None:
                self._tell(peer, event)
        deadline = peer.session.deadline
        if deadline is not None and (peer.armed is None or deadline < peer.armed):
            peer.wake.set()
        if peer.ending:
            await peer.socket.close(peer.ending)

    async def _send(self, peer: _Peer, first: str) -> None:
        text: str | None = first
        try:
            async with self._clock.timeout(SEND_WITHIN):
                while text is not None:
                    await peer.socket.send(text)
                    text = peer.session.take_text()
        except TimeoutError:
            self._cut(peer, f"the peer left what we sent unread for {int(SEND_WITHIN.total_seconds())} s")

    # --- what happens on it --------------------------------------------------------------------

    def _tell(self, peer: _Peer, event: Event) -> None:
        match event:
            case UserChanged(user):
                self._listener.changed(user)
            case UserRemoved(guid):
                self._listener.removed(guid)
            case PassComplete(guids):
                log.info("users replicated", extra={**peer.label, "users": len(guids)})
                self._listener.replicated(guids)
            case Written(src, error):
                self._settle(peer, src, PresenceRefused(error) if error else None)
            case RowUnreadable(_, reason) | Trouble(reason):
                self._troubled(peer, reason)
            case Identified():
                self._identified(peer)
            case Linked(pbx):
                peer.linked, peer.linked_at = True, self._clock.now()
                self._master = peer
                self._listener.linked(pbx)
            case Close(reason):
                log.warning("closing the connection: %s", reason, extra=peer.label)
                peer.ending = reason
                self._unlink(peer, reason)

    def _troubled(self, peer: _Peer, reason: str) -> None:
        peer.troubles += 1
        level = logging.WARNING if peer.troubles <= TROUBLES_LOGGED else logging.DEBUG
        log.log(level, "%s", reason, extra=peer.label)

    def _identified(self, peer: _Peer) -> None:
        log.info("PBX logged in", extra={**peer.label, "role": peer.session.role})
        peer.socket.welcome()
        for other in [other for other in self._peers if other is not peer and other.name == peer.name]:
            self.counts["replaced"] += 1
            self._cut(other, f"PBX {peer.name} opened a new connection from {peer.socket.address}")

    def _cut(self, peer: _Peer, reason: str) -> None:
        """End a connection whose peer does not listen: without a closing handshake."""
        peer.ending = peer.ending or reason
        self._unlink(peer, reason)
        peer.session.close()
        peer.socket.abort()

    def _unlink(self, peer: _Peer, reason: str) -> None:
        if not peer.linked:
            return
        peer.linked = False
        self._master = None
        for src in list(peer.writes):
            self._settle(peer, src, LinkDown(reason))
        self._listener.unlinked(reason)

    def _settle(self, peer: _Peer, src: str, error: Exception | None) -> None:
        outcome = peer.writes.pop(src, None)
        if outcome is None:
            return
        self._slots.release()
        if outcome.done():
            return
        if error is None:
            outcome.set_result(None)
        else:
            outcome.set_exception(error)

    def _linked_peer(self) -> _Peer:
        if self._master is not None:
            return self._master
        name = self._settings.master_pbx_name
        details = [peer.session.detail for peer in self._peers if peer.name == name]
        raise LinkDown(next(filter(None, details), f"PBX {name} is not connected"))
