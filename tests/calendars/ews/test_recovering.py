"""The bad days of a follower: every failure of exchange.md section 4, on a clock that is turned."""

from __future__ import annotations

from datetime import timedelta

import pytest

from presenced.calendars.carrier import CarrierProblem, Reply
from presenced.core.ports import MailboxState
from tests.calendars.doors import broken, people
from tests.calendars.ews.answers import changed, kept_alive, streamed
from tests.calendars.ews.scripted import (
    URL,
    Headers,
    ScriptedCarrier,
    Sent,
    running,
)

ANN, BOB, CARL = "ann@example.com", "bob@example.com", "carl@example.com"


# --- the connection ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "seconds"),
    [
        pytest.param(None, 2, id="clean end without Closed"),
        pytest.param(CarrierProblem("broken", "connection reset"), 2, id="reset"),
        pytest.param(b"<html>Bad Gateway", 100, id="half a page, then silence"),
        pytest.param(b"Bad Gateway", 2, id="rubbish"),
    ],
)
async def test_a_connection_that_ends_badly_is_opened_again_with_the_same_subscriptions(
    end: bytes | Exception | None, seconds: int
) -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        await scene.live()
        first = scene.carrier.streams[0]
        first.push(end)
        await scene.pass_time(seconds)
        second = scene.carrier.streams[1]
        assert not first.open
        assert second.sent.subscriptions == first.sent.subscriptions
        assert scene.listener.times_followed(ANN) == 2
        assert scene.listener.troubles == {}


async def test_a_silent_connection_is_given_up_after_ninety_seconds() -> None:
    async with running() as scene:
        await scene.follow(ANN)
        await scene.pass_time(89)
        assert len(scene.carrier.streams) == 1
        await scene.pass_time(3)
        assert len(scene.carrier.streams) == 2
        assert scene.door.counters()["stalls"] == 1


async def test_a_slower_keep_alive_is_learned_and_waited_for() -> None:
    async with running() as scene:
        await scene.follow(ANN)
        for _ in range(4):
            await scene.pass_time(80)
            scene.carrier.keep_alive()
        await scene.pass_time(159)
        assert len(scene.carrier.streams) == 1
        await scene.pass_time(3)
        assert len(scene.carrier.streams) == 2
        await scene.pass_time(150)  # remembered for the next connection
        assert len(scene.carrier.streams) == 2


async def test_a_connection_that_outlives_its_time_is_closed() -> None:
    async with running(connection_lifetime=timedelta(minutes=2)) as scene:
        await scene.follow(ANN)
        await scene.live(160)
        assert len(scene.carrier.streams) == 1
        await scene.live(40)
        assert len(scene.carrier.streams) == 2


async def test_a_server_that_is_away_is_tried_slower_and_slower_and_the_admin_told_once() -> None:
    away: list[Exception | None] = [None]
    carrier = ScriptedCarrier(opening=lambda _: away[0])
    async with running(carrier) as scene:
        await scene.follow(ANN, BOB)
        await scene.live()
        away[0] = CarrierProblem("connect", "connection refused", remedy="look at the server")
        scene.carrier.streams[0].push(broken())
        await scene.pass_time(600)
        tries = len(carrier.of("GetStreamingEvents")) - 1
        assert 10 <= tries <= 20
        assert [len(told) for told in scene.listener.troubles.values()] == [1, 1]
        problem = scene.listener.troubles[ANN][0]
        assert problem.state is MailboxState.FAILING
        assert "connection refused" in problem.reason
        status = scene.door.status()
        assert not status.healthy
        assert status.reason == "connection refused; look at the server"
        away[0] = None
        await scene.pass_time(90)
        assert scene.listener.times_followed(ANN) == 2
        assert scene.door.status().healthy
        assert len(carrier.of("Subscribe")) == 2  # the old subscriptions still do


async def test_a_server_that_closes_at_once_is_not_hammered() -> None:
    carrier = ScriptedCarrier(opening=lambda _: streamed() + streamed(status="Closed"))
    async with running(carrier) as scene:
        await scene.follow(ANN)
        await scene.pass_time(600)
        assert len(carrier.of("GetStreamingEvents")) <= 25


ACCOUNT = "check user, password or app registration in [exchange]"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (
            Reply(401, Headers(), b""),
            f"Exchange refuses the account (Http401: HTTP status 401); {ACCOUNT}",
        ),
        (CarrierProblem("sign-in", "wrong password", retry_after=timedelta(minutes=2)), "wrong password"),
    ],
)
async def test_a_refused_account_is_everybodys_problem(reply: Reply | Exception, kind: str) -> None:
    state: list[Reply | Exception | None] = [reply]
    carrier = ScriptedCarrier(script=lambda sent: state[0])
    async with running(carrier) as scene:
        await scene.follow(*people(60))
        await scene.pass_time(30)
        assert scene.door.status().reason == kind
        asked = len(carrier.of("Subscribe"))
        assert asked <= 10  # the anchor alone, not everybody
        state[0] = None
        await scene.pass_time(200)
        assert scene.listener.followed_now() == set(people(60))
        assert scene.door.status().healthy


async def test_a_sign_in_that_expires_in_mid_life_heals() -> None:
    state: list[Reply | None] = [None]
    carrier = ScriptedCarrier(opening=lambda _: state[0])
    async with running(carrier) as scene:
        await scene.follow(ANN)
        await scene.live()
        state[0] = Reply(401, Headers(), b"")
        scene.carrier.streams[0].push(streamed(status="Closed"))
        await scene.pass_time(2)
        assert not scene.door.status().healthy
        state[0] = None
        await scene.pass_time(5)
        assert scene.listener.times_followed(ANN) == 2


# --- subscriptions ----------------------------------------------------------------------------------


async def test_one_dead_id_is_replaced_at_once_and_the_good_ones_stay() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB, CARL)
        await scene.live()
        first = scene.carrier.streams[0]
        dead = scene.carrier.subscription_of(BOB, first)
        first.push(streamed(code="ErrorInvalidSubscription", dead=[dead], status="OK"))
        await scene.pass_time()
        (second,) = scene.carrier.open_streams()
        kept = set(first.sent.subscriptions) & set(second.sent.subscriptions)
        assert len(kept) == 2
        assert dead not in second.sent.subscriptions
        assert len(second.sent.subscriptions) == 3
        assert scene.carrier.of("Subscribe")[-1].headers["Cookie"].endswith("backend-of-ann@example.com")
        assert scene.listener.follows[-1] == (frozenset({ANN, BOB, CARL}), False)


@pytest.mark.parametrize(
    "code",
    [
        "ErrorSubscriptionNotFound",
        "ErrorExpiredSubscription",
        "ErrorReadEventsFailed",
        "ErrorMissedNotificationEvents",
        "ErrorInvalidSubscription",
    ],
)
async def test_lost_subscriptions_are_made_anew_with_fresh_affinity(code: str) -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        await scene.live()
        scene.carrier.streams[0].push(streamed(code=code, status="OK"))
        await scene.pass_time()
        again = scene.carrier.of("Subscribe")[2:]
        assert [one.mailbox for one in again] == [ANN, BOB]
        assert "Cookie" not in again[0].headers
        assert scene.listener.times_followed(ANN) == 2


async def test_a_subscription_that_keeps_dying_is_polled_instead() -> None:
    def opening(sent: Sent) -> bytes | None:
        dead = [one for one in sent.subscriptions if one.startswith(BOB)]
        return streamed(code="ErrorInvalidSubscription", dead=dead) if dead else None

    async with running(ScriptedCarrier(opening=opening)) as scene:
        await scene.follow(ANN, BOB, CARL)
        await scene.pass_time(60)
        assert scene.listener.followed_now() == {ANN, CARL}
        assert scene.listener.followed_now(polled=True) == {BOB}
        assert scene.listener.troubles[BOB][0].state is MailboxState.POLLED
        assert len(scene.carrier.of("GetStreamingEvents")) == 4


@pytest.mark.parametrize("carries", [1, 3, 60])
async def test_a_server_that_carries_few_is_found_out_by_halving_and_remembered(carries: int) -> None:
    def opening(sent: Sent) -> bytes | None:
        ids = sent.subscriptions
        return streamed(code="ErrorInvalidSubscription", dead=ids[1:]) if len(ids) > carries else None

    async with running(ScriptedCarrier(opening=opening)) as scene:
        everybody = people(100)
        await scene.follow(*everybody)
        for _ in range(20):
            await scene.pass_time(1, turns=200)
        sizes = [len(one.sent.subscriptions) for one in scene.carrier.open_streams()]
        assert sum(sizes) == 100
        assert carries / 2 < max(sizes) <= carries
        assert scene.listener.followed_now() == set(everybody)
        assert scene.listener.troubles == {}
        refused = len(scene.carrier.streams) - len(sizes)
        assert scene.listener.followed_now(polled=True) == set()
        before = len(scene.carrier.streams)
        await scene.follow(*(f"late{number}@example.com" for number in range(20)))
        await scene.pass_time(2)
        late = [one for one in scene.carrier.streams[before:] if not one.open]
        assert all(len(one.sent.subscriptions) <= carries for one in late)
        assert refused < 30


async def test_a_dead_id_in_a_small_group_does_not_make_the_server_look_weak() -> None:
    async with running() as scene:
        await scene.follow(*people(100))
        await scene.follow(ANN, BOB)
        for _ in range(2):
            stream = scene.carrier.stream_of(BOB)
            dead = scene.carrier.subscription_of(BOB, stream)
            stream.push(streamed(code="ErrorInvalidSubscription", dead=[dead]))
            await scene.pass_time(5)
        assert scene.door.counters()["groups"] == 2
        assert "groups_halved" not in scene.door.counters()


async def test_notices_during_a_recovery_are_not_mixed_up() -> None:
    """What came before the failure in the same piece counts; what a new stream says, too."""
    async with running() as scene:
        await scene.follow(ANN, BOB)
        await scene.live()
        first = scene.carrier.streams[0]
        bob = scene.carrier.subscription_of(BOB, first)
        first.push(kept_alive(bob) + changed(bob) + streamed(code="ErrorReadEventsFailed") + changed(bob))
        await scene.pass_time(1)
        scene.carrier.change(ANN)
        await scene.pass_time()
        assert scene.listener.changes == [BOB, ANN]


async def test_a_fault_of_ours_in_one_group_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as scene:
        await scene.follow(*people(20))
        healthy = scene.carrier.open_streams()[0]

        def stumble(sent: Sent) -> bytes:
            raise RuntimeError("a fault of ours")

        scene.carrier.opening = stumble
        await scene.follow(ANN)
        assert healthy.open
        assert scene.door.counters()["faults"] == 1
        assert "group failed" in caplog.text
        scene.carrier.opening = lambda _: None
        await scene.pass_time(30)
        assert ANN in scene.listener.followed_now()


def test_the_url_of_the_tests_is_https() -> None:
    assert URL.startswith("https://")
