"""Signing in once with a browser, anywhere: the device code flow (RFC 8628).

The server the daemon runs on has no browser, and should see no password. The waiting is ours, by the
clock, so that it can be interrupted and tested.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from presenced.calendars.signin.entra import DeviceCode, Entra, Grant
from presenced.calendars.signin.issuers import ask
from presenced.calendars.signin.problems import SignInProblem
from presenced.calendars.signin.token_cache import TokenCache
from presenced.config.settings import ExchangeSettings
from presenced.core.ports import Clock

SHORTEST_INTERVAL = timedelta(seconds=1)
LONGEST_INTERVAL = timedelta(minutes=1)


async def sign_in(
    settings: ExchangeSettings,
    clock: Clock,
    cache: TokenCache,
    show: Callable[[DeviceCode], None],
    *,
    authority_host: str = "",
) -> str:
    """Have an account sign in and keep it; the account's name. Raises SignInProblem.

    `show` is called once with where to go and the code to enter there.
    """
    entra = Entra(settings, host=authority_host)
    invitation = await ask(settings, clock, entra.invite)
    show(invitation)
    grant = await _wait(settings, clock, entra, invitation)
    if not grant.memory:
        raise SignInProblem("Entra gave nothing to keep", remedy="run presenced signin again", lasting=True)
    await cache.keep(grant.memory)
    return grant.account


async def _wait(settings: ExchangeSettings, clock: Clock, entra: Entra, invitation: DeviceCode) -> Grant:
    """Ask again and again, as often as we may, until the person is done or the code expires.

    A network that fails for a moment ends nothing (RFC 8628 section 3.5: ask less often then).
    """
    end = clock.now() + invitation.lifetime
    pause = invitation.interval
    missed: SignInProblem | None = None
    while clock.now() < end:
        await clock.sleep(max(pause, SHORTEST_INTERVAL))
        try:
            answer = await ask(settings, clock, lambda now: entra.poll(invitation, now))
        except SignInProblem as problem:
            if problem.lasting:
                raise
            missed = problem
            pause = min(max(2 * pause, problem.retry_after or pause), LONGEST_INTERVAL)
            continue
        if isinstance(answer, Grant):
            return answer
        missed, pause = None, answer
    raise missed or SignInProblem(
        "the code expired before anybody signed in", remedy="run presenced signin again", lasting=True
    )
