"""Slots, budgets and holds, by a clock that stands still."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.transport import HttpCarrier
from presenced.calendars.transport.http_carrier import parse_retry_after
from presenced.calendars.transport.limits import Limits
from presenced.config.settings import ExchangeSettings
from tests.calendars.site import Seen, Site
from tests.clock import FakeClock

ANN, BOB = "ann@example.com", "bob@example.com"


class Crowd:
    """Requests that stay under way until the test lets them go."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.inside: list[str] = []
        self.doors: dict[str, asyncio.Event] = {}

    def enter(self, name: str, budget: str) -> asyncio.Task[None]:
        self.doors[name] = asyncio.Event()
        return asyncio.create_task(self._stay(name, budget))

    async def _stay(self, name: str, budget: str) -> None:
        async with self.limits.admit(budget):
            self.inside.append(name)
            try:
                await self.doors[name].wait()
            finally:
                self.inside.remove(name)


async def leave_all(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_a_mailbox_and_so_many_an_account() -> None:
    clock = FakeClock()
    crowd = Crowd(Limits(clock, 3))
    entries = [("a1", ANN), ("a2", ANN), ("b1", BOB), ("x1", ""), ("x2", ""), ("c1", "carl@example.com")]
    tasks = [crowd.enter(name, budget) for name, budget in entries]
    await clock.settle()
    assert crowd.inside == ["a1", "b1", "x1"], "the account itself is not limited to one"
    crowd.doors["a1"].set()
    await clock.settle()
    assert sorted(crowd.inside) == ["b1", "x1", "x2"], "a2 waits in the queue of ann, without a slot"
    crowd.doors["b1"].set()
    crowd.doors["x1"].set()
    await clock.settle()
    assert sorted(crowd.inside) == ["a2", "c1", "x2"]
    await leave_all(*tasks)
    assert (crowd.inside, crowd.limits.queues) == ([], 0)


async def test_a_hold_stops_its_budget_alone() -> None:
    clock = FakeClock()
    limits = Limits(clock, 1)
    crowd = Crowd(limits)
    limits.hold(ANN, timedelta(seconds=30))
    held, free = crowd.enter("ann", ANN), crowd.enter("bob", BOB)
    await clock.settle()
    assert crowd.inside == ["bob"], "who is held back takes no slot"
    crowd.doors["bob"].set()
    await clock.advance(timedelta(seconds=29))
    assert crowd.inside == []
    await clock.advance(timedelta(seconds=1))
    assert crowd.inside == ["ann"]
    await leave_all(held, free)


async def test_a_longer_hold_stays_and_a_later_one_lengthens_the_wait() -> None:
    clock = FakeClock()
    limits = Limits(clock, 1)
    crowd = Crowd(limits)
    limits.hold("", timedelta(seconds=30))
    limits.hold("", timedelta(seconds=5))
    limits.hold("", timedelta(seconds=-5))
    assert limits.holds() == {"": clock.now() + timedelta(seconds=30)}
    task = crowd.enter("x", "")
    await clock.advance(timedelta(seconds=20))
    limits.hold("", timedelta(seconds=25))
    await clock.advance(timedelta(seconds=24))
    assert crowd.inside == []
    await clock.advance(timedelta(seconds=1))
    assert crowd.inside == ["x"]
    assert limits.holds() == {}
    await leave_all(task)


async def test_a_hold_put_while_one_stands_in_the_queue_counts() -> None:
    clock = FakeClock()
    limits = Limits(clock, 1)
    crowd = Crowd(limits)
    first, second = crowd.enter("bob", BOB), crowd.enter("ann", ANN)
    await clock.settle()
    limits.hold(ANN, timedelta(seconds=10))
    crowd.doors["bob"].set()
    await clock.settle()
    assert crowd.inside == []
    await clock.advance(timedelta(seconds=10))
    assert crowd.inside == ["ann"]
    await leave_all(first, second)


async def test_nobody_waits_longer_than_a_minute() -> None:
    clock = FakeClock()
    limits = Limits(clock, 1)
    limits.hold(ANN, timedelta(seconds=61))
    with pytest.raises(CarrierProblem, match=f"{ANN} is held back for another 61 s") as caught:
        async with limits.admit(ANN):
            pytest.fail("held")
    assert (caught.value.kind, caught.value.retry_after) == ("held", timedelta(seconds=61))
    assert limits.queues == 0


async def test_what_is_over_is_forgotten() -> None:
    clock = FakeClock()
    limits = Limits(clock, 1)
    for number in range(10_000):
        limits.hold(f"{number}@example.com", timedelta(seconds=1))
        if number % 100 == 0:
            await clock.advance(timedelta(seconds=2), turns=1)
    assert len(limits._holds) < 1200
    for number in range(100):
        async with limits.admit(f"{number}@example.com"):
            assert limits.queues == 1
    assert limits.queues == 0


@pytest.mark.parametrize(
    ("status", "headers", "held"),
    [
        (503, {"Retry-After": "5"}, 5),
        (503, {"Retry-After": "0"}, 1),
        (503, {}, 0),
        (503, {"Retry-After": "soon"}, 0),
        (503, {"Retry-After": "Mon, 16 Nov 2026 08:00:20 GMT"}, 20),
        (503, {"Retry-After": "Mon, 16 Nov 2026 07:00:00 GMT"}, 1),
        (503, {"Retry-After": "9" * 30}, 3600),
        (429, {"Retry-After": "7"}, 7),
        (429, {}, 10),
        (500, {"Retry-After": "5"}, 0),
        (200, {"Retry-After": "5"}, 0),
    ],
)
@pytest.mark.parametrize("budget", [ANN, ""])
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_server_asks_for_a_pause(
    status: int, headers: dict[str, str], held: int, budget: str, streamed: bool
) -> None:
    async def answer(seen: Seen) -> web.StreamResponse:
        return web.Response(status=status, headers=headers)

    clock = FakeClock()
    async with Site(answer) as site, HttpCarrier(ExchangeSettings(), clock) as carrier:
        if streamed:
            async with carrier.open_stream(site.url(), body=b"", budget=budget) as stream:
                assert stream.status == status
        else:
            assert (await carrier.send("POST", site.url(), budget=budget)).status == status
        assert carrier.holds() == ({budget: clock.now() + timedelta(seconds=held)} if held else {})
        assert carrier.counters().get("holds", 0) == bool(held)


@given(st.text(max_size=40) | st.from_regex(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d .{0,5}"))
def test_retry_after_may_be_anything(value: str) -> None:
    parsed = parse_retry_after(value, datetime(2026, 11, 16, tzinfo=UTC))
    assert parsed is None or isinstance(parsed, timedelta)
