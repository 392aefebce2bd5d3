"""The bad days of a follower: every failure of exchange.md section 4, on a clock that is turned."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from presenced.calendars.carrier import CarrierProblem, Reply
from presenced.core.ports import MailboxState
from tests.calendars.ews.answers import answer, backoff_xml, changed, fault, kept_alive, streamed
from tests.calendars.ews.scripted import (
    URL,
    Headers,
    Scene,
    ScriptedCarrier,
    Sent,
    broken,
    people,
    running,
)

ANN, BOB, CARL = "ann@example.com", "bob@example.com", "carl@example.com"


def refusing(
    operation: str, address: str, body: bytes | Reply | Exception, times: int = 10**9
) -> Callable[[Sent], bytes | Reply | Exception | None]:
    """A script that refuses one operation of one mailbox so many times."""
    left = [times]

    def script(sent: Sent) -> bytes | Reply | Exception | None:
        if sent.operation == operation and sent.mailbox == address and left[0]:
            left[0] -= 1
            return body
        return None

    return script


def refusal(code: str, xml: str = "") -> bytes:
    return answer("Subscribe", code=code, xml=xml)


async def live(scene: Scene, seconds: int = 120) -> None:
    """Time passes on healthy streams."""
    for _ in range(seconds // 40):
        scene.carrier.keep_alive()
        await scene.pass_time(40)


def rereads(scene: Scene) -> int:
    """How often ANN was told as followed."""
    return sum(ANN in addresses for addresses, _ in scene.listener.follows)


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
        await live(scene)
        first = scene.carrier.streams[0]
        first.push(end)
        await scene.pass_time(seconds)
        second = scene.carrier.streams[1]
        assert not first.open
        assert second.sent.subscriptions == first.sent.subscriptions
        assert rereads(scene) == 2
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
        await live(scene, 160)
        assert len(scene.carrier.streams) == 1
        await live(scene, 40)
        assert len(scene.carrier.streams) == 2


async def test_a_server_that_is_away_is_tried_slower_and_slower_and_the_admin_told_once() -> None:
    away: list[Exception | None] = [None]
    carrier = ScriptedCarrier(opening=lambda _: away[0])
    async with running(carrier) as scene:
        await scene.follow(ANN, BOB)
        await live(scene)
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
        assert status.reason == "connection refused"
        away[0] = None
        await scene.pass_time(90)
        assert rereads(scene) == 2
        assert scene.door.status().healthy
        assert len(carrier.of("Subscribe")) == 2  # the old subscriptions still do


async def test_a_server_that_closes_at_once_is_not_hammered() -> None:
    carrier = ScriptedCarrier(opening=lambda _: streamed() + streamed(status="Closed"))
    async with running(carrier) as scene:
        await scene.follow(ANN)
        await scene.pass_time(600)
        assert len(carrier.of("GetStreamingEvents")) <= 25


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(401, Headers(), b""), "Exchange refuses the account (Http401: HTTP status 401)"),
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
        await live(scene)
        state[0] = Reply(401, Headers(), b"")
        scene.carrier.streams[0].push(streamed(status="Closed"))
        await scene.pass_time(2)
        assert not scene.door.status().healthy
        state[0] = None
        await scene.pass_time(5)
        assert rereads(scene) == 2


# --- subscriptions ----------------------------------------------------------------------------------


async def test_one_dead_id_is_replaced_at_once_and_the_good_ones_stay() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB, CARL)
        await live(scene)
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
        await live(scene)
        scene.carrier.streams[0].push(streamed(code=code, status="OK"))
        await scene.pass_time()
        again = scene.carrier.of("Subscribe")[2:]
        assert [one.mailbox for one in again] == [ANN, BOB]
        assert "Cookie" not in again[0].headers
        assert rereads(scene) == 2


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


# --- single mailboxes -------------------------------------------------------------------------------


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
        await live(scene, 3480)
        assert len([one for one in carrier.of("Subscribe") if one.mailbox == BOB]) == 1
        carrier.script = lambda _: None
        await live(scene, 200)
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
        await live(scene, 360)
        assert BOB in scene.listener.followed_now()


async def test_a_stream_whose_anchor_moves_goes_on_without_it() -> None:
    async with running() as scene:
        await scene.follow(ANN, BOB)
        await live(scene)
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
        await live(scene, 3700)
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
        await live(scene)
        scene.carrier.streams[0].push(fault("ErrorServerBusy", backoff=30_000))
        await scene.pass_time(25)
        assert scene.carrier.open_streams() == []
        assert list(scene.carrier.holds) == [ANN]
        await scene.pass_time(15)
        assert rereads(scene) == 2


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


async def test_notices_during_a_recovery_are_not_mixed_up() -> None:
    """What came before the failure in the same piece counts; what a new stream says, too."""
    async with running() as scene:
        await scene.follow(ANN, BOB)
        await live(scene)
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
