"""Sign-in seen from a client's side: real handshakes by pyspnego over real connections."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import ssl
import stat
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import spnego
import trustme
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from hypothesis import given, settings
from hypothesis import strategies as st
from spnego.channel_bindings import GssChannelBindings

from presenced.sim.exchange.accounts import Accounts, Login
from presenced.sim.exchange.ntlm import ExtendedProtection, Handshake, NotAccepted, read_claim
from presenced.sim.exchange.ports import Account
from presenced.sim.exchange.signin import CLOUD, SignIn, TokenRefused
from tests.sim.serving import serving

PASSWORD = "Käse-Brot 7"
SERVICE = Account("EXAMPLE\\svc", impersonates=True)
ERIKA = Account("erika@example.com", "erika.muster@example.com")


def accounts() -> Accounts:
    return Accounts(
        Login("svc", PASSWORD, SERVICE, domain="EXAMPLE", upn="svc@example.com"),
        Login("erika", "geheim", ERIKA, domain="EXAMPLE", upn="erika@example.com"),
    )


@asynccontextmanager
async def exchange(signin: SignIn, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that says who signed in."""

    async def who(request: web.Request) -> web.StreamResponse:
        found = await signin.authenticate(request)
        return web.Response(text=found.name) if isinstance(found, Account) else found

    app = web.Application()
    app.router.add_route("*", "/EWS/Exchange.asmx", who)
    app.on_response_prepare.append(signin.announce)
    async with serving(app, context) as base:
        yield f"{base}/EWS/Exchange.asmx"


def one_connection(context: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1, ssl=context or True))


async def ask(
    session: aiohttp.ClientSession, url: str, authorization: str = ""
) -> tuple[int, str, list[str]]:
    """Status, body and challenges."""
    headers = {"Authorization": authorization} if authorization else {}
    async with session.post(url, headers=headers, data=b"" if not authorization else b"<body/>") as answer:
        return answer.status, await answer.text(), list(answer.headers.getall("WWW-Authenticate", []))


async def shake_hands(
    session: aiohttp.ClientSession,
    url: str,
    user: str = "EXAMPLE\\svc",
    password: str = PASSWORD,
    *,
    scheme: str = "NTLM",
    bindings: GssChannelBindings | None = None,
    before_last: Callable[[], None] = lambda: None,
) -> tuple[int, str, list[str]]:
    """The whole handshake; the answer to its last message."""
    client = spnego.client(user, password, protocol=scheme.lower(), channel_bindings=bindings)
    status, _, challenges = await ask(session, url, _header(scheme, client.step()))
    assert status == 401
    assert len(challenges) == 1, "a challenge in mid-handshake comes alone"
    answer = client.step(base64.b64decode(challenges[0].removeprefix(f"{scheme} ")))
    before_last()
    status, body, challenges = await ask(session, url, _header(scheme, answer))
    if status != 401 and challenges:
        client.step(base64.b64decode(challenges[0].removeprefix(f"{scheme} ")))
    assert client.complete or status == 401
    return status, body, challenges


def _header(scheme: str, token: bytes | None) -> str:
    return f"{scheme} {base64.b64encode(token or b'').decode()}"


def basic(name: str, password: str, encoding: str = "utf-8") -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode(encoding)).decode()


async def test_who_comes_without_a_header_is_offered_what_the_server_takes() -> None:
    async with exchange(SignIn(accounts(), realm="mail.example.com")) as url, one_connection() as session:
        status, _, challenges = await ask(session, url)
    assert status == 401
    assert challenges == ["Negotiate", "NTLM", 'Basic realm="mail.example.com"']


@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
@pytest.mark.parametrize("user", ["EXAMPLE\\svc", "example\\SVC", "svc@example.com", "svc"])
async def test_a_handshake_signs_in_its_connection_and_no_other(scheme: str, user: str) -> None:
    async with exchange(SignIn(accounts())) as url, one_connection() as session:
        status, body, _ = await shake_hands(session, url, user, scheme=scheme)
        assert (status, body) == (200, "EXAMPLE\\svc")
        assert (await ask(session, url))[:2] == (200, "EXAMPLE\\svc")
        async with one_connection() as other:
            assert (await ask(other, url))[0] == 401
        assert (await ask(session, url))[0] == 200


async def test_a_handshake_spread_over_two_connections_fails() -> None:
    signin = SignIn(accounts())
    async with exchange(signin) as url, one_connection() as first, one_connection() as second:
        client = spnego.client("svc", PASSWORD, protocol="ntlm")
        _, _, [challenge] = await ask(first, url, _header("NTLM", client.step()))
        answer = client.step(base64.b64decode(challenge.removeprefix("NTLM ")))
        status, _, challenges = await ask(second, url, _header("NTLM", answer))
        assert status == 401
        assert len(challenges) == 3
        assert (await ask(first, url, _header("NTLM", answer)))[0] == 200


@pytest.mark.parametrize(
    ("user", "password"),
    [("EXAMPLE\\svc", "wrong"), ("EXAMPLE\\nobody", PASSWORD), ("OTHER\\svc", PASSWORD), ("svc", "")],
)
async def test_a_refused_handshake_gets_the_offers_and_may_be_tried_again(user: str, password: str) -> None:
    async with exchange(SignIn(accounts())) as url, one_connection() as session:
        status, _, challenges = await shake_hands(session, url, user, password)
        assert status == 401
        assert challenges[:2] == ["Negotiate", "NTLM"]
        assert (await ask(session, url))[0] == 401
        assert (await shake_hands(session, url))[0] == 200


async def test_a_connection_follows_its_latest_sign_in() -> None:
    async with exchange(SignIn(accounts())) as url, one_connection() as session:
        assert (await shake_hands(session, url))[1] == "EXAMPLE\\svc"
        assert (await shake_hands(session, url, "EXAMPLE\\erika", "geheim"))[1] == "erika@example.com"
        assert (await ask(session, url))[1] == "erika@example.com"
        assert (await ask(session, url, "NTLM bm9uc2Vuc2U="))[0] == 401
        assert (await ask(session, url))[0] == 401


@pytest.mark.parametrize(
    "header", ["NTLM", "NTLM !", "Negotiate YQ==", "Kerberos YQ==", "Basic", "Basic !", "Bearer x"]
)
async def test_nonsense_is_refused(header: str) -> None:
    signin = SignIn(accounts())
    async with exchange(signin) as url, one_connection() as session:
        status, _, challenges = await ask(session, url, header)
    assert (status, len(challenges)) == (401, 3)
    assert signin.counters["refused"] == 1
    assert signin.last_refusal


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (basic("EXAMPLE\\svc", PASSWORD), "EXAMPLE\\svc"),
        (basic("svc@EXAMPLE.com", PASSWORD), "EXAMPLE\\svc"),
        (basic("svc", PASSWORD, "latin-1"), "EXAMPLE\\svc"),
        (basic("erika", "geheim"), "erika@example.com"),
        (basic("svc", PASSWORD + "!"), None),
        (basic("svc", ""), None),
        (basic("nobody", ""), None),
    ],
)
async def test_basic(header: str, name: str | None) -> None:
    async with exchange(SignIn(accounts())) as url, one_connection() as session:
        status, body, _ = await ask(session, url, header)
        assert (status, body if name else None) == (200 if name else 401, name)
        assert (await ask(session, url))[0] == 401, "Basic signs in a request, not the connection"


async def test_only_what_is_offered_is_taken() -> None:
    async with exchange(SignIn(accounts(), offers=("NTLM",))) as url, one_connection() as session:
        status, _, challenges = await ask(session, url, basic("svc", PASSWORD))
        assert (status, challenges) == (401, ["NTLM"])


class Tokens:
    async def verify(self, token: str) -> Account:
        if token != "good":
            raise TokenRefused("The token has expired.")
        return SERVICE


async def test_bearer_tokens_are_put_before_the_verifier() -> None:
    signin = SignIn(accounts(), offers=CLOUD, tokens=Tokens())
    async with exchange(signin) as url, one_connection() as session:
        assert (await ask(session, url, "Bearer good"))[:2] == (200, "EXAMPLE\\svc")
        async with session.post(url, headers={"Authorization": "Bearer old"}) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer client_id=")
            assert "The token has expired." in answer.headers["x-ms-diagnostics"]


async def test_a_sign_in_may_expire_in_mid_life() -> None:
    signin = SignIn(accounts())
    async with exchange(signin) as url, one_connection() as ntlm, one_connection() as plain:
        await shake_hands(ntlm, url)
        assert (await ask(plain, url, basic("svc", PASSWORD)))[0] == 200
        signin.expire()
        assert (await ask(ntlm, url))[0] == 401
        assert (await ask(plain, url, basic("svc", PASSWORD)))[0] == 401
        assert (await shake_hands(ntlm, url))[0] == 200
        assert (await ask(plain, url, basic("svc", PASSWORD)))[0] == 200


async def test_a_changed_password_and_a_removed_account_count_at_once() -> None:
    known = accounts()
    async with exchange(SignIn(known)) as url, one_connection() as session:
        known.add(Login("svc", "new", SERVICE, domain="EXAMPLE", upn="svc@example.com"))
        assert (await shake_hands(session, url))[0] == 401
        assert (await shake_hands(session, url, password="new"))[0] == 200
        status, _, _ = await shake_hands(
            session, url, password="new", before_last=lambda: known.remove("svc")
        )
        assert status == 401


async def test_the_credential_file_lives_for_a_step_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("NTLM_USER_FILE", raising=False)
    modes: list[int] = []
    acceptor = spnego.server

    def watched(**options: Any) -> spnego.ContextProxy:
        modes.append(stat.S_IMODE(Path(os.environ["NTLM_USER_FILE"]).stat().st_mode))
        return acceptor(**options)

    monkeypatch.setattr(spnego, "server", watched)
    async with exchange(SignIn(accounts())) as url, one_connection() as session:
        assert (await shake_hands(session, url))[0] == 200
    assert modes == [0o600]
    assert "NTLM_USER_FILE" not in os.environ
    assert list(tmp_path.iterdir()) == []


# --- Extended Protection ---------------------------------------------------------------------------


class Tls(NamedTuple):
    server: ssl.SSLContext
    client: ssl.SSLContext
    certificate: bytes
    """DER"""
    authority: Path
    """PEM"""


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    leaf = authority.issue_cert("127.0.0.1")
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    leaf.configure_cert(server)
    authority.configure_trust(client)
    certificate = load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
    return Tls(server, client, certificate.public_bytes(Encoding.DER), path)


@pytest.mark.parametrize(
    ("protection", "sent", "status"),
    [
        (ExtendedProtection.NONE, "right", 200),
        (ExtendedProtection.NONE, "wrong", 200),
        (ExtendedProtection.NONE, "none", 200),
        (ExtendedProtection.ALLOW, "right", 200),
        (ExtendedProtection.ALLOW, "wrong", 401),
        (ExtendedProtection.ALLOW, "none", 200),
        (ExtendedProtection.REQUIRE, "right", 200),
        (ExtendedProtection.REQUIRE, "wrong", 401),
        (ExtendedProtection.REQUIRE, "none", 401),
        (ExtendedProtection.REQUIRE, "zeros", 401),
    ],
)
@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
async def test_channel_bindings(
    tls: Tls,
    monkeypatch: pytest.MonkeyPatch,
    protection: ExtendedProtection,
    sent: str,
    status: int,
    *,
    scheme: str,
) -> None:
    data = {
        "right": b"tls-server-end-point:" + hashlib.sha256(tls.certificate).digest(),
        "wrong": b"tls-server-end-point:" + bytes(32),
        "zeros": b"anything",
    }.get(sent)
    bindings = GssChannelBindings(application_data=data) if data else None
    if sent == "zeros":
        monkeypatch.setattr("spnego._ntlm.md5", lambda _: bytes(16))
    signin = SignIn(accounts(), certificate=tls.certificate, protection=protection)
    async with exchange(signin, tls.server) as url, one_connection(tls.client) as session:
        answer = await shake_hands(session, url, scheme=scheme, bindings=bindings)
    assert answer[0] == status, signin.last_refusal


async def test_other_peoples_client_signs_in_under_required_protection(tls: Tls) -> None:
    """requests-ntlm (it comes with exchangelib) finds its channel binding by itself."""
    requests, requests_ntlm = pytest.importorskip("requests"), pytest.importorskip("requests_ntlm")
    signin = SignIn(accounts(), certificate=tls.certificate, protection=ExtendedProtection.REQUIRE)

    def ask_twice(url: str) -> list[str]:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(tls.authority)
            session.auth = requests_ntlm.HttpNtlmAuth("EXAMPLE\\svc", PASSWORD)
            return [session.post(url, data=b"<body/>").text for _ in range(2)]

    async with exchange(signin, tls.server) as url:
        assert await asyncio.to_thread(ask_twice, url) == ["EXAMPLE\\svc"] * 2
    assert signin.counters["handshakes"] == 1


async def test_no_binding_is_possible_without_tls() -> None:
    signin = SignIn(accounts(), protection=ExtendedProtection.REQUIRE)
    bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + bytes(32))
    async with exchange(signin) as url, one_connection() as session:
        assert (await shake_hands(session, url, bindings=bindings))[0] == 401


# --- hostile tokens --------------------------------------------------------------------------------


def _tokens(scheme: str) -> list[bytes]:
    """The two messages of a good client, the second as answer to some acceptor."""
    client = spnego.client("EXAMPLE\\svc", PASSWORD, protocol=scheme)
    first = client.step() or b""
    second = client.step(Handshake(scheme, lambda *_: PASSWORD).step(first)) or b""
    return [first, second]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["ntlm", "negotiate"]), st.data())
def test_no_token_breaks_the_acceptor(scheme: str, data: st.DataObject) -> None:
    first, second = (bytearray(token) for token in _tokens(scheme))
    for token in (first, second):
        for at in data.draw(st.lists(st.integers(0, len(token) - 1), max_size=4)):
            token[at] = data.draw(st.integers(0, 255))
        del token[data.draw(st.integers(0, len(token))) or len(token) :]
    handshake = Handshake(scheme, lambda *_: PASSWORD)
    try:
        handshake.step(bytes(first))
        handshake.step(bytes(second))
    except NotAccepted:
        pass
    assert not handshake.complete, "the second message answers another challenge"


@pytest.mark.parametrize("scheme", ["ntlm", "negotiate"])
def test_the_claim_is_read_from_the_third_message_alone(scheme: str) -> None:
    first, second = _tokens(scheme)
    claim = read_claim(second)
    assert read_claim(first) is None
    assert claim is not None
    assert (claim.domain, claim.user, claim.binding) == ("EXAMPLE", "svc", b"")
