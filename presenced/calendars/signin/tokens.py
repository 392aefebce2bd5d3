"""The one token everybody uses, and its one refresher.

However many requests need a token at once, one question goes to Entra and all wait for its answer. A
token is renewed while the old one is still good; one that was refused in mid-life is replaced once, not
once for each request it was refused to. After a failure nobody asks for a while: Entra slows down, and in
the end locks out, an app that keeps asking.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from presenced.calendars.claims import find_permissions
from presenced.calendars.signin.clouds import is_delegated
from presenced.calendars.signin.entra import Entra, Grant
from presenced.calendars.signin.issuers import AccountIssuer, AppIssuer
from presenced.calendars.signin.problems import SignInProblem
from presenced.calendars.signin.token_cache import TokenCache
from presenced.config.settings import ExchangeSettings, Secret
from presenced.core.ports import Clock, SignInStatus

_log = logging.getLogger(__name__)

AHEAD = timedelta(minutes=5)
"""how long before its end a token is renewed; of a short life a quarter"""
LONG = timedelta(hours=2)
"""a token that lives longer is renewed at half its life, as Entra itself advises (`refresh_in`)"""
SPENT = timedelta(seconds=15)
"""how long before its end a token counts as spent: a request needs its time"""
YOUNG = timedelta(seconds=30)
"""a token is not replaced within this time: whoever was refused had the one before"""
SHORTEST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=5)
LASTING_FIRST = timedelta(minutes=1)
LASTING_LONGEST = timedelta(minutes=15)
LOOK = timedelta(seconds=15)
"""how often the refresher looks whether somebody has signed in anew"""
SHORTEST_LIFE = timedelta(minutes=1)
"""a token is taken to live that long whatever it says: else each request would ask for another"""


class Issuer(Protocol):
    """Gets new tokens: issuers.py."""

    kind: str
    credential_expires_at: datetime | None

    async def issue(self, claims: str) -> Grant:
        """A new token, with these claims (JSON text, "" for none). Raises SignInProblem."""

    async def is_renewed(self) -> bool:
        """Whether what a failure came from has been replaced since."""


@dataclass(frozen=True, slots=True)
class _Token:
    value: Secret
    issued_at: datetime
    expires_at: datetime
    refresh_at: datetime
    account: str
    claims: str

    def serves(self, now: datetime, *, refresh: bool, claims: str) -> bool:
        if now >= self.expires_at - SPENT or (claims and claims != self.claims):
            return False
        return not refresh or now - self.issued_at < YOUNG


@dataclass(frozen=True, slots=True)
class _Failure:
    problem: SignInProblem
    since: datetime
    count: int
    next_try: datetime


class OAuthTokens:
    """The transport's `TokenSource`; `run` keeps the token fresh, but nothing depends on it."""

    def __init__(self, issuer: Issuer, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock
        self._token: _Token | None = None
        self._failure: _Failure | None = None
        self._renewal: asyncio.Task[_Token] | None = None

    async def fetch_token(self, *, refresh: bool = False, claims: str = "") -> str:
        """A token that is good now; `refresh`: the last one was refused, get another.

        `claims` is what a 401 demanded of the next token (claims.find_claims). Raises SignInProblem, with
        the time of the next try; a token that is still good outlives failures to renew it.
        """
        token = self._token
        if token is None or not token.serves(self._clock.now(), refresh=refresh, claims=claims):
            token = await self._renew(claims)
            if claims and token.claims != claims:  # it was under way already, for somebody else
                token = await self._renew(claims)
        return token.value.reveal()

    @property
    def expires_at(self) -> datetime | None:
        """When the token in use ends; None where there is none."""
        return self._token.expires_at if self._token is not None else None

    def status(self) -> SignInStatus:
        """How the sign-in stands now."""
        token, failure = self._token, self._failure
        return SignInStatus(
            kind=self._issuer.kind,
            account=token.account if token is not None else "",
            healthy=failure is None,
            reason=failure.problem.reason if failure is not None else "",
            remedy=failure.problem.remedy if failure is not None else "",
            failing_since=failure.since if failure is not None else None,
            next_try=failure.next_try if failure is not None else None,
            expires_at=self.expires_at,
            credential_expires_at=self._issuer.credential_expires_at,
            permissions=find_permissions(token.value.reveal()) if token is not None else frozenset(),
        )

    async def run(self) -> None:
        """Renew the token ahead of its end, and after a failure try again, until cancelled."""
        try:
            while True:
                pause = self._due() - self._clock.now()
                if pause > timedelta():
                    await self._clock.sleep(min(pause, LOOK))
                    await self._look()
                    continue
                try:
                    await self._renew("")
                except SignInProblem:
                    continue  # noted where it came up
        finally:
            if self._renewal is not None:
                self._renewal.cancel()

    def _due(self) -> datetime:
        if self._failure is not None:
            return self._failure.next_try
        return self._token.refresh_at if self._token is not None else self._clock.now()

    async def _look(self) -> None:
        """Where somebody has signed in anew it is time for another token, whatever there is."""
        if await self._issuer.is_renewed():
            _log.info("somebody has signed in anew")
            self._failure = None
            if self._token is not None:
                self._token = replace(self._token, refresh_at=self._clock.now())

    async def _renew(self, claims: str) -> _Token:
        """The next token, by the one renewal there is at a time."""
        if self._renewal is None:
            await self._check_pause()
        if self._renewal is None:  # nobody else began meanwhile
            self._renewal = asyncio.create_task(self._issue(claims), name="sign-in")
            self._renewal.add_done_callback(self._close)
        return await asyncio.shield(self._renewal)

    async def _check_pause(self) -> None:
        """Raise the last problem again while it is not time for another try."""
        failure = self._failure
        if failure is None:
            return
        remaining = failure.next_try - self._clock.now()
        if remaining > timedelta():
            await self._look()
            if self._failure is failure:
                raise failure.problem.after(remaining)

    async def _issue(self, claims: str) -> _Token:
        try:
            grant = await self._issuer.issue(claims)
        except SignInProblem as problem:
            raise self._note_failure(problem) from problem
        except Exception as error:  # noqa: BLE001 - what it says may be secret; everybody waits for an answer
            raise self._note_failure(_unexpected(error)) from None
        now = self._clock.now()
        lifetime = max(grant.lifetime, SHORTEST_LIFE)
        ahead = lifetime / 2 if lifetime > LONG else min(AHEAD, lifetime / 4)
        token = self._token = _Token(
            value=grant.token,
            issued_at=now,
            expires_at=now + lifetime,
            refresh_at=now + lifetime - ahead,
            account=grant.account,
            claims=claims,
        )
        self._note_success(token)
        return token

    def _close(self, renewal: asyncio.Task[_Token]) -> None:
        self._renewal = None
        if not renewal.cancelled():
            renewal.exception()  # whoever waited has it; if nobody did, it is noted in the log

    def _note_failure(self, problem: SignInProblem) -> SignInProblem:
        before, now = self._failure, self._clock.now()
        count = before.count + 1 if before is not None else 1
        first, longest = (
            (LASTING_FIRST, LASTING_LONGEST) if problem.lasting else (SHORTEST_PAUSE, LONGEST_PAUSE)
        )
        pause = max(min(first * 2 ** min(count - 1, 16), longest), problem.retry_after or timedelta())
        told = problem.after(pause)
        since = before.since if before is not None else now
        self._failure = _Failure(told, since, count, now + pause)
        known = before is not None and before.problem.reason == problem.reason
        _log.log(
            logging.DEBUG if known else logging.WARNING,
            "sign-in failed because=%s remedy=%s retry_in=%ds",
            problem.reason,
            problem.remedy,
            pause.total_seconds(),
        )
        return told

    def _note_success(self, token: _Token) -> None:
        first = self._failure is not None
        self._failure = None
        _log.log(
            logging.INFO if first else logging.DEBUG,
            "signed in kind=%s account=%s expires_at=%s permissions=%s",
            self._issuer.kind,
            token.account or "none",
            token.expires_at.isoformat(timespec="seconds"),
            ",".join(sorted(find_permissions(token.value.reveal()))) or "none named",
        )


def _unexpected(error: Exception) -> SignInProblem:
    """A fault of ours, told without its words."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    _log.error(
        "sign-in failed unexpectedly error=%s at=%s:%s", type(error).__name__, where.filename, where.lineno
    )
    return SignInProblem(
        f"the sign-in failed unexpectedly ({type(error).__name__})", remedy="look into the log, and report it"
    )


def build_tokens(
    settings: ExchangeSettings, clock: Clock, cache: TokenCache | None, *, authority_host: str = ""
) -> OAuthTokens:
    """The tokens these settings ask for; an account's sign-in comes from `cache`, an app needs none.

    `authority_host` (host or host:port) is asked in place of the cloud's own authority.
    """
    entra = Entra(settings, host=authority_host)
    if is_delegated(settings):
        return OAuthTokens(AccountIssuer(settings, entra, clock, cache), clock)
    return OAuthTokens(AppIssuer(settings, entra, clock), clock)


@asynccontextmanager
async def open_tokens(
    settings: ExchangeSettings, clock: Clock, cache: TokenCache | None, *, authority_host: str = ""
) -> AsyncIterator[OAuthTokens]:
    """The same with its refresher running; one for all users of an account's token."""
    tokens = build_tokens(settings, clock, cache, authority_host=authority_host)
    refresher = asyncio.create_task(tokens.run(), name="sign-in refresher")
    try:
        yield tokens
    finally:
        refresher.cancel()
        await asyncio.wait({refresher})
