"""Resolving when servers fail: who is unresolved, who waits, and when nobody can be asked at all."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from presenced.calendars.carrier import Reply
from presenced.calendars.discovery import Finder
from presenced.core.ports import DoorProblem, Resolution
from tests.calendars.discovery.landscape import (
    Exchange,
    Host,
    Landscape,
    Request,
    User,
    failing,
    nothing_here,
    soap,
    status,
)
from tests.calendars.discovery.test_finder import AUTODISCOVER, SETTINGS, crowd, make_finder, staff
from tests.clock import FakeClock


async def test_a_domain_is_searched_once_for_all() -> None:
    landscape = Landscape({"https://example.com": Exchange(staff(300))})
    finder = make_finder(landscape)
    answers = await asyncio.gather(*(finder.fetch_mailboxes(crowd(300)[each::30]) for each in range(30)))
    assert all(one.mailbox for resolutions in answers for one in resolutions)
    assert landscape.batches()[0] == 1
    searching = [url for url in landscape.urls() if url.startswith(AUTODISCOVER)]
    assert len(searching) == 1


async def test_a_server_is_remembered_for_a_day() -> None:
    clock = FakeClock()
    landscape = Landscape({AUTODISCOVER: Exchange(staff(1))})
    finder = Finder(SETTINGS, landscape, clock)
    for pause, requests in ((0, 2), (23, 1), (1, 2), (0, 1)):
        await clock.advance(timedelta(hours=pause))
        landscape.asked.clear()
        await finder.fetch_mailboxes(crowd(1))
        assert len(landscape.asked) == requests


async def test_a_domain_without_server_leaves_its_users_unresolved() -> None:
    clock = FakeClock()
    landscape = Landscape({"https://example.com": nothing_here})
    finder = Finder(SETTINGS, landscape, clock)
    [resolution] = await finder.fetch_mailboxes([["ann@example.com"]])
    assert resolution.mailbox is None
    said = resolution.answers[0].outcome
    for part in (
        "https://autodiscover.example.com/autodiscover/autodiscover.svc: the name autodiscover.example.com is unknown",
        "https://example.com/autodiscover/autodiscover.xml: HTTP 404",
        "http://example.com/autodiscover/autodiscover.xml: the name example.com is unknown",
    ):
        assert part in said
    asked = len(landscape.asked)
    await finder.fetch_mailboxes([["bob@example.com"]])
    assert len(landscape.asked) == asked, "a failed search is not repeated at once"
    await clock.advance(timedelta(minutes=1))
    landscape.hosts[AUTODISCOVER] = Exchange({"bob@example.com": User()})
    [resolution] = await finder.fetch_mailboxes([["bob@example.com"]])
    assert resolution.mailbox is not None


@pytest.mark.parametrize("host", [status(401), failing("sign-in")])
async def test_a_refused_sign_in_is_everybodys_problem(host: Host) -> None:
    landscape = Landscape({AUTODISCOVER: host, "https://example.com": nothing_here})
    with pytest.raises(DoorProblem) as caught:
        await make_finder(landscape).fetch_mailboxes(
            [["ann@example.com"], ["bob@example.com", "b@pbx.local"]]
        )
    assert caught.value.reason in ("autodiscover.example.com refused the password", "sign-in trouble")
    assert caught.value.remedy
    hosts = [url.split("/")[2] for url in landscape.urls()]
    assert hosts.count("autodiscover.example.com") == 2, "once signed in, once over plain http"


@pytest.mark.parametrize("kind", ["connect", "tls", "timeout", "broken"])
async def test_a_server_out_of_reach_is_everybodys_problem(kind: str) -> None:
    landscape = Landscape(
        {AUTODISCOVER: failing(kind, timedelta(seconds=9)), "https://example.com": nothing_here}
    )
    with pytest.raises(DoorProblem, match=f"{kind} trouble") as caught:
        await make_finder(landscape).fetch_mailboxes(crowd(3))
    assert (caught.value.remedy, caught.value.retry_after) == ("repair it", timedelta(seconds=9))


async def test_a_strange_domain_is_nobody_elses_problem() -> None:
    landscape = Landscape({AUTODISCOVER: Exchange(staff(1)), "https://strange.org": failing("connect")})
    finder = make_finder(landscape)
    both = await finder.fetch_mailboxes([*crowd(1), ["x@strange.org"]])
    alone = await finder.fetch_mailboxes([["x@strange.org"]])
    assert [one.mailbox is None for one in (*both, *alone)] == [False, True, True]
    assert "connect trouble" in alone[0].answers[0].outcome


async def test_nobody_to_ask_is_no_problem() -> None:
    finder = make_finder(Landscape({}))
    assert list(await finder.fetch_mailboxes([])) == []
    assert list(await finder.fetch_mailboxes([[], [" "]])) == [Resolution(None)] * 2
    [resolution] = await finder.fetch_mailboxes([["nonsense"]])
    assert resolution.mailbox is None


async def test_a_server_that_moved_is_found_again() -> None:
    landscape = Landscape({AUTODISCOVER: Exchange(staff(3))})
    finder = make_finder(landscape)
    await finder.fetch_mailboxes(crowd(3))
    del landscape.hosts[AUTODISCOVER]
    landscape.hosts["https://example.com"] = Exchange(staff(3))
    assert all(one.mailbox for one in await finder.fetch_mailboxes(crowd(3)))


async def test_a_known_server_out_of_reach_fails_for_all_without_asking_all() -> None:
    landscape = Landscape({AUTODISCOVER: Exchange(staff(3000), most=1)})
    finder = make_finder(landscape)
    await finder.fetch_mailboxes(crowd(100))
    landscape.asked.clear()
    landscape.hosts[AUTODISCOVER] = failing("connect")
    with pytest.raises(DoorProblem, match="connect trouble"):
        await finder.fetch_mailboxes(crowd(3000))
    assert len(landscape.asked) < 50


class Moody:
    """An Exchange that fails as long as it is told to."""

    def __init__(self, exchange: Exchange, trouble: Host, times: int) -> None:
        self.exchange = exchange
        self.trouble = trouble
        self.times = times

    def __call__(self, request: Request) -> Reply:
        if len(request.texts("Mailbox")) > 1 and self.times > 0:
            self.times -= 1
            return self.trouble(request)
        return self.exchange(request)


BUSY = soap("<ErrorCode>ServerBusy</ErrorCode><ErrorMessage>later</ErrorMessage>")


@pytest.mark.parametrize(
    "trouble",
    [
        status(503),
        status(429),
        lambda request: BUSY,
        failing("timeout"),
        failing("broken"),
        failing("held", timedelta(seconds=20)),
    ],
)
async def test_passing_trouble_passes(trouble: Host) -> None:
    clock = FakeClock()
    landscape = Landscape({AUTODISCOVER: Moody(Exchange(staff(9)), trouble, 2)})
    finder = Finder(SETTINGS, landscape, clock)
    task = asyncio.create_task(finder.fetch_mailboxes(crowd(9)))
    await clock.settle()
    assert not task.done()
    await clock.advance(timedelta(minutes=1))
    assert all(one.mailbox for one in await task)


@pytest.mark.parametrize("trouble", [status(503), failing("held", timedelta(seconds=20))])
async def test_a_server_that_stays_busy_is_left_in_peace(trouble: Host) -> None:
    clock = FakeClock()
    landscape = Landscape({AUTODISCOVER: Moody(Exchange(staff(9)), trouble, 99)})
    task = asyncio.create_task(Finder(SETTINGS, landscape, clock).fetch_mailboxes(crowd(9)))
    await clock.advance(timedelta(minutes=2))
    with pytest.raises(DoorProblem) as caught:
        await task
    assert caught.value.retry_after is not None
    assert landscape.batches() == [1, 9, 9, 9]


async def test_a_long_hold_is_not_waited_for() -> None:
    landscape = Landscape(
        {AUTODISCOVER: Moody(Exchange(staff(9)), failing("held", timedelta(minutes=10)), 1)}
    )
    with pytest.raises(DoorProblem) as caught:
        await make_finder(landscape).fetch_mailboxes(crowd(9))
    assert caught.value.retry_after == timedelta(minutes=10)


async def test_too_large_an_answer_means_smaller_batches() -> None:
    landscape = Landscape({AUTODISCOVER: Moody(Exchange(staff(8)), failing("too-large"), 2)})
    assert all(one.mailbox for one in await make_finder(landscape).fetch_mailboxes(crowd(8)))
    assert landscape.batches() == [1, 8, 4, 2, 2, 4]


async def test_cancelling_leaves_nothing_under_way() -> None:
    clock = FakeClock()
    landscape = Landscape({AUTODISCOVER: Moody(Exchange(staff(9)), status(503), 99)})
    finder = Finder(SETTINGS, landscape, clock)
    task = asyncio.create_task(finder.fetch_mailboxes(crowd(9)))
    await clock.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert landscape.under_way == 0
    assert isinstance(landscape.hosts[AUTODISCOVER], Moody)
    landscape.hosts[AUTODISCOVER] = Exchange(staff(9))
    assert all(one.mailbox for one in await finder.fetch_mailboxes(crowd(9)))
