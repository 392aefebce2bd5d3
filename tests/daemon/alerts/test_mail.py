"""Mails to a real SMTP server (aiosmtpd) on loopback: TLS, login, refusals, silence."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from presenced.config.settings import AlertSettings, Secret
from presenced.daemon.alerts.channel import Undelivered
from presenced.daemon.alerts.mail import PATIENCE, Mail
from tests.clock import FakeClock
from tests.daemon.alerts.notices import BEGUN, ORIGIN, OVER


@dataclass
class Office:
    """Takes mails, and refuses where told to."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self.answers:
            return self.answers["MAIL"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if "DATA" in self.answers:
            return self.answers["DATA"]
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=default_policy))
        self.encrypted.append(session.ssl is not None)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 taken"


def check_login(_server: object, _session: object, _envelope: object, _how: str, data: object) -> AuthResult:
    assert isinstance(data, LoginPassword)
    return AuthResult(handled=False, success=(data.login, data.password) == (b"who@example.com", b"p/w:d"))


@asynccontextmanager
async def office(*, wrapped: ssl.SSLContext | None = None, **settings: Any) -> AsyncIterator[Office]:
    place = Office()
    loop = asyncio.get_running_loop()

    def serve() -> SMTP:
        return SMTP(place, hostname="localhost", loop=loop, **settings)

    server = await loop.create_server(serve, "127.0.0.1", 0, ssl=wrapped)
    place.port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(20):
            yield place
    finally:
        server.close()
        await asyncio.sleep(0)


def settings(url: str) -> AlertSettings:
    return AlertSettings(
        mail_to=("one@example.com", "two@example.com"),
        mail_from="presenced@example.com",
        smtp_url=Secret(url),
    )


def mail(url: str, trust: ssl.SSLContext | None = None) -> Mail:
    return Mail(settings(url), FakeClock(), trust=trust)


@dataclass
class Trust:
    """An authority, a server's context and a client's."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="module")
def trust() -> Trust:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Trust(server, client)


@pytest.fixture
def faraway(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine count as another."""
    monkeypatch.setattr("presenced.daemon.alerts.mail.is_loopback", lambda _host: False)


async def test_a_mail_with_all_its_headers() -> None:
    async with office() as place:
        await mail(f"smtp://127.0.0.1:{place.port}").deliver(BEGUN, ORIGIN)
    (received,) = place.mails
    assert place.recipients == [["one@example.com", "two@example.com"]]
    expected = {
        "Subject": "[presenced main] no link to the PBX main",
        "From": "presenced <presenced@example.com>",
        "To": "one@example.com, two@example.com",
        "Date": "Mon, 16 Nov 2026 08:10:00 +0000",
        "Message-ID": f"<{'0f' * 16}@example.com>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "X-Presenced-Notice": "begun",
        "X-Presenced-Cause": "pbx",
    }
    assert {name: received[name] for name in expected} == expected
    assert received["References"] is None
    assert received.get_content_type() == "text/plain"
    assert "What to do:  Check that the PBX main is up.\n" in received.get_content().replace("\r\n", "\n")


async def test_over_answers_the_first_and_words_may_be_foreign() -> None:
    foreign = replace(OVER, cause=replace(OVER.cause, summary="Küche zu 🚪", reason="schließt " * 60))
    async with office() as place:
        await mail(f"smtp://127.0.0.1:{place.port}").deliver(foreign, ORIGIN)
    (received,) = place.mails
    assert received["In-Reply-To"] == received["References"] == f"<{'0f' * 16}@example.com>"
    assert received["Message-ID"] == f"<{'1e' * 16}@example.com>"
    assert received["Subject"] == "[presenced main] over: Küche zu 🚪"
    assert "schließt schließt" in received.get_content()


async def test_starttls_and_login(trust: Trust, faraway: None) -> None:
    secure: dict[str, Any] = {"tls_context": trust.server, "require_starttls": True, "auth_required": True}
    async with office(authenticator=check_login, **secure) as place:
        url = f"smtp://who%40example.com:p%2Fw%3Ad@localhost:{place.port}"
        await mail(url, trust.client).deliver(BEGUN, ORIGIN)
    assert place.encrypted == [True]


async def test_tls_from_the_first_byte(trust: Trust, faraway: None) -> None:
    async with office(wrapped=trust.server) as place:
        await mail(f"smtps://localhost:{place.port}", trust.client).deliver(BEGUN, ORIGIN)
    assert len(place.mails) == 1


async def test_on_this_machine_any_certificate_will_do_for_starttls(trust: Trust) -> None:
    async with office(tls_context=trust.server, require_starttls=True) as place:
        await mail(f"smtp://127.0.0.1:{place.port}").deliver(BEGUN, ORIGIN)
    assert place.encrypted == [True]


async def test_elsewhere_nothing_is_sent_in_the_clear(faraway: None) -> None:
    async with office() as place:
        with pytest.raises(Undelivered, match="can't do what is needed") as caught:
            await mail(f"smtp://localhost:{place.port}").deliver(BEGUN, ORIGIN)
    assert caught.value.lasting
    assert not place.mails


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_strange_certificate_is_refused(scheme: str, trust: Trust, faraway: None) -> None:
    wrapped = trust.server if scheme == "smtps" else None
    tls: dict[str, Any] = {} if wrapped else {"tls_context": trust.server}
    async with office(wrapped=wrapped, **tls) as place:
        with pytest.raises(Undelivered, match="is not trusted") as caught:
            await mail(f"{scheme}://localhost:{place.port}").deliver(BEGUN, ORIGIN)
    assert caught.value.lasting
    assert not place.mails


@pytest.mark.parametrize(
    ("answers", "words", "remedy", "lasting"),
    [
        ({"MAIL": "451 try later"}, "refused the sender presenced@example.com", "mail_from", False),
        ({"MAIL": "550 not you"}, "refused the sender presenced@example.com", "mail_from", True),
        (
            {"one@example.com": "550 no relay", "two@example.com": "550 no relay"},
            "refused all recipients (550 no relay)",
            "mail_to",
            True,
        ),
        (
            {"one@example.com": "450 later", "two@example.com": "550 no relay"},
            "refused all recipients",
            "mail_to",
            False,
        ),
        ({"DATA": "554 looks like spam"}, "refused the mail (554 looks like spam)", "answer", True),
        ({"DATA": "452 disk full"}, "refused the mail (452 disk full)", "answer", False),
    ],
)
async def test_refusals(answers: dict[str, str], words: str, remedy: str, lasting: bool) -> None:
    async with office() as place:
        place.answers = answers
        with pytest.raises(Undelivered) as caught:
            await mail(f"smtp://127.0.0.1:{place.port}").deliver(BEGUN, ORIGIN)
    assert f"the mail server 127.0.0.1:{place.port} {words}" in caught.value.reason
    assert remedy in caught.value.remedy
    assert caught.value.lasting == lasting


async def test_one_recipient_refused_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with office() as place:
        place.answers = {"two@example.com": "550 left the company"}
        await mail(f"smtp://127.0.0.1:{place.port}").deliver(BEGUN, ORIGIN)
    assert place.recipients == [["one@example.com"]]
    assert "address=two@example.com because=550 left the company" in caplog.text


async def test_a_wrong_password_is_named_but_not_told(trust: Trust, faraway: None) -> None:
    secure: dict[str, Any] = {"tls_context": trust.server, "auth_required": True}
    async with office(authenticator=check_login, **secure) as place:
        with pytest.raises(Undelivered, match="refused the login") as caught:
            await mail(f"smtp://who:topsecret@localhost:{place.port}", trust.client).deliver(BEGUN, ORIGIN)
    assert "the password in smtp_url" in caught.value.remedy
    assert "topsecret" not in f"{caught.value.reason}{caught.value.remedy}"


async def test_nobody_there() -> None:
    async with office() as place:
        port = place.port
    with pytest.raises(Undelivered, match="can't be reached") as caught:
        await mail(f"smtp://127.0.0.1:{port}").deliver(BEGUN, ORIGIN)
    assert not caught.value.lasting


async def test_a_server_that_says_nothing() -> None:
    connected, done = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()
        done.set()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    clock = FakeClock()
    sender = Mail(settings(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"), clock)
    async with asyncio.timeout(20):
        delivery = asyncio.create_task(sender.deliver(BEGUN, ORIGIN))
        await connected.wait()
        await clock.advance(PATIENCE)
        with pytest.raises(Undelivered, match="did not answer in time"):
            await delivery
        await done.wait()
    server.close()


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("smtp://mail.example.com", 25),
        ("smtp://who:pw@mail.example.com", 587),
        ("smtps://who:pw@mail.example.com", 465),
        ("smtp://mail.example.com:2525", 2525),
    ],
)
async def test_ports(url: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    async def refuse(_factory: Callable[..., object], *_: object, **where: object) -> object:
        asked.append((where["host"], where["port"]))
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", refuse)
    with pytest.raises(Undelivered):
        await mail(url).deliver(BEGUN, ORIGIN)
    assert asked == [("mail.example.com", port)]
