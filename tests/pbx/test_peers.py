"""What happens on a connection whose socket misbehaves, without a network."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from presenced.core.ports import LinkDown
from presenced.core.presence import Presence
from presenced.pbx.peers import TROUBLES_LOGGED, Peers, SocketEnded
from tests.clock import FakeClock
from tests.pbx.scripted import SETTINGS, Listener


class Socket:
    """A socket of paper: what is put in is received; sending may be stopped up."""

    address = "paper:1"

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self.sent: list[dict[str, object]] = []
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.ended = ""

    def put(self, mt: str, **members: object) -> None:
        self.inbox.put_nowait(json.dumps({"mt": mt, **members}))

    async def receive(self) -> str:
        text = None if self.ended else await self.inbox.get()
        if text is None:
            raise SocketEnded(self.ended or "torn")
        return text

    async def send(self, text: str) -> None:
        await self.flowing.wait()
        self.sent.append(json.loads(text))

    async def close(self, reason: str) -> None:
        self._end(f"closed: {reason}")

    def abort(self) -> None:
        self._end("aborted")

    def welcome(self) -> None:
        pass

    def _end(self, how: str) -> None:
        self.ended = self.ended or how
        self.inbox.put_nowait(None)


class Room:
    """Peers in dial mode (the shorter login), one paper socket, a clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.listener = Listener()
        self.peers = Peers(replace(SETTINGS, writes_in_flight=2), self.listener, self.clock, lambda: "n")
        self.socket = Socket()
        self.task = asyncio.create_task(self.peers.attend(self.socket, dialled=True))

    async def link(self) -> None:
        self.socket.put("AppChallengeResult", challenge="c")
        self.socket.put("AppLoginResult", ok=True)
        self.socket.put("ReplicateStartResult", columns={})
        self.socket.put("ReplicateNextResult")
        await self.clock.settle()
        assert self.listener.times("replicated") == 1


async def test_a_peer_that_reads_nothing_is_cut_off() -> None:
    room = Room()
    await room.link()
    room.socket.flowing.clear()
    room.socket.put("KeepAlive")
    await room.clock.advance(timedelta(seconds=29))
    assert not room.task.done()
    await room.clock.advance(timedelta(seconds=1))
    assert await room.task == ("the peer left what we sent unread for 30 s", False)
    assert room.socket.ended == "aborted"
    assert room.listener.heard[-1] == ("unlinked", "the peer left what we sent unread for 30 s")


async def test_a_peer_that_reads_nothing_is_not_read_from() -> None:
    room = Room()
    await room.link()
    room.socket.flowing.clear()
    for _ in range(100):
        room.socket.put("KeepAlive")
    await room.clock.settle()
    assert room.socket.inbox.qsize() >= 99
    room.socket.flowing.set()
    await room.clock.settle(500)
    assert sum(sent["mt"] == "KeepAlive" for sent in room.socket.sent) == 100
    room.socket.abort()
    await room.task


async def test_writes_on_a_stopped_up_socket_time_out() -> None:
    room = Room()
    await room.link()
    room.socket.flowing.clear()
    writes = [asyncio.create_task(room.peers.send_presence("g", Presence("busy", "x"))) for _ in range(3)]
    await room.clock.advance(timedelta(seconds=40))
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert all(isinstance(outcome, LinkDown) for outcome in outcomes)
    assert room.socket.ended == "aborted"
    await room.task


async def test_a_stalled_replication_ends_the_connection() -> None:
    room = Room()
    room.socket.put("AppChallengeResult", challenge="c")
    room.socket.put("AppLoginResult", ok=True)
    await room.clock.advance(timedelta(seconds=60))
    reason, _ = await room.task
    assert "did not answer ReplicateStart" in reason
    assert room.socket.ended.startswith("closed: ")
    assert room.listener.times("unlinked") == 1


async def test_a_link_of_a_minute_was_steady() -> None:
    room = Room()
    await room.link()
    await room.clock.advance(timedelta(minutes=1))
    room.socket.abort()
    assert await room.task == ("aborted", True)


async def test_nonsense_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    room = Room()
    await room.link()
    for _ in range(TROUBLES_LOGGED * 3):
        room.socket.put("ReplicateAdd", columns={"guid": "g", "h323": 1})
    await room.clock.settle(300)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == TROUBLES_LOGGED
    assert room.peers.counts["rows_unreadable"] == TROUBLES_LOGGED * 3
    room.socket.abort()
    await room.task


async def test_a_listener_that_fails_ends_the_connection_and_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = Room()
    await room.link()

    def fail(_user: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(room.listener, "changed", fail)
    room.socket.put("ReplicateAdd", columns={"guid": "g"})
    with pytest.raises(ExceptionGroup) as failure:
        await room.task
    assert failure.value.subgroup(RuntimeError) is not None
    assert room.listener.times("unlinked") == 1
    assert room.peers.status() == []
