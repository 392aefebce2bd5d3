"""One mailbox or one anchor in trouble: it leaves, waits or is polled, and the others stay."""

from __future__ import annotations

from datetime import timedelta

import pytest

from presenced.calendars.carrier import Reply
from presenced.core.ports import MailboxState
from tests.calendars.doors import broken, people
from tests.calendars.ews.answers import answer, backoff_xml, fault, streamed
from tests.calendars.ews.scripted import (
    Headers,
    ScriptedCarrier,
    refusing,
    running,
)

ANN, BOB, CARL = "ann@example.com", "bob@example.com", "carl@example.com"


def refusal(code: str, xml: str = "") -> bytes:
    return answer("Subscribe", code=code, xml=xml)


@pytest.mark.parametrize(
    ("reply", "state", "word", "hours"),
    [
        (refusal("ErrorImpersonateUserDenied"), MailboxState.BLOCKED, "ApplicationImpersonation", 1),
        (refusal("ErrorAccessDenied"), MailboxState.BLOCKED, "ApplicationImpersonation", 1),
        (Reply(403, Headers({"x-ews-policy-reason": "EWS is blocked by policy for this user or tenant"})),
         MailboxState.BLOCKED, "EWSAllowedAppIDs", 1),
        (refusal("ErrorNonExistentMailbox"), MailboxState.UNRESOLVED, "address", 1),
    ],
)  # fmt: skip
async def test_a_mailbox_that_an_admin_must_mend_is_left_alone_for_an_hour(
    reply: bytes | Reply, state: MailboxState, word: str, hours: int
) -> None:
    carrier = ScriptedCarrier(script=refusing("Subscribe", BOB, reply))
    async with running(carrier) as scene:
        await scene.follow(ANN, BOB, CARL)
        assert scene.listener.followed_now() == {ANN, CARL}
        (problem,) = scene.listener.troubles[BOB]
        assert problem.state is state
        assert word in problem.remedy
        await scene.live(3480)
        assert len([one for one in carrier.of("Subscribe") if one.mailbox == BOB]) == 1
        carrier.script = lambda _: None
        await scene.live(200)
        assert BOB in scene.listener.followed_now()


async def test_if_the_anchor_itself_is_blocked_the_next_one_leads() -> None:
    blocked = Reply(403, Headers({"X-EWS-Policy-Reason": "no"}))
    async with running(ScriptedCarrier(script=refusing("Subscribe", ANN, blocked))) as scene:
        await scene.follow(ANN, BOB, CARL)
        (stream,) = scene.carrier.open_streams()
        assert stream.sent.mailbox == BOB
        assert stream.sent.headers["Cookie"].endswith("backend-of-bob@example.com")
        assert list(scene.listener.troubles) == [ANN]


@pytest.mark.parametrize(
    "code", ["ErrorMailboxMoveInProgress", "ErrorProxyRequestNotAllowed", "ErrorMailboxStoreUnavailable"]
)
async def test_a_mailbox_that_moves_is_looked_for_again_after_a_pause(code: str) -> None:
    carrier = ScriptedCarrier(script=refusing("Subscribe", BOB, refusal(code), times=1))
    async with running(carrier) as scene:
        await scene.follow(ANN, BOB)
        (problem,) = scene.listener.troubles[BOB]
        assert problem.rediscover
        assert problem.retry_after is not None
        assert problem.retry_after >= timedelta(minutes=1)
        await scene.live(360)
        assert BOB in scene.listener.followed_now()


async def test_a_stream_whose_anchor_moves_goes_on_without_it() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        await scene.live()
        scene.carrier.streams[0].push(streamed(code="ErrorMailboxMoveInProgress"))
        await scene.pass_time(1)
        (stream,) = scene.carrier.open_streams()
        assert stream.sent.mailbox == BOB
        assert scene.listener.troubles[ANN][0].rediscover
        assert len(scene.carrier.of("Subscribe")) == 2


async def test_too_many_connections_make_another_pay() -> None:
    carrier = ScriptedCarrier(
        opening=lambda sent: streamed(code="ErrorExceededConnectionCount") if sent.mailbox == ANN else None
    )
    async with running(carrier) as scene:
        await scene.follow(ANN, BOB)
        (stream,) = scene.carrier.open_streams()
        assert stream.sent.mailbox == BOB
        assert len(stream.sent.subscriptions) == 2
        assert len(carrier.of("Subscribe")) == 2
        assert scene.listener.troubles == {}


async def test_if_nobody_can_pay_the_group_joins_another() -> None:
    carrier = ScriptedCarrier()
    async with running(carrier) as scene:
        await scene.follow(*people(50))
        carrier.opening = lambda sent: (
            None if len(sent.subscriptions) > 50 else streamed(code="ErrorExceededConnectionCount")
        )
        await scene.follow(ANN)
        await scene.pass_time(30)
        (stream,) = carrier.open_streams()
        assert len(stream.sent.subscriptions) == 51
        assert scene.door.counters()["groups"] == 1


async def test_too_many_subscriptions_mean_polling_and_streaming_is_tried_again() -> None:
    carrier = ScriptedCarrier(script=refusing("Subscribe", BOB, refusal("ErrorExceededSubscriptionCount"), 1))
    async with running(carrier) as scene:
        await scene.follow(ANN, BOB)
        assert scene.listener.followed_now() == {ANN}
        assert scene.listener.followed_now(polled=True) == {BOB}
        assert scene.listener.troubles[BOB][0].state is MailboxState.POLLED
        assert scene.door.counters()["mailboxes_polled"] == 1
        await scene.live(3700)
        assert scene.listener.followed_now() == {ANN, BOB}
        assert scene.door.counters()["mailboxes_polled"] == 0


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(refusal("ErrorServerBusy", backoff_xml(20_000)), id="as a message"),
        pytest.param(Reply(500, Headers(), fault("ErrorServerBusy", backoff=20_000)), id="as a fault"),
        pytest.param(
            refusal("ErrorInternalServerError", backoff_xml(20_000, InnerErrorResponseCode="ErrorServerBusy")),
            id="wrapped",
        ),
        pytest.param(Reply(503, Headers({"retry-after": "20"})), id="503"),
        pytest.param(refusal("ErrorTooManyObjectsOpened", backoff_xml(20_000)), id="too many objects"),
    ],
)  # fmt: skip
async def test_a_busy_server_holds_only_that_mailbox(reply: bytes | Reply) -> None:
    carrier = ScriptedCarrier(script=refusing("Subscribe", BOB, reply, times=1))
    async with running(carrier) as scene:
        await scene.follow(ANN, BOB, CARL)
        assert scene.listener.followed_now() == {ANN, CARL}
        assert list(carrier.holds) == [BOB]
        assert timedelta(seconds=20) <= carrier.holds[BOB] <= timedelta(seconds=25)
        assert list(scene.door.status().backoffs) == [BOB]
        await scene.pass_time(18)
        assert len([one for one in carrier.of("Subscribe") if one.mailbox == BOB]) == 1
        await scene.pass_time(10)
        assert BOB in scene.listener.followed_now()
        assert scene.listener.troubles == {}
        assert scene.door.status().backoffs == {}


async def test_a_back_off_of_zero_still_has_a_floor_and_grows() -> None:
    carrier = ScriptedCarrier(script=refusing("Subscribe", BOB, refusal("ErrorServerBusy", backoff_xml(0))))
    async with running(carrier) as scene:
        await scene.follow(ANN, BOB)
        await scene.pass_time(60)
        asked = [one for one in carrier.of("Subscribe") if one.mailbox == BOB]
        assert 3 <= len(asked) <= 9
        assert "busy" in scene.listener.troubles[BOB][0].reason


async def test_a_busy_anchor_waits_with_its_stream_and_nobody_else() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        await scene.live()
        scene.carrier.streams[0].push(fault("ErrorServerBusy", backoff=30_000))
        await scene.pass_time(25)
        assert scene.carrier.open_streams() == []
        assert list(scene.carrier.holds) == [ANN]
        await scene.pass_time(15)
        assert scene.listener.times_followed(ANN) == 2


@pytest.mark.parametrize("problem", [broken("timeout"), broken("broken"), broken("held")])
async def test_a_mailbox_whose_request_gets_lost_does_not_hold_up_the_others(problem: Exception) -> None:
    carrier = ScriptedCarrier(script=refusing("Subscribe", BOB, problem, times=1))
    async with running(carrier) as scene:
        await scene.follow(ANN, BOB)
        assert scene.listener.followed_now() == {ANN}
        await scene.pass_time(45)
        assert BOB in scene.listener.followed_now()


async def test_an_answer_from_somebody_else_is_the_mailboxs_trouble() -> None:
    carrier = ScriptedCarrier(script=refusing("Subscribe", BOB, b"<html/>", times=1))
    async with running(carrier) as scene:
        await scene.follow(ANN, BOB)
        assert scene.listener.followed_now() == {ANN}
        assert scene.listener.troubles[BOB][0].state is MailboxState.FAILING
