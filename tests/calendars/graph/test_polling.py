from __future__ import annotations

import json
from datetime import timedelta

import pytest

from presenced.calendars.carrier import CarrierProblem, Reply
from presenced.core.ports import Mailbox, MailboxState
from presenced.core.window import Window
from presenced.sim.graph.faults import Trouble
from tests.calendars.doors import broken, people
from tests.calendars.graph.stage import ANN, BOB, EVE, Scene, refused, running

MINUTE = timedelta(minutes=1)


async def test_the_first_round_means_followed_and_is_no_change() -> None:
    async with running() as scene:
        scene.put(ANN, "fair")
        scene.graph.faults.page_size = 1
        scene.put(ANN, "call")
        await scene.follow(ANN, BOB)
        await scene.pass_time(5)
        assert sorted(scene.listener.follows) == [(ANN, True), (BOB, True)]
        assert scene.listener.changes == []
        assert scene.door.status().streams[0].mailboxes == 2


async def test_changes_are_told_whatever_they_are() -> None:
    async with running() as scene:
        scene.put(ANN, "fair")
        scene.graph.faults.stubs = True
        await scene.follow(ANN, BOB)
        for change in (
            lambda: scene.put(ANN, "call", item_type="Occurrence"),
            lambda: scene.put(ANN, "fair", 11),
            lambda: scene.organisation.remove(ANN, "fair"),
            lambda: scene.put(ANN, "call", 24 * 40, item_type="Occurrence"),
        ):
            change()
            await scene.pass_time(62)
            assert scene.listener.take_changes() == [ANN]
        await scene.pass_time(200)
        assert scene.listener.changes == []
        assert scene.listener.signs[BOB] >= 5


async def test_what_lies_outside_the_window_is_no_change() -> None:
    async with running() as scene:
        await scene.follow(ANN)
        scene.put(ANN, "holiday", 24 * 30)
        await scene.pass_time(120)
        assert scene.listener.changes == []


async def test_mailboxes_are_asked_in_full_batches_spread_over_the_interval() -> None:
    async with running(400, poll_interval=MINUTE) as scene:
        await scene.follow(*people(400))
        await scene.pass_time(60)
        scene.carrier.batches.clear()
        counts = []
        for _ in range(12):
            before = sum(map(len, scene.carrier.batches))
            await scene.pass_time(5)
            counts.append(sum(map(len, scene.carrier.batches)) - before)
        assert 398 <= sum(counts) <= 402
        assert max(counts) <= 45
        assert len(scene.carrier.batches) <= 70  # a second's worth in each, five a second are due


async def test_no_mailbox_is_asked_twice_at_a_time() -> None:
    async with running(60, seconds=20.0, poll_interval=MINUTE, requests_in_flight=2) as scene:
        scene.door.follow(await _mailboxes(scene, people(60)))
        await scene.pass_time(300)
        assert scene.graph.most_at_once[people(1)[0]] <= 1
        assert {address for address, _ in scene.listener.follows} == set(people(60))


async def _mailboxes(scene: Scene, addresses: list[str]) -> list[Mailbox]:
    scene.carrier.seconds = 0
    found = await scene.resolve(*addresses)
    scene.carrier.seconds = 20
    return found


async def test_an_unfollowed_mailbox_is_asked_no_more() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        scene.door.unfollow([ANN, BOB])
        before = scene.carrier.asked("delta")
        await scene.pass_time(300)
        assert scene.carrier.asked("delta") == before
        assert scene.door.status().streams == ()


async def test_a_lost_token_makes_a_full_round_and_the_window_is_read() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        scene.graph.faults.on(Trouble.GONE, resource="delta", mailbox=ANN, times=1)
        await scene.pass_time(65)
        assert scene.listener.follows == [(ANN, True), (BOB, True), (ANN, True)]
        assert scene.listener.troubles == {}
        scene.put(ANN, "fair")
        await scene.pass_time(65)
        assert scene.listener.changes == [ANN]


async def test_tokens_that_are_always_lost_are_not_asked_for_without_a_pause() -> None:
    async with running() as scene:
        await scene.follow(ANN)
        scene.graph.faults.on(Trouble.GONE, resource="delta")
        before = scene.carrier.asked("delta")
        await scene.pass_time(600)
        assert scene.carrier.asked("delta") - before < 30


async def test_a_new_round_begins_at_the_mailboxs_midnight_and_nothing_is_missed_in_between() -> None:
    async with running(poll_interval=5 * MINUTE) as scene:  # it is 08:00 UTC, 09:00 in Berlin
        await scene.follow(ANN)
        (mailbox,) = await scene.resolve(ANN)
        await scene.door.fetch_appointments(mailbox, scene.window, "Europe/Berlin", organizers=False)
        await scene.pass_time(4)
        starts = _starts(scene)
        await scene.pass_time(15 * 3600 - 5)
        assert _starts(scene) == starts == 1
        scene.put(ANN, "fair", 24 + 9)
        await scene.pass_time(305)
        assert _starts(scene) == 2
        assert scene.listener.take_changes() == [ANN]
        assert len(scene.listener.follows) == 1
        scene.put(ANN, "late", 24 * 2 + 20)  # the new round covers what the old one did not
        await scene.pass_time(305)
        assert scene.listener.changes == [ANN]


def _starts(scene: Scene) -> int:
    parts = [part for batch in scene.carrier.batches for part in batch]
    return sum("delta?startDateTime" in part.url for part in parts)


async def test_a_longer_window_makes_a_longer_round() -> None:
    async with running() as scene:
        await scene.follow(ANN)
        (mailbox,) = await scene.resolve(ANN)
        week = Window(scene.clock.now(), scene.clock.now() + timedelta(days=7))
        await scene.door.fetch_appointments(mailbox, week, "UTC", organizers=False)
        await scene.pass_time(65)
        scene.put(ANN, "fair", 24 * 6)
        await scene.pass_time(65)
        assert scene.listener.changes == [ANN]


async def test_a_throttled_part_waits_alone_and_as_long_as_asked() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        scene.graph.faults.on(
            Trouble.THROTTLED, resource="delta", mailbox=ANN, times=1, retry_after=timedelta(minutes=4)
        )
        scene.put(ANN, "fair")
        await scene.pass_time(230)
        assert scene.listener.changes == []
        assert scene.listener.signs[BOB] >= 3
        assert set(scene.carrier.holds) == {ANN}
        await scene.pass_time(80)
        assert scene.listener.changes == [ANN]
        assert scene.listener.troubles == {}


async def test_a_throttled_app_stops_asking_for_everybody() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        scene.graph.faults.on(Trouble.THROTTLED, resource="$batch", times=1, retry_after=timedelta(minutes=4))
        await scene.pass_time(60)
        before = len(scene.carrier.sent)
        await scene.pass_time(170)
        assert len(scene.carrier.sent) == before
        assert set(scene.carrier.holds) == {""}
        await scene.pass_time(200)
        assert len(scene.carrier.sent) > before


@pytest.mark.parametrize(
    ("trouble", "state", "at_once"),
    [
        (Trouble.DENIED, MailboxState.BLOCKED, True),
        (Trouble.ELSEWHERE, MailboxState.BLOCKED, True),
        (Trouble.FAULT, MailboxState.FAILING, False),
    ],
)
async def test_trouble_is_told_once_when_it_lasts_and_followed_when_it_is_over(
    trouble: Trouble, state: MailboxState, at_once: bool
) -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        scene.graph.faults.on(trouble, resource="delta", mailbox=ANN)
        await scene.pass_time(62)
        assert bool(scene.listener.troubles) is at_once
        await scene.pass_time(300)
        assert [one.state for one in scene.listener.troubles[ANN]] == [state]
        assert list(scene.listener.troubles) == [ANN]
        scene.graph.faults.off()
        await scene.pass_time(4600)
        assert scene.listener.follows == [(ANN, True), (BOB, True), (ANN, True)]
        assert len(scene.listener.troubles[ANN]) == 1


async def test_a_blocked_mailbox_is_asked_hourly() -> None:
    async with running() as scene:
        scene.graph.faults.on(Trouble.DENIED, resource="delta")
        await scene.follow(ANN)
        await scene.pass_time(3500)
        assert scene.carrier.asked("delta") == 1
        await scene.pass_time(200)
        assert scene.carrier.asked("delta") == 2


@pytest.mark.parametrize(
    "answer",
    [
        CarrierProblem("connect", "away"),
        broken("timeout"),
        refused(502),
        Reply(200, {}, b"<html>proxy</html>"),
        Reply(200, {}, b'{"responses": 3}'),
        Reply(200, {}, b'{"responses": []}'),
    ],
)
async def test_a_whole_batch_that_fails_troubles_everybody_in_it_when_that_lasts(answer: object) -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        scene.carrier.script = lambda *_: answer  # type: ignore[assignment]
        for _ in range(60):
            await scene.pass_time(30)
            if len(scene.listener.troubles) == 2:
                break
        assert set(scene.listener.troubles) == {ANN, BOB}
        scene.carrier.script = lambda *_: None
        await scene.pass_time(1200)
        assert [address for address, _ in scene.listener.follows].count(ANN) == 2


async def test_a_part_whose_token_was_refused_is_asked_again_by_itself() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        refusal = {"status": 401, "body": {"error": {"code": "InvalidAuthenticationToken", "message": "no"}}}

        def refuse(_method: str, path: str, body: bytes) -> Reply | None:
            if path != "/$batch":
                return None
            parts = [{"id": one["id"], **refusal} for one in json.loads(body)["requests"]]
            return Reply(200, {}, json.dumps({"responses": parts}).encode())

        scene.carrier.script = refuse
        scene.put(ANN, "fair")
        await scene.pass_time(65)
        assert scene.listener.changes == [ANN]
        assert {budget for _, path, budget in scene.carrier.sent if path != "/$batch"} == {ANN, BOB}


async def test_an_answer_too_large_for_many_is_asked_for_by_fewer() -> None:
    async with running() as scene:

        def refuse(_method: str, path: str, body: bytes) -> CarrierProblem | None:
            if path == "/$batch" and b"delta" in body and len(json.loads(body)["requests"]) > 1:
                return CarrierProblem("too-large", "too much")
            return None

        scene.carrier.script = refuse
        await scene.follow(ANN, BOB, EVE)
        await scene.pass_time(5)
        assert {address for address, _ in scene.listener.follows} == {ANN, BOB, EVE}


async def test_a_mailbox_found_through_another_door_is_looked_up_again() -> None:
    async with running() as scene:
        scene.door.follow([Mailbox(ANN, "https://mail.example.com/EWS/Exchange.asmx")])
        await scene.pass_time(5)
        assert scene.listener.troubles[ANN][0].rediscover
        assert scene.carrier.sent == []


async def test_a_link_to_another_server_is_not_followed() -> None:
    async with running() as scene:
        mailboxes = await scene.resolve(ANN)
        foreign = {
            "value": [],
            "@odata.nextLink": "https://elsewhere.example.com/v1.0/users/1/calendarView/delta",
        }
        body = {"responses": [{"id": "0", "status": 200, "body": foreign}]}
        scene.carrier.script = lambda *_: Reply(200, {}, json.dumps(body).encode())
        scene.door.follow(mailboxes)
        await scene.pass_time(1200)
        assert scene.listener.follows == []
        assert "leads away" in scene.listener.troubles[ANN][0].reason
