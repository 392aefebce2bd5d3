"""Microsoft's own client library against the provider, each grant once: it knows nothing of us.

It is made as one makes it for the real service; only the name `login.microsoftonline.com` leads to loopback. It
goes by the machine's clock, so the provider's stands at the present here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msal
import pytest
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from presenced.sim.entra.faults import Trouble
from presenced.sim.entra.tenants import EXCHANGE
from tests.sim.entra.house import APP, EWS_SCOPE, PUBLIC_APP, SECRET, SUBJECT, TENANT, House, opened

Told = dict[str, Any]
AUTHORITY = "https://login.microsoftonline.com"
CP1 = ["cp1"]
USER_SCOPES = [f"{EXCHANGE}/EWS.AccessAsUser.All"]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, House, datetime.now(UTC).replace(microsecond=0)) as house:
        yield house


class Rerouted(requests.adapters.HTTPAdapter):
    """Sends what is meant for the real service to the simulated one."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    def send(self, request: requests.PreparedRequest, *rest: Any, **more: Any) -> requests.Response:
        assert request.url is not None
        request.headers["Host"] = AUTHORITY.removeprefix("https://")
        request.url = request.url.replace(AUTHORITY, self._base, 1)
        return super().send(request, *rest, **more)


@pytest.fixture
def http(house: House) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(house.certificates.authority)
        session.mount(AUTHORITY, Rerouted(house.entra.base_url))
        yield session


def confidential(house: House, http: requests.Session, credential: Any, **more: Any) -> Any:
    return msal.ConfidentialClientApplication(
        APP,
        client_credential=credential,
        authority=f"{AUTHORITY}/{TENANT}",
        http_client=http,
        **more,
    )


async def token(house: House, http: requests.Session, credential: Any, **more: Any) -> Told:
    """What msal makes of it."""

    def ask() -> Told:
        application = confidential(house, http, credential, **more)
        return dict(application.acquire_token_for_client([EWS_SCOPE]))

    return await asyncio.to_thread(ask)


def pem(house: House) -> Told:
    return {"private_key": house.own.key_pem, "public_certificate": house.own.pem}


def sha1_only(house: House) -> Told:
    print_ = house.own.certificate.fingerprint(hashes.SHA1()).hex()
    return {"private_key": house.own.key_pem, "thumbprint": print_}


def pfx(house: House) -> Told:
    file = house.certificates.authority.with_name("own.pfx")
    lock = BestAvailableEncryption(b"open")
    file.write_bytes(
        pkcs12.serialize_key_and_certificates(b"own", house.own.key, house.own.certificate, None, lock)
    )
    return {"private_key_pfx_path": str(file), "passphrase": "open", "public_certificate": True}


def federated(house: House) -> Told:
    return {"client_assertion": lambda: house.issuer.issue(SUBJECT, house.clock.now())}


@pytest.mark.parametrize(
    ("credential", "acr"),
    [(lambda _: SECRET, "1"), (pem, "2"), (sha1_only, "2"), (pfx, "2"), (federated, "2")],
)
async def test_each_proof_of_an_application(
    house: House, http: requests.Session, credential: Callable[[House], Any], acr: str
) -> None:
    told = await token(house, http, credential(house))
    granted = house.entra.tokens.inspect(told["access_token"], EXCHANGE)
    assert granted.roles == {"full_access_as_app"}
    assert house.entra.counters["client_credentials"] == 1


async def test_a_refusal_reaches_the_caller_as_it_is(house: House, http: requests.Session) -> None:
    told = await token(house, http, "wrong")
    assert (told["error"], told["error_codes"]) == ("invalid_client", [7000215])
    house.application.end_secrets(house.clock.now())
    told = await token(house, http, SECRET)
    assert told["error_description"].startswith("AADSTS7000222: ")


async def test_an_unknown_tenant_is_noticed_at_discovery(house: House, http: requests.Session) -> None:
    def ask() -> Told:
        application = msal.ConfidentialClientApplication(
            APP,
            client_credential=SECRET,
            authority=f"{AUTHORITY}/nowhere.example.com",
            http_client=http,
        )
        return dict(application.acquire_token_for_client([EWS_SCOPE]))

    with pytest.raises(ValueError, match=r"nowhere\.example\.com"):
        await asyncio.to_thread(ask)


async def test_an_authority_of_another_name_is_not_known(house: House, http: requests.Session) -> None:
    def ask() -> Any:
        return msal.ConfidentialClientApplication(
            APP,
            client_credential=SECRET,
            authority=f"{house.entra.base_url}/{TENANT}",
            http_client=http,
        ).acquire_token_for_client([EWS_SCOPE])

    with pytest.raises(ValueError, match="invalid_instance"):
        await asyncio.to_thread(ask)
    assert house.entra.counters == {"instance": 1}


async def test_a_token_is_kept_until_it_is_challenged(house: House, http: requests.Session) -> None:
    application = await asyncio.to_thread(confidential, house, http, pem(house), client_capabilities=CP1)

    async def ask(challenge: str | None = None) -> Told:
        return dict(
            await asyncio.to_thread(
                application.acquire_token_for_client, [EWS_SCOPE], claims_challenge=challenge
            )
        )

    first = await ask()
    assert (await ask())["access_token"] == first["access_token"]
    assert house.entra.counters["client_credentials"] == 1
    house.entra.tokens.revoke()
    with pytest.raises(Exception, match="revoked") as caught:
        house.entra.tokens.inspect(first["access_token"], EXCHANGE)
    second = await ask(caught.value.claims)  # type: ignore[attr-defined]
    house.entra.tokens.inspect(second["access_token"], EXCHANGE)
    assert house.entra.counters["client_credentials"] == 2


async def test_a_throttled_client_waits_for_itself(house: House, http: requests.Session) -> None:
    application = await asyncio.to_thread(confidential, house, http, SECRET)
    house.entra.faults.on(Trouble.THROTTLED, endpoint="token", times=1, back_off=timedelta(seconds=30))
    for _ in range(2):
        told = await asyncio.to_thread(application.acquire_token_for_client, [EWS_SCOPE])
        assert told["error"] == "temporarily_unavailable"
    assert house.entra.counters["client_credentials"] == 1


async def test_a_user_on_a_device_and_refreshed(house: House, http: requests.Session) -> None:
    application = await asyncio.to_thread(
        msal.PublicClientApplication,
        PUBLIC_APP,
        authority=f"{AUTHORITY}/organizations",
        http_client=http,
    )
    flow = await asyncio.to_thread(application.initiate_device_flow, USER_SCOPES)

    async def poll() -> Told:
        return dict(
            await asyncio.to_thread(
                application.acquire_token_by_device_flow, flow, exit_condition=lambda _: True
            )
        )

    assert (await poll())["error"] == "authorization_pending"
    flow["latest_attempt_at"] = 0.0
    house.entra.enter_code(flow["user_code"], house.user.upn)
    await house.clock.advance(timedelta(seconds=5))
    told = await poll()
    assert told["id_token_claims"]["preferred_username"] == house.user.upn
    (account,) = application.get_accounts()
    again = await asyncio.to_thread(
        application.acquire_token_silent, USER_SCOPES, account, force_refresh=True
    )
    granted = house.entra.tokens.inspect(again["access_token"], EXCHANGE)
    assert granted.upn == house.user.upn
    assert house.entra.counters["refresh_token"] == 1
    house.entra.grants.sessions.revoke(house.user)
    refused = await asyncio.to_thread(
        application.acquire_token_silent_with_error, USER_SCOPES, account, force_refresh=True
    )
    assert (refused["error"], refused["error_codes"]) == ("invalid_grant", [50173])
