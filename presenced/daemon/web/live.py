"""Regions of pages that change while somebody looks: rendered once for all who watch, sent when they differ.

Server-sent events. A client that reads slowly gets the newest text of every region and never a heap of
old ones, so what waits for it is bounded by the page itself; the number of clients is bounded, too.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from presenced.core.ports import Clock

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=1)
MOST_CLIENTS = 50
Regions = Mapping[str, str]
"""id of an element -> its new content"""


@dataclass(eq=False, slots=True)
class _Client:
    topic: str
    may_watch: Callable[[], bool]
    waiting: dict[str, str] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False


class Live:
    """Everybody who watches, by topic (`overview`, `user:GUID`, ...)."""

    def __init__(self, clock: Clock, render: Callable[[str], Awaitable[Regions]]) -> None:
        """`render` gives the regions of a topic; none for one that is gone."""
        self._clock = clock
        self._render = render
        self._clients: set[_Client] = set()
        self._sent: dict[str, dict[str, str]] = {}

    @property
    def watching(self) -> int:
        """How many watch."""
        return len(self._clients)

    async def run(self) -> None:
        """Look once a second for what changed, until cancelled; nothing is done while nobody watches."""
        try:
            while True:
                await self._clock.sleep(EVERY)
                await self._look()
        finally:
            for client in self._clients:
                _end(client)

    async def _look(self) -> None:
        for client in self._clients:
            if not client.may_watch():
                _end(client)
        topics = {client.topic for client in self._clients if not client.over}
        self._sent = {topic: self._sent.get(topic, {}) for topic in topics}
        for topic in topics:
            try:
                regions = await self._render(topic)
            except Exception:
                log.exception("a page could not be brought up to date topic=%s", topic)
                continue
            known = self._sent[topic]
            changed = {name: text for name, text in regions.items() if known.get(name) != text}
            known.update(changed)
            for client in self._clients:
                if client.topic == topic and changed:
                    client.waiting.update(changed)
                    client.arrived.set()

    async def serve(
        self,
        request: web.Request,
        topic: str,
        may_watch: Callable[[], bool],
        dress: Callable[[web.StreamResponse], None],
    ) -> web.StreamResponse:
        """Send what changes in a topic until the client goes, or may not watch any more."""
        if len(self._clients) >= MOST_CLIENTS:
            raise web.HTTPServiceUnavailable(
                text=f"{MOST_CLIENTS} pages are live already; load this one again instead.\n",
                headers={"Retry-After": "60"},
            )
        client = _Client(topic, may_watch)
        self._clients.add(client)
        try:
            regions = dict(await self._render(topic))
            self._sent.setdefault(topic, regions)
            client.waiting.update(regions)
            client.arrived.set()
            response = EventSourceResponse()
            dress(response)
            await response.prepare(request)
            async with response:
                await self._send_all(response, client)
            return response
        finally:
            self._clients.discard(client)

    async def _send_all(self, response: EventSourceResponse, client: _Client) -> None:
        while response.is_connected():
            await client.arrived.wait()
            client.arrived.clear()
            regions, client.waiting = client.waiting, {}
            now = self._clock.now().isoformat(timespec="milliseconds")
            for name, text in regions.items():
                await response.send(json.dumps({"id": name, "html": text, "now": now}), event="region")
            if client.over:
                await response.send("{}", event="over")
                return


def _end(client: _Client) -> None:
    client.over = True
    client.arrived.set()
