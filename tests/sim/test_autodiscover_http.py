"""Autodiscover over HTTP: paths, sign-in, content types, the JSON dialect, and what is switched off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import aiohttp
import pytest
from aiohttp import web

from presenced.sim.exchange.accounts import Accounts, Login
from presenced.sim.exchange.autodiscover.service import Autodiscover, redirections
from presenced.sim.exchange.ports import ANONYMOUS, Account
from presenced.sim.exchange.signin import SignIn
from tests.clock import FakeClock
from tests.sim.serving import serving
from tests.sim.test_autodiscover import EWS, directory, envelope, request, responses


class Everybody:
    async def authenticate(self, request: web.Request) -> Account | web.StreamResponse:
        return ANONYMOUS


@asynccontextmanager
async def host(service: Autodiscover) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    app = web.Application()
    app.add_routes(service.routes())
    async with serving(app) as base, aiohttp.ClientSession(base) as session:
        yield base, session


def service() -> Autodiscover:
    return Autodiscover(directory(), Everybody(), FakeClock())


XML = {"Content-Type": "text/xml; charset=utf-8"}


@pytest.mark.parametrize("path", ["/autodiscover/autodiscover.svc", "/Autodiscover/AutoDiscover.svc"])
async def test_soap_over_http(path: str) -> None:
    served = service()
    async with (
        host(served) as (_, session),
        session.post(path, data=envelope(["anna@example.com", "ben@example.com"]), headers=XML) as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
        assert len(responses(await answer.read())) == 2
    assert list(served.batches) == [2]


async def test_soap_wants_its_content_type_and_post() -> None:
    async with host(service()) as (_, session):
        for given_type in ("application/soap+xml", "application/json", ""):
            headers = {"Content-Type": given_type} if given_type else {}
            async with session.post(
                "/autodiscover/autodiscover.svc", data=envelope(["anna@example.com"]), headers=headers
            ) as answer:
                assert answer.status == 415
        async with session.get("/autodiscover/autodiscover.svc") as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")


async def test_pox_answers_a_get_with_an_error() -> None:
    async with host(service()) as (_, session):
        async with session.get("/autodiscover/autodiscover.xml") as answer:
            assert answer.status == 200
            assert b"<ErrorCode>600</ErrorCode>" in await answer.read()
        async with session.post("/AutoDiscover/AutoDiscover.xml", data=request(), headers=XML) as answer:
            assert b"<Action>settings</Action>" in await answer.read()


async def test_soap_and_pox_ask_for_sign_in_and_json_does_not() -> None:
    login = Login("svc", "secret", Account("svc"))
    signin = SignIn(Accounts(login), offers=("Basic",))
    served = Autodiscover(directory(), signin, FakeClock())
    json_path = "/autodiscover/autodiscover.json/v1.0/anna@example.com?Protocol=EWS"
    async with host(served) as (_, session):
        for path in ("/autodiscover/autodiscover.svc", "/autodiscover/autodiscover.xml"):
            async with session.post(path, data=envelope(["anna@example.com"]), headers=XML) as answer:
                assert answer.status == 401
            headers = XML | {"Authorization": aiohttp.encode_basic_auth("svc", "secret")}
            async with session.post(path, data=envelope(["anna@example.com"]), headers=headers) as answer:
                assert answer.status == 200
        async with session.get(json_path) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("path", "status", "found"),
    [
        ("anna@example.com?Protocol=EWS", 200, {"Protocol": "EWS", "Url": EWS}),
        ("Ben%40example.com?Protocol=ews", 200, {"Protocol": "EWS", "Url": EWS.replace("mail", "mail2")}),
        ("anna@example.com", 400, {"ErrorCode": "MandatoryParameterMissing"}),
        ("anna@example.com?Protocol=Gopher", 400, {"ErrorCode": "InvalidProtocol"}),
        ("nobody@example.com?Protocol=EWS", 404, {"ErrorCode": "UserNotFound"}),
    ],
)
async def test_json(path: str, status: int, found: dict[str, str]) -> None:
    async with (
        host(service()) as (_, session),
        session.get(f"/autodiscover/autodiscover.json/v1.0/{path}") as answer,
    ):
        assert answer.status == status
        assert (await answer.json()).items() >= found.items()


async def test_json_leads_to_pox_and_redirects() -> None:
    served = service()
    served.directory.address_redirections["moved@example.com"] = "anna@example.com"
    served.directory.url_redirections["@sub.example.com"] = (
        "https://sub.example.com/autodiscover/autodiscover.svc"
    )
    root = "/autodiscover/autodiscover.json/v1.0"
    async with host(served) as (base, session):
        async with session.get(f"{root}/moved@example.com?Protocol=AutodiscoverV1") as answer:
            assert len(answer.history) == 1
            assert await answer.json() == {
                "Protocol": "AutodiscoverV1",
                "Url": f"{base}/autodiscover/autodiscover.xml",
            }
        async with session.get(f"{root}/x@sub.example.com?Protocol=EWS", allow_redirects=False) as answer:
            assert answer.status == 302
            assert (
                answer.headers["Location"] == f"https://sub.example.com{root}/x@sub.example.com?Protocol=EWS"
            )


async def test_dialects_may_be_absent_or_broken() -> None:
    served = service()
    served.statuses = {"soap": 404, "pox": 503}
    async with host(served) as (_, session):
        async with session.post("/autodiscover/autodiscover.svc", data=b"", headers=XML) as answer:
            assert answer.status == 404
        async with session.post("/autodiscover/autodiscover.xml", data=b"", headers=XML) as answer:
            assert answer.status == 503
        async with session.get(
            "/autodiscover/autodiscover.json/v1.0/anna@example.com?Protocol=EWS"
        ) as answer:
            assert answer.status == 200
    assert served.counters == {"soap": 1, "pox": 1, "json": 1}


class Gate(asyncio.Event):
    """Tells when somebody has come to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def wait(self) -> Literal[True]:
        self.reached.set()
        return await super().wait()


async def test_answers_wait_at_the_gate() -> None:
    served = service()
    served.gate = gate = Gate()
    async with host(served) as (_, session):
        asked = asyncio.create_task(session.get("/autodiscover/autodiscover.xml"))
        await gate.reached.wait()
        assert not asked.done()
        gate.set()
        async with await asked as answer:
            assert answer.status == 200


async def test_a_plain_host_sends_on_and_may_lead_in_circles() -> None:
    app = web.Application()
    app.add_routes(redirections("https://autodiscover.example.com"))
    async with serving(app) as base, aiohttp.ClientSession(base) as session:
        for method in ("GET", "POST"):
            async with session.request(
                method, "/AutoDiscover/autodiscover.xml?x=1", allow_redirects=False
            ) as answer:
                assert answer.status == 302
                assert (
                    answer.headers["Location"]
                    == "https://autodiscover.example.com/AutoDiscover/autodiscover.xml?x=1"
                )
        circle = web.Application()
        circle.add_routes(redirections(""))
        async with serving(circle) as round_base, aiohttp.ClientSession(round_base) as lost:
            with pytest.raises(aiohttp.TooManyRedirects):
                await lost.get("/autodiscover/autodiscover.xml")
