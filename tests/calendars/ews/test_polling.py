from __future__ import annotations

from datetime import timedelta

import pytest

from presenced.calendars.carrier import CarrierProblem, Reply
from presenced.core.ports import MailboxState
from tests.calendars.doors import broken, people
from tests.calendars.ews.answers import answer, backoff_xml, synced
from tests.calendars.ews.scripted import Headers, Scene, ScriptedCarrier, Sent, running

ANN, BOB = "ann@example.com", "bob@example.com"
MINUTE = timedelta(minutes=1)


class Calendars:
    """Polled calendars: what changed since which cursor."""

    def __init__(self) -> None:
        self.changes: dict[str, int] = {}
        self.pages = 1
        self.refusal: bytes | Reply | Exception | None = None

    def __call__(self, sent: Sent) -> bytes | Reply | Exception | None:
        if sent.operation != "SyncFolderItems":
            return None
        if self.refusal is not None:
            return self.refusal
        cursor = int(next(iter(sent.texts("SyncState")), "0")) + 1
        return synced(str(cursor), self.changes.pop(sent.mailbox, 0), last=cursor >= self.pages)


def polls(scene: Scene, address: str = ANN) -> list[Sent]:
    return [one for one in scene.carrier.of("SyncFolderItems") if one.mailbox == address]


async def test_the_first_answers_establish_the_cursor_and_mean_followed() -> None:
    calendars = Calendars()
    calendars.pages = 3
    async with running(ScriptedCarrier(script=calendars), follow="polling") as scene:
        calendars.changes[ANN] = 512
        await scene.follow(ANN)
        assert [one.texts("SyncState") for one in polls(scene)] == [[], ["1"], ["2"]]
        assert scene.listener.follows == [(frozenset({ANN}), True)]
        assert scene.listener.changes == []
        assert scene.carrier.of("Subscribe") == []


async def test_a_change_is_told_and_silence_is_a_sign_of_life() -> None:
    calendars = Calendars()
    async with running(ScriptedCarrier(script=calendars), follow="polling", poll_interval=MINUTE) as scene:
        await scene.follow(ANN)
        await scene.pass_time(60)
        assert scene.listener.changes == []
        calendars.changes[ANN] = 1
        await scene.pass_time(60)
        assert scene.listener.changes == [ANN]
        assert scene.listener.signs[ANN] == 3
        assert len(scene.listener.follows) == 1


async def test_polls_are_spread_evenly_over_the_interval() -> None:
    carrier = ScriptedCarrier(script=Calendars())
    async with running(carrier, follow="polling", poll_interval=MINUTE) as scene:
        await scene.follow(*people(120))
        await scene.pass_time(60)
        counts = []
        for _ in range(12):
            before = len(carrier.sent)
            await scene.pass_time(5)
            counts.append(len(carrier.sent) - before)
        assert sum(counts) == 120
        assert max(counts) <= 12


async def test_at_most_so_many_polls_are_under_way() -> None:
    carrier = ScriptedCarrier(script=Calendars(), delay=lambda _: 10.0)
    async with running(carrier, follow="polling", requests_in_flight=4) as scene:
        await scene.follow(*people(40))
        await scene.pass_time(200)
        assert scene.listener.followed_now(polled=True) == set(people(40))
        assert carrier.under_way["most SyncFolderItems"] == 4


async def test_a_slow_server_makes_turns_be_left_out_not_piled_up() -> None:
    carrier = ScriptedCarrier(script=Calendars(), delay=lambda _: 150.0)
    async with running(carrier, follow="polling", poll_interval=MINUTE) as scene:
        await scene.follow(ANN)
        await scene.pass_time(1200)
        assert 5 <= len(polls(scene)) <= 8


async def test_an_unfollowed_mailbox_is_asked_no_more() -> None:
    async with running(ScriptedCarrier(script=Calendars()), follow="polling") as scene:
        await scene.follow(ANN, BOB)
        scene.door.unfollow([ANN])
        before = len(polls(scene))
        await scene.pass_time(300)
        assert len(polls(scene)) == before
        assert len(polls(scene, BOB)) >= 5


async def test_a_cursor_exchange_no_longer_knows_is_made_anew_and_the_window_read() -> None:
    calendars = Calendars()
    async with running(ScriptedCarrier(script=calendars), follow="polling") as scene:
        await scene.follow(ANN)
        calendars.refusal = answer("SyncFolderItems", code="ErrorInvalidSyncStateData")
        await scene.pass_time(60)
        calendars.refusal = None
        await scene.pass_time(60)
        assert scene.listener.follows == [(frozenset({ANN}), True)] * 2


async def test_a_back_off_is_never_undercut() -> None:
    calendars = Calendars()
    carrier = ScriptedCarrier(script=calendars)
    async with running(carrier, follow="polling", poll_interval=MINUTE) as scene:
        await scene.follow(ANN)
        calendars.refusal = answer("SyncFolderItems", code="ErrorServerBusy", xml=backoff_xml(300_000))
        await scene.pass_time(61)
        asked = len(polls(scene))
        await scene.pass_time(230)
        assert len(polls(scene)) == asked
        assert carrier.holds[ANN] >= timedelta(minutes=5)


@pytest.mark.parametrize(
    ("refusal", "state", "times"),
    [
        pytest.param(answer("SyncFolderItems", code="ErrorAccessDenied"), MailboxState.BLOCKED, 1, id="blocked"),
        pytest.param(answer("SyncFolderItems", code="ErrorMailboxMoveInProgress"), MailboxState.FAILING, 1,
                     id="moving"),
        pytest.param(answer("SyncFolderItems", code="ErrorInternalServerError"), MailboxState.FAILING, 3,
                     id="failing"),
        pytest.param(Reply(502, Headers()), MailboxState.FAILING, 3, id="bad gateway"),
        pytest.param(b"<html/>", MailboxState.FAILING, 3, id="somebody else's page"),
        pytest.param(CarrierProblem("connect", "refused"), MailboxState.FAILING, 3, id="away"),
        pytest.param(broken("timeout"), MailboxState.FAILING, 3, id="too slow"),
    ],
)  # fmt: skip
async def test_trouble_is_told_when_it_lasts_and_followed_when_it_is_over(
    refusal: bytes | Reply | Exception, state: MailboxState, times: int
) -> None:
    calendars = Calendars()
    async with running(ScriptedCarrier(script=calendars), follow="polling") as scene:
        await scene.follow(ANN)
        calendars.refusal = refusal
        before = len(polls(scene))
        for _ in range(90):
            if scene.listener.troubles:
                break
            await scene.pass_time(10)
        assert len(polls(scene)) - before == times
        assert scene.listener.troubles[ANN][0].state is state
        calendars.refusal = None
        await scene.pass_time(4600)
        assert len(scene.listener.troubles[ANN]) == 1
        assert scene.listener.follows == [(frozenset({ANN}), True)] * 2


async def test_a_blocked_mailbox_is_asked_hourly() -> None:
    calendars = Calendars()
    calendars.refusal = answer("SyncFolderItems", code="ErrorAccessDenied")
    async with running(ScriptedCarrier(script=calendars), follow="polling") as scene:
        await scene.follow(ANN)
        await scene.pass_time(3500)
        assert len(polls(scene)) == 1
        await scene.pass_time(200)
        assert len(polls(scene)) == 2


async def test_the_status_shows_polled_mailboxes_as_one_line() -> None:
    async with running(ScriptedCarrier(script=Calendars()), follow="polling") as scene:
        assert scene.door.status().streams == ()
        await scene.follow(ANN, BOB)
        (line,) = scene.door.status().streams
        assert (line.mailboxes, line.detail) == (2, "polled every 60 s")
        assert line.last_sign is not None
