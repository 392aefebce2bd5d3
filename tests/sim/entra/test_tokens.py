"""What a resource makes of a token: audience, time, signature, revocation, claims challenges."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import jwt
import pytest

from presenced.sim.entra.tenants import EXCHANGE, GRAPH
from presenced.sim.entra.tokens import TokenRejected
from tests.sim.entra.house import APP, TENANT, House, private_key

CP1 = '{"access_token":{"xms_cc":{"values":["cp1"]}}}'


async def token_for(house: House, resource: str = GRAPH, claims: str | None = None) -> str:
    return str((await house.ask(scope=f"{resource}/.default", claims=claims)).told["access_token"])


def rejection(house: House, token: str, resource: str = GRAPH) -> TokenRejected:
    with pytest.raises(TokenRejected) as caught:
        house.entra.tokens.inspect(token, resource)
    return caught.value


async def test_what_a_good_token_allows(house: House) -> None:
    granted = house.entra.tokens.inspect(await token_for(house), GRAPH)
    assert (granted.client_id, granted.tenant_id, granted.upn) == (APP, TENANT, "")
    assert (granted.roles, granted.scopes) == (frozenset({"Calendars.Read"}), frozenset())
    assert granted.ends == house.clock.now() + timedelta(seconds=3599)
    user = (await house.sign_in()).told["access_token"]
    granted = house.entra.tokens.inspect(user, EXCHANGE)
    assert (granted.upn, granted.scopes) == ("svc@example.com", frozenset({"EWS.AccessAsUser.All"}))


async def test_a_token_is_for_one_resource_and_one_hour(house: House) -> None:
    token = await token_for(house)
    assert "audience" in str(rejection(house, token, EXCHANGE))
    await house.clock.advance(timedelta(minutes=59))
    house.entra.tokens.inspect(token, GRAPH)
    await house.clock.advance(timedelta(minutes=1))
    assert "expired" in str(rejection(house, token))


async def test_a_provider_whose_clock_is_ahead_makes_tokens_of_the_future(house: House) -> None:
    house.entra.faults.skew = timedelta(minutes=6)
    token = await token_for(house)
    assert "not valid yet" in str(rejection(house, token))
    await house.clock.advance(timedelta(minutes=1))
    house.entra.tokens.inspect(token, GRAPH)


async def test_forged_tokens(house: House) -> None:
    token = await token_for(house)
    claims = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)
    forged = jwt.encode(claims, private_key(1), algorithm="RS256", headers={"kid": header["kid"]})
    assert "signature" in str(rejection(house, forged))
    assert "signature" in str(rejection(house, jwt.encode(claims, private_key(1), algorithm="RS256")))
    assert "malformed" in str(rejection(house, jwt.encode(claims, "k" * 32, algorithm="HS256")))
    assert "malformed" in str(rejection(house, "a.b.c"))


async def test_tokens_outlive_one_change_of_keys(house: House) -> None:
    token = await token_for(house)
    house.entra.tokens.change_keys()
    house.entra.tokens.inspect(token, GRAPH)
    house.entra.tokens.inspect(await token_for(house), GRAPH)
    house.entra.tokens.change_keys()
    assert "signature" in str(rejection(house, token))


async def test_a_revoked_token_is_refused_and_the_next_one_is_not(house: House) -> None:
    token, user = await token_for(house), (await house.sign_in()).told["access_token"]
    assert house.entra.tokens.revoke(client_id=APP) == 1
    refused = rejection(house, token)
    assert refused.claims == ""
    assert 'error="invalid_token"' in refused.challenge(house.entra.base_url)
    house.entra.tokens.inspect(await token_for(house), GRAPH)
    house.entra.tokens.inspect(user, EXCHANGE)
    assert house.entra.tokens.revoke(upn="svc@example.com") == 1
    assert "revoked" in str(rejection(house, user, EXCHANGE))


async def test_who_understands_challenges_has_long_tokens_and_is_told_what_the_next_must_have(
    house: House,
) -> None:
    token = await token_for(house, claims=CP1)
    await house.clock.advance(timedelta(hours=23))
    house.entra.tokens.inspect(token, GRAPH)
    house.entra.tokens.revoke()
    refused = rejection(house, token)
    words = refused.challenge(house.entra.base_url)
    assert words.startswith('Bearer realm="", authorization_uri="https://127.0.0.1')
    assert 'error="insufficient_claims"' in words
    claims = base64.b64decode(words.partition('claims="')[2].rstrip('"')).decode()
    now = str(int(house.clock.now().timestamp()))
    assert json.loads(claims) == {"access_token": {"nbf": {"essential": True, "value": now}}}
    house.entra.tokens.inspect(await token_for(house, claims=claims), GRAPH)
    assert house.entra.grants.seen[-1].claims == claims


async def test_an_authentication_context_is_demanded(house: House) -> None:
    house.entra.tokens.demanded_context = "c1"
    refused = rejection(house, await token_for(house, claims=CP1))
    wanted = json.loads(refused.claims)
    assert wanted == {"access_token": {"acrs": {"essential": True, "value": "c1"}}}
    wanted["access_token"]["xms_cc"] = {"values": ["cp1"]}
    again = await token_for(house, claims=json.dumps(wanted))
    house.entra.tokens.inspect(again, GRAPH)
    house.entra.tokens.inspect(await token_for(house), GRAPH)


async def test_the_life_of_tokens(house: House) -> None:
    house.entra.tokens.life = timedelta(hours=3)
    answer = await house.ask()
    assert (answer.told["expires_in"], answer.told["refresh_in"]) == (10800, 5400)
