"""HTTP for msal: bounded in time and size, and every failure said in words.

msal takes any client of this shape (its `http.py`). Ours trusts whom the transport trusts (tls_ca,
tls_verify), follows no redirect (a secret would go along), and never hands msal an answer it would have
to guess about or write into a log: busy servers, proxies' pages and broken JSON end here. Proxies are
those of the environment, as requests finds them.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from presenced import __version__
from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.signin.problems import SignInProblem
from presenced.calendars.signin.refusals import read_refusal
from presenced.calendars.transport import tls
from presenced.config.settings import ExchangeSettings

TIMEOUTS = (10.0, 20.0)
"""seconds to connect, and between two pieces of an answer"""
LARGEST_ANSWER = 1 << 20
LONGEST_PAUSE = timedelta(hours=1)
"""what a Retry-After is believed at most"""
_PIECE = 1 << 16
_FAILED = 400
_TOO_MANY = 429
_OUT_OF_ORDER = 500
_REDIRECTED = range(300, 400)


@dataclass(frozen=True, slots=True)
class Answer:
    """What msal asks of an answer; no headers, so that its own throttling keeps out of ours."""

    status_code: int
    text: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    def raise_for_status(self) -> None:
        """Nothing gets here that is worth raising for."""


class Trust:
    """Whom to believe, loaded once: the transport's TLS context."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self._settings = settings
        self._context: ssl.SSLContext | None = None

    @property
    def checked(self) -> bool:
        """Certificates are checked."""
        return self._settings.tls_verify

    def context(self) -> ssl.SSLContext:
        """The context; blocks on the disk the first time. Raises SignInProblem."""
        if self._context is None:
            try:
                self._context = tls.build_context(self._settings.tls_ca, verify=self.checked)
            except CarrierProblem as problem:
                raise SignInProblem(problem.reason, remedy=problem.remedy, lasting=True) from problem
        return self._context


class Http:
    """The HTTP client for one msal application; blocks, so it lives in a thread."""

    def __init__(self, trust: Trust, now: datetime) -> None:
        self._now = now
        """for a Retry-After that is a date"""
        self._session = requests.Session()
        self._session.trust_env = False  # no ~/.netrc, no bundle of authorities besides the context's
        self._session.verify = trust.checked
        self._session.headers["User-Agent"] = f"presenced/{__version__}"
        self._session.mount("https://", _Trusting(trust.context()))
        if not trust.checked:  # the log has said so, in one line
            requests.packages.urllib3.disable_warnings()  # type: ignore[attr-defined]

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> Answer:
        """A document of the authority; anything but the document raises Refused or SignInProblem."""
        answer = self._exchange("GET", url, params=params, headers=headers)
        if answer.status_code >= _FAILED:
            raise read_refusal(json.loads(answer.text))
        return answer

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> Answer:
        """A request for a token: the answer, or the refusal, as JSON; raises SignInProblem."""
        return self._exchange("POST", url, params=params, data=data, headers=headers)

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def _exchange(self, method: str, url: str, **parts: Any) -> Answer:
        host = urlsplit(url).netloc
        try:
            with self._session.request(
                method,
                url,
                **parts,
                proxies=get_environ_proxies(url),
                timeout=TIMEOUTS,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = _read(response)
        except (requests.RequestException, OSError) as error:
            raise _explain(error, host) from None
        status = response.status_code
        if status == _TOO_MANY or status >= _OUT_OF_ORDER:
            raise SignInProblem(
                f"{host} is busy or out of order (HTTP {status})",
                remedy="nothing; it is tried again",
                retry_after=self._pause(response.headers.get("Retry-After", "")),
            )
        if status in _REDIRECTED or not _is_object(body):
            raise SignInProblem(
                f"{host} gave an answer that is none (HTTP {status})",
                remedy="look for a proxy or firewall that answers in its place",
            )
        return Answer(status, body.decode())

    def _pause(self, text: str) -> timedelta | None:
        """Retry-After in seconds or as a date (RFC 9110 section 10.2.3)."""
        if text.isascii() and text.isdigit() and len(text) < 10:
            return min(timedelta(seconds=int(text)), LONGEST_PAUSE)
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
        return min(max(until - self._now, timedelta()), LONGEST_PAUSE)


class _Trusting(HTTPAdapter):
    """An adapter with a TLS context of its own in place of requests' list of authorities."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **more, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        return super().proxy_manager_for(proxy, **more, ssl_context=self._context)

    def close(self) -> None:
        """Close every connection now: urllib3 waits until nobody refers to it, a kept traceback for one."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - its container can't be iterated
                manager.pools[key].close()
        super().close()

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The context knows."""


def _read(response: requests.Response) -> bytes:
    """The body, cut off where it is longer than any answer."""
    body = bytearray()
    for piece in response.iter_content(_PIECE):
        body += piece
        if len(body) > LARGEST_ANSWER:
            break
    return bytes(body)


def _is_object(body: bytes) -> bool:
    if len(body) > LARGEST_ANSWER:
        return False
    try:
        return isinstance(json.loads(body.decode()), dict)
    except (ValueError, RecursionError):
        return False


def _explain(error: BaseException, host: str) -> SignInProblem:
    """Why there was no answer; the exceptions of three libraries lie inside each other."""
    name = host.rpartition(":")[0] or host
    if isinstance(error, requests.exceptions.ProxyError):
        return SignInProblem(
            f"the proxy on the way to {host} refused or did not answer",
            remedy="check the proxy of this service (environment variable HTTPS_PROXY)",
        )
    for inner in _causes(error):
        if isinstance(inner, ssl.SSLError):
            told = tls.explain(inner, host)
            return SignInProblem(told.reason, remedy=told.remedy, lasting=True)
        if isinstance(inner, TimeoutError | requests.exceptions.Timeout):
            return SignInProblem(f"{host} did not answer in time", remedy="check network, firewall and proxy")
        if isinstance(inner, socket.gaierror):
            return SignInProblem(
                f"there is no address for {name}", remedy="check DNS, and cloud in [exchange]"
            )
    return SignInProblem(f"{host} can't be reached", remedy="check network, firewall and proxy")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
