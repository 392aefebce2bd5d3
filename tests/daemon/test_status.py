"""`status --json`: its keys are a contract (cli.md)."""

from __future__ import annotations

import json

import pytest

from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.answers.scrape import busy_engine
from tests.daemon.doors import Running, settings_for, user

USER_KEYS = {
    "guid",
    "sip",
    "mailbox",
    "state",
    "reason",
    "activity",
    "note",
    "until",
    "last_read",
    "last_proof_of_life",
}


async def test_the_keys() -> None:
    async with busy_engine() as running:
        told = json.loads("".join(running.engine.status_in_pieces()))
        assert set(told) == {"pbx", "exchange", "users", "counters", "version"}
        assert all(set(user) == USER_KEYS for user in told["users"])
        assert [user["sip"] for user in told["users"]] == ["ann", "bob", "dan", "eve", "zoe"]
        states = {user["sip"]: (user["state"], user["reason"]) for user in told["users"]}
        assert states == {
            "ann": ("resolved", ""),
            "bob": ("resolved", ""),
            "dan": ("disabled", "sync = no"),
            "eve": ("blocked", "refused"),
            "zoe": ("unresolved", "zoe@example.com: no such mailbox"),
        }
        assert told["counters"]["exchange_requests_FindItem"] == 7
        assert told["counters"]["writes_written"] == 2


@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 450])
async def test_pieces_make_the_whole(count: int) -> None:
    async with Running(settings_for(), MemoryStore(), FakeClock()) as running:
        running.pbx.link(*(user(f'u"users": []{number}') for number in range(count)))
        pieces = list(running.engine.status_in_pieces())
        assert json.loads("".join(pieces)) == running.engine.status()
        assert len(pieces) == 2 + -(-count // 200)
