"""NTLM against a real acceptor (pyspnego's), over connections that are signed in one by one."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from base64 import b64decode, b64encode
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from weakref import WeakKeyDictionary

import pytest
import spnego
import trustme
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.transport import HttpCarrier
from presenced.calendars.transport.ntlm import bind, respond
from presenced.config.settings import ExchangeSettings, Secret, SyncType
from tests.calendars.site import Seen, Site
from tests.calendars.transport.test_http_carrier import until
from tests.clock import FakeClock


class Acceptor:
    """Signs in connections with NTLM, under the scheme it offers."""

    def __init__(self, *, scheme: str = "NTLM", bindings: GssChannelBindings | None = None) -> None:
        self.scheme = scheme
        self.bindings = bindings
        self.contexts: WeakKeyDictionary[asyncio.BaseTransport, spnego.ContextProxy] = WeakKeyDictionary()
        self.users: WeakKeyDictionary[asyncio.BaseTransport, str | None] = WeakKeyDictionary()
        self.counts: Counter[str] = Counter()
        self.hang_up: set[int] = set()
        """numbers of requests after whose answer the connection is closed"""
        self.gate: asyncio.Event | None = None

    async def __call__(self, seen: Seen) -> web.StreamResponse:
        self.counts["requests"] += 1
        number, transport = self.counts["requests"], seen.request.transport
        assert transport is not None
        answer = self._answer(transport, seen)
        if number in self.hang_up:
            answer.force_close()
        if answer.status == 200 and self.gate is not None:
            await self.gate.wait()
        return answer

    def _answer(self, transport: asyncio.BaseTransport, seen: Seen) -> web.Response:
        if transport in self.users:
            return web.Response(text=f"{self.users[transport]} {seen.body.decode()}")
        scheme, _, token = seen.authorization.partition(" ")
        if scheme != self.scheme:
            return web.Response(status=401, headers={"WWW-Authenticate": self.scheme})
        context = self.contexts.get(transport)
        if context is None:
            assert seen.body == b"", "the body is not sent along with the first message"
            options = spnego.NegotiateOptions.use_ntlm
            context = spnego.server(protocol="ntlm", options=options, channel_bindings=self.bindings)
            self.contexts[transport] = context
        try:
            challenge = context.step(b64decode(token))
        except SpnegoError:
            self.counts["refused"] += 1
            del self.contexts[transport]
            return web.Response(status=401, headers={"WWW-Authenticate": self.scheme})
        if not context.complete:
            said = f"{self.scheme} {b64encode(challenge or b'').decode()}"
            return web.Response(status=401, headers={"WWW-Authenticate": said})
        self.counts["signed"] += 1
        self.users[transport] = context.client_principal
        return web.Response(text=f"{context.client_principal} {seen.body.decode()}")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The accounts the acceptor knows."""
    accounts = tmp_path / "accounts"
    accounts.write_text(
        "CORP:svc:pässwörd\nCORP:other:other\n:svc@corp.example.com:pässwörd\n", encoding="utf-8"
    )
    monkeypatch.setenv("NTLM_USER_FILE", str(accounts))


def ntlm(user: str = "CORP\\svc", password: str = "pässwörd", **more: object) -> ExchangeSettings:
    return ExchangeSettings(
        sync_type=SyncType.ON_PREMISES,
        user=user,
        password=Secret(password),
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("user", "known"), [("CORP\\svc", "CORP\\svc"), ("svc@corp.example.com", "svc@corp.example.com")]
)
@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
async def test_a_connection_is_signed_in_once(user: str, known: str, scheme: str) -> None:
    acceptor = Acceptor(scheme=scheme)
    async with Site(acceptor) as site, HttpCarrier(ntlm(user, ews_url=site.url()), FakeClock()) as carrier:
        for number in (b"1", b"2", b"3"):
            reply = await carrier.send("POST", site.url(), body=number)
            assert reply.body == known.encode() + b" " + number
    assert acceptor.counts["signed"] == 1
    assert acceptor.counts["requests"] == (4 if scheme == "NTLM" else 5)
    assert {seen.connection for seen in site.seen} == {0}


async def test_each_slot_has_its_connection() -> None:
    acceptor = Acceptor()
    settings = ntlm(requests_in_flight=3)
    async with Site(acceptor) as site:
        settings = ntlm(requests_in_flight=3, ews_url=site.url())
        async with HttpCarrier(settings, FakeClock()) as carrier:
            replies = await asyncio.gather(
                *(carrier.send("POST", site.url(), body=b"%d" % number) for number in range(30))
            )
    assert [reply.body for reply in replies] == [b"CORP\\svc %d" % number for number in range(30)]
    assert acceptor.counts["signed"] == len({seen.connection for seen in site.seen}) == 3
    assert acceptor.counts["requests"] == 30 + 3


async def test_accounts_share_no_connection() -> None:
    acceptor = Acceptor()
    async with (
        Site(acceptor) as site,
        HttpCarrier(ntlm(ews_url=site.url()), FakeClock()) as one,
        HttpCarrier(ntlm("CORP\\other", "other", ews_url=site.url()), FakeClock()) as other,
    ):
        for _ in range(2):
            assert (await one.send("POST", site.url())).body == b"CORP\\svc "
            assert (await other.send("POST", site.url())).body == b"CORP\\other "
            assert (await other.send("POST", site.url(), signed_in=False)).status == 401


@pytest.mark.parametrize("closed_after", [1, 2, 3, 4])
async def test_a_connection_that_is_replaced_is_signed_in_again(closed_after: int) -> None:
    acceptor = Acceptor()
    acceptor.hang_up = {closed_after}
    async with Site(acceptor) as site, HttpCarrier(ntlm(ews_url=site.url()), FakeClock()) as carrier:
        for number in range(4):
            assert (
                await carrier.send("POST", site.url(), body=b"%d" % number)
            ).body == b"CORP\\svc %d" % number
    assert acceptor.counts["refused"] == 0 or closed_after == 1
    assert acceptor.counts["signed"] == 2 - (closed_after == 1)


async def test_a_server_that_keeps_no_connection_is_named() -> None:
    acceptor = Acceptor()
    acceptor.hang_up = set(range(1000))
    async with Site(acceptor) as site, HttpCarrier(ntlm(ews_url=site.url()), FakeClock()) as carrier:
        with pytest.raises(CarrierProblem, match="in the middle of each NTLM sign-in"):
            await carrier.send("POST", site.url())


async def test_a_wrong_password_is_tried_once() -> None:
    acceptor = Acceptor()
    async with (
        Site(acceptor) as site,
        HttpCarrier(ntlm(password="wrong", ews_url=site.url()), FakeClock()) as carrier,
    ):
        problems = await asyncio.gather(
            *(carrier.send("POST", site.url()) for _ in range(16)), return_exceptions=True
        )
    assert {str(problem) for problem in problems} == {
        rf"http://127.0.0.1:{site.port} refused user and password of CORP\svc (NTLM)"
    }
    assert acceptor.counts["refused"] == 1


async def test_a_server_without_ntlm_is_named() -> None:
    async with (
        Site(Acceptor(scheme="Basic")) as site,
        HttpCarrier(ntlm(ews_url=site.url()), FakeClock()) as carrier,
    ):
        with pytest.raises(CarrierProblem, match=r"does not take a NTLM sign-in \(it offers basic\)"):
            await carrier.send("POST", site.url())


async def test_a_server_that_asks_nobody_is_answered_all_the_same() -> None:
    async def answer(seen: Seen) -> web.StreamResponse:
        return web.Response(body=seen.body)

    async with Site(answer) as site, HttpCarrier(ntlm(ews_url=site.url()), FakeClock()) as carrier:
        assert (await carrier.send("POST", site.url(), body=b"x")).body == b"x"


@pytest.mark.parametrize("token", ["AAAA", "TlRMTVNTUAACAAAA", "=", "?"])
async def test_a_challenge_may_be_garbage(token: str) -> None:
    async def answer(seen: Seen) -> web.StreamResponse:
        return web.Response(status=401, headers={"WWW-Authenticate": f"NTLM {token}"})

    async with Site(answer) as site, HttpCarrier(ntlm(ews_url=site.url()), FakeClock()) as carrier:
        with pytest.raises(CarrierProblem) as caught:
            await carrier.send("POST", site.url())
    assert caught.value.kind == "sign-in"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.data())
def test_any_octets_are_an_answer_or_a_named_problem(data: st.DataObject) -> None:
    credential = spnego.Password("CORP\\svc", "secret")
    options = spnego.NegotiateOptions.use_ntlm
    context = spnego.client(credential, hostname="h", service="HTTP", protocol="ntlm", options=options)
    negotiate = context.step()
    challenge = bytearray(spnego.server(protocol="ntlm", options=options).step(negotiate) or b"")
    for place, octet in data.draw(
        st.dictionaries(st.integers(12, len(challenge) - 1), st.integers(0, 255))
    ).items():
        challenge[place] = octet
    try:
        assert respond(context, bytes(challenge[: data.draw(st.integers(0, 400))]), None, "https://h:443")
    except CarrierProblem as problem:
        assert "NTLM challenge that cannot be read" in problem.reason


async def test_a_stream_signs_in_a_connection_of_its_own() -> None:
    acceptor = Acceptor()
    async with (
        Site(acceptor) as site,
        HttpCarrier(ntlm(requests_in_flight=1, ews_url=site.url()), FakeClock()) as carrier,
    ):
        await carrier.send("POST", site.url())
        acceptor.gate = asyncio.Event()
        slow = asyncio.create_task(carrier.send("POST", site.url(), body=b"slow"))
        await until(lambda: acceptor.counts["requests"] == 3)
        opening = asyncio.create_task(collect(carrier, site.url()))
        await until(lambda: acceptor.counts["signed"] == 2)
        acceptor.gate.set()
        assert await opening == b"CORP\\svc stream"
        assert (await slow).body == b"CORP\\svc slow"
    assert len({seen.connection for seen in site.seen}) == 2


async def collect(carrier: HttpCarrier, url: str) -> bytes:
    async with carrier.open_stream(url, body=b"stream") as stream:
        return b"".join([piece async for piece in stream.chunks()])


async def test_cancelling_in_the_handshake_leaves_a_usable_slot() -> None:
    acceptor = Acceptor()
    acceptor.gate = asyncio.Event()
    async with (
        Site(acceptor) as site,
        HttpCarrier(ntlm(requests_in_flight=1, ews_url=site.url()), FakeClock()) as carrier,
    ):
        task = asyncio.create_task(carrier.send("POST", site.url()))
        await until(lambda: acceptor.counts["signed"] == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        acceptor.gate = None
        assert (await carrier.send("POST", site.url(), body=b"x")).body == b"CORP\\svc x"


@pytest.mark.parametrize("bound_to", ["this server", "another server"])
async def test_the_sign_in_is_bound_to_the_tls_connection(bound_to: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    own, foreign = authority.issue_cert("127.0.0.1"), authority.issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    expected = own if bound_to == "this server" else foreign
    der = ssl.PEM_cert_to_DER_cert(expected.cert_chain_pems[0].bytes().decode())
    token = GssChannelBindings(application_data=b"tls-server-end-point:" + hashlib.sha256(der).digest())
    acceptor = Acceptor(bindings=token)
    async with (
        Site(acceptor, tls=context) as site,
        HttpCarrier(ntlm(tls_ca=tmp_path / "ca.pem", ews_url=site.url()), FakeClock()) as carrier,
    ):
        if expected is own:
            assert (await carrier.send("POST", site.url(), body=b"x")).body == b"CORP\\svc x"
        else:
            with pytest.raises(CarrierProblem, match="refused") as caught:
                await carrier.send("POST", site.url())
            assert "Extended Protection" in caught.value.remedy


@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512(), None])
def test_the_binding_is_the_hash_the_certificate_is_signed_with(
    algorithm: hashes.HashAlgorithm | None,
) -> None:
    der = make_certificate(algorithm)
    name = algorithm.name if algorithm is not None else "sha256"
    expected = GssChannelBindings(application_data=b"tls-server-end-point:" + hashlib.new(name, der).digest())
    assert bind(der) == expected


def test_without_tls_there_is_nothing_to_bind() -> None:
    assert bind(None) is None


def make_certificate(algorithm: hashes.HashAlgorithm | None) -> bytes:
    """A certificate signed with this hash; None: Ed25519, which has none of its own."""
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    key = ec.generate_private_key(ec.SECP256R1()) if algorithm else ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.example.com")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=1))
    ).sign(key, algorithm)  # type: ignore[arg-type]
    return certificate.public_bytes(serialization.Encoding.DER)
