"""How far long work has come: in figures, in the status, and in the log while it lasts."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from presenced.core.ports import DoorProblem, MailboxProblem, MailboxState
from presenced.daemon.latency import Latencies
from presenced.daemon.milestones import EVERY, Milestones
from presenced.daemon.progress import LongWork, Progress
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.doors import Running, settings_for, user

START = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def work_on(count: int) -> LongWork:
    work = LongWork()
    for number in range(count):
        work.expect(str(number), START)
    return work


# --- figures ---


def test_no_work_has_no_progress() -> None:
    work = work_on(0)
    work.finish("0", START)
    assert work.progress(START) is None
    assert not work.under_way


def test_rate_and_estimate() -> None:
    work = work_on(1000)
    for number in range(200):
        work.finish(str(number), at(number / 20))
    assert work.progress(at(10)) == Progress(200, 1000, 20.0, timedelta(seconds=40))


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    work = work_on(1000)
    for number in range(300):
        work.finish(str(number), at(number / 100))
    now = work.progress(at(20))
    assert now is not None
    assert now.rate == pytest.approx(15)
    later = work.progress(at(60))
    assert later == Progress(300, 1000, 0.0, None), "nothing was done lately, so nothing is promised"


def test_work_that_begins_again_counts_from_nothing() -> None:
    work = work_on(2)
    begun: list[int] = []
    work.on_begun = lambda: begun.append(1)
    for key in ("0", "1"):
        work.finish(key, at(1))
    assert work.progress(at(1)) is None
    work.expect("2", at(100))
    work.expect("3", at(100))
    assert begun == [1]
    work.finish("2", at(101))
    assert work.progress(at(102)) == Progress(1, 2, 0.5, timedelta(seconds=2))


@pytest.mark.parametrize("twice", [True, False])
def test_one_key_counts_once(twice: bool) -> None:
    work = work_on(3)
    work.expect("0", at(1))
    work.finish("0", at(1))
    if twice:
        work.finish("0", at(2))
    progress = work.progress(at(3))
    assert progress is not None
    assert (progress.done, progress.total) == (1, 3)


def test_what_need_not_be_done_any_more_is_not_waited_for() -> None:
    work = work_on(3)
    work.finish("0", at(1))
    work.drop("1")
    progress = work.progress(at(2))
    assert progress is not None
    assert (progress.done, progress.total) == (1, 2)
    work.clear()
    assert work.progress(at(2)) is None


# --- log ---


async def test_the_log_tells_while_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="presenced.daemon.milestones")
    clock = FakeClock(START)
    work = LongWork()
    task = asyncio.create_task(Milestones(clock, {"reads": work}).run())
    await clock.advance(timedelta(minutes=5))
    assert caplog.messages == []
    for number in range(3000):
        work.expect(str(number), clock.now())
    for done in range(500):
        work.finish(str(done), clock.now())
    await clock.advance(EVERY)
    assert caplog.messages == ["progress work=reads done=500 total=3000 rate=50.0 left=50s"]
    await clock.advance(3 * EVERY)
    assert len(caplog.messages) == 1, "standing still is not told again and again"
    for done in range(500, 3000):
        work.finish(str(done), clock.now())
    await clock.advance(EVERY)
    assert caplog.messages[1:] == ["progress: all reads done"]
    await clock.advance(10 * EVERY)
    assert len(caplog.messages) == 2
    task.cancel()


async def test_work_over_at_once_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="presenced.daemon.milestones")
    clock = FakeClock(START)
    work = LongWork()
    task = asyncio.create_task(Milestones(clock, {"reads": work}).run())
    await clock.settle()
    work.expect("ann", clock.now())
    await clock.advance(EVERY / 2)
    work.finish("ann", clock.now())
    await clock.advance(EVERY)
    assert caplog.messages == []
    task.cancel()


# --- in the daemon ---


async def test_the_first_read_of_thousands_is_told_in_log_and_status(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="presenced.daemon.milestones")
    names = [f"u{number}" for number in range(2000)]
    async with Running(settings_for(), MemoryStore(), FakeClock(START)) as running:
        running.calendars.calendars = {f"{name}@example.com": [] for name in names}
        running.calendars.follows_at_once = False
        running.pbx.link(*map(user, names))
        await running.settle(1)
        watch = running.engine.watch
        for count in range(1, 5):
            watch.followed(
                [f"{name}@example.com" for name in names[(count - 1) * 125 : count * 125]], polled=False
            )
            await running.settle(5)
        told = running.engine.status()["exchange"]["progress"]
        assert told["lookups"] is None
        reads = told["reads"]
        assert (reads["done"], reads["total"]) == (500, 2000)
        assert 20 < reads["rate"] < 30
        assert 50 < reads["left"] < 75
        assert any(message.startswith("progress work=reads done=") for message in caplog.messages)
        watch.followed([f"{name}@example.com" for name in names], polled=False)
        for _ in range(200):
            if not watch.work.under_way:
                break
            await running.clock.settle(200)
        await running.settle(10)
        assert running.engine.status()["exchange"]["progress"]["reads"] is None
        assert caplog.messages[-1] == "progress: all reads done"


async def test_a_mailbox_in_trouble_keeps_nobody_waiting() -> None:
    async with Running(settings_for(), MemoryStore(), FakeClock(START)) as running:
        running.calendars.calendars = {"ann@example.com": [], "bob@example.com": []}
        running.calendars.follows_at_once = False
        running.pbx.link(user("ann"), user("bob"))
        await running.settle(1)
        watch = running.engine.watch
        watch.troubled("ann@example.com", MailboxProblem(MailboxState.BLOCKED, "impersonation is refused"))
        watch.followed(["bob@example.com"], polled=False)
        await running.settle(1)
        assert running.engine.milestones.as_json()["reads"] is None


async def test_look_ups_that_nobody_answers_stay_to_be_done() -> None:
    async with Running(settings_for(), MemoryStore(), FakeClock(START)) as running:
        running.calendars.resolving_problem = DoorProblem("autodiscover does not answer")
        running.pbx.link(user("ann"), user("bob"))
        await running.settle(5)
        told = running.engine.status()["exchange"]["progress"]["lookups"]
        assert told == {"done": 0, "total": 2, "rate": 0.0, "left": None}


# --- latencies ---


def test_latencies_by_bucket() -> None:
    latencies = Latencies([timedelta(seconds=1), timedelta(seconds=2)])
    for seconds in (0.5, 1, 1.5, 9):
        latencies.add(timedelta(seconds=seconds))
    assert latencies.up_to() == [(timedelta(seconds=1), 2), (timedelta(seconds=2), 3)]
    assert (latencies.count, latencies.total) == (4, timedelta(seconds=12))
