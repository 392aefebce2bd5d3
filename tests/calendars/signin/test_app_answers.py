"""Tokens for the app itself: answers that are none, TLS, the network, and secrets."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from presenced.calendars.signin import http
from presenced.calendars.signin.issuers import WITHIN
from presenced.calendars.signin.problems import SignInProblem
from presenced.calendars.signin.tokens import build_tokens
from presenced.config.settings import ExchangeSettings, Secret
from tests.calendars.signin.asking import fetch, refusal
from tests.calendars.signin.authority import SECRET, Authority
from tests.calendars.signin.keys import (
    rsa_key,
    signed_jwt,
    workload_claims,
)
from tests.clock import FakeClock

# --- answers that are none ---


@pytest.mark.parametrize(
    ("status", "header", "pause"),
    [
        (429, "120", 120),
        (429, "", 10),
        (503, "90", 90),
        (500, "nonsense", 10),
        (503, "99999", 3600),
        (503, "999999999999999", 10),
        (429, "Mon, 16 Nov 2026 08:05:00 GMT", 300),
        (429, "Mon, 16 Nov 2020 08:05:00 GMT", 10),
    ],
)
async def test_a_busy_authority_is_left_alone(
    status: int, header: str, pause: int, authority: Authority, app_only: ExchangeSettings
) -> None:
    async def busy(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": header}, text="<html>busy</html>")

    authority.answer_instead = busy
    clock = FakeClock(datetime(2026, 11, 16, 8, tzinfo=UTC))
    tokens = build_tokens(app_only, clock, None, authority_host=authority.host)
    with pytest.raises(SignInProblem, match=f"HTTP {status}") as caught:
        await tokens.fetch_token()
    assert caught.value.retry_after == timedelta(seconds=pause)
    assert not caught.value.lasting
    await clock.advance(timedelta(seconds=pause - 1))
    with pytest.raises(SignInProblem) as again:
        await tokens.fetch_token()
    assert again.value.retry_after == timedelta(seconds=1)
    assert len(authority.seen) == 1
    authority.answer_instead = None
    await clock.advance(timedelta(seconds=1))
    await tokens.fetch_token()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>Please log in to the planted proxy</html>"),
        (200, b'["no object"]'),
        (200, b"\xff\xfe"),
        (200, b'{"access_token": "' + b"x" * (1 << 20) + b'"}'),
        (200, b""),
        (302, b"{}"),
        (403, b"blocked"),
    ],
    ids=["html", "list", "binary", "endless", "empty", "redirect", "blocked"],
)
async def test_an_answer_that_is_none(
    status: int,
    body: bytes,
    authority: Authority,
    app_only: ExchangeSettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers={"Location": "https://evil.example/"})

    authority.answer_instead = answer
    with caplog.at_level(logging.DEBUG):
        problem = await refusal(app_only, authority)
    assert f"gave an answer that is none (HTTP {status})" in problem.reason
    assert "proxy" in problem.remedy
    assert "planted" not in caplog.text


@pytest.mark.parametrize(
    "body", ['{"token_type": "Bearer"}', '{"access_token": 7}', '{"access_token": "a", "expires_in": "soon"}']
)
async def test_an_answer_without_a_token(body: str, authority: Authority, app_only: ExchangeSettings) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body)

    authority.answer_instead = answer
    problem = await refusal(app_only, authority)
    assert "refused the sign-in (unknown)" in problem.reason or "makes no sense" in problem.reason


async def test_a_silent_authority_is_given_up(
    authority: Authority, app_only: ExchangeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        await stop.wait()
        return web.Response()

    authority.answer_instead = wait
    monkeypatch.setattr(http, "TIMEOUTS", (5.0, 0.05))
    problem = await refusal(app_only, authority)
    stop.set()
    assert "did not answer in time" in problem.reason
    assert not problem.lasting


async def test_all_requests_of_a_token_have_a_limit_together(
    authority: Authority, app_only: ExchangeSettings
) -> None:
    asked, stop = asyncio.Event(), asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        asked.set()
        await stop.wait()
        return web.json_response({})

    authority.answer_instead = wait
    clock = FakeClock()
    tokens = build_tokens(app_only, clock, None, authority_host=authority.host)
    fetching = asyncio.create_task(tokens.fetch_token())
    await asked.wait()
    await clock.advance(WITHIN)
    with pytest.raises(SignInProblem, match="Entra did not answer in time"):
        await fetching
    stop.set()


# --- TLS and network ---


async def test_an_authority_of_an_unknown_ca(authority: Authority, app_only: ExchangeSettings) -> None:
    problem = await refusal(replace(app_only, tls_ca=None), authority)
    assert "was issued by an authority this machine does not trust" in problem.reason
    assert "tls_ca" in problem.remedy
    assert authority.discoveries == 0


async def test_nothing_goes_anywhere_without_tls(authority: Authority, app_only: ExchangeSettings) -> None:
    authority.token_endpoint = "http://localhost:1/token"
    problem = await refusal(app_only, authority)
    assert "gave an answer that makes no sense" in problem.reason
    assert authority.seen == []


async def test_certificates_need_not_be_checked(authority: Authority, app_only: ExchangeSettings) -> None:
    assert await fetch(replace(app_only, tls_ca=None, tls_verify=False), authority)


async def test_a_ca_file_that_is_none(
    authority: Authority, app_only: ExchangeSettings, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    problem = await refusal(replace(app_only, tls_ca=tmp_path / "ca.pem"), authority)
    assert "cannot be used" in problem.reason


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("localhost:1", "localhost:1 can't be reached"),
        ("login.invalid", "there is no address for login.invalid"),
    ],
)
async def test_an_authority_that_is_away(host: str, reason: str, app_only: ExchangeSettings) -> None:
    tokens = build_tokens(app_only, FakeClock(), None, authority_host=host)
    with pytest.raises(SignInProblem, match=reason) as caught:
        await tokens.fetch_token()
    assert not caught.value.lasting


async def test_the_netrc_of_the_account_is_left_alone(
    authority: Authority, app_only: ExchangeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine localhost login me password planted\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    headers: list[str] = []

    async def look(request: web.Request) -> web.Response:
        headers.append(request.headers.get("Authorization", ""))
        return web.json_response({"access_token": "a", "expires_in": 3600})

    authority.answer_instead = look
    assert await fetch(app_only, authority) == "a"
    assert headers == [""]


# --- secrets ---


async def test_no_secret_shows_anywhere(
    authority: Authority, app_only: ExchangeSettings, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    path, key, clock = tmp_path / "token", rsa_key("cluster"), FakeClock()
    path.write_text(signed_jwt(key, workload_claims()))
    told: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for settings in (app_only, replace(app_only, client_secret=Secret(""), federated_token_file=path)):
            tokens = build_tokens(settings, clock, None, authority_host=authority.host)
            authority.federation = key.public_key()
            secrets = [await tokens.fetch_token()]
            authority.secret, authority.federation = "x", None
            await clock.advance(timedelta(minutes=2))
            with pytest.raises(SignInProblem) as caught:
                await tokens.fetch_token(refresh=True)
            told += [
                repr(tokens),
                repr(tokens.status()),
                repr(caught.value),
                caught.value.remedy,
                repr(settings),
            ]
            told += [repr(vars(each)) for each in (tokens, tokens._issuer)]
    secrets += [SECRET, path.read_text(), "planted"]
    text = "\n".join([*told, caplog.text, *(repr(vars(record)) for record in caplog.records)])
    for secret in secrets:
        assert secret not in text
