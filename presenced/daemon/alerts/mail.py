"""Notices as plain-text mails (RFC 5322, RFC 3834); the only file that knows aiosmtplib.

The connection is encrypted, by `smtps://` or STARTTLS, unless the server is this machine: a notice names
people and machines, and the login is worth more than that. The notices of one case form a thread.
"""

from __future__ import annotations

import logging
import ssl
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from presenced.config.kinds import is_loopback
from presenced.config.settings import AlertSettings
from presenced.core.ports import Clock
from presenced.daemon.alerts.cases import Kind, Notice
from presenced.daemon.alerts.channel import Undelivered
from presenced.daemon.alerts.wording import Origin, subject_of, text_of

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=60)
"""for a whole delivery; a busy server may take its time to greet"""
_ENCRYPTED, _LOGIN, _PLAIN = 465, 587, 25


class Mail:
    """`channel.Channel`: one SMTP server, one sender, some recipients."""

    def __init__(self, settings: AlertSettings, clock: Clock, *, trust: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._clock = clock
        url = urlsplit(settings.smtp_url.reveal())
        self._host = url.hostname or ""
        self._user, self._password = unquote(url.username or ""), unquote(url.password or "")
        self._encrypted = url.scheme == "smtps"
        self._port = url.port or (_ENCRYPTED if self._encrypted else _LOGIN if self._user else _PLAIN)
        self._trust = trust

    async def deliver(self, notice: Notice, origin: Origin) -> None:
        """Hand the mail to the server; raises Undelivered."""
        where = f"the mail server {self._host}:{self._port}"
        try:
            async with self._clock.timeout(PATIENCE):
                refused = await self._send(compose(notice, origin, self._settings), origin)
        except TimeoutError:
            raise Undelivered(f"{where} did not answer in time", remedy=_CHECK_SERVER) from None
        except (SMTPException, OSError, ValueError) as problem:
            raise _explain(problem, where) from None
        for address, words in refused.items():
            log.warning("the mail server refused one recipient address=%s because=%s", address, words)

    async def _send(self, message: EmailMessage, origin: Origin) -> dict[str, str]:
        local = is_loopback(self._host)
        server = SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user or None,
            password=self._password or None,
            local_hostname=origin.host,
            timeout=None,  # the clock sees to that
            use_tls=self._encrypted,
            start_tls=False if self._encrypted else None if local else True,
            tls_context=self._context(local=local),
        )
        try:
            await server.connect()
            answers, _ = await server.send_message(message)
            await server.quit()
        finally:
            server.close()
        return {address: f"{answer.code} {answer.message}" for address, answer in answers.items()}

    def _context(self, *, local: bool) -> ssl.SSLContext:
        context = self._trust or ssl.create_default_context()
        if local and not self._encrypted and self._trust is None:
            # STARTTLS is more than is asked for here; whose certificate it is does not matter
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def compose(notice: Notice, origin: Origin, settings: AlertSettings) -> EmailMessage:
    """The mail about a notice; the same notice makes the same mail, whenever it is sent."""
    domain = settings.mail_from.rpartition("@")[2]
    message = EmailMessage(policy=SMTP_POLICY.clone(max_line_length=200))
    message["Subject"] = subject_of(notice, origin)
    message["From"] = Address("presenced", addr_spec=settings.mail_from)
    message["To"] = [Address(addr_spec=each) for each in settings.mail_to]
    message["Date"] = format_datetime(notice.at)
    message["Message-ID"] = f"<{notice.id}@{domain}>"
    if notice.id != notice.case:
        message["In-Reply-To"] = message["References"] = f"<{notice.case}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message["X-Presenced-Notice"] = notice.kind.value
    message["X-Presenced-Cause"] = notice.cause.key
    if notice.kind is not Kind.OVER:
        message["Importance"] = "high"
    message.set_content(text_of(notice, origin), cte="quoted-printable")
    return message


_CHECK_SERVER = "check smtp_url in [alerts] and whether the server can be reached from this machine"
_CHECK_LOGIN = "check the user name and the password in smtp_url in [alerts]"
_CHECK_SENDER = "check mail_from in [alerts], and whether the login may send as this address"
_CHECK_RECIPIENTS = "check mail_to in [alerts], and whether the server relays for this machine"


def _explain(problem: Exception, where: str) -> Undelivered:
    """What went wrong, in words."""
    if isinstance(problem, SMTPRecipientsRefused):
        first: SMTPRecipientRefused = problem.recipients[0]
        lasting = all(each.code >= 500 for each in problem.recipients)
        return _refused(where, f"all recipients ({_answer(first)})", _CHECK_RECIPIENTS, lasting=lasting)
    if isinstance(problem, SMTPResponseException):
        what, remedy = "the mail", "see what the server's answer says"
        if isinstance(problem, SMTPAuthenticationError):
            what, remedy = "the login", _CHECK_LOGIN
        elif isinstance(problem, SMTPSenderRefused):
            what, remedy = f"the sender {problem.sender}", _CHECK_SENDER
        return _refused(where, f"{what} ({_answer(problem)})", remedy, lasting=problem.code >= 500)
    if isinstance(problem, SMTPNotSupported) or "STARTTLS extension not supported" in str(problem):
        return Undelivered(
            f"{where} can't do what is needed: {problem}",
            remedy="take a server with TLS and login, smtps://… for one that has TLS from the first byte",
            lasting=True,
        )
    return _unreachable(problem, where)


def _unreachable(problem: Exception, where: str) -> Undelivered:
    """The connection itself; the library wraps what the system said."""
    root = next((each for each in (problem, problem.__cause__) if isinstance(each, ssl.SSLError)), None)
    if isinstance(root, ssl.SSLCertVerificationError):
        return Undelivered(
            f"the certificate of {where} is not trusted: {root.verify_message}",
            remedy="use the name in the certificate, and let this machine trust the CA that issued it",
            lasting=True,
        )
    return Undelivered(f"{where} can't be reached: {problem}", remedy=_CHECK_SERVER)


def _refused(where: str, what: str, remedy: str, *, lasting: bool) -> Undelivered:
    return Undelivered(f"{where} refused {what}", remedy=remedy, lasting=lasting)


def _answer(problem: SMTPResponseException) -> str:
    return f"{problem.code} {' '.join(problem.message.split())[:200]}"
