"""Notices as signed JSON to a URL, in the form of Standard Webhooks (standardwebhooks.com).

HMAC-SHA256 over id, time and body: whoever receives it can tell that it is ours, whole and fresh. The id
stays the same however often a notice is sent, so a receiver can leave out what it has already. The URL
may hold a token and never appears in words; nor are redirects followed, they would carry it elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import aiohttp

from presenced import __version__
from presenced.config.settings import AlertSettings
from presenced.core.ports import Clock
from presenced.daemon.alerts.cases import Notice
from presenced.daemon.alerts.channel import Undelivered
from presenced.daemon.alerts.wording import Origin, members_of

PATIENCE = timedelta(seconds=30)
PREFIX = "whsec_"
"""begins a signing secret in base64, as Standard Webhooks writes them"""
_PASSING = frozenset({408, 425, 429})
"""refusals that may pass"""


class Webhook:
    """`channel.Channel`: one URL."""

    def __init__(self, settings: AlertSettings, clock: Clock, *, trust: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._host = urlsplit(settings.webhook_url.reveal()).hostname or ""
        self._trust = trust

    async def deliver(self, notice: Notice, origin: Origin) -> None:
        """Return when the receiver has answered 2xx; raises Undelivered."""
        body = json.dumps(members_of(notice, origin), ensure_ascii=False).encode()
        where = f"the webhook at {self._host}"
        try:
            async with self._clock.timeout(PATIENCE):
                status = await self._post(body, self._headers(notice.id, body))
        except TimeoutError:
            raise Undelivered(f"{where} did not answer in time", remedy=_CHECK) from None
        except aiohttp.ClientConnectorCertificateError as problem:
            words = getattr(problem.certificate_error, "verify_message", "") or "it does not fit"
            raise Undelivered(
                f"the certificate of {where} is not trusted: {words}",
                remedy="use the name in the certificate, and let this machine trust the CA that issued it",
                lasting=True,
            ) from None
        except (aiohttp.ClientError, OSError) as problem:
            words = problem.strerror if isinstance(problem, OSError) else type(problem).__name__
            raise Undelivered(f"{where} can't be reached: {words}", remedy=_CHECK) from None
        if not 200 <= status < 300:
            raise Undelivered(
                f"{where} answered {status}",
                remedy="check webhook_url and webhook_secret in [alerts], and the receiver's own log",
                lasting=status < 500 and status not in _PASSING,
            )

    async def _post(self, body: bytes, headers: dict[str, str]) -> int:
        no_limit = aiohttp.ClientTimeout(total=None)  # the clock sees to that
        async with (
            aiohttp.ClientSession(timeout=no_limit, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(
                self._settings.webhook_url.reveal(),
                data=body,
                headers=headers,
                allow_redirects=False,
                ssl=self._trust or True,
            ) as answer,
        ):
            return answer.status

    def _headers(self, id_: str, body: bytes) -> dict[str, str]:
        now = self._clock.now()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"presenced/{__version__}",
            "webhook-id": id_,
            "webhook-timestamp": str(int(now.timestamp())),
        }
        if self._settings.webhook_secret:
            headers["webhook-signature"] = sign(self._settings.webhook_secret.reveal(), id_, now, body)
        return headers


def sign(secret: str, id_: str, at: datetime, body: bytes) -> str:
    """The value of `webhook-signature`: `v1,` and base64 of the HMAC-SHA256 of `id.seconds.body`."""
    key = base64.b64decode(secret.removeprefix(PREFIX)) if secret.startswith(PREFIX) else secret.encode()
    signed = b".".join((id_.encode(), str(int(at.timestamp())).encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


_CHECK = "check webhook_url in [alerts] and whether the receiver can be reached from this machine"
