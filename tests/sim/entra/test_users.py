"""Tokens for a user: signed in on a device, kept by refresh tokens, and how both end."""

from __future__ import annotations

from datetime import timedelta

import jwt
import pytest

from presenced.sim.entra.tenants import EXCHANGE, GRAPH, Application, Tenant, User
from tests.sim.entra.house import APP, PUBLIC_APP, SECRET, TENANT, USER_SCOPE, House

SECOND = timedelta(seconds=1)


async def test_a_user_signs_in_on_a_device(house: House) -> None:
    begun = (await house.begin_device()).told
    assert (begun["interval"], begun["expires_in"]) == (5, 900)
    assert begun["verification_uri"] == "https://microsoft.com/devicelogin"
    assert begun["user_code"] in begun["message"]
    pending = await house.poll(begun["device_code"])
    assert (pending.status, pending.told["error"]) == (400, "authorization_pending")
    house.entra.enter_code(begun["user_code"], "SVC@example.com")
    await house.clock.advance(5 * SECOND)
    done = await house.poll(begun["device_code"])
    assert done.told["scope"] == f"{EXCHANGE}/EWS.AccessAsUser.All"
    assert (done.claims["scp"], done.claims["upn"]) == ("EWS.AccessAsUser.All", "svc@example.com")
    assert (done.claims["aud"], done.claims["appidacr"]) == (EXCHANGE, "0")
    assert "roles" not in done.claims
    identity = jwt.decode(done.told["id_token"], options={"verify_signature": False})
    assert (identity["aud"], identity["preferred_username"]) == (PUBLIC_APP, "svc@example.com")
    assert (await house.poll(begun["device_code"])).told["error"] == "bad_verification_code"


async def test_a_device_that_asks_too_often_is_slowed_down(house: House) -> None:
    code = (await house.begin_device()).told["device_code"]
    said = []
    for wait in (0, 4, 9, 10, 14, 15):
        await house.clock.advance(wait * SECOND)
        said.append((await house.poll(code)).told["error"])
    pending, slow = "authorization_pending", "slow_down"
    assert said == [pending, slow, slow, slow, slow, slow]
    await house.clock.advance(timedelta(minutes=1))
    assert (await house.poll(code)).told["error"] == pending


async def test_a_user_says_no(house: House) -> None:
    begun = (await house.begin_device()).told
    house.entra.decline_code(begun["user_code"])
    assert (await house.poll(begun["device_code"])).told["error"] == "authorization_declined"
    with pytest.raises(KeyError):
        house.entra.enter_code(begun["user_code"], house.user.upn)


async def test_a_code_ends(house: House) -> None:
    begun = (await house.begin_device()).told
    await house.clock.advance(timedelta(minutes=15))
    assert (await house.poll(begun["device_code"])).told["error"] == "expired_token"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": None}, 900144),
        ({"scope": None}, 900144),
        ({"scope": "https://elsewhere.example.com/Mail.Read"}, 500011),
        ({"client_id": "12345678-bbbb-cccc-dddd-eeeeeeeeeeee"}, 700016),
        ({"tenant": "nowhere.example.com"}, 90002),
    ],
)
async def test_a_device_is_refused_at_once(house: House, changes: dict[str, str | None], code: int) -> None:
    tenant = changes.pop("tenant", None) or TENANT
    assert (await house.begin_device(tenant, **changes)).code == code


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        (USER_SCOPE, 0),
        (f"{EXCHANGE}/.default offline_access", 0),
        ("Calendars.Read.Shared offline_access", 0),
        (f"{GRAPH}/User.Read", 65001),
        (f"{EXCHANGE}/Calendars.Read", 65001),
        (f"{EXCHANGE}/full_access_as_app", 650053),
        (f"{EXCHANGE}/.default {EXCHANGE}/EWS.AccessAsUser.All", 70011),
        (f"{USER_SCOPE} {GRAPH}/User.Read", 28000),
    ],
)
async def test_scopes_of_a_user(house: House, scope: str, code: int) -> None:
    token = (await house.sign_in()).told["refresh_token"]
    answer = await house.refresh(token, scope=scope)
    assert answer.code == code
    if code == 65001:
        assert (answer.told["error"], answer.told["suberror"]) == ("invalid_grant", "consent_required")
    if not code:
        assert answer.claims["aud"] == (GRAPH if "Shared" in scope else EXCHANGE)


async def test_a_token_carries_all_that_was_consented_to(house: House) -> None:
    house.public.scopes[EXCHANGE].add("Calendars.Read")
    assert (await house.sign_in()).claims["scp"] == "Calendars.Read EWS.AccessAsUser.All"


async def test_who_does_not_ask_for_offline_access_gets_no_refresh_token(house: House) -> None:
    begun = (await house.begin_device(scope=f"{EXCHANGE}/EWS.AccessAsUser.All")).told
    house.entra.enter_code(begun["user_code"], house.user.upn)
    done = await house.poll(begun["device_code"])
    assert done.code == 0
    assert not {"refresh_token", "id_token"} & done.told.keys()


async def test_each_refresh_gives_a_new_token_and_90_more_days(house: House) -> None:
    tokens = [(await house.sign_in()).told["refresh_token"]]
    for _ in range(3):
        await house.clock.advance(timedelta(days=89))
        tokens.append((await house.refresh(tokens[-1])).told["refresh_token"])
    assert len(set(tokens)) == 4
    await house.clock.advance(timedelta(days=2))
    assert (await house.refresh(tokens[-2])).code == 700082
    assert (await house.refresh(tokens[-1])).code == 0


async def test_an_old_refresh_token_is_good_unless_told_otherwise(house: House) -> None:
    old = (await house.sign_in()).told["refresh_token"]
    new = (await house.refresh(old)).told["refresh_token"]
    assert (await house.refresh(old)).code == 0
    house.entra.faults.single_use_refresh_tokens = True
    assert (await house.refresh(old)).code == 70000
    assert (await house.refresh(new)).code == 0


async def test_what_ends_a_session(house: House) -> None:
    token = (await house.sign_in()).told["refresh_token"]
    assert (await house.refresh("1.nonsense")).code == 70000
    assert (await house.refresh(token, client_id=APP, client_secret=SECRET)).code == 70000
    house.user.disabled = True
    assert (await house.refresh(token)).code == 50057
    house.user.disabled = False
    house.user.sessions_valid_from = house.clock.now() + SECOND
    assert (await house.refresh(token)).code == 50173
    house.user.sessions_valid_from = None
    assert house.entra.grants.sessions.revoke(house.user) == 1
    revoked = await house.refresh(token)
    assert (revoked.code, revoked.told["error"]) == (50173, "invalid_grant")
    assert (await house.sign_in()).code == 0


async def test_proofs_of_public_and_confidential_applications(house: House) -> None:
    token = (await house.sign_in()).told["refresh_token"]
    assert (await house.refresh(token, client_secret=SECRET)).code == 700025
    assert (await house.refresh("any", client_id=APP)).code == 7000218
    begun = (await house.begin_device(client_id=APP)).told
    assert (await house.poll(begun["device_code"], client_id=APP)).code == 7000218


async def test_users_of_any_tenant_where_the_application_is_for_many(house: House) -> None:
    signed_in = await house.sign_in("organizations")
    assert signed_in.claims["tid"] == TENANT
    assert (await house.refresh(signed_in.told["refresh_token"], "common")).code == 0
    house.public.multi_tenant = False
    refused = await house.refresh(signed_in.told["refresh_token"], "common")
    assert (refused.code, refused.told["error"]) == (50194, "invalid_request")


async def test_a_user_of_another_tenant_is_no_user_here(house: House) -> None:
    other = Tenant("77777777-2222-3333-4444-555555555555", "other.example")
    other.employ(User("guest@other.example"))
    other.register(Application(PUBLIC_APP, public=True, scopes={EXCHANGE: {"EWS.AccessAsUser.All"}}))
    house.entra.grants.tenants.append(other)
    begun = (await house.begin_device()).told
    house.entra.enter_code(begun["user_code"], "guest@other.example")
    assert (await house.poll(begun["device_code"])).code == 70018
    token = (await house.sign_in()).told["refresh_token"]
    assert (await house.refresh(token, "other.example")).code == 70000
