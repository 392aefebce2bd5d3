"""Discovery and troubles of the provider."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from presenced.sim.entra.faults import Trouble
from tests.sim.entra.house import TENANT, House

CONFIGURATION = "v2.0/.well-known/openid-configuration"


async def fetch(house: House, path: str) -> tuple[int, dict[str, Any]]:
    async with house.session.get(f"{house.entra.base_url}/{path}") as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    ("name", "place", "issuer"),
    [
        (TENANT, TENANT, TENANT),
        ("example.com", TENANT, TENANT),
        ("common", "common", "{tenantid}"),
        ("organizations", "organizations", "{tenantid}"),
    ],
)
async def test_discovery(house: House, name: str, place: str, issuer: str) -> None:
    status, told = await fetch(house, f"{name}/{CONFIGURATION}")
    base = house.entra.base_url
    assert status == 200
    assert told["issuer"] == f"{base}/{issuer}/v2.0"
    assert told["token_endpoint"] == f"{base}/{place}/oauth2/v2.0/token"
    assert told["device_authorization_endpoint"] == f"{base}/{place}/oauth2/v2.0/devicecode"
    assert told["jwks_uri"] == f"{base}/{place}/discovery/v2.0/keys"
    status, keys = await fetch(house, told["jwks_uri"].removeprefix(f"{base}/"))
    assert (status, len(keys["keys"])) == (200, 1)
    assert {"kty", "use", "kid", "n", "e", "x5c"} <= keys["keys"][0].keys()
    assert "d" not in keys["keys"][0]


async def test_discovery_of_an_unknown_tenant(house: House) -> None:
    status, told = await fetch(house, f"nowhere.example.com/{CONFIGURATION}")
    assert (status, told["error"], told["error_codes"]) == (400, "invalid_tenant", [90002])


async def test_instance_discovery(house: House) -> None:
    path = "common/discovery/instance?api-version=1.1&authorization_endpoint="
    base = house.entra.base_url
    status, told = await fetch(house, f"{path}{base}/{TENANT}/oauth2/v2.0/authorize")
    assert status == 200
    assert told["tenant_discovery_endpoint"] == f"{base}/{TENANT}/{CONFIGURATION}"
    assert told["metadata"][0]["aliases"] == ["127.0.0.1"]
    status, told = await fetch(house, f"{path}https://evil.example.com/{TENANT}/oauth2/v2.0/authorize")
    assert (status, told["error"]) == (400, "invalid_instance")
    assert (await fetch(house, "common/discovery/instance"))[1]["error_codes"] == [900144]


@pytest.mark.parametrize(
    ("trouble", "status", "error"),
    [
        (Trouble.THROTTLED, 429, "temporarily_unavailable"),
        (Trouble.OUTAGE, 503, "temporarily_unavailable"),
    ],
)
async def test_who_is_told_to_wait(house: House, trouble: Trouble, status: int, error: str) -> None:
    house.entra.faults.on(trouble, endpoint="token", times=1, back_off=timedelta(seconds=17))
    answer = await house.ask()
    assert (answer.status, answer.told["error"]) == (status, error)
    assert answer.headers["Retry-After"] == "17"
    assert (await house.ask()).code == 0
    assert house.entra.counters["client_credentials"] == house.entra.counters["token"] == 2
    assert house.entra.grants.granted["client_credentials"] == 1


@pytest.mark.parametrize(("trouble", "status"), [(Trouble.BROKEN, 500), (Trouble.NOT_JSON, 200)])
async def test_pages_instead_of_json(house: House, trouble: Trouble, status: int) -> None:
    switch = house.entra.faults.on(trouble, endpoint="discovery")
    async with house.session.get(f"{house.entra.base_url}/{TENANT}/{CONFIGURATION}") as answer:
        assert (answer.status, answer.content_type) == (status, "text/html")
    assert (await house.ask()).code == 0
    house.entra.faults.off(switch)
    assert (await fetch(house, f"{TENANT}/{CONFIGURATION}"))[0] == 200


async def test_a_cut_connection(house: House) -> None:
    house.entra.faults.on(Trouble.RESET, grant="client_credentials")
    with pytest.raises(aiohttp.ClientError):
        await house.ask()
    house.entra.faults.off(Trouble.RESET)
    assert (await house.ask()).code == 0


async def test_a_slow_answer(house: House) -> None:
    house.entra.faults.on(Trouble.SLOW, times=1, delay=timedelta(seconds=30))
    asking = asyncio.create_task(house.ask())
    for _ in range(2000):
        if house.clock.sleepers:
            break
        await asyncio.sleep(0.001)
    assert not asking.done()
    await house.clock.advance(timedelta(seconds=30))
    assert (await asking).code == 0
