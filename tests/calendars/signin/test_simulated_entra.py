"""The sign-in against the simulated identity provider, which others wrote from the documents."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from presenced.calendars.claims import find_claims
from presenced.calendars.signin.device import sign_in
from presenced.calendars.signin.entra import DeviceCode
from presenced.calendars.signin.problems import SignInProblem
from presenced.calendars.signin.token_cache import TokenCache
from presenced.calendars.signin.tokens import OAuthTokens, build_tokens
from presenced.config.settings import ExchangeSettings, Secret, SyncType
from presenced.sim.entra.faults import Trouble
from presenced.sim.entra.tenants import EXCHANGE, GRAPH
from presenced.sim.entra.tokens import TokenRejected
from presenced.store.memory import MemoryStore
from tests.calendars.signin.rushing import RushingClock
from tests.sim.entra.house import APP, PUBLIC_APP, SECRET, SUBJECT, TENANT, House, opened

APP_ONLY, CLOUD, ON_GRAPH = SyncType.CLOUD_APP_ONLY, SyncType.CLOUD, SyncType.GRAPH


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """At the real time: msal dates its assertions by no other."""
    async with opened(tmp_path, House, datetime.now(UTC)) as house:
        yield house
        runner = house.entra._runner
        assert runner is not None
        assert runner.server is not None
        for connection in runner.server.connections:
            if (
                connection.transport is not None
            ):  # asyncio would wait for a TLS farewell that requests does not send
                connection.transport.abort()


@pytest.fixture
def settings(house: House) -> ExchangeSettings:
    return ExchangeSettings(
        sync_type=APP_ONLY,
        client_id=APP,
        tenant_id=TENANT,
        client_secret=Secret(SECRET),
        tls_ca=house.certificates.authority,
    )


@pytest.fixture
def cache(environ: dict[str, str]) -> TokenCache:
    return TokenCache(MemoryStore(), environ)


def tokens_of(house: House, settings: ExchangeSettings, cache: TokenCache | None = None) -> OAuthTokens:
    host = house.entra.base_url.removeprefix("https://")
    return build_tokens(settings, house.clock, cache, authority_host=host)


def by_certificate(house: House, settings: ExchangeSettings, folder: Path) -> ExchangeSettings:
    path = folder / "app.pem"
    path.write_text(house.own.key_pem + house.own.pem)
    return replace(settings, client_secret=Secret(""), certificate=path)


def by_federation(house: House, settings: ExchangeSettings, folder: Path) -> ExchangeSettings:
    path = folder / "token"
    path.write_text(house.issuer.issue(SUBJECT, house.clock.now()))
    return replace(settings, client_secret=Secret(""), federated_token_file=path)


@pytest.mark.parametrize("sync_type", [APP_ONLY, ON_GRAPH])
@pytest.mark.parametrize("proof", [None, by_certificate, by_federation])
async def test_every_proof_opens_every_service(
    proof: Callable[[House, ExchangeSettings, Path], ExchangeSettings] | None,
    sync_type: SyncType,
    house: House,
    settings: ExchangeSettings,
    tmp_path: Path,
) -> None:
    settings = replace(settings, sync_type=sync_type)
    if proof is not None:
        settings = proof(house, settings, tmp_path)
    token = await tokens_of(house, settings).fetch_token()
    granted = house.entra.tokens.inspect(token, EXCHANGE if sync_type is APP_ONLY else GRAPH)
    assert granted.client_id == APP
    assert granted.roles == {"full_access_as_app" if sync_type is APP_ONLY else "Calendars.Read"}


@pytest.mark.parametrize(
    ("sync_type", "scope"), [(CLOUD, "EWS.AccessAsUser.All"), (ON_GRAPH, "Calendars.Read.Shared")]
)
async def test_an_account_signs_in_and_is_refreshed(
    sync_type: SyncType, scope: str, house: House, settings: ExchangeSettings, cache: TokenCache
) -> None:
    house.entra.faults.single_use_refresh_tokens = True
    settings = replace(
        settings,
        sync_type=sync_type,
        graph_access="delegated",
        client_id=PUBLIC_APP,
        client_secret=Secret(""),
    )

    def enter(invitation: DeviceCode) -> None:
        house.entra.enter_code(invitation.code, house.user.upn)

    host = house.entra.base_url.removeprefix("https://")
    clock = RushingClock(house.clock.now())
    assert await sign_in(settings, clock, cache, enter, authority_host=host) == house.user.upn
    tokens = tokens_of(house, settings, cache)
    for _ in range(3):
        token = await tokens.fetch_token(refresh=True)
        granted = house.entra.tokens.inspect(token, GRAPH if sync_type is ON_GRAPH else EXCHANGE)
        assert (granted.upn, granted.scopes) == (house.user.upn, frozenset({scope}))
        await house.clock.advance(timedelta(minutes=2))
    assert house.entra.grants.granted["refresh_token"] == 3
    house.user.disabled = True
    await house.clock.advance(timedelta(minutes=2))
    with pytest.raises(SignInProblem, match=r"is locked or disabled \(AADSTS50057\)"):
        await tokens.fetch_token(refresh=True)


async def test_a_revoked_token_is_replaced_by_what_the_challenge_demands(
    house: House, settings: ExchangeSettings
) -> None:
    tokens = tokens_of(house, replace(settings, sync_type=ON_GRAPH))
    first = await tokens.fetch_token()
    house.entra.tokens.revoke(client_id=APP)
    with pytest.raises(TokenRejected) as rejected:
        house.entra.tokens.inspect(first, GRAPH)
    claims = find_claims([rejected.value.challenge(house.entra.base_url)])
    assert isinstance(json.loads(claims), dict), "we said that we understand challenges"
    await house.clock.advance(timedelta(minutes=1))
    second = await tokens.fetch_token(refresh=True, claims=claims)
    assert house.entra.tokens.inspect(second, GRAPH).client_id == APP


def expired(house: House) -> None:
    house.application.end_secrets(house.clock.now())


def replaced(house: House) -> None:
    house.application.secrets[0].value = "another"


def gone(house: House) -> None:
    house.tenant.unregister(APP)


def disabled(house: House) -> None:
    house.application.disabled = True


@pytest.mark.parametrize(
    ("happens", "number", "remedy"),
    [
        (expired, 7000222, "make a new one"),
        (replaced, 7000215, "not the Secret ID"),
        (gone, 700016, "check client_id and tenant_id"),
        (disabled, 7000112, "enable the enterprise application"),
    ],
)
async def test_what_an_admin_did_is_told(
    happens: Callable[[House], None], number: int, remedy: str, house: House, settings: ExchangeSettings
) -> None:
    happens(house)
    with pytest.raises(SignInProblem) as caught:
        await tokens_of(house, settings).fetch_token()
    assert f"(AADSTS{number})" in caught.value.reason
    assert remedy in caught.value.remedy


async def test_a_clock_that_is_wrong_is_told(
    house: House, settings: ExchangeSettings, tmp_path: Path
) -> None:
    house.entra.faults.skew = timedelta(hours=1)
    with pytest.raises(SignInProblem, match=r"AADSTS700024") as caught:
        await tokens_of(house, by_certificate(house, settings, tmp_path)).fetch_token()
    assert "check the clock of this machine" in caught.value.remedy


@pytest.mark.parametrize("trouble", list(Trouble))
async def test_trouble_that_passes(trouble: Trouble, house: House, settings: ExchangeSettings) -> None:
    house.entra.faults.on(trouble, times=1, back_off=timedelta(seconds=30))
    tokens = tokens_of(house, settings)
    if trouble is not Trouble.SLOW:
        with pytest.raises(SignInProblem) as caught:
            await tokens.fetch_token()
        assert not caught.value.lasting
        waits = trouble in {Trouble.THROTTLED, Trouble.OUTAGE}
        assert caught.value.retry_after == timedelta(seconds=30 if waits else 10)
        await house.clock.advance(timedelta(seconds=30))
    assert house.entra.tokens.inspect(await tokens.fetch_token(), EXCHANGE).client_id == APP
