"""A title that may not be shown is nowhere: not in the PBX, an answer, a page of figures, a log, the store."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from presenced.sim.exchange.organisation import Item
from tests.e2e.test_main_job import World, item, opened
from tests.e2e.test_questions import call, confirmed

SECRET = "Zebra takeover"
HIDDEN = {"ann": {}, "bob": {"sensitivity": "Private"}, "eve": {"sensitivity": "Confidential"}}


class Guarded(World):
    """Ann's titles are hidden by the settings; everything is logged, the protocol too."""

    def rewrite(self, ini: str) -> str:
        return (
            super()
            .rewrite(ini)
            .replace("level = error", "level = debug")
            .replace("[exchange]", "[exchange]\ndebug_protocol = yes")
            + "\n[user ann@example.com]\nsubject = hide\n"
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(Guarded(tmp_path)) as world:
        yield world


def secret(name: str, start: int, end: int, **fields: str) -> Item:
    return replace(item(name, start, end, **fields), subject=SECRET)


async def test_nowhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="presenced")
    for name, fields in HIDDEN.items():
        world.organisation.put(f"{name}@example.com", secret("now", -30, 60, **fields))
        world.organisation.put(f"{name}@example.com", secret("then", 60, 90, **fields))
        world.organisation.put(f"{name}@example.com", secret("free", -30, 90, show_as="Free", **fields))
    await world.shows(ann="Private until 09:00 #busy", bob="Private until 09:00", eve="Private until 09:00")
    await confirmed(world)
    questions = world.supervisor.questions
    assert questions is not None
    socket = str(world.supervisor.socket)
    requests = questions.requests({"limit": "4000"})["requests"]
    assert any("FindItem" in request.get("sent", "") for request in requests)
    assert any("***" in request.get("received", "") for request in requests), (
        "the titles came, and are masked"
    )
    told = {
        "requests": json.dumps(requests),
        "metrics": questions.metrics().decode(),
        "status": (await call("status", "--socket", socket)).output,
        "status --json": (await call("status", "--socket", socket, "--json")).output,
        "pbx": repr(world.pbx.presences),
    }
    for name in HIDDEN:
        for more in ((), ("--json",), ("--at", "2026-11-16T09:10")):
            told[f"explain {name} {more}"] = (await call("explain", name, "--socket", socket, *more)).output
    assert "(hidden)" in told["explain ann ()"]
    await world.clock.advance(timedelta(minutes=1), turns=3)
    await world.stop()
    told["log"] = caplog.text
    assert "FindItem" in caplog.text, "the protocol is in the log"
    for file in world.folder.glob("store.db*"):
        told[file.name] = file.read_bytes().decode("latin-1")
    for place, text in told.items():
        assert "Zebra" not in text, place
        assert "takeover" not in text, place
        for password in ("exchange-secret", "pbx-secret"):
            assert password not in text, place
