"""The status page comes and goes with the settings, and presences never wait for it."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest

from tests.e2e.test_main_job import World, item


def listen(world: World, where: str) -> None:
    ini = world.folder / "presenced.ini"
    before, _, after = ini.read_text().partition("[web]\n")
    ini.write_text(f"{before}[web]\nlisten = {where}\n" + after.partition("\n")[2])
    world.supervisor.reload()


async def status_of(url: str) -> int:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url) as answer:
                return answer.status
        except aiohttp.ClientConnectionError:
            return 0


async def test_a_taken_port_is_told_and_tried_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.shows(ann="Free")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        listen(world, f"127.0.0.1:{port}")
        await world.until(lambda: "the status page can't open" in caplog.text)
        assert f"can't listen on 127.0.0.1:{port}" in caplog.text
        assert "choose another [web] listen" in caplog.text
        world.organisation.put("ann@example.com", item("meeting", -30, 300))
        await world.shows(ann="Meeting until 13:00")
    web = world.supervisor.web
    assert web is not None
    await world.until(web.listening.is_set, "the page listens once the port is free")
    assert await status_of(f"http://127.0.0.1:{port}/") == 200


async def test_the_page_moves_and_goes_with_a_reload(world: World) -> None:
    await world.shows(ann="Free")
    listen(world, "127.0.0.1:0")
    await world.until(lambda: world.supervisor.web is not None and world.supervisor.web.listening.is_set())
    first = world.supervisor.web
    assert first is not None
    url = f"http://127.0.0.1:{first.port}/healthz"
    assert await status_of(url) == 200
    listen(world, "")
    await world.until(lambda: not first.listening.is_set())
    await asyncio.sleep(0)
    assert await status_of(url) == 0
    world.organisation.put("ann@example.com", item("meeting", -30, 300))
    await world.shows(ann="Meeting until 13:00")
