"""The carrier against a server on loopback: answers, bounds, failures, streams, cancelling."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web

from presenced import __version__
from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.transport import HttpCarrier, RequestRecord, http_carrier
from presenced.config.settings import ExchangeSettings
from tests.calendars.site import Seen, Site, say_hello
from tests.clock import FakeClock

Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("it did not come to that")


@asynccontextmanager
async def raw_server(talk: Raw) -> AsyncIterator[str]:
    """A server that speaks bytes; gives its URL."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)  # type: ignore[arg-type]
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"http://127.0.0.1:{port}/"


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
    return head + await reader.readexactly(length)


async def test_an_answer_comes_whole() -> None:
    async def answer(seen: Seen) -> web.StreamResponse:
        return web.Response(status=500, body=b"fault", headers={"X-Some": "value"})

    async with Site(answer) as site, HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
        reply = await carrier.send(
            "POST", site.url(), body=b"<a/>", headers={"X-AnchorMailbox": "ann@example.com"}
        )
    assert (reply.status, reply.body, reply.headers["x-some"]) == (500, b"fault", "value")
    [seen] = site.seen
    assert (seen.method, seen.body, seen.headers["X-AnchorMailbox"]) == ("POST", b"<a/>", "ann@example.com")
    assert seen.headers["User-Agent"] == f"presenced/{__version__}"


async def test_connections_are_kept() -> None:
    async with Site(say_hello) as site, HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
        for _ in range(5):
            await carrier.send("POST", site.url(), body=b"x")
    assert {seen.connection for seen in site.seen} == {0}


async def test_cookies_are_told_and_not_kept() -> None:
    async def answer(seen: Seen) -> web.StreamResponse:
        reply = web.Response()
        if len(site.seen) == 1:
            reply.headers["Set-Cookie"] = (
                "X-BackEndOverrideCookie=server~1941962753; path=/EWS; secure; HttpOnly"
            )
        return reply

    async with Site(answer) as site, HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
        first = await carrier.send("POST", site.url())
        second = await carrier.send("POST", site.url())
        await carrier.send("POST", site.url(), headers={"Cookie": "X-BackEndOverrideCookie=server~1"})
    assert first.cookies == {"X-BackEndOverrideCookie": "server~1941962753"}
    assert second.cookies == {}
    sent = [seen.headers.get("Cookie") for seen in site.seen]
    assert sent == [None, None, "X-BackEndOverrideCookie=server~1"]


async def test_redirects_are_answers() -> None:
    async def answer(seen: Seen) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": site.url("/elsewhere")})

    async with Site(answer) as site, HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
        reply = await carrier.send("GET", site.url("/here"), signed_in=False)
    assert (reply.status, reply.headers["Location"]) == (302, site.url("/elsewhere"))
    assert len(site.seen) == 1


async def test_packed_answers_are_unpacked() -> None:
    async def answer(seen: Seen) -> web.StreamResponse:
        assert "gzip" in seen.headers["Accept-Encoding"]
        return web.Response(body=gzip.compress(b"text " * 1000), headers={"Content-Encoding": "gzip"})

    async with Site(answer) as site, HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
        assert (await carrier.send("POST", site.url())).body == b"text " * 1000


@pytest.mark.parametrize("way", ["length", "chunked", "packed"])
async def test_an_answer_beyond_the_bound_is_refused(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_carrier, "LARGEST_ANSWER", 100_000)
    body = bytes(100_001)

    async def answer(seen: Seen) -> web.StreamResponse:
        if len(site.seen) > 1:
            return web.Response(body=body[:-1])
        if way == "packed":
            return web.Response(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})
        reply = web.Response(body=body)
        if way == "chunked":
            reply.enable_chunked_encoding()
        return reply

    async with Site(answer) as site, HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
        with pytest.raises(CarrierProblem) as caught:
            await carrier.send("POST", site.url())
        assert caught.value.kind == "too-large"
        assert len((await carrier.send("POST", site.url())).body) == 100_000


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        async with HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
            with pytest.raises(CarrierProblem, match=r"no connection to 127\.0\.0\.1") as caught:
                await carrier.send("POST", url)
            assert caught.value.kind == "connect"
            assert carrier.counters()["errors_connect"] == 1


@pytest.mark.parametrize(
    ("code", "words", "passing"),
    [(socket.EAI_NONAME, "is unknown", False), (socket.EAI_AGAIN, "cannot be looked up at the moment", True)],
)
async def test_a_name_is_unknown(
    code: int, words: str, passing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    async with HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
        with pytest.raises(CarrierProblem, match=f"the name mail.example.com {words}") as caught:
            await carrier.send("POST", "https://mail.example.com/EWS/Exchange.asmx")
    assert caught.value.kind == "dns"
    assert (caught.value.retry_after is not None) is passing


@pytest.mark.parametrize("url", ["", "mail.example.com", "ftp://example.com/", "https://", "http://a:b:c/"])
async def test_not_a_url(url: str) -> None:
    async with HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
        with pytest.raises(CarrierProblem, match="not an http or https URL"):
            await carrier.send("GET", url)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"HTTP/1.1 200",
    ],
)
async def test_the_answer_breaks_off(said: bytes) -> None:
    asked = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_request(reader))
        writer.write(said)
        writer.close()

    async with raw_server(talk) as url, HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
        with pytest.raises(CarrierProblem) as caught:
            await carrier.send("POST", url, body=b"x")
    assert caught.value.kind == "broken"
    assert len(asked) == 1, "a fresh connection that breaks is not tried again"


async def test_a_connection_that_died_in_the_pool_is_replaced() -> None:
    asked = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        asked.append(await read_request(reader))
        writer.close()  # at the very moment the second request arrives

    async with raw_server(talk) as url, HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
        for number in (b"1", b"2"):
            assert (await carrier.send("POST", url, body=number)).body == b"ok"
    assert [request[-1:] for request in asked] == [b"1", b"2", b"2"]


async def test_a_slow_answer_times_out_and_frees_its_slot() -> None:
    async def answer(seen: Seen) -> web.StreamResponse:
        if seen.body == b"slow":
            await asyncio.Event().wait()
        return web.Response()

    clock = FakeClock()
    settings = ExchangeSettings(requests_in_flight=1)
    async with Site(answer) as site, HttpCarrier(settings, clock) as carrier:
        slow = asyncio.create_task(
            carrier.send(
                "POST", site.url(), body=b"slow", budget="ann@example.com", within=timedelta(seconds=7)
            )
        )
        waiting = asyncio.create_task(carrier.send("POST", site.url(), budget="bob@example.com"))
        await until(lambda: len(site.seen) == 1)
        assert carrier.counters()["in_flight"] == 1
        await clock.advance(timedelta(seconds=7))
        with pytest.raises(CarrierProblem, match="within 7 s") as caught:
            await slow
        assert caught.value.kind == "timeout"
        assert (await waiting).status == 200
        assert carrier.counters()["in_flight"] == carrier.counters()["queues"] == 0


async def test_cancelling_leaves_nothing_behind() -> None:
    async def answer(seen: Seen) -> web.StreamResponse:
        if seen.body == b"slow":
            await asyncio.Event().wait()
        return web.Response()

    settings = ExchangeSettings(requests_in_flight=2)
    async with Site(answer) as site, HttpCarrier(settings, FakeClock()) as carrier:
        tasks = [
            asyncio.create_task(
                carrier.send("POST", site.url(), body=b"slow", budget=f"{number % 3}@example.com")
            )
            for number in range(9)
        ]
        await until(lambda: len(site.seen) == 2)
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        assert carrier.counters()["in_flight"] == carrier.counters()["queues"] == 0
        for number in range(3):
            assert (await carrier.send("POST", site.url(), budget=f"{number}@example.com")).status == 200


async def test_every_exchange_is_observed() -> None:
    records: list[RequestRecord] = []

    async def answer(seen: Seen) -> web.StreamResponse:
        return web.Response(status=401, headers={"request-id": "e0d6"})

    clock = FakeClock()
    async with (
        Site(answer) as site,
        HttpCarrier(ExchangeSettings(), clock, observe=records.append) as carrier,
    ):
        await carrier.send("POST", site.url("/EWS/Exchange.asmx?a=b"), budget="ann@example.com")
        async with carrier.open_stream(site.url("/stream"), body=b"", budget="bob@example.com"):
            pass
    with pytest.raises(RuntimeError, match="not open"):
        await carrier.send("POST", site.url())
    seen = [(record.mailbox, record.path, record.status, record.request_id) for record in records]
    assert seen == [
        ("ann@example.com", "/EWS/Exchange.asmx", 401, "e0d6"),
        ("bob@example.com", "/stream", 401, "e0d6"),
    ]
    assert records[0].at == clock.now()


async def test_problems_are_observed_and_counted() -> None:
    records: list[RequestRecord] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with (
        raw_server(talk) as url,
        HttpCarrier(ExchangeSettings(), FakeClock(), observe=records.append) as carrier,
    ):
        with pytest.raises(CarrierProblem):
            await carrier.send("POST", url)
        with pytest.raises(CarrierProblem):
            async with carrier.open_stream(url, body=b""):
                pass
        counters = carrier.counters()
    assert [(record.status, record.problem) for record in records] == [(0, "broken")] * 2
    assert (counters["requests"], counters["streams"], counters["errors_broken"]) == (1, 1, 2)
