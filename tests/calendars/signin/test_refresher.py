"""The one token everybody uses: asked for once, renewed ahead, left alone after a failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from presenced.calendars.signin.entra import Grant
from presenced.calendars.signin.problems import SignInProblem
from presenced.calendars.signin.tokens import OAuthTokens, build_tokens, open_tokens
from presenced.config.settings import ExchangeSettings, Secret
from tests.calendars.signin.authority import Authority
from tests.clock import FakeClock

HOUR = timedelta(hours=1)
STEP = timedelta(seconds=10)


class ScriptedIssuer:
    """Numbers its tokens; fails where told to."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.kind = "scripted"
        self.credential_expires_at: datetime | None = None
        self.asked: list[str] = []
        self.asked_at: list[float] = []
        self.problem: Exception | None = None
        self.lifetime = HOUR
        self.takes = timedelta()
        self.renewed = False

    async def issue(self, claims: str) -> Grant:
        self.asked.append(claims)
        self.asked_at.append((self.clock.now() - FakeClock().now()).total_seconds())
        await self.clock.sleep(self.takes)
        if self.problem is not None:
            raise self.problem
        return Grant(Secret(f"token{len(self.asked)}"), self.lifetime)

    async def is_renewed(self) -> bool:
        renewed, self.renewed = self.renewed, False
        return renewed


class Scene:
    """The tokens of a scripted issuer."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.issuer = ScriptedIssuer(self.clock)
        self.tokens = OAuthTokens(self.issuer, self.clock)

    async def passes(self, **length: float) -> None:
        await self.clock.advance(timedelta(**length))


@pytest.fixture
def scene() -> Scene:
    return Scene()


# --- one question at a time ---


async def test_sixteen_cold_callers_make_one_request(
    authority: Authority, app_only: ExchangeSettings
) -> None:
    tokens = build_tokens(app_only, FakeClock(), None, authority_host=authority.host)
    given = await asyncio.gather(*(tokens.fetch_token() for _ in range(16)))
    assert len(set(given)) == 1
    assert len(authority.seen) == authority.discoveries == 1


async def test_all_that_were_refused_share_one_new_token(scene: Scene) -> None:
    await scene.tokens.fetch_token()
    await scene.passes(minutes=10)
    refused = [scene.tokens.fetch_token(refresh=True) for _ in range(8)]
    assert set(await asyncio.gather(*refused)) == {"token2"}
    await scene.passes(seconds=10)
    late = await scene.tokens.fetch_token(refresh=True)
    assert late == "token2", "who comes late was refused the token before"
    await scene.passes(minutes=1)
    assert await scene.tokens.fetch_token(refresh=True) == "token3"


async def test_all_that_wait_share_one_failure(scene: Scene) -> None:
    scene.issuer.problem = SignInProblem("no", lasting=True)
    outcomes = await asyncio.gather(*(scene.tokens.fetch_token() for _ in range(16)), return_exceptions=True)
    assert {str(outcome) for outcome in outcomes} == {"no"}
    assert len(scene.issuer.asked) == 1


async def test_one_that_gives_up_leaves_the_others_their_token(scene: Scene) -> None:
    scene.issuer.takes = timedelta(seconds=5)
    first, second = (asyncio.create_task(scene.tokens.fetch_token()) for _ in range(2))
    await scene.passes(seconds=1)
    first.cancel()
    await scene.passes(seconds=5)
    assert await second == "token1"
    assert first.cancelled()


async def test_claims_are_asked_for_even_while_a_renewal_runs(scene: Scene) -> None:
    scene.issuer.takes = timedelta(seconds=5)
    plain = asyncio.create_task(scene.tokens.fetch_token())
    await scene.passes(seconds=1)
    challenged = asyncio.create_task(scene.tokens.fetch_token(refresh=True, claims="{}"))
    await scene.passes(seconds=20)
    assert (await plain, await challenged) == ("token1", "token2")
    assert scene.issuer.asked == ["", "{}"]


# --- ahead of time ---


@pytest.mark.parametrize(
    ("life", "renewed"),
    [
        (HOUR, [0, 3300, 6600]),
        (timedelta(minutes=8), [0, 360, 720]),
        (timedelta(seconds=1), [0, 45, 90]),
        (timedelta(hours=2), [0, 6900, 13800]),
        (timedelta(hours=4), [0, 7200, 14400]),
    ],
)
async def test_a_token_is_renewed_before_it_ends(life: timedelta, renewed: list[float], scene: Scene) -> None:
    scene.issuer.lifetime = life
    refresher = asyncio.create_task(scene.tokens.run())
    for _ in range(3):
        await scene.clock.advance(timedelta(seconds=renewed[1]), turns=4)
    refresher.cancel()
    assert scene.issuer.asked_at[:3] == pytest.approx(renewed, abs=16)
    assert len(scene.issuer.asked) <= 4


async def test_nobody_waits_for_a_renewal_while_the_old_token_is_good(scene: Scene) -> None:
    refresher = asyncio.create_task(scene.tokens.run())
    await scene.passes(minutes=54)
    scene.issuer.takes = timedelta(seconds=30)
    await scene.passes(seconds=70)
    assert len(scene.issuer.asked) == 2
    assert await scene.tokens.fetch_token() == "token1"
    await scene.passes(seconds=30)
    assert await scene.tokens.fetch_token() == "token2"
    refresher.cancel()


async def test_a_good_token_outlives_failures_to_renew_it(scene: Scene) -> None:
    refresher = asyncio.create_task(scene.tokens.run())
    await scene.passes(minutes=50)
    scene.issuer.problem = SignInProblem("Entra is busy")
    await scene.passes(minutes=9)
    assert await scene.tokens.fetch_token() == "token1"
    status = scene.tokens.status()
    assert (status.healthy, status.reason) == (False, "Entra is busy")
    assert status.failing_since is not None
    await scene.passes(minutes=2)
    with pytest.raises(SignInProblem, match="Entra is busy"):
        await scene.tokens.fetch_token()
    scene.issuer.problem = None
    await scene.passes(minutes=6)
    assert await scene.tokens.fetch_token() != "token1"
    assert scene.tokens.status().healthy
    refresher.cancel()


async def test_without_a_refresher_a_spent_token_is_replaced_when_it_is_needed(scene: Scene) -> None:
    assert await scene.tokens.fetch_token() == "token1"
    await scene.passes(minutes=59, seconds=44)
    assert await scene.tokens.fetch_token() == "token1"
    await scene.passes(seconds=1)
    assert await scene.tokens.fetch_token() == "token2"


# --- after a failure ---


async def tries(scene: Scene, length: timedelta) -> list[float]:
    """When Entra is asked, of somebody who wants a token every ten seconds."""
    for _ in range(int(length / STEP)):
        with pytest.raises(SignInProblem):
            await scene.tokens.fetch_token()
        await scene.clock.advance(STEP, turns=3)
    return scene.issuer.asked_at


async def test_slower_and_slower_while_the_network_is_down(scene: Scene) -> None:
    scene.issuer.problem = SignInProblem("there is no network")
    assert await tries(scene, timedelta(minutes=12)) == [0, 10, 30, 70, 150, 310, 610]


async def test_slower_still_where_somebody_must_act_first(scene: Scene) -> None:
    scene.issuer.problem = SignInProblem("the secret is wrong", lasting=True)
    assert await tries(scene, timedelta(minutes=50)) == [0, 60, 180, 420, 900, 1800, 2700]


async def test_never_before_entra_allows_it(scene: Scene) -> None:
    scene.issuer.problem = SignInProblem("busy", retry_after=timedelta(minutes=20))
    assert await tries(scene, timedelta(minutes=25)) == [0, 1200]


async def test_the_same_failure_is_logged_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.issuer.problem = SignInProblem("the secret is wrong", remedy="make another", lasting=True)
    with caplog.at_level(logging.INFO):
        await tries(scene, timedelta(minutes=8))
        assert caplog.text.count("because=the secret is wrong remedy=make another") == 1
        scene.issuer.problem = SignInProblem("something else")
        await tries(scene, timedelta(minutes=8))
        assert caplog.text.count("because=something else") == 1
        scene.issuer.problem = None
        await scene.passes(minutes=15)
        await scene.tokens.fetch_token()
    assert caplog.text.count("signed in kind=scripted") == 1


async def test_the_next_try_is_told(scene: Scene) -> None:
    scene.issuer.problem = SignInProblem("the secret is wrong", remedy="make another", lasting=True)
    with pytest.raises(SignInProblem) as caught:
        await scene.tokens.fetch_token()
    assert caught.value.retry_after == timedelta(minutes=1)
    await scene.passes(seconds=20)
    with pytest.raises(SignInProblem) as caught:
        await scene.tokens.fetch_token()
    assert caught.value.retry_after == timedelta(seconds=40)
    status = scene.tokens.status()
    assert status.next_try == FakeClock().now() + timedelta(minutes=1)
    assert (status.reason, status.remedy) == ("the secret is wrong", "make another")


async def test_a_new_sign_in_ends_the_pause(scene: Scene) -> None:
    scene.issuer.problem = SignInProblem("revoked", lasting=True)
    with pytest.raises(SignInProblem):
        await scene.tokens.fetch_token()
    scene.issuer.problem, scene.issuer.renewed = None, True
    assert await scene.tokens.fetch_token() == "token2"


async def test_a_fault_of_ours_is_a_problem_like_others(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.issuer.problem = ArithmeticError("planted")
    refresher = asyncio.create_task(scene.tokens.run())
    await scene.passes(seconds=5)
    with pytest.raises(SignInProblem, match=r"failed unexpectedly \(ArithmeticError\)") as caught:
        await scene.tokens.fetch_token()
    assert "planted" not in f"{caught.value} {caplog.text}"
    scene.issuer.problem = None
    await scene.passes(seconds=5)
    assert await scene.tokens.fetch_token() == "token2", "the refresher goes on"
    refresher.cancel()


# --- life and death ---


def named(name: str) -> Callable[[asyncio.Task[object]], bool]:
    return lambda task: task.get_name().startswith(name)


async def test_nothing_is_left_behind(authority: Authority, app_only: ExchangeSettings) -> None:
    async with open_tokens(app_only, FakeClock(), None, authority_host=authority.host) as tokens:
        assert await tokens.fetch_token()
        assert any(map(named("sign-in"), asyncio.all_tasks()))
    await asyncio.sleep(0)
    assert not any(map(named("sign-in"), asyncio.all_tasks()))


async def test_nothing_is_left_behind_in_the_middle_of_a_renewal(scene: Scene) -> None:
    scene.issuer.takes = timedelta(minutes=1)
    refresher = asyncio.create_task(scene.tokens.run())
    await scene.passes(seconds=1)
    refresher.cancel()
    await scene.clock.settle()
    assert scene.tokens._renewal is None
