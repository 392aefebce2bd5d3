"""`/healthz`: well only while both doors are and nothing is stuck, and otherwise why not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from presenced.config.settings import ExchangeSettings
from presenced.core.ports import CalendarDoorStatus, DoorProblem, MailboxProblem, MailboxState
from presenced.daemon.answers.health import Health, examine
from presenced.daemon.pulse import STUCK_AFTER
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.doors import Running, settings_for, user


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with Running(settings_for(), MemoryStore(), FakeClock()) as running:
        running.calendars.calendars = {"ann@example.com": [], "bob@example.com": []}
        yield running


async def well(running: Running) -> Health:
    running.pbx.link(user("ann"), user("bob"))
    await running.settle(1)
    health = examine(running.engine)
    assert (health.healthy, health.http_status) == (True, 200)
    return health


async def test_nothing_is_well_before_both_doors_are(running: Running) -> None:
    health = examine(running.engine)
    assert health.http_status == 503
    assert health.pbx.reason == "no PBX has connected yet"
    assert health.exchange.reason == "not connected yet"
    assert health.loops.healthy
    health = await well(running)
    assert health.as_json() == {
        "healthy": True,
        "pbx": {"healthy": True, "reason": ""},
        "exchange": {"healthy": True, "reason": ""},
        "loops": {"healthy": True, "reason": ""},
    }


async def test_the_pbx_goes_and_comes(running: Running) -> None:
    await well(running)
    running.engine.roster.unlinked("the PBX closed the connection")
    health = examine(running.engine)
    assert (health.http_status, health.pbx.reason) == (503, "the PBX closed the connection")
    assert health.exchange.healthy
    await well(running)


async def test_exchange_goes_and_comes(running: Running) -> None:
    await well(running)
    for name in ("ann", "bob"):
        running.calendars.problems[f"{name}@example.com"] = DoorProblem("Exchange does not answer")
        running.engine.watch.changed(f"{name}@example.com")
    await running.settle(2)
    health = examine(running.engine)
    assert (health.http_status, health.exchange.reason) == (503, "Exchange does not answer")
    assert health.pbx.healthy
    running.calendars.problems.clear()
    await running.settle(60)
    assert examine(running.engine).http_status == 200


async def test_the_door_itself_says_that_it_is_not_well(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await well(running)
    ill = CalendarDoorStatus("scripted", healthy=False, reason="the sign-in is refused")
    monkeypatch.setattr(running.calendars, "status", lambda: ill)
    health = examine(running.engine)
    assert (health.http_status, health.exchange.reason) == (503, "the sign-in is refused")


async def test_one_mailbox_in_trouble_is_no_reason_to_page_anybody(running: Running) -> None:
    await well(running)
    running.calendars.problems["ann@example.com"] = MailboxProblem(MailboxState.BLOCKED, "refused")
    running.engine.watch.changed("ann@example.com")
    await running.settle(2)
    assert running.engine.roster.keepers["guid-ann"].state is MailboxState.BLOCKED
    assert examine(running.engine).http_status == 200


async def test_a_stuck_loop_is_named(running: Running) -> None:
    await well(running)
    running.engine.pulse.beat_of("store")
    await running.settle(STUCK_AFTER.total_seconds() - 1)
    assert examine(running.engine).http_status == 200
    await running.settle(2)
    health = examine(running.engine)
    assert (health.http_status, health.loops.reason) == (503, "no progress in store")


async def test_exchange_switched_off_is_well() -> None:
    settings = settings_for(exchange=ExchangeSettings())
    async with Running(settings, MemoryStore(), FakeClock()) as running:
        running.pbx.link(user("ann"))
        await running.settle(1)
        health = examine(running.engine)
        assert health.exchange.healthy
        assert health.exchange.reason == "sync_type = disabled"


async def test_no_work_is_expected_while_nobody_can_be_asked() -> None:
    """Without a calendar door look-ups are put off; they are no long work that never gets on."""
    settings = settings_for(exchange=ExchangeSettings())
    async with Running(settings, MemoryStore(), FakeClock()) as running:
        running.engine.watch.use(None)
        running.pbx.link(user("ann"), user("bob"))
        await running.settle(1)
        assert running.engine.milestones.as_json() == {"lookups": None, "reads": None}
