"""Signing in with a browser elsewhere: how often is asked, and how it may end (RFC 8628)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from aiohttp import web

from presenced.calendars.signin.device import sign_in
from presenced.calendars.signin.entra import DeviceCode
from presenced.calendars.signin.problems import SignInProblem
from presenced.calendars.signin.token_cache import TokenCache
from presenced.config.settings import ExchangeSettings, SyncType
from presenced.store.memory import MemoryStore
from tests.calendars.signin.authority import ACCOUNT, DEVICE, Authority, No, refuse
from tests.calendars.signin.rushing import RushingClock


class Scene:
    """Somebody runs `presenced signin`."""

    def __init__(self, authority: Authority, settings: ExchangeSettings, environ: dict[str, str]) -> None:
        self.clock = RushingClock()
        self.cache = TokenCache(MemoryStore(), environ)
        self.shown: list[DeviceCode] = []
        self._authority = authority
        self._settings = settings

    async def sign_in(self) -> str:
        return await sign_in(
            self._settings,
            self.clock,
            self.cache,
            self.shown.append,
            authority_host=self._authority.host,
        )

    async def problem(self) -> SignInProblem:
        with pytest.raises(SignInProblem) as caught:
            await self.sign_in()
        assert await self.cache.fetch() is None, "nothing is kept of what failed"
        return caught.value


@pytest.fixture
def scene(authority: Authority, delegated: ExchangeSettings, environ: dict[str, str]) -> Scene:
    return Scene(authority, delegated, environ)


def then(
    authority: Authority, *answers: web.Response | No
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """These answers of the token endpoint, one by one; then its own again."""
    waiting = list(answers)

    async def answer(_: web.Request) -> web.Response:
        one = waiting.pop(0)
        if not waiting:
            authority.answer_instead = None
        return refuse(one) if isinstance(one, No) else one

    return answer


async def test_the_account_that_signs_in_is_kept(scene: Scene, authority: Authority) -> None:
    assert await scene.sign_in() == ACCOUNT
    (invitation,) = scene.shown
    assert (invitation.url, invitation.code) == ("https://microsoft.com/devicelogin", "ABCD-EFGH")
    kept = await scene.cache.fetch()
    assert kept is not None
    assert authority.refresh_token in kept.reveal()
    assert [form["grant_type"] for form in authority.seen] == [DEVICE]
    assert "planted-device-code" not in repr(invitation)


async def test_graph_is_signed_in_to_in_the_same_way(
    authority: Authority, delegated: ExchangeSettings, environ: dict[str, str]
) -> None:
    graph = replace(delegated, sync_type=SyncType.GRAPH, graph_access="delegated")
    scene = Scene(authority, graph, environ)
    assert await scene.sign_in() == ACCOUNT
    kept = await scene.cache.fetch()
    assert kept is not None
    assert "https://graph.microsoft.com/Calendars.Read.Shared" in kept.reveal()


async def test_it_is_asked_as_often_as_allowed(scene: Scene, authority: Authority) -> None:
    authority.pendings = 3
    await scene.sign_in()
    assert scene.clock.slept == [5, 5, 5, 5]


async def test_slower_where_it_is_told_so(scene: Scene, authority: Authority) -> None:
    authority.slow_downs, authority.pendings = 2, 1
    await scene.sign_in()
    assert scene.clock.slept == [5, 10, 15, 15]


async def test_a_busy_authority_ends_nothing(scene: Scene, authority: Authority) -> None:
    busy = web.Response(status=503, headers={"Retry-After": "40"}, text="busy")
    authority.answer_instead = then(authority, busy)
    assert await scene.sign_in() == ACCOUNT
    assert scene.clock.slept == [5, 40]


async def test_nobody_comes(scene: Scene, authority: Authority) -> None:
    authority.pendings = None
    problem = await scene.problem()
    assert problem.reason == "the code expired before anybody signed in"
    assert problem.remedy == "run presenced signin again"
    assert sum(scene.clock.slept) == 900


@pytest.mark.parametrize(
    ("no", "reason", "remedy"),
    [
        (No("expired_token", 70020), "the code expired", "run presenced signin again"),
        (No("expired_token", 0), "the code expired", "run presenced signin again"),
        (No("authorization_declined", 0), "was declined", "accept what app"),
        (No("access_denied", 65004), "consent for app", "and accept"),
        (No("invalid_grant", 50076), "multifactor", "run presenced signin again"),
        (No("invalid_grant", 53003), "Conditional Access", "sign-in logs"),
        (No("invalid_grant", 65001), "EWS.AccessAsUser.All", "Grant admin consent"),
        (No("invalid_client", 7000218), "without a secret", "Allow public client flows"),
    ],
    ids=lambda value: f"{value.error}-{value.number}" if isinstance(value, No) else "",
)
async def test_how_it_may_end(no: No, reason: str, remedy: str, scene: Scene, authority: Authority) -> None:
    authority.answer_instead = then(authority, No("authorization_pending", 70016), no)
    problem = await scene.problem()
    assert reason in problem.reason
    assert remedy in problem.remedy
    assert problem.lasting
    assert len(authority.seen) == 2


async def test_an_app_that_does_not_exist(
    authority: Authority, delegated: ExchangeSettings, environ: dict[str, str]
) -> None:
    scene = Scene(authority, replace(delegated, client_id="other"), environ)
    problem = await scene.problem()
    assert "there is no app other" in problem.reason
    assert scene.shown == [], "nobody is sent to a browser"


async def test_nothing_of_it_gets_into_the_log(
    scene: Scene, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await scene.sign_in()
    kept = await scene.cache.fetch()
    assert kept is not None
    for secret in ("planted", "ABCD-EFGH", authority.refresh_token):
        assert secret not in caplog.text
