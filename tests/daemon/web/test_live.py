"""What changes is sent while somebody looks, and no longer than he may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from presenced.daemon.web import live
from tests.clock import FakeClock
from tests.daemon.day import meeting
from tests.daemon.doors import Running
from tests.daemon.web.browser import Browser


async def events(stream: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    async for raw in stream.content:
        line = raw.decode().strip()
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def test_a_write_shows_up_while_somebody_looks(
    page: Browser, running: Running, clock: FakeClock
) -> None:
    async with page.session.get(page.url + "/live?page=overview") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert "Content-Security-Policy" in stream.headers
        coming = events(stream)
        first = {(await anext(coming))[1]["id"], (await anext(coming))[1]["id"]}
        assert first == {"figures", "latest"}
        running.calendars.calendars["ann@example.com"] = [meeting(-30, 60, subject="Surprise")]
        running.engine.watch.changed("ann@example.com")
        await running.settle(2)
        async with asyncio.timeout(5):
            while True:
                name, region = await anext(coming)
                assert name == "region"
                if region["id"] == "latest" and "Surprise" in region["html"]:
                    break
        assert "Surprise until 09:00" in region["html"]


async def test_one_user(page: Browser, running: Running, clock: FakeClock) -> None:
    async with page.session.get(page.url + "/live?page=user:guid-bob") as stream:
        _, region = await anext(events(stream))
        assert region["id"] == "user"
        assert "Private until 09:00" in region["html"]
        assert "Divorce" not in region["html"]


async def test_it_ends_with_the_session(locked: Browser, clock: FakeClock) -> None:
    await locked.post("/sign-in", {"password": "correct horse"})
    async with locked.session.get(locked.url + "/live?page=doors") as stream:
        coming = events(stream)
        await anext(coming)
        await locked.post("/sign-out")
        await clock.advance(timedelta(seconds=1))
        async with asyncio.timeout(5):
            assert [name async for name, _ in coming][-1] == "over"


async def test_those_who_watch_are_bounded_and_forgotten(
    page: Browser, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_CLIENTS", 2)
    async with (
        page.session.get(page.url + "/live?page=overview") as one,
        page.session.get(page.url + "/live?page=overview") as two,
    ):
        assert (one.status, two.status) == (200, 200)
        assert (await page.get("/live?page=overview")).status == 503
    async with asyncio.timeout(5):
        while page.web.watching:
            await page.get("/healthz")
