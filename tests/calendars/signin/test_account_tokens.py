"""Tokens for the account that signed in once: refreshed, rotated, kept under the key of the installation."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from presenced.calendars.signin.device import sign_in
from presenced.calendars.signin.problems import SignInProblem
from presenced.calendars.signin.token_cache import VALUE, TokenCache
from presenced.calendars.signin.tokens import OAuthTokens, build_tokens, open_tokens
from presenced.config.settings import ExchangeSettings, Secret
from presenced.core.ports import Store, StoreProblem
from presenced.store.memory import MemoryStore
from presenced.store.sqlite import open_store
from tests.calendars.signin.authority import ACCOUNT, Authority
from tests.calendars.signin.rushing import RushingClock
from tests.clock import FakeClock


@dataclass
class Installation:
    """A store, a key, and somebody who may sign in."""

    store: Store
    environ: dict[str, str]
    settings: ExchangeSettings
    authority: Authority
    clock: FakeClock

    async def sign_in(self) -> None:
        """As `presenced signin` does it, a process of its own."""
        cache = TokenCache(self.store, self.environ)
        host = self.authority.host
        await sign_in(self.settings, RushingClock(), cache, lambda _: None, authority_host=host)

    def tokens(self, settings: ExchangeSettings | None = None) -> OAuthTokens:
        """As a daemon that starts."""
        cache = TokenCache(self.store, self.environ)
        host = self.authority.host
        return build_tokens(settings or self.settings, self.clock, cache, authority_host=host)

    async def problem(self) -> SignInProblem:
        with pytest.raises(SignInProblem) as caught:
            await self.tokens().fetch_token()
        return caught.value

    def grants(self) -> list[str]:
        return [form["grant_type"] for form in self.authority.seen]


@pytest.fixture
def here(authority: Authority, delegated: ExchangeSettings, environ: dict[str, str]) -> Installation:
    return Installation(MemoryStore(), environ, delegated, authority, FakeClock())


@pytest.fixture
async def on_disk(here: Installation, tmp_path: Path) -> AsyncIterator[Installation]:
    store = await open_store(tmp_path / "presenced.db", here.clock)
    yield replace(here, store=store)
    await store.close()


async def test_a_token_for_who_signed_in(here: Installation) -> None:
    await here.sign_in()
    tokens = here.tokens()
    assert await tokens.fetch_token()
    status = tokens.status()
    assert (status.kind, status.account) == ("signed-in account", ACCOUNT)
    assert status.permissions == {"EWS.AccessAsUser.All"}
    assert status.credential_expires_at is None
    assert here.grants()[-1] == "refresh_token"


async def test_each_refresh_token_is_used_once_and_the_next_one_kept(here: Installation) -> None:
    """The authority takes the last one it gave out only: a rotation that is lost ends the sign-in."""
    await here.sign_in()
    for _ in range(3):  # a daemon after another: what one was given the next one has
        tokens = here.tokens()
        await tokens.fetch_token()
        await here.clock.advance(timedelta(minutes=1))
        await tokens.fetch_token(refresh=True)
    used = [form["refresh_token"] for form in here.authority.seen if "refresh_token" in form]
    assert len(set(used)) == len(used) == 6


async def test_nothing_of_it_can_be_read_in_the_store_file(on_disk: Installation, tmp_path: Path) -> None:
    await on_disk.sign_in()
    tokens = on_disk.tokens()
    access = await tokens.fetch_token()
    refresh = on_disk.authority.refresh_token
    await on_disk.store.close()
    files = [path for path in tmp_path.iterdir() if path.name.startswith("presenced.db")]
    octets = b"".join(path.read_bytes() for path in files)
    assert VALUE.encode() in octets, "it does lie there"
    for secret in (access, refresh, "planted", ACCOUNT, "RefreshToken"):
        for spelling in ("utf-8", "utf-16-le"):
            assert secret.encode(spelling) not in octets


async def test_it_outlives_a_restart(here: Installation, tmp_path: Path) -> None:
    path = tmp_path / "presenced.db"
    for begin in (True, False, False):
        store = await open_store(path, here.clock)
        running = replace(here, store=store)
        if begin:
            await running.sign_in()
        assert await running.tokens().fetch_token()
        await store.close()


async def test_nobody_has_signed_in(here: Installation) -> None:
    problem = await here.problem()
    assert (problem.reason, problem.remedy) == ("nobody has signed in yet", "run presenced signin")
    assert problem.lasting
    assert here.authority.discoveries == 0, "Entra is not troubled with it"


async def test_another_key(here: Installation) -> None:
    await here.sign_in()
    Path(here.environ["PRESENCED_KEY_FILE"]).write_bytes(Fernet.generate_key())
    problem = await here.problem()
    assert problem.reason == "the stored sign-in was encrypted with another key"
    assert problem.remedy == "bring that key back, or run presenced signin"
    await here.sign_in()
    assert await here.tokens().fetch_token()


async def test_a_lost_key(here: Installation) -> None:
    await here.sign_in()
    Path(here.environ["PRESENCED_KEY_FILE"]).unlink()
    problem = await here.problem()
    assert "without a key: the key file" in problem.reason
    assert "is missing" in problem.reason
    assert "presenced secret seal makes one" in problem.remedy


async def test_what_was_kept_is_damaged(here: Installation) -> None:
    await here.store.keep_value(VALUE, b"sealed:\xff\xfe")
    assert "another key" in (await here.problem()).reason
    await TokenCache(here.store, here.environ).keep(Secret("no JSON"))
    problem = await here.problem()
    assert problem.reason == "the stored sign-in is damaged"


async def test_a_sign_in_of_another_app(here: Installation) -> None:
    await here.sign_in()
    with pytest.raises(SignInProblem, match="nobody has signed in for app other yet") as caught:
        await here.tokens(replace(here.settings, client_id="other")).fetch_token()
    assert caught.value.remedy == "run presenced signin"


async def test_a_sign_in_that_has_ended(here: Installation) -> None:
    await here.sign_in()
    here.authority.refresh_token = "revoked"
    problem = await here.problem()
    assert problem.reason == f"the sign-in of {ACCOUNT} has ended (AADSTS700082)"
    assert problem.remedy == f"run presenced signin again, signing in as {ACCOUNT}"


async def test_a_claims_challenge_goes_along(here: Installation) -> None:
    await here.sign_in()
    claims = '{"access_token": {"nbf": {"essential": true, "value": "1604106651"}}}'
    tokens = here.tokens()
    await tokens.fetch_token()
    await tokens.fetch_token(refresh=True, claims=claims)
    asked = [json.loads(form["claims"])["access_token"] for form in here.authority.seen[1:]]
    assert asked[0] == {"xms_cc": {"values": ["cp1"]}}, "we understand challenges"
    assert asked[1] == asked[0] | {"nbf": {"essential": True, "value": "1604106651"}}


async def test_a_running_daemon_takes_a_new_sign_in(here: Installation) -> None:
    """It looks at the store now and then, however long the pause after the refusal is."""
    await here.sign_in()
    here.authority.refresh_token = "revoked"
    tokens = here.tokens()
    for _ in range(4):
        with pytest.raises(SignInProblem):
            await tokens.fetch_token()
        await here.clock.advance(timedelta(minutes=15))
    with pytest.raises(SignInProblem):
        await tokens.fetch_token()
    await here.sign_in()
    await here.clock.advance(timedelta(seconds=1))
    assert await tokens.fetch_token()
    assert tokens.status().healthy


async def test_the_refresher_takes_a_new_sign_in_too(here: Installation) -> None:
    cache = TokenCache(here.store, here.environ)
    host = here.authority.host
    async with open_tokens(here.settings, here.clock, cache, authority_host=host) as tokens:
        await here.clock.advance(timedelta(seconds=1))
        assert not tokens.status().healthy
        await here.sign_in()
        await here.clock.advance(timedelta(seconds=15))
        assert tokens._renewal is not None, "it asks by itself"
        await tokens._renewal
        assert tokens.status().account == ACCOUNT


async def test_a_store_that_fails_costs_no_token(
    here: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await here.sign_in()
    tokens = here.tokens()

    async def fail(name: str, value: bytes | None) -> None:
        raise StoreProblem("the disk is full", remedy="make room")

    monkeypatch.setattr(here.store, "keep_value", fail)
    with caplog.at_level(logging.ERROR):
        assert await tokens.fetch_token()
    assert "because=the disk is full remedy=make room" in caplog.text


async def test_somebody_else_than_user_signed_in(
    here: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    here.authority.username = "other@contoso.com"
    await here.sign_in()
    await here.tokens().fetch_token()
    assert "account=other@contoso.com user=svc.calendar@contoso.com" in caplog.text
