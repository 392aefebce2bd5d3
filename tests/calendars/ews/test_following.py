"""The good days of a follower: groups form, notices flow, connections are renewed."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from presenced.core.ports import CalendarDoor, Mailbox
from tests.calendars.doors import people
from tests.calendars.ews.answers import answer, changed, found, notification, streamed
from tests.calendars.ews.scripted import URL, ScriptedCarrier, resting, running

ANN, BOB, CARL = "ann@example.com", "bob@example.com", "carl@example.com"


async def test_the_anchor_is_subscribed_first_and_its_cookie_leads_the_others() -> None:
    async with running() as scene:
        await scene.follow(CARL, ANN, BOB)
        subscribes = scene.carrier.of("Subscribe")
        assert subscribes[0].mailbox == ANN
        assert {one.mailbox for one in subscribes} == {ANN, BOB, CARL}
        assert {one.headers["X-AnchorMailbox"] for one in subscribes} == {ANN}
        assert {one.headers["X-PreferServerAffinity"] for one in subscribes} == {"true"}
        cookie = "X-BackEndOverrideCookie=backend-of-ann@example.com"
        assert [one.headers.get("Cookie") for one in subscribes] == [None, cookie, cookie]
        assert all(one.budget == one.mailbox for one in subscribes)


async def test_one_stream_carries_the_group_charged_to_the_anchor() -> None:
    async with running(connection_lifetime=timedelta(minutes=12)) as scene:
        await scene.follow(CARL, ANN, BOB)
        (stream,) = scene.carrier.open_streams()
        assert stream.sent.mailbox == stream.sent.budget == stream.sent.headers["X-AnchorMailbox"] == ANN
        assert stream.sent.headers["Cookie"] == "X-BackEndOverrideCookie=backend-of-ann@example.com"
        assert len(stream.sent.subscriptions) == 3
        assert stream.sent.texts("ConnectionTimeout") == ["12"]


async def test_every_request_carries_the_headers_exchange_wants() -> None:
    async with running() as scene:
        await scene.follow(ANN)
        for sent in scene.carrier.sent:
            assert sent.headers["User-Agent"].startswith("presenced/")
            assert sent.headers["return-client-request-id"] == "true"
            assert sent.headers["Content-Type"] == "text/xml; charset=utf-8"
        ids = {sent.headers["client-request-id"] for sent in scene.carrier.sent}
        assert len(ids) == len(scene.carrier.sent)


async def test_the_listener_is_told_only_once_the_stream_is_open() -> None:
    silent = ScriptedCarrier(opening=lambda _: b"\n")
    async with running(silent) as scene:
        await scene.follow(ANN, BOB)
        assert scene.carrier.open_streams()
        assert scene.listener.follows == []
        scene.carrier.streams[0].push(streamed())
        await scene.pass_time()
        assert scene.listener.follows == [(frozenset({ANN, BOB}), False)]


async def test_a_notice_names_its_mailbox() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        scene.carrier.change(BOB)
        scene.carrier.open_streams()[0].push(changed("nobody's"))
        await scene.pass_time()
        assert scene.listener.changes == [BOB]


@pytest.mark.parametrize(
    "event", ["CopiedEvent", "CreatedEvent", "DeletedEvent", "ModifiedEvent", "MovedEvent", "FreeBusyChangedEvent"]
)  # fmt: skip
async def test_every_kind_of_event_is_a_change(event: str) -> None:
    async with running() as scene:
        await scene.follow(ANN)
        stream = scene.carrier.open_streams()[0]
        stream.push(streamed(notification(stream.sent.subscriptions[0], event)))
        await scene.pass_time()
        assert scene.listener.changes == [ANN]


async def test_a_keep_alive_is_a_proof_of_life_for_the_whole_group() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        await scene.pass_time(45)
        before = Counter(scene.listener.signs)
        scene.carrier.keep_alive()
        await scene.pass_time()
        assert scene.listener.signs - before == Counter({ANN: 1, BOB: 1})
        assert scene.listener.changes == []


async def test_a_burst_of_keep_alives_is_passed_on_once() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        await scene.pass_time(45)
        before = scene.listener.signs[ANN]
        for _ in range(50):
            scene.carrier.keep_alive()
        await scene.pass_time(turns=300)
        assert scene.listener.signs[ANN] == before + 1


async def test_closed_reopens_at_once_with_the_same_subscriptions_and_tells_again() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        first = scene.carrier.open_streams()[0]
        await scene.live()
        first.push(streamed(status="Closed"))
        await scene.pass_time()
        (second,) = scene.carrier.open_streams()
        assert second is not first
        assert second.sent.subscriptions == first.sent.subscriptions
        assert len(scene.carrier.of("Subscribe")) == 2
        assert scene.listener.follows == [(frozenset({ANN, BOB}), False)] * 2
        scene.carrier.change(ANN)
        await scene.pass_time()
        assert scene.listener.changes == [ANN]


async def test_four_thousand_mailboxes_make_twenty_streams_that_open_one_after_another() -> None:
    async with running() as scene:
        scene.door.follow([Mailbox(address, URL, "g") for address in people(4_000)])
        await scene.pass_time(0.5, turns=1000)
        assert [len(one.sent.subscriptions) for one in scene.carrier.open_streams()] == [200] * 20
        assert scene.listener.followed_now() == set(people(4_000))
        assert len(scene.carrier.of("Subscribe")) == 4_000
        assert scene.carrier.under_way["most Subscribe"] <= 4 * 16
        assert len(asyncio.all_tasks()) < 200
        opened = scene.carrier.sent.index(scene.carrier.streams[0].sent)
        assert opened < 1_500  # the first group does not wait for the last


async def test_newcomers_that_trickle_in_fill_groups() -> None:
    async with running() as scene:
        for batch in range(6):
            scene.door.follow(
                [Mailbox(address, URL) for address in people(600)[batch * 100 : batch * 100 + 100]]
            )
            await scene.pass_time(0.1, turns=20)
        for _ in range(10):
            await scene.pass_time(0.5, turns=300)
        sizes = [len(one.sent.subscriptions) for one in scene.carrier.open_streams()]
        assert sum(sizes) == 600
        assert len(sizes) <= 4


async def test_url_and_grouping_information_separate_groups() -> None:
    async with running() as scene:
        scene.door.follow(
            [
                Mailbox("a@x", URL, "one"),
                Mailbox("b@x", URL, "two"),
                Mailbox("c@x", "https://other.example.com/EWS/Exchange.asmx", "one"),
                Mailbox("d@x", URL, "one"),
            ]
        )
        await scene.pass_time(0.5)
        groups = {
            frozenset(one.partition("#")[0] for one in stream.sent.subscriptions)
            for stream in scene.carrier.open_streams()
        }
        assert groups == {frozenset({"a@x", "d@x"}), frozenset({"b@x"}), frozenset({"c@x"})}


async def test_one_more_mailbox_does_not_touch_a_big_group() -> None:
    async with running() as scene:
        await scene.follow(*people(50))
        big = scene.carrier.open_streams()[0]
        await scene.follow(ANN)
        assert big.open
        assert scene.listener.follows[1:] == [(frozenset({ANN}), False)]
        await scene.follow(BOB)  # joins the small one, which is reopened
        assert big.open
        assert scene.listener.follows[2:] == [(frozenset({ANN, BOB}), False)]
        assert len(scene.carrier.open_streams()) == 2
        assert len(scene.carrier.of("Subscribe")) == 52


async def test_small_groups_join_when_a_big_one_reconnects() -> None:
    async with running() as scene:
        await scene.follow(*people(50))
        big = scene.carrier.open_streams()[0]
        await scene.follow(ANN)
        await scene.live()
        big.push(streamed(status="Closed"))
        await scene.pass_time(1)
        (only,) = scene.carrier.open_streams()
        assert len(only.sent.subscriptions) == 51
        assert scene.listener.follows[-1][0] == frozenset([*people(50), ANN])
        assert [one.mailbox for one in scene.carrier.of("Unsubscribe")] == [ANN]
        assert scene.door.counters()["groups"] == 1


async def test_following_twice_changes_nothing() -> None:
    async with running() as scene:
        await scene.follow(ANN)
        await scene.follow(ANN)
        assert len(scene.carrier.of("Subscribe")) == 1


async def test_a_mailbox_that_moved_leaves_its_group() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        elsewhere = "https://other.example.com/EWS/Exchange.asmx"
        await scene.follow(ANN, url=elsewhere)
        old, new = scene.carrier.open_streams()
        assert new.sent.url == elsewhere
        old.push(changed(scene.carrier.subscription_of(ANN, old)))
        await scene.pass_time()
        assert scene.listener.changes == []
        new.push(changed(scene.carrier.subscription_of(ANN, new)))
        await scene.pass_time()
        assert scene.listener.changes == [ANN]


async def test_an_unfollowed_mailbox_says_nothing_more_and_leaves_the_stream_alone() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        stream = scene.carrier.open_streams()[0]
        scene.door.unfollow([ANN, "unknown@example.com"])
        scene.carrier.change(ANN)
        scene.carrier.change(BOB)
        await scene.pass_time()
        assert stream.open
        assert scene.listener.changes == [BOB]
        assert scene.carrier.of("Unsubscribe") == []
        await scene.live()
        stream.push(streamed(status="Closed"))
        await scene.pass_time()
        (second,) = scene.carrier.open_streams()
        assert [one.partition("#")[0] for one in second.sent.subscriptions] == [BOB]
        assert second.sent.mailbox == BOB
        assert second.sent.headers["Cookie"].endswith("backend-of-ann@example.com")
        assert [one.mailbox for one in scene.carrier.of("Unsubscribe")] == [ANN]


async def test_when_the_last_one_leaves_the_stream_ends() -> None:
    async with running() as scene:
        await scene.follow(ANN)
        scene.door.unfollow([ANN])
        await scene.pass_time(1)
        assert scene.carrier.open_streams() == []
        assert scene.door.counters()["groups"] == 0
        assert scene.door.counters()["mailboxes_followed"] == 0


async def test_unfollowed_while_waiting_means_never_asked() -> None:
    async with running() as scene:
        scene.door.follow([Mailbox(ANN, URL)])
        scene.door.unfollow([ANN])
        await scene.pass_time(5)
        assert scene.carrier.sent == []


async def test_unfollowed_while_subscribing_ends_the_new_subscription() -> None:
    carrier = ScriptedCarrier(delay=lambda sent: 5.0 if sent.mailbox == BOB else 0.0)
    async with running(carrier) as scene:
        await scene.follow(ANN, BOB)
        scene.door.unfollow([BOB])
        await scene.pass_time(6)
        await scene.pass_time(6)
        assert scene.listener.followed_now() == {ANN}
        assert [one.mailbox for one in scene.carrier.of("Unsubscribe")] == [BOB]


async def test_status_shows_every_stream() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        status = scene.door.status()
        assert (status.kind, status.healthy, status.reason) == ("on-premises", True, "")
        (stream,) = status.streams
        assert (stream.anchor, stream.endpoint, stream.mailboxes) == (ANN, URL, 2)
        assert stream.since == stream.last_sign == scene.clock.now() - timedelta(seconds=0.25)
        counters = scene.door.counters()
        assert counters["requests_Subscribe"] == 2
        assert counters["streams_opened"] == 1


async def test_stopping_closes_every_stream() -> None:
    async with running() as scene:
        await scene.follow(*people(450))
        assert len(scene.carrier.open_streams()) == 3
    assert scene.carrier.open_streams() == []


async def test_finding_mailboxes_is_the_finders_work() -> None:
    scene = resting()
    door: CalendarDoor = scene.door
    assert len(await door.fetch_mailboxes([[ANN], [BOB]])) == 2


async def test_mailboxes_handed_over_before_the_start_are_followed() -> None:
    scene = resting()
    scene.door.follow([Mailbox(ANN, URL)])
    task = asyncio.create_task(scene.door.run())
    await scene.pass_time(1)
    assert scene.listener.followed_now() == {ANN}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_answers_of_the_script_are_what_they_seem() -> None:
    assert b"FindItemResponse" in found()
    assert b"UnsubscribeResponse" in answer("Unsubscribe")


async def test_connections_of_a_minute_are_renewed_without_a_pause() -> None:
    async with running(connection_lifetime=timedelta(minutes=1)) as scene:
        await scene.follow(ANN)
        for _ in range(5):
            await scene.live(40)
            await scene.pass_time(19)
            scene.carrier.open_streams()[0].push(streamed(status="Closed"))
            await scene.pass_time()
        assert len(scene.carrier.streams) == 6
        assert scene.carrier.open_streams()
        assert scene.listener.troubles == {}
