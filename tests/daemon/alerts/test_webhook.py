"""Signed JSON to a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import trustme
from aiohttp import web

from presenced.config.settings import AlertSettings, Secret
from presenced.daemon.alerts.channel import Undelivered
from presenced.daemon.alerts.webhook import PATIENCE, Webhook, sign
from tests.clock import FakeClock
from tests.daemon.alerts.notices import BEGUN, ORIGIN

PLAIN = "a secret of more than 24 characters"
CODED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def verify(key: bytes, headers: dict[str, str], body: bytes) -> bool:
    """As a receiver does it, from the specification of Standard Webhooks and not from our code."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(
        hmac.compare_digest(each, f"v1,{expected}") for each in headers["webhook-signature"].split(" ")
    )


@dataclass
class Receiver:
    """Keeps what comes, and answers as it is told."""

    url: str = ""
    status: int = 204
    silent: bool = False
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, request: web.Request) -> web.StreamResponse:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.bodies.append(await request.read())
        self.paths.append(request.path_qs)
        self.arrived.set()
        if self.silent:
            await self.released.wait()
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})


@asynccontextmanager
async def receiver(context: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    place = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", place.receive)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    scheme = "https" if context else "http"
    place.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/hook?token=topsecret"
    try:
        async with asyncio.timeout(20):
            yield place
    finally:
        await runner.cleanup()


def webhook(url: str, secret: str = PLAIN, clock: FakeClock | None = None, **more: Any) -> Webhook:
    settings = AlertSettings(webhook_url=Secret(url), webhook_secret=Secret(secret))
    return Webhook(settings, clock or FakeClock(), **more)


@pytest.mark.parametrize(
    ("secret", "key"), [(PLAIN, PLAIN.encode()), (CODED, base64.b64decode(CODED.removeprefix("whsec_")))]
)
async def test_the_receiver_can_verify(secret: str, key: bytes) -> None:
    clock = FakeClock()
    async with receiver() as place:
        await webhook(place.url, secret, clock).deliver(BEGUN, ORIGIN)
    (headers,), (body,) = place.headers, place.bodies
    assert verify(key, headers, body)
    assert not verify(key, headers, body + b" ")
    assert not verify(b"another key", headers, body)
    assert not verify(key, headers | {"webhook-timestamp": "1"}, body)
    assert headers["webhook-id"] == BEGUN.id
    assert headers["webhook-timestamp"] == str(int(clock.now().timestamp()))
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["type"] == "alert.begun"
    assert place.paths == ["/hook?token=topsecret"]


def test_the_example_of_the_specification() -> None:
    from datetime import UTC, datetime

    body = b'{"test": 2432232314}'
    at = datetime.fromtimestamp(1614265330, UTC)
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign(CODED, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body) == expected


async def test_without_a_secret_it_goes_unsigned() -> None:
    async with receiver() as place:
        await webhook(place.url, "").deliver(BEGUN, ORIGIN)
    assert "webhook-signature" not in place.headers[0]


async def test_tls() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    async with receiver(server) as place:
        await webhook(place.url, trust=client).deliver(BEGUN, ORIGIN)
        with pytest.raises(
            Undelivered, match=r"certificate of the webhook at 127\.0\.0\.1 is not trusted"
        ) as caught:
            await webhook(place.url).deliver(BEGUN, ORIGIN)
    assert caught.value.lasting
    assert len(place.bodies) == 1


@pytest.mark.parametrize(
    ("status", "lasting"),
    [
        (302, True),
        (400, True),
        (401, True),
        (410, True),
        (408, False),
        (429, False),
        (500, False),
        (503, False),
    ],
)
async def test_refusals(status: int, lasting: bool) -> None:
    async with receiver() as place:
        place.status = status
        with pytest.raises(Undelivered) as caught:
            await webhook(place.url).deliver(BEGUN, ORIGIN)
    assert caught.value.reason == f"the webhook at 127.0.0.1 answered {status}"
    assert caught.value.lasting == lasting
    assert len(place.paths) == 1


async def test_nobody_there_and_the_token_is_not_told() -> None:
    async with receiver() as place:
        url = place.url
    with pytest.raises(Undelivered, match="can't be reached") as caught:
        await webhook(url).deliver(BEGUN, ORIGIN)
    assert "topsecret" not in f"{caught.value.reason}{caught.value.remedy}"
    assert not caught.value.lasting


async def test_a_receiver_that_says_nothing() -> None:
    clock = FakeClock()
    async with receiver() as place:
        place.silent = True
        delivery = asyncio.create_task(webhook(place.url, clock=clock).deliver(BEGUN, ORIGIN))
        await place.arrived.wait()
        await clock.advance(PATIENCE + timedelta(seconds=1))
        with pytest.raises(Undelivered, match="did not answer in time"):
            await delivery
        place.released.set()
