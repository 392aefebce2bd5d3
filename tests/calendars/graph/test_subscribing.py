from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from presenced.sim.graph.faults import Trouble
from tests.calendars.graph.stage import ANN, BOB, NOTIFICATION_URL, Scene, resting, running, started

DAY = 24 * 3600
LONG = 3 * 3600.0


@asynccontextmanager
async def subscribing(count: int = 0, **settings: Any) -> AsyncIterator[Scene]:
    async with running(count, notification_url=NOTIFICATION_URL, **settings) as scene:
        yield scene


def subscriptions(scene: Scene, address: str = ANN) -> list[Any]:
    return scene.graph.resources.subscriptions.of_mailbox(address)


async def follow(scene: Scene, *addresses: str) -> None:
    await scene.follow(*addresses)
    await scene.pass_time(3)


async def test_a_mailbox_is_subscribed_then_asked_and_told_once_as_followed() -> None:
    async with subscribing() as scene:
        await follow(scene, ANN, BOB)
        (made,) = subscriptions(scene)
        life = made.expires_at - scene.clock.now()
        assert timedelta(days=6, hours=23) < life < timedelta(minutes=10_080)
        assert (made.notice_url, made.lifecycle_url) == (NOTIFICATION_URL, NOTIFICATION_URL)
        assert len(made.state) >= 43
        assert made.state != subscriptions(scene, BOB)[0].state
        assert sorted(scene.listener.follows) == [(ANN, False), (BOB, False)]
        assert scene.door.counters()["mailboxes_subscribed"] == 2


async def test_a_notice_makes_its_mailbox_be_asked_at_once() -> None:
    async with subscribing() as scene:
        await follow(scene, ANN, BOB)
        before = scene.carrier.asked("delta")
        scene.put(ANN, "fair")
        await scene.pass_time(0.1)
        assert scene.listener.changes == [ANN]
        assert scene.carrier.asked("delta") == before + 1


async def test_doubled_and_late_notices_are_no_second_change() -> None:
    async with subscribing() as scene:
        await follow(scene, ANN)
        scene.put(ANN, "fair")
        notice = scene.mail.posted[-1]
        await scene.pass_time(1)
        scene.mail.post(notice, notice)
        await scene.pass_time(60)
        assert scene.listener.changes == [ANN]


async def test_a_lost_notice_is_made_up_for_by_the_safety_net() -> None:
    async with subscribing() as scene:
        await follow(scene, ANN)
        scene.mail.lost = True
        scene.put(ANN, "fair")
        await scene.pass_time(310)
        assert scene.listener.changes == [ANN]


async def test_with_notices_a_mailbox_is_asked_every_five_minutes() -> None:
    async with subscribing() as scene:
        await follow(scene, ANN)
        before = scene.carrier.asked("delta")
        await scene.pass_time(3600)
        assert scene.carrier.asked("delta") - before == 12
        assert scene.listener.signs[ANN] >= 12


async def test_a_notice_that_comes_before_delta_knows_is_not_forgotten() -> None:
    async with subscribing() as scene:
        await follow(scene, ANN)
        scene.mail.lost = True
        scene.put(ANN, "fair")
        notice = scene.mail.posted[-1]
        await scene.pass_time(310)
        scene.listener.take_changes()
        scene.mail.post(notice)  # delta has nothing new yet
        await scene.pass_time(1)
        scene.put(ANN, "call")
        await scene.pass_time(12)
        assert scene.listener.changes == [ANN]


@pytest.mark.parametrize(
    "wrong",
    [
        {"clientState": "guessed"},
        {"clientState": ""},
        {"clientState": None},
        {"clientState": "\ud800"},
        {"subscriptionId": "unknown"},
        {"subscriptionId": "", "clientState": ""},
        {"subscriptionId": None, "clientState": None},
    ],
)
async def test_a_notice_without_its_secret_is_not_believed(wrong: dict[str, object]) -> None:
    async with subscribing() as scene:
        await follow(scene, ANN)
        scene.put(ANN, "fair")
        notice = scene.mail.posted[-1]
        await scene.pass_time(30)
        before = scene.carrier.asked("delta")
        assert scene.mail.post({**notice, **wrong})
        assert scene.mail.post({**notice, "lifecycleEvent": "subscriptionRemoved", **wrong})
        await scene.pass_time(5)
        assert scene.carrier.asked("delta") == before
        assert len(subscriptions(scene)) == 1
        assert scene.door.counters()["notices_refused"] == 2


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"{}", b'{"value": 1}'])
async def test_what_is_no_body_of_notices_is_refused(body: bytes) -> None:
    async with subscribing() as scene:
        assert scene.mail.desk.is_open
        assert not scene.mail.desk.take(body)
    assert not scene.mail.desk.is_open


async def test_a_subscription_is_renewed_at_two_thirds_of_its_life() -> None:
    async with subscribing(poll_interval=timedelta(seconds=86_400)) as scene:
        await follow(scene, ANN)
        (made,) = subscriptions(scene)
        first_end = made.expires_at
        await scene.pass_time(4.5 * DAY)
        assert made.expires_at == first_end
        await scene.pass_time(0.3 * DAY)
        assert made.expires_at - first_end > timedelta(days=4)
        await scene.pass_time(20 * DAY)
        assert subscriptions(scene) == [made]
        assert made.expires_at > scene.clock.now()
        assert scene.listener.follows == [(ANN, False)]


async def test_a_subscription_that_graph_removed_is_made_again() -> None:
    async with subscribing() as scene:
        await follow(scene, ANN, BOB)
        (old,) = subscriptions(scene)
        scene.graph.resources.tell("subscriptionRemoved", ANN)
        await scene.pass_time(5)
        (new,) = subscriptions(scene)
        assert new.id != old.id
        assert scene.listener.follows[2:] == [(ANN, True), (ANN, False)]
        scene.put(ANN, "fair")
        await scene.pass_time(1)
        assert scene.listener.changes == [ANN]


async def test_a_subscription_that_vanished_without_a_word_is_made_again_at_its_renewal() -> None:
    async with subscribing(poll_interval=timedelta(seconds=86_400)) as scene:
        await follow(scene, ANN)
        scene.graph.resources.subscriptions.drop(subscriptions(scene)[0].id)
        await scene.pass_time(5 * DAY)
        assert len(subscriptions(scene)) == 1


async def test_a_change_without_a_notice_makes_the_subscription_be_looked_at() -> None:
    async with subscribing() as scene:
        await follow(scene, ANN)
        scene.graph.resources.subscriptions.drop(subscriptions(scene)[0].id)
        scene.put(ANN, "fair")
        await scene.pass_time(310)
        assert scene.listener.take_changes() == [ANN]
        assert len(subscriptions(scene)) == 1
        scene.put(ANN, "call")
        await scene.pass_time(1)
        assert scene.listener.changes == [ANN]


async def test_a_subscription_that_wants_a_fresh_token_goes_on_and_nothing_is_missed() -> None:
    async with subscribing() as scene:
        await follow(scene, ANN)
        (made,) = subscriptions(scene)
        scene.carrier.seconds = 2
        scene.graph.resources.tell("reauthorizationRequired", ANN)
        scene.put(ANN, "fair")  # nobody is told of it
        await scene.pass_time(15)
        assert not made.suspended
        assert scene.listener.take_changes() == [ANN]
        scene.put(ANN, "call")
        await scene.pass_time(15)
        assert scene.listener.changes == [ANN]
        assert subscriptions(scene) == [made]


async def test_missed_notices_make_the_mailbox_be_asked() -> None:
    async with subscribing() as scene:
        await follow(scene, ANN)
        scene.mail.lost = True
        scene.put(ANN, "fair")
        scene.graph.resources.tell("missed", ANN)
        await scene.pass_time(1)
        assert scene.listener.changes == [ANN]


async def test_a_url_graph_cannot_reach_means_polling_and_one_sentence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(60, notification_url=NOTIFICATION_URL) as scene:
        scene.mail.reachable = False
        people = [f"user{number:05}@example.com" for number in range(60)]
        await follow(scene, *people)
        assert sorted(scene.listener.follows) == [(one, True) for one in people]
        assert scene.listener.troubles == {}
        assert scene.mail.counters["handshakes"] <= 60
        (line,) = scene.door.status().streams
        assert "can't reach notification_url" in line.detail
        assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1
        before = scene.mail.counters["handshakes"]
        await scene.pass_time(240)
        assert scene.mail.counters["handshakes"] == before
        scene.mail.reachable = True
        await scene.pass_time(400)
        assert scene.door.counters()["mailboxes_subscribed"] == 60
        assert "can't reach" not in scene.door.status().streams[0].detail
        scene.graph.client_bugs.clear()  # a URL that can't be reached is answered with a 400


async def test_a_mailbox_that_must_not_be_subscribed_is_polled_and_the_others_are_not() -> None:
    async with subscribing() as scene:
        scene.graph.faults.on(Trouble.DENIED, resource="subscriptions", times=1)
        await follow(scene, ANN, BOB)
        followed = dict(scene.listener.follows)
        assert sorted(followed.values()) == [False, True]
        polled = next(address for address, is_polled in followed.items() if is_polled)
        scene.put(polled, "fair")
        await scene.pass_time(65)
        assert scene.listener.changes == [polled]
        await scene.pass_time(LONG)
        assert scene.door.counters()["mailboxes_subscribed"] == 2


async def test_an_unfollowed_mailbox_is_unsubscribed() -> None:
    async with subscribing() as scene:
        await follow(scene, ANN, BOB)
        scene.door.unfollow([ANN])
        await scene.pass_time(2)
        assert subscriptions(scene) == []
        assert len(subscriptions(scene, BOB)) == 1


async def test_subscriptions_of_an_earlier_run_are_ended_and_nobody_elses() -> None:
    async with subscribing() as scene:
        await follow(scene, ANN, BOB)
        (left,) = subscriptions(scene)
        other = replace(left, id="other", notice_url="https://elsewhere.example.com/")
        again = resting(notification_url=NOTIFICATION_URL)
        again.graph.resources.subscriptions._all = {left.id: left, other.id: other}
        async with started(again):
            await again.pass_time(3)
            assert subscriptions(again) == [other]
            await follow(again, ANN)
            assert len(subscriptions(again)) == 2


async def test_a_delegated_account_only_polls() -> None:
    async with subscribing(graph_access="delegated") as scene:
        await follow(scene, ANN)
        assert scene.listener.follows == [(ANN, True)]
        assert subscriptions(scene) == []
        assert not scene.mail.desk.is_open


async def test_a_cold_start_subscribes_everybody_in_batches() -> None:
    async with subscribing(100) as scene:
        people = [f"user{number:05}@example.com" for number in range(100)]
        await follow(scene, *people)
        await scene.pass_time(5)
        assert scene.door.counters()["mailboxes_subscribed"] == 100
        assert sorted(scene.listener.follows) == [(one, False) for one in people]
