"""The HTTP under msal: what it leaves behind."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from presenced.calendars.signin.http import Http, Trust
from presenced.calendars.signin.problems import SignInProblem
from presenced.config.settings import ExchangeSettings
from tests.clock import FakeClock


async def test_a_connection_ends_though_the_failure_is_kept(
    ca: trustme.CA, app_only: ExchangeSettings
) -> None:
    async def fail(request: web.Request) -> web.Response:
        assert request.transport is not None
        connections.append(request.transport)
        return web.Response(status=503)

    connections: list[asyncio.Transport] = []
    app = web.Application()
    app.router.add_get("/", fail)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(tls)
    server = TestServer(app)
    await server.start_server(ssl=tls)
    http = Http(Trust(app_only), FakeClock().now())
    with pytest.raises(SignInProblem) as kept:
        await asyncio.to_thread(http.get, f"https://localhost:{server.port}/")
    assert not connections[0].is_closing()
    http.close()
    for _ in range(1000):
        if connections[0].is_closing():
            break
        await asyncio.sleep(0.001)
    assert connections[0].is_closing()
    await server.close()
    assert kept.value.__traceback__ is not None, "it still refers to the connection"
