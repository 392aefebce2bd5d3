"""Streams of the carrier: pieces as they come, beside the slots, and gone when nobody reads."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from aiohttp import web

from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.transport import HttpCarrier
from presenced.config.settings import ExchangeSettings
from tests.calendars.site import Seen, Site
from tests.calendars.transport.test_http_carrier import raw_server, read_request, until
from tests.clock import FakeClock


class Dripping:
    """Answers with a stream the test feeds; counts clients that left."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.left = 0

    async def __call__(self, seen: Seen) -> web.StreamResponse:
        if seen.path != "/stream":
            return web.Response()
        reply = web.StreamResponse(headers={"Content-Type": "text/xml"})
        reply.set_cookie("exchangecookie", "1")
        await reply.prepare(seen.request)
        try:
            while piece := await self.queue.get():
                await reply.write(piece)
        except asyncio.CancelledError:
            self.left += 1
            raise
        return reply


async def test_pieces_come_as_they_are_sent_until_the_clean_end() -> None:
    drip = Dripping()
    async with Site(drip) as site, HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
        async with carrier.open_stream(site.url("/stream"), body=b"<get/>") as stream:
            assert (stream.status, stream.headers["content-type"]) == (200, "text/xml")
            assert stream.cookies == {"exchangecookie": "1"}
            pieces = stream.chunks()
            for piece in (b"<a>", b"</a>"):
                drip.queue.put_nowait(piece)
                assert await anext(pieces) == piece
            drip.queue.put_nowait(b"")
            assert [piece async for piece in pieces] == []
        assert carrier.counters()["streams_open"] == 0
    assert (site.seen[0].method, site.seen[0].body) == ("POST", b"<get/>")
    assert site.seen[0].headers["Accept-Encoding"] == "identity"


async def test_streams_starve_no_request_and_end_when_left() -> None:
    drip = Dripping()
    settings = ExchangeSettings(requests_in_flight=1)
    async with Site(drip) as site, HttpCarrier(settings, FakeClock()) as carrier:
        async with AsyncExitStack() as streams:
            for _ in range(3):
                await streams.enter_async_context(
                    carrier.open_stream(site.url("/stream"), body=b"", budget="ann@example.com")
                )
            assert carrier.counters()["streams_open"] == 3
            assert (await carrier.send("POST", site.url("/"), budget="ann@example.com")).status == 200
        await until(lambda: drip.left == 3)
        assert len({seen.connection for seen in site.seen}) == 4


async def test_a_stream_whose_reader_is_cancelled_is_closed() -> None:
    drip = Dripping()

    async def read(carrier: HttpCarrier, url: str) -> None:
        async with carrier.open_stream(url, body=b"") as stream:
            async for _ in stream.chunks():
                pass

    async with Site(drip) as site, HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
        task = asyncio.create_task(read(carrier, site.url("/stream")))
        await until(lambda: len(site.seen) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: drip.left == 1)
        assert carrier.counters()["streams_open"] == 0


async def test_the_head_of_a_stream_must_come_in_time() -> None:
    async def answer(seen: Seen) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    clock = FakeClock()

    async def open_it() -> None:
        async with carrier.open_stream(site.url(), body=b"", opening_within=timedelta(seconds=20)):
            pytest.fail("no head came")

    async with Site(answer) as site, HttpCarrier(ExchangeSettings(), clock) as carrier:
        task = asyncio.create_task(open_it())
        await until(lambda: len(site.seen) == 1)
        await clock.advance(timedelta(seconds=20))
        with pytest.raises(CarrierProblem) as caught:
            await task
    assert caught.value.kind == "timeout"


async def test_an_open_stream_may_be_silent_for_long() -> None:
    drip, clock = Dripping(), FakeClock()
    async with (
        Site(drip) as site,
        HttpCarrier(ExchangeSettings(), clock) as carrier,
        carrier.open_stream(site.url("/stream"), body=b"") as stream,
    ):
        await clock.advance(timedelta(minutes=30))
        drip.queue.put_nowait(b"late")
        assert await anext(stream.chunks()) == b"late"


async def test_a_stream_that_breaks_off_says_so() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n<a>\r\n")
        writer.close()

    pieces: list[bytes] = []

    async def read(carrier: HttpCarrier, url: str) -> None:
        async with carrier.open_stream(url, body=b"") as stream:
            async for piece in stream.chunks():
                pieces.append(piece)  # noqa: PERF401 - what came before the break counts

    async with raw_server(talk) as url, HttpCarrier(ExchangeSettings(), FakeClock()) as carrier:
        with pytest.raises(CarrierProblem) as caught:
            await read(carrier, url)
        assert carrier.counters()["errors_broken"] == 1
    assert (pieces, caught.value.kind) == ([b"<a>"], "broken")
