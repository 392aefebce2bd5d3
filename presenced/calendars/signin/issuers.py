"""Who gets tokens: the app in its own name, or the account that signed in once.

Both ask Entra in a thread, within a time, and turn its refusals into problems with remedies.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from presenced.calendars.signin.credentials import check_dates, read_credential
from presenced.calendars.signin.entra import Entra, Grant
from presenced.calendars.signin.problems import SignInProblem
from presenced.calendars.signin.refusals import Refused, explain
from presenced.calendars.signin.token_cache import TokenCache
from presenced.calendars.signin.worker import run_aside
from presenced.config.settings import ExchangeSettings
from presenced.core.ports import Clock

_log = logging.getLogger(__name__)

T = TypeVar("T")

WITHIN = timedelta(seconds=60)
"""for all requests of one token together"""


class AppIssuer:
    """Tokens for the app itself (client credentials)."""

    def __init__(self, settings: ExchangeSettings, entra: Entra, clock: Clock) -> None:
        self._settings = settings
        self._entra = entra
        self._clock = clock
        self.kind = ""
        """how the app proved who it is, last time"""
        self.credential_expires_at: datetime | None = None

    async def issue(self, claims: str) -> Grant:
        """A new token. Raises SignInProblem."""
        return await ask(self._settings, self._clock, lambda now: self._issue(claims, now))

    async def is_renewed(self) -> bool:
        """An app's credential is read each time anyway."""
        return False

    def _issue(self, claims: str, now: datetime) -> Grant:
        credential = read_credential(self._settings)
        self.kind = credential.kind
        self.credential_expires_at = getattr(credential, "valid_until", None)
        check_dates(credential, now)
        return self._entra.grant_to_app(credential, claims, now)


class AccountIssuer:
    """Tokens for the account that signed in with `presenced signin` (delegated access)."""

    def __init__(
        self, settings: ExchangeSettings, entra: Entra, clock: Clock, cache: TokenCache | None
    ) -> None:
        self._settings = settings
        self._entra = entra
        self._clock = clock
        self._cache = cache
        self.kind = "signed-in account"
        self.credential_expires_at: datetime | None = None
        self._account = ""

    async def issue(self, claims: str) -> Grant:
        """A new token; the refresh token that came with it is kept. Raises SignInProblem."""
        cache = self._require_cache()
        memory = await cache.fetch()
        if memory is None:
            raise SignInProblem("nobody has signed in yet", remedy="run presenced signin", lasting=True)
        grant = await ask(
            self._settings,
            self._clock,
            lambda now: self._entra.grant_to_account(memory, claims, now),
            account=self._account,
        )
        self._note_account(grant.account)
        await self._keep(cache, grant)
        return grant

    async def is_renewed(self) -> bool:
        """Somebody has signed in anew since the last try."""
        if self._cache is None:
            return False
        try:
            return await self._cache.is_changed()
        except SignInProblem:
            return False

    async def _keep(self, cache: TokenCache, grant: Grant) -> None:
        """A token in hand is good even where it can't be kept; a sign-in made meanwhile is newer than it."""
        try:
            if await cache.is_changed():
                _log.info("a new sign-in was stored meanwhile")
            else:
                await cache.keep(grant.memory)
        except SignInProblem as problem:
            _log.error(
                "the refreshed sign-in can't be kept because=%s remedy=%s", problem.reason, problem.remedy
            )

    def _require_cache(self) -> TokenCache:
        if self._cache is None:
            raise SignInProblem(
                "there is no store to take the sign-in from", remedy="run presenced signin", lasting=True
            )
        return self._cache

    def _note_account(self, account: str) -> None:
        if account != self._account:
            self._account = account
            if is_other_account(self._settings, account):
                _log.warning(
                    "signed in as another account than [exchange] user account=%s user=%s",
                    account,
                    self._settings.user,
                )


def is_other_account(settings: ExchangeSettings, account: str) -> bool:
    """The account that signed in is not the `user` of the settings, as far as both are known."""
    return bool(settings.user and account) and settings.user.casefold() != account.casefold()


async def ask(
    settings: ExchangeSettings, clock: Clock, question: Callable[[datetime], T], *, account: str = ""
) -> T:
    """What a blocking question to Entra brings, asked aside. Raises SignInProblem."""
    now = clock.now()
    try:
        async with clock.timeout(WITHIN):
            return await run_aside(lambda: question(now))
    except Refused as refused:
        _log.info("Entra refused error=%s correlation_id=%s", refused, refused.correlation or "none")
        raise explain(refused, settings, account=account) from None
    except TimeoutError:
        raise SignInProblem(
            "Entra did not answer in time", remedy="check network, firewall and proxy"
        ) from None
