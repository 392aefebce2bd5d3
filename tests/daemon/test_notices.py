"""Notices over HTTP: before the guard of the page, and nothing else gets past it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import BytesIO

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from presenced.daemon.web.notices import MOST_BYTES, NoticeBox


@dataclass
class Desk:
    """The port `core.ports.Notices`."""

    is_open: bool = True
    taken: list[bytes] = field(default_factory=list)

    def take(self, body: bytes) -> bool:
        self.taken.append(body)
        return body != b"rubbish"


@dataclass
class Listener:
    desk: Desk
    server: TestServer
    session: ClientSession

    async def post(self, path: str, body: bytes = b"", method: str = "POST") -> tuple[int, str, str]:
        url = self.server.make_url(path)
        async with self.session.request(method, url, data=BytesIO(body)) as response:
            return response.status, response.content_type, await response.text()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    desk = Desk()
    box = NoticeBox("https://presenced.example.com/in%20here/notices?x=1", desk)

    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=401, text="the page")

    application = web.Application(middlewares=[box.take], client_max_size=16)
    application.router.add_route("*", "/{rest:.*}", refuse)
    server = TestServer(application)
    await server.start_server()
    async with ClientSession() as session:
        yield Listener(desk, server, session)
    await server.close()


PATH = "/in%20here/notices"


@pytest.mark.parametrize("token", ["abc", "Validation: <script>alert(1)</script> & more", "ä"])
async def test_the_handshake_is_the_token_as_plain_text(listener: Listener, token: str) -> None:
    url = listener.server.make_url(PATH)
    async with listener.session.post(url, params={"validationToken": token}) as response:
        assert (response.status, response.content_type) == (200, "text/plain")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert await response.text() == token
    assert listener.desk.taken == []


async def test_a_token_without_measure_is_refused(listener: Listener) -> None:
    assert (await listener.post(f"{PATH}?validationToken={'x' * 5000}"))[0] == 400


async def test_a_notice_is_taken_and_answered_at_once(listener: Listener) -> None:
    assert await listener.post(PATH, b'{"value": []}') == (202, "application/octet-stream", "")
    assert listener.desk.taken == [b'{"value": []}']


async def test_a_body_that_is_none_or_too_large_is_refused(listener: Listener) -> None:
    assert (await listener.post(PATH, b"rubbish"))[0] == 400
    assert (await listener.post(PATH, b"x" * (MOST_BYTES + 1)))[0] == 413
    assert listener.desk.taken == [b"rubbish"]


async def test_while_no_door_is_open_graph_is_asked_to_come_again(listener: Listener) -> None:
    listener.desk.is_open = False
    assert (await listener.post(PATH, b"{}"))[0] == 503
    assert (await listener.post(f"{PATH}?validationToken=abc"))[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", PATH), ("POST", "/"), ("POST", PATH + "/"), ("POST", "/in%20here/notices/../x"), ("PUT", PATH)],
)
async def test_everything_else_is_the_pages(listener: Listener, method: str, path: str) -> None:
    assert (await listener.post(path, method=method))[0] == 401
    assert listener.desk.taken == []
