"""Tokens for the app itself: credentials and refusals, against a strict authority over TLS."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from presenced.calendars.signin.problems import SignInProblem
from presenced.calendars.signin.tokens import build_tokens
from presenced.config.settings import ExchangeSettings, Secret, SyncType
from tests.calendars.signin.asking import fetch, refusal
from tests.calendars.signin.authority import SECRET, Authority, No, refuse
from tests.calendars.signin.keys import (
    cert_pem,
    certificate,
    key_pem,
    pfx,
    rsa_key,
    signed_jwt,
    workload_claims,
)
from tests.clock import FakeClock

# --- credentials ---


async def test_a_client_secret(authority: Authority, app_only: ExchangeSettings) -> None:
    tokens = build_tokens(app_only, FakeClock(), None, authority_host=authority.host)
    assert (await tokens.fetch_token()).startswith("eyJ")
    (form,) = authority.seen
    assert form["scope"] == "https://outlook.office365.com/.default"
    status = tokens.status()
    assert (status.kind, status.account, status.healthy) == ("client secret", "", True)
    assert status.permissions == {"full_access_as_app"}
    assert status.credential_expires_at is None
    assert tokens.expires_at == FakeClock().now() + timedelta(seconds=3599)


async def test_graph_asks_for_graph(authority: Authority, app_only: ExchangeSettings) -> None:
    await fetch(replace(app_only, sync_type=SyncType.GRAPH), authority)
    assert authority.seen[0]["scope"] == "https://graph.microsoft.com/.default"


@pytest.mark.parametrize(
    "form", ["pem", "pem-certificate-first", "pem-locked", "pem-old-locked", "pfx", "pfx-locked"]
)
async def test_a_certificate(
    form: str, authority: Authority, app_only: ExchangeSettings, tmp_path: Path
) -> None:
    key, other = rsa_key("app"), rsa_key("ca")
    own = certificate(key, end=datetime(2027, 3, 1, tzinfo=UTC))
    chain = cert_pem(certificate(other))
    password = "planted-pass-phräse" if "locked" in form else ""
    path = tmp_path / "app.pem"
    path.write_bytes(
        {
            "pem": lambda: key_pem(key) + cert_pem(own) + chain,
            "pem-certificate-first": lambda: chain + cert_pem(own) + key_pem(key),
            "pem-locked": lambda: key_pem(key, password) + cert_pem(own),
            "pem-old-locked": lambda: key_pem(key, password, old=True) + cert_pem(own),
            "pfx": lambda: pfx(key, own),
            "pfx-locked": lambda: pfx(key, own, password),
        }[form]()
    )
    authority.certificates = [own]
    settings = replace(
        app_only, client_secret=Secret(""), certificate=path, certificate_password=Secret(password)
    )
    tokens = build_tokens(settings, FakeClock(), None, authority_host=authority.host)
    await tokens.fetch_token()
    assert "client_secret" not in authority.seen[0]
    status = tokens.status()
    assert status.kind == "certificate"
    assert status.credential_expires_at == datetime(2027, 3, 1, tzinfo=UTC)


async def test_a_renewed_certificate_is_taken_without_a_restart(
    authority: Authority, app_only: ExchangeSettings, tmp_path: Path
) -> None:
    path, clock = tmp_path / "app.pem", FakeClock()
    settings = replace(app_only, client_secret=Secret(""), certificate=path)
    tokens = build_tokens(settings, clock, None, authority_host=authority.host)
    for name in ("app", "ca"):
        own = certificate(rsa_key(name))
        path.write_bytes(key_pem(rsa_key(name)) + cert_pem(own))
        authority.certificates = [own]
        await clock.advance(timedelta(minutes=1))
        await tokens.fetch_token(refresh=True)
    assert authority.issued == 2


async def test_a_certificate_that_is_not_registered(
    authority: Authority, app_only: ExchangeSettings, tmp_path: Path
) -> None:
    path = tmp_path / "app.pem"
    path.write_bytes(key_pem(rsa_key("app")) + cert_pem(certificate(rsa_key("app"))))
    authority.certificates = [certificate(rsa_key("ca"))]
    problem = await refusal(replace(app_only, client_secret=Secret(""), certificate=path), authority)
    assert "AADSTS700027" in problem.reason
    assert "upload the certificate" in problem.remedy


async def test_a_federated_token_is_read_for_each_token(
    authority: Authority, app_only: ExchangeSettings, tmp_path: Path
) -> None:
    path, clock, key = tmp_path / "token", FakeClock(), rsa_key("cluster")
    authority.federation = key.public_key()
    settings = replace(app_only, client_secret=Secret(""), federated_token_file=path)
    tokens = build_tokens(settings, clock, None, authority_host=authority.host)
    for number in range(2):
        path.write_text(signed_jwt(key, workload_claims(jti=str(number))) + "\n")
        await clock.advance(timedelta(minutes=1))
        await tokens.fetch_token(refresh=True)
    first, second = authority.seen
    assert first["client_assertion"] != second["client_assertion"] == path.read_text().strip()
    assert tokens.status().kind == "federated token"


@pytest.mark.parametrize(
    ("wrong", "number", "remedy"),
    [
        ({"sub": "system:serviceaccount:other:presenced"}, 700213, "Federated credentials"),
        ({"iss": "https://other.example/"}, 700211, "Federated credentials"),
        ({"aud": "sts.example"}, 700212, "Federated credentials"),
        ({"exp": 1}, 700024, "kept fresh"),
    ],
)
async def test_a_federated_token_entra_does_not_take(
    wrong: dict[str, object],
    number: int,
    remedy: str,
    authority: Authority,
    app_only: ExchangeSettings,
    tmp_path: Path,
) -> None:
    path, key = tmp_path / "token", rsa_key("cluster")
    authority.federation = key.public_key()
    path.write_text(signed_jwt(key, workload_claims(**wrong)))
    problem = await refusal(replace(app_only, client_secret=Secret(""), federated_token_file=path), authority)
    assert f"AADSTS{number}" in problem.reason
    assert remedy in problem.remedy


async def test_claims_are_asked_for(authority: Authority, app_only: ExchangeSettings) -> None:
    claims = '{"access_token": {"nbf": {"essential": true, "value": "1604106651"}}}'
    await fetch(app_only, authority, claims)
    assert json.loads(authority.seen[0]["claims"]) == {
        "access_token": {
            "nbf": {"essential": True, "value": "1604106651"},
            "xms_cc": {"values": ["cp1"]},
        }
    }


# --- refusals ---


async def test_a_wrong_secret(authority: Authority, app_only: ExchangeSettings) -> None:
    problem = await refusal(replace(app_only, client_secret=Secret("planted-wrong")), authority)
    assert problem.reason == f"the client secret of app {app_only.client_id} is wrong (AADSTS7000215)"
    assert "not the Secret ID" in problem.remedy
    assert problem.lasting


async def test_a_tenant_that_does_not_exist(authority: Authority, app_only: ExchangeSettings) -> None:
    problem = await refusal(replace(app_only, tenant_id="nobody.example/../x?y"), authority)
    assert "tenant nobody.example/../x?y does not exist in the global cloud (AADSTS90002)" in problem.reason
    assert authority.seen == []


async def test_an_app_that_is_not_there(authority: Authority, app_only: ExchangeSettings) -> None:
    problem = await refusal(replace(app_only, client_id="other"), authority)
    assert "there is no app other in tenant" in problem.reason


async def test_after_a_refusal_the_next_try_really_asks(
    authority: Authority, app_only: ExchangeSettings
) -> None:
    clock = FakeClock()
    tokens = build_tokens(app_only, clock, None, authority_host=authority.host)
    authority.secret = "another"
    with pytest.raises(SignInProblem):
        await tokens.fetch_token()
    authority.secret = SECRET
    await clock.advance(timedelta(minutes=2))
    await tokens.fetch_token()
    assert len(authority.seen) == 2


async def test_correlation_ids_are_for_the_log(
    authority: Authority, app_only: ExchangeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    async def expired(_: web.Request) -> web.Response:
        return refuse(No("invalid_client", 7000222, 401))

    authority.answer_instead = expired
    with caplog.at_level(logging.INFO):
        problem = await refusal(app_only, authority)
    assert "has expired (AADSTS7000222)" in problem.reason
    assert "b72a9b9e" not in f"{problem} {problem.remedy}"
    assert "correlation_id=b72a9b9e-0000-4000-8000-000000000002" in caplog.text
