"""Tokens for an application: what proves it, and what is refused with which number."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from presenced.sim.entra.federation import WorkloadIssuer
from presenced.sim.entra.tenants import EXCHANGE, GRAPH
from tests.sim.entra.house import (
    APP,
    EWS_SCOPE,
    JWT_BEARER,
    PUBLIC_APP,
    SECRET,
    SUBJECT,
    TENANT,
    House,
    OwnCertificate,
    private_key,
)

HOUR = timedelta(hours=1)


async def test_a_secret_gives_a_token_that_the_published_keys_verify(house: House) -> None:
    answer = await house.ask()
    assert answer.status == 200
    assert answer.told["token_type"] == "Bearer"
    assert answer.told["expires_in"] == 3599
    assert "refresh_token" not in answer.told
    assert answer.headers["Cache-Control"] == "no-store, no-cache"
    async with house.session.get(f"{house.entra.base_url}/{TENANT}/discovery/v2.0/keys") as published:
        keys = jwt.PyJWKSet.from_dict(await published.json())
    token = answer.told["access_token"]
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=EXCHANGE, options={"verify_exp": False})
    now = int(house.clock.now().timestamp())
    assert (claims["nbf"], claims["exp"]) == (now, now + 3599)
    assert (claims["appid"], claims["tid"], claims["idtyp"]) == (APP, TENANT, "app")
    assert (claims["roles"], claims["appidacr"]) == (["full_access_as_app"], "1")
    assert claims["iss"] == f"https://sts.windows.net/{TENANT}/"
    assert "scp" not in claims


@pytest.mark.parametrize(
    ("changes", "code", "error", "status"),
    [
        ({"grant_type": None}, 900144, "invalid_request", 400),
        ({"grant_type": "password"}, 70003, "unsupported_grant_type", 400),
        ({"client_id": None}, 900144, "invalid_request", 400),
        ({"client_id": "12345678-bbbb-cccc-dddd-eeeeeeeeeeee"}, 700016, "unauthorized_client", 400),
        ({"client_secret": None}, 7000218, "invalid_client", 401),
        ({"client_secret": "wrong"}, 7000215, "invalid_client", 401),
        ({"client_secret": SECRET.upper()}, 7000215, "invalid_client", 401),
        ({"scope": None}, 900144, "invalid_request", 400),
        ({"scope": f"{EXCHANGE}/full_access_as_app"}, 1002012, "invalid_scope", 400),
        ({"scope": f"{EXCHANGE}/.default offline_access"}, 1002012, "invalid_scope", 400),
        ({"scope": "not/a/scope"}, 70011, "invalid_scope", 400),
        ({"scope": f"{EXCHANGE}/.default {GRAPH}/.default"}, 28000, "invalid_scope", 400),
        ({"scope": "https://elsewhere.example.com/.default"}, 500011, "invalid_resource", 400),
        ({"resource": EXCHANGE, "scope": None}, 901002, "invalid_request", 400),
        ({"tenant": "nowhere.example.com"}, 90002, "invalid_request", 400),
        ({"tenant": "common"}, 50059, "invalid_request", 400),
        ({"client_assertion": "x.y.z", "client_assertion_type": JWT_BEARER}, 9002313, "invalid_request", 400),
        ({"client_secret": None, "client_assertion": "x.y.z"}, 900144, "invalid_request", 400),
        (
            {"client_secret": None, "client_assertion": "x.y.z", "client_assertion_type": "jwt"},
            9002313,
            "invalid_request",
            400,
        ),
        ({"claims": "not json"}, 9002313, "invalid_request", 400),
        ({"claims": '["access_token"]'}, 9002313, "invalid_request", 400),
    ],
)
async def test_refusals(
    house: House, changes: dict[str, str | None], code: int, error: str, status: int
) -> None:
    tenant = changes.pop("tenant", TENANT) if "tenant" in changes else TENANT
    assert tenant is not None
    answer = await house.ask(tenant, **changes)
    assert (answer.code, answer.told["error"], answer.status) == (code, error, status)
    assert answer.told["error_description"].startswith(f"AADSTS{code}: ")
    assert answer.told["error_codes"] == [code]
    assert {"trace_id", "correlation_id", "timestamp", "error_uri"} <= answer.told.keys()
    assert house.entra.grants.refused == {code: 1}


@pytest.mark.parametrize("name", [TENANT, TENANT.upper(), "example.com", "example.onmicrosoft.com"])
async def test_a_tenant_goes_by_its_id_and_its_domains(house: House, name: str) -> None:
    assert (await house.ask(name)).code == 0


async def test_what_is_no_form_is_refused(house: House) -> None:
    form = f"grant_type=client_credentials&client_id={APP}&client_secret={SECRET}&scope={EWS_SCOPE}"
    cases: list[tuple[str, str, str, int]] = [
        ("POST", "application/json", form, 900144),
        ("POST", "application/x-www-form-urlencoded", form + "&scope=again", 9000411),
        ("POST", "application/x-www-form-urlencoded", "nonsense", 9002313),
        ("GET", "application/x-www-form-urlencoded", form, 900561),
        ("PUT", "application/x-www-form-urlencoded", form, 900561),
    ]
    for method, kind, body, code in cases:
        async with house.session.request(
            method, house.token_url, data=body, headers={"Content-Type": kind}
        ) as answer:
            assert (answer.status, (await answer.json())["error_codes"]) == (400, [code])


async def test_the_old_endpoint_is_not_there(house: House) -> None:
    async with house.session.post(f"{house.entra.base_url}/{TENANT}/oauth2/token") as answer:
        assert answer.status == 404


async def test_a_secret_ends_and_a_new_one_is_taken(house: House) -> None:
    secret = house.application.secrets[0]
    secret.ends = house.clock.now() + HOUR
    assert (await house.ask()).code == 0
    await house.clock.advance(HOUR)
    answer = await house.ask()
    assert (answer.code, answer.status) == (7000222, 401)
    assert "secret keys for app" in answer.told["error_description"]
    house.application.secrets.append(type(secret)("another"))
    assert (await house.ask(client_secret="another")).code == 0


async def test_a_disabled_application_gets_nothing(house: House) -> None:
    house.application.disabled = True
    assert (await house.ask()).code == 7000112


async def test_without_consent_the_token_carries_no_roles(house: House) -> None:
    house.application.roles.clear()
    answer = await house.ask()
    assert answer.code == 0
    assert "roles" not in answer.claims


async def test_the_request_id_of_the_client_comes_back(house: House) -> None:
    mine = "12345678-1234-1234-1234-123456789012"
    answer = await house.post(
        f"{TENANT}/oauth2/v2.0/token",
        {"grant_type": "x"},
        {"client-request-id": mine, "return-client-request-id": "true"},
    )
    assert answer.told["correlation_id"] == mine
    assert answer.headers["client-request-id"] == mine


Proof = Callable[[House], str]


def with_claims(**claims: Any) -> Proof:
    return lambda house: house.assertion(claims)


def shifted(begin: timedelta, end: timedelta) -> Proof:
    def make(house: House) -> str:
        now = house.clock.now()
        return house.assertion({"nbf": (now + begin).timestamp(), "exp": (now + end).timestamp()})

    return make


def of_another_key(house: House) -> str:
    return house.assertion(key=private_key(1))


def of_another_certificate(house: House) -> str:
    other = OwnCertificate(house.clock.now(), number=1)
    return house.assertion(headers={"x5t#S256": other.thumbprint(hashes.SHA256())}, key=other.key)


def with_sha1(house: House) -> str:
    names = {"x5t#S256": None, "x5t": house.own.thumbprint(hashes.SHA1())}
    return house.assertion(headers=names, algorithm="RS256")


def with_chain(house: House) -> str:
    return house.assertion(headers={"x5t#S256": None, "x5c": chain(house.own)})


def with_a_wrong_chain(house: House) -> str:
    return house.assertion(headers={"x5c": chain(OwnCertificate(house.clock.now(), number=1))})


def with_an_ended_certificate(house: House) -> str:
    ended = OwnCertificate(house.clock.now(), timedelta(minutes=-5))
    house.application.certificates.append(ended.certificate)
    return house.assertion(headers={"x5t#S256": ended.thumbprint(hashes.SHA256())}, key=ended.key)


def chain(own: OwnCertificate) -> list[str]:
    return [base64.b64encode(own.certificate.public_bytes(Encoding.DER)).decode()]


@pytest.mark.parametrize(
    ("proof", "code"),
    [
        (House.assertion, 0),
        (with_sha1, 0),
        (with_chain, 0),
        (lambda house: house.assertion(algorithm="RS256"), 0),
        (lambda house: house.assertion(headers={"x5t#S256": house.own.thumbprint(hashes.SHA256()) + "="}), 0),
        (shifted(-HOUR, timedelta(minutes=-4)), 0),
        (shifted(timedelta(minutes=4), HOUR), 0),
        (shifted(-HOUR, timedelta(minutes=-6)), 700024),
        (shifted(timedelta(minutes=6), HOUR), 700024),
        (with_claims(exp=None), 50027),
        (with_claims(exp="tomorrow"), 50027),
        (with_claims(jti=None), 50027),
        (with_claims(aud="https://login.example.com/token"), 700023),
        (with_claims(aud=None), 700023),
        (with_claims(iss=PUBLIC_APP), 700021),
        (with_claims(sub="somebody"), 700021),
        (of_another_key, 700027),
        (of_another_certificate, 700027),
        (with_an_ended_certificate, 700027),
        (with_a_wrong_chain, 700027),
        (lambda house: house.assertion(headers={"x5t#S256": None}), 700027),
        (lambda house: house.assertion(headers={"x5t#S256": "!"}), 700027),
        (lambda house: house.assertion(algorithm="HS256", key="k" * 32), 50027),
        (lambda house: house.assertion(algorithm="none", key=""), 50027),
        (lambda house: house.assertion()[:-8] + "AAAAAAAA", 700027),
        (lambda house: "rubbish", 50027),
    ],
)
async def test_a_certificate_proves_the_application(house: House, proof: Proof, code: int) -> None:
    answer = await house.ask_assertion(proof(house))
    assert answer.code == code
    if not code:
        assert answer.claims["appidacr"] == "2"
    elif code != 50027:
        assert (answer.status, answer.told["error"]) == (401, "invalid_client")


async def test_an_assertion_is_taken_again_unless_told_otherwise(house: House) -> None:
    assertion = house.assertion()
    assert (await house.ask_assertion(assertion)).code == 0
    assert (await house.ask_assertion(assertion)).code == 0
    house.entra.faults.single_use_assertions = True
    assert (await house.ask_assertion(assertion)).code == 50027
    assert (await house.ask_assertion(house.assertion())).code == 0


async def test_a_provider_whose_clock_is_wrong_refuses_good_assertions(house: House) -> None:
    house.entra.faults.skew = timedelta(minutes=20)
    assert (await house.ask_assertion(house.assertion())).code == 700024


def federated(subject: str = SUBJECT, **more: Any) -> Proof:
    return lambda house: house.issuer.issue(subject, house.clock.now(), **more)


@pytest.mark.parametrize(
    ("proof", "code"),
    [
        (federated(), 0),
        (federated("system:serviceaccount:telephony:other"), 700213),
        (federated(audience="sts.example.com"), 700212),
        (federated(life=timedelta(minutes=-6)), 700024),
        (lambda house: WorkloadIssuer("https://other.example.com").issue(SUBJECT, house.clock.now()), 700211),
        (lambda house: WorkloadIssuer(house.issuer.url).issue(SUBJECT, house.clock.now()), 50013),
    ],
)
async def test_a_trusted_issuer_proves_the_application(house: House, proof: Proof, code: int) -> None:
    assert (await house.ask_assertion(proof(house))).code == code


async def test_an_application_without_federated_credentials(house: House) -> None:
    house.application.federated.clear()
    assert (await house.ask_assertion(federated()(house))).code == 70025
