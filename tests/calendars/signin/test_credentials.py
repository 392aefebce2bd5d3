"""What proves the app's identity: read, opened, checked, and every mistake said in words."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from presenced.calendars.signin.credentials import check_dates, read_credential
from presenced.calendars.signin.problems import SignInProblem
from presenced.calendars.signin.tokens import build_tokens
from presenced.config.settings import ExchangeSettings, Secret
from tests.calendars.signin.authority import Authority
from tests.calendars.signin.keys import cert_pem, certificate, decode, ec_key, key_pem, pfx, rsa_key
from tests.clock import FakeClock

NOW = datetime(2026, 11, 16, 8, tzinfo=UTC)
OWN = ("app", datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC))


def pem(password: str = "") -> bytes:
    return key_pem(rsa_key("app"), password) + cert_pem(certificate(rsa_key("app")))


def with_file(settings: ExchangeSettings, path: Path, password: str = "") -> ExchangeSettings:
    return replace(
        settings, client_secret=Secret(""), certificate=path, certificate_password=Secret(password)
    )


def problem_of(settings: ExchangeSettings, now: datetime = NOW) -> SignInProblem:
    with pytest.raises(SignInProblem) as caught:
        check_dates(read_credential(settings), now)
    assert caught.value.lasting, "asking Entra soon again is vain"
    assert "planted" not in f"{caught.value} {caught.value.remedy}"
    return caught.value


@pytest.mark.parametrize("name", ["app.pem", "app.pfx"])
async def test_what_is_sent_with_a_certificate(
    name: str, authority: Authority, app_only: ExchangeSettings, tmp_path: Path
) -> None:
    """Microsoft identity platform, "application authentication certificate credentials"."""
    own, path = certificate(rsa_key("app")), tmp_path / name
    path.write_bytes(pem() if name == "app.pem" else pfx(rsa_key("app"), own, "planted"))
    authority.certificates = [own]
    settings = with_file(app_only, path, "planted")
    await build_tokens(settings, FakeClock(), None, authority_host=authority.host).fetch_token()
    header = json.loads(decode(authority.seen[0]["client_assertion"].split(".")[0]))
    der = own.public_bytes(Encoding.DER)
    assert (header["alg"], header["typ"]) == ("PS256", "JWT")
    assert decode(header["x5t#S256"]) == hashlib.sha256(der).digest()
    assert base64.b64decode(header["x5c"][0]) == der
    assert len(header["x5c"]) == 1


@pytest.mark.parametrize(
    ("content", "password", "reason", "remedy"),
    [
        (lambda: pem("planted"), "", "is encrypted", "set certificate_password"),
        (lambda: pem("planted"), "planted-wrong", "can't be opened", "check certificate_password"),
        (
            lambda: pfx(rsa_key("app"), certificate(rsa_key("app")), "planted"),
            "planted-wrong",
            "can't be opened",
            "check certificate_password",
        ),
        (
            lambda: pfx(rsa_key("app"), certificate(rsa_key("app")), "planted"),
            "",
            "can't be opened",
            "check certificate_password",
        ),
        (lambda: cert_pem(certificate(rsa_key("app"))), "", "holds no private key", "into one PEM file"),
        (lambda: key_pem(rsa_key("app")), "", "holds no certificate", "into one file"),
        (lambda: pfx(rsa_key("app"), None), "", "holds no certificate for its key", "into one file"),
        (
            lambda: key_pem(rsa_key("app")) + cert_pem(certificate(rsa_key("ca"))),
            "",
            "holds no certificate for its key",
            "into one file",
        ),
        (
            lambda: key_pem(ec_key()) + cert_pem(certificate(ec_key())),
            "",
            "holds no RSA key of 2048 bits or more",
            "make a certificate with one",
        ),
        (
            lambda: key_pem(rsa_key("small", 1024)) + cert_pem(certificate(rsa_key("small", 1024))),
            "",
            "holds no RSA key of 2048 bits or more",
            "make a certificate with one",
        ),
        (lambda: pem()[:900] + pem()[1000:], "", "can't be opened", "whether the file is whole"),
        (lambda: b"planted nonsense", "", "can't be opened", "PEM or PFX"),
        (lambda: b"", "", "can't be opened", "PEM or PFX"),
        (lambda: b"0" * ((1 << 20) + 1), "", "is too long", "check certificate"),
    ],
    ids=lambda value: "" if callable(value) else str(value)[:30],
)
def test_a_file_that_will_not_do(
    content: Callable[[], bytes],
    password: str,
    reason: str,
    remedy: str,
    app_only: ExchangeSettings,
    tmp_path: Path,
) -> None:
    path = tmp_path / "app.pem"
    path.write_bytes(content())
    problem = problem_of(with_file(app_only, path, password))
    assert reason in problem.reason
    assert remedy in problem.remedy
    assert str(path) in problem.reason


def test_a_file_that_is_not_there(app_only: ExchangeSettings, tmp_path: Path) -> None:
    none, bare = tmp_path / "none", replace(app_only, client_secret=Secret(""))
    for key, settings in {
        "certificate": replace(bare, certificate=none),
        "federated_token_file": replace(bare, federated_token_file=none),
    }.items():
        problem = problem_of(settings)
        assert problem.reason == f"{tmp_path}/none can't be read (No such file or directory)"
        assert problem.remedy == f"check {key} and the rights of the file"


@pytest.mark.parametrize("text", ["", "planted", "a.b", "a b.c.d", "a.b.c.d", "\xff.b.c"])
def test_a_token_file_without_a_token(text: str, app_only: ExchangeSettings, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(text.encode("latin-1"))
    problem = problem_of(replace(app_only, client_secret=Secret(""), federated_token_file=path))
    assert problem.reason == f"{path} holds no token"
    assert "a JWT" in problem.remedy


def test_nothing_is_set(app_only: ExchangeSettings) -> None:
    problem = problem_of(replace(app_only, client_secret=Secret("")))
    assert problem.remedy == "set client_secret, certificate or federated_token_file in [exchange]"


def test_the_dates_of_a_certificate(app_only: ExchangeSettings, tmp_path: Path) -> None:
    name, start, end = OWN
    path = tmp_path / "app.pem"
    path.write_bytes(key_pem(rsa_key(name)) + cert_pem(certificate(rsa_key(name), start, end)))
    settings = with_file(app_only, path)
    check_dates(read_credential(settings), end - timedelta(seconds=1))
    late = problem_of(settings, end)
    assert late.reason == f"the certificate in {path} expired on 2027-03-01"
    assert "upload it under Certificates & secrets" in late.remedy
    early = problem_of(settings, start - timedelta(seconds=1))
    assert early.reason == f"the certificate in {path} is valid only from 2026-01-01"
    assert early.remedy == "check the clock of this machine"


async def test_the_expiry_is_known_even_when_the_certificate_is_over(
    authority: Authority, app_only: ExchangeSettings, tmp_path: Path
) -> None:
    name, start, end = OWN
    path = tmp_path / "app.pem"
    path.write_bytes(key_pem(rsa_key(name)) + cert_pem(certificate(rsa_key(name), start, end)))
    tokens = build_tokens(with_file(app_only, path), FakeClock(end), None, authority_host=authority.host)
    with pytest.raises(SignInProblem, match="expired on 2027-03-01"):
        await tokens.fetch_token()
    status = tokens.status()
    assert (status.kind, status.credential_expires_at) == ("certificate", end)
    assert authority.discoveries == 0, "Entra is not asked in vain"
