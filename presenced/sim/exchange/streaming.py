"""GetStreamingEvents: an answer that stays open and tells of changes as they come.

MS-OXWSNTIF section 3.1.4.3 GetStreamingEvents. The body is one whole SOAP envelope after another: first
that the connection stands, then notifications, a StatusEvent where nothing happened for a while, and
ConnectionStatus Closed when the time is over. Everything that can go wrong with a stream goes wrong here.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web

from presenced.core.ports import Clock
from presenced.sim.exchange.call import Call
from presenced.sim.exchange.faults import Switch, Trouble
from presenced.sim.exchange.notifications import stream_ids
from presenced.sim.exchange.problems import Problem
from presenced.sim.exchange.soap import escape, failure, response, stream_envelope, success
from presenced.sim.exchange.subscriptions import Stream, Subscription

OPERATION = "GetStreamingEvents"
XML = "text/xml; charset=utf-8"
NEVER = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Pace:
    """The habits of a server's streams."""

    keep_alive: timedelta = timedelta(seconds=45)
    """a StatusEvent after so much silence"""
    notice_delay: timedelta = timedelta()
    """how long notices are gathered before they are sent"""


def ignore(_: bytes) -> None:
    """The check where there is no schema."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What streams need of the endpoint."""

    clock: Clock
    pace: Pace
    check: Callable[[bytes], None] = ignore
    """told every envelope"""


async def serve_stream(
    call: Call, request: web.Request, around: Surroundings, trouble: Switch | None
) -> web.StreamResponse:
    """Answer a GetStreamingEvents until its time is over, the client leaves or something goes wrong."""
    ids, minutes = stream_ids(call)
    answer = web.StreamResponse(headers={"Content-Type": XML, "Cache-Control": "private"})
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    clock = around.clock
    writing = _Writing(call, request, answer, around)
    deadline = clock.now() + timedelta(minutes=minutes)
    problem, named = _objection(call, ids)
    if problem is not None:
        hangs = call.faults.dead_ids_hang and 0 < len(named) < len(ids)
        await writing.write(_refused(problem, named, status="OK" if hangs else "Closed"))
        if hangs:
            await clock.sleep(deadline - clock.now())
        return answer
    found = [_find(call, id_) for id_ in ids]
    stream = call.subscriptions.open(call.budget, [each for each in found if each is not None])
    stream.trouble = trouble
    try:
        await writing.write(_told("<m:ConnectionStatus>OK</m:ConnectionStatus>"))
        await _run(stream, writing, around.pace, deadline)
    except ConnectionError:
        pass  # the client is gone; nobody is left to tell
    finally:
        call.subscriptions.close(stream, clock.now())
    return answer


def _find(call: Call, id_: str) -> Subscription | None:
    subscription = call.subscriptions.find(id_, call.backend, call.now)
    return subscription if subscription is not None and subscription.kind == "streaming" else None


def _objection(call: Call, ids: list[str]) -> tuple[Problem | None, list[str]]:
    """Why these ids can't be streamed, and which of them are the reason."""
    found = {id_: _find(call, id_) for id_ in ids}
    dead = [id_ for id_, subscription in found.items() if subscription is None]
    if dead:
        text = "The specified subscription was not found."
        return Problem("ErrorSubscriptionNotFound", text), dead
    mailboxes = {subscription.mailbox for subscription in found.values() if subscription}
    if len(mailboxes) > 1 and not call.faults.several_mailboxes_a_stream:
        return Problem("ErrorInvalidSubscription", "The subscription is invalid."), ids
    if call.subscriptions.streams_of(call.budget) >= call.faults.streams_per_budget:
        text = "You have exceeded the available concurrent connections for your account. Try again later."
        return Problem("ErrorExceededConnectionCount", text), []
    return None, []


class _Writing:
    """Writes envelopes into the answer, whole or in pieces."""

    def __init__(
        self, call: Call, request: web.Request, answer: web.StreamResponse, around: Surroundings
    ) -> None:
        self._faults = call.faults
        self._request = request
        self._answer = answer
        self._check = around.check
        self.clock = around.clock

    async def write(self, content: str) -> None:
        envelope = stream_envelope(content)
        self._check(envelope)
        size = self._faults.piece_size or len(envelope)
        for start in range(0, len(envelope), size):
            await self._answer.write(envelope[start : start + size])
            if size < len(envelope):
                await self.clock.sleep(self._faults.piece_pause)

    def reset(self) -> None:
        """Drop the connection so that the client sees a reset."""
        reset_connection(self._request.transport)


async def _run(stream: Stream, writing: _Writing, pace: Pace, deadline: datetime) -> None:
    clock = writing.clock
    spoke = clock.now()
    while True:
        if stream.trouble is not None and not await _suffer(stream, stream.trouble, writing):
            return
        stalled = stream.trouble is not None
        if stream.pending and not stalled:
            if pace.notice_delay > timedelta():
                await clock.sleep(pace.notice_delay)
            pending, stream.pending = stream.pending, {}
            await writing.write(_notifications(pending.items()))
            spoke = clock.now()
            continue
        stream.wake.clear()
        now = clock.now()
        if not stalled and (now >= deadline or not stream.subscriptions):
            await writing.write(_told("<m:ConnectionStatus>Closed</m:ConnectionStatus>"))
            return
        if not stalled and now >= spoke + pace.keep_alive:
            first = next(iter(stream.subscriptions))
            await writing.write(_notifications([(first, ["<t:StatusEvent/>"])]))
            spoke = now
        wait = NEVER if stalled else min(deadline, spoke + pace.keep_alive) - clock.now()
        try:
            async with clock.timeout(wait):
                await stream.wake.wait()
        except TimeoutError:
            pass


async def _suffer(stream: Stream, switch: Switch, writing: _Writing) -> bool:
    """Let the trouble happen; whether the stream stays open nevertheless."""
    if switch.trouble is Trouble.STALL:
        return True
    if switch.trouble is Trouble.CLOSED:
        await writing.write(_told("<m:ConnectionStatus>Closed</m:ConnectionStatus>"))
    elif switch.trouble is Trouble.ERROR:
        mailbox = switch.mailbox.casefold()
        named = [each.id for each in stream.subscriptions.values() if each.mailbox == mailbox]
        await writing.write(_refused(Problem(switch.code, "The stream has ended."), named, status="Closed"))
    elif switch.trouble is Trouble.RESET:
        writing.reset()
    return False


def _told(content: str) -> str:
    return response(OPERATION, success(OPERATION, content))


def _refused(problem: Problem, ids: list[str], *, status: str) -> str:
    named = "".join(f"<m:SubscriptionId>{escape(id_)}</m:SubscriptionId>" for id_ in ids)
    content = f"<m:ErrorSubscriptionIds>{named}</m:ErrorSubscriptionIds>" if ids else ""
    content += f"<m:ConnectionStatus>{status}</m:ConnectionStatus>"
    return response(OPERATION, failure(OPERATION, problem, content))


def _notifications(pending: Iterable[tuple[str, list[str]]]) -> str:
    told = "".join(
        f"<m:Notification><t:SubscriptionId>{id_}</t:SubscriptionId>{''.join(events)}</m:Notification>"
        for id_, events in pending
    )
    return _told(f"<m:Notifications>{told}</m:Notifications>")


def reset_connection(transport: asyncio.BaseTransport | None) -> None:
    """Close a connection so that the other side sees a reset, whatever was still to be sent."""
    if not isinstance(transport, asyncio.Transport):
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
