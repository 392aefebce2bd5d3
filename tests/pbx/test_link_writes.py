"""Presences on their way over real sockets: limits, errors, time-outs (pbx-link.md section 4)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from presenced.core.ports import LinkDown, PresenceRefused
from presenced.core.presence import CLEARED, Presence
from tests.pbx.scripted import BUSY, running, until


async def test_a_thousand_writes_keep_the_limit() -> None:
    async with running() as door:
        pbx = await door.master("a")
        writes = [asyncio.create_task(door.link.send_presence(f"g{n}", CLEARED)) for n in range(1000)]
        open_srcs: list[object] = []
        most = 0
        for _ in writes:
            open_srcs.append((await pbx.hear())["src"])
            most = max(most, len(open_srcs))
            assert len(set(open_srcs)) == len(open_srcs)
            if len(open_srcs) == 16:
                await door.clock.settle(50)
                await pbx.say("KeepAlive")
                assert (await pbx.hear())["mt"] == "KeepAlive"
                for src in reversed(open_srcs):
                    await pbx.say("SetPresenceResult", api="PbxApi", src=src)
                open_srcs.clear()
        for src in open_srcs:
            await pbx.say("SetPresenceResult", api="PbxApi", src=src)
        await asyncio.gather(*writes)
        assert most == 16
        assert door.link.counters()["writes"] == 1000


async def test_an_error_is_the_writers_alone() -> None:
    async with running() as door:
        pbx = await door.master("a")
        (bad, bad_src), (good, good_src) = await door.write(pbx), await door.write(pbx, "b")
        await pbx.say("SetPresenceResult", src=bad_src, error=4, errorText="unknown guid")
        await pbx.say("SetPresenceResult", src=good_src)
        with pytest.raises(PresenceRefused, match="error 4: unknown guid"):
            await bad
        await good
        assert door.listener.times("unlinked") == 0


async def test_an_answer_that_never_comes_is_given_up() -> None:
    async with running(writes_in_flight=1) as door:
        pbx = await door.master("a")
        task, src = await door.write(pbx)
        waiting = asyncio.create_task(door.link.send_presence("b", BUSY))
        await door.clock.advance(timedelta(seconds=10))
        with pytest.raises(PresenceRefused, match="did not answer SetPresence within 10 s"):
            await task
        second = (await pbx.hear())["src"]
        await pbx.say("SetPresenceResult", src=src)
        await pbx.say("SetPresenceResult", src=second)
        await waiting
        assert door.link.counters()["late_results"] == 1


async def test_who_stops_waiting_keeps_the_slot_until_the_answer() -> None:
    async with running(writes_in_flight=1) as door:
        pbx = await door.master("a")
        task, src = await door.write(pbx)
        task.cancel()
        other = asyncio.create_task(door.link.send_presence("b", BUSY))
        assert await pbx.ask("KeepAlive") == {"mt": "KeepAlive"}
        await pbx.say("SetPresenceResult", src=src)
        sent = await pbx.hear()
        assert sent["guid"] == "b"
        await pbx.say("SetPresenceResult", src=sent["src"])
        await other


async def test_writers_in_the_queue_learn_that_the_link_is_down() -> None:
    async with running(writes_in_flight=1) as door:
        pbx = await door.master("a")
        writes = [asyncio.create_task(door.link.send_presence("a", BUSY)) for _ in range(5)]
        await pbx.hear()
        pbx.abort()
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert all(isinstance(outcome, LinkDown) for outcome in outcomes)
        task, src = await door.write(again := await door.master("a"))
        await again.say("SetPresenceResult", src=src)
        await task


async def test_a_presence_too_long_is_refused_and_holds_no_slot() -> None:
    async with running(writes_in_flight=1) as door:
        pbx = await door.master("a")
        with pytest.raises(PresenceRefused, match="takes less than 65536"):
            await door.link.send_presence("a", Presence("busy", "x" * 65_536))
        task, src = await door.write(pbx)
        await pbx.say("SetPresenceResult", src=src)
        await task


async def test_long_messages_go_in_frames_under_16_kib() -> None:
    async with running() as door:
        pbx = await door.master("a")
        task = asyncio.create_task(door.link.send_presence("a", Presence("busy", "ä" * 20_000)))
        pieces = [piece async for piece in pbx.socket.recv_streaming(decode=False)]
        assert len(b"".join(pieces).decode()) > 20_000
        assert max(map(len, pieces)) < 16 * 1024 - 14
        task.cancel()


async def test_a_row_of_60_kib_in_fragments_is_read() -> None:
    async with running() as door:
        pbx = await door.master()
        emails = ",".join(f'{{"email":"user{number:06}@ex.org"}}' for number in range(2100))
        text = f'{{"mt":"ReplicateAdd","columns":{{"guid":"big","h323":"big","emails":[{emails}]}}}}'
        assert len(text) > 60 * 1024
        await pbx.socket.send(text[start : start + 8000] for start in range(0, len(text), 8000))
        await until(lambda: ("changed", "big") in door.listener.heard)
