"""A small web server on loopback for tests of the transport and of discovery.

It notes what it was asked and on which connection; what it answers is the test's own function.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass(slots=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    """the how-manieth connection it came on"""
    request: web.Request = field(repr=False)

    @property
    def authorization(self) -> str:
        return self.headers.get("Authorization", "")


Answering = Callable[[Seen], Awaitable[web.StreamResponse]]


class Site:
    """Serves `answering` for every path, inside `async with`."""

    def __init__(self, answering: Answering, *, tls: ssl.SSLContext | None = None) -> None:
        self._answering = answering
        self._tls = tls
        self._connections: list[object] = []
        self.seen: list[Seen] = []

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._server = TestServer(app)
        if self._tls is not None:
            await self._server.start_server(shutdown_timeout=0.1, ssl=self._tls)
        else:
            await self._server.start_server(shutdown_timeout=0.1)
        assert self._server.port is not None
        self.port = self._server.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._server.close()

    def url(self, path: str = "/EWS/Exchange.asmx", host: str = "127.0.0.1") -> str:
        scheme = "https" if self._tls is not None else "http"
        return f"{scheme}://{host}:{self.port}{path}"

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.transport not in self._connections:
            self._connections.append(request.transport)
        connection = self._connections.index(request.transport)
        seen = Seen(request.method, request.path_qs, request.headers, body, connection, request)
        self.seen.append(seen)
        return await self._answering(seen)


async def say_hello(seen: Seen) -> web.StreamResponse:
    """An answer for tests that do not care."""
    return web.Response(body=b"hello " + seen.body)
