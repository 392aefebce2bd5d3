"""Connections: the one file of the calendar doors that knows aiohttp.

A lane is a set of connections requests run on. The shared lane has as many as there are requests; a
pinned lane carries one request at a time and tells which connection it ran on, because NTLM signs in
connections, not requests. aiohttp does not say whether a connection came from its pool, so a connector
of ours notes it; that also makes a safe repeat possible where a server closed an idle connection in the
very moment it was used again.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from http import HTTPStatus
from socket import EAI_AGAIN, gaierror
from typing import Protocol
from urllib.parse import urlsplit
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler

from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.transport import tls

CONNECT_WITHIN = timedelta(seconds=15)
"""for the socket and the TLS handshake, by the loop's own time: it bounds the operating system's patience"""
IDLE_FOR = timedelta(seconds=60)
"""how long an unused connection is kept; IIS closes them after two minutes"""
_MOST_REPEATS = 3
_MOST_SIGNED = 64
_SMALL = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What goes over the wire, but for the sign-in."""

    method: str
    url: str
    origin: str
    body: bytes
    headers: Mapping[str, str]


@lru_cache(maxsize=1024)
def find_origin(url: str) -> str:
    """`scheme://host:port` of an http(s) URL, lower case; anything else is CarrierProblem("broken")."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        port = 0
    if not port or not parts.hostname:
        raise CarrierProblem("broken", f"{url!r} is not an http or https URL", remedy="correct the address")
    return f"{parts.scheme}://{parts.hostname}:{port}"


class Connection(Protocol):
    """What is needed of aiohttp's ResponseHandler."""

    @property
    def transport(self) -> object: ...


@dataclass(slots=True)
class _Ticket:
    """Filled in by the connector: the connection a request runs on."""

    connection: ResponseHandler | None = None
    reused: bool = False


_ticket: ContextVar[_Ticket] = ContextVar("ticket")


class _Connector(aiohttp.TCPConnector):
    """Notes on the request's ticket which connection it got, and whether it had been used before."""

    def __init__(self, context: ssl.SSLContext, *, limit: int) -> None:
        super().__init__(
            ssl=context, limit=limit, keepalive_timeout=IDLE_FOR.total_seconds(), ttl_dns_cache=60
        )
        self._used: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[aiohttp.tracing.Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the signature is aiohttp's
    ) -> aiohttp.connector.Connection:
        connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        if protocol is not None:
            ticket = _ticket.get()
            ticket.connection = protocol
            ticket.reused = protocol in self._used
            self._used.add(protocol)
        return connection


class Lane:
    """Connections with the same trust; `pinned`: one request at a time, on one connection a server."""

    def __init__(self, context: ssl.SSLContext, user_agent: str, *, pinned: bool = False) -> None:
        self._session = aiohttp.ClientSession(
            connector=_Connector(context, limit=1 if pinned else 0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": user_agent},
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_WITHIN.total_seconds(), sock_read=None
            ),
        )
        self.signed: dict[str, Connection] = {}
        """pinned lanes: origin -> the connection that is signed in there"""

    async def open(self, request: Request, *, authorization: str = "", empty: bool = False) -> Answer:
        """Send and wait for the answer's head; `empty` leaves the body out. Raises CarrierProblem.

        Where a connection from the pool turns out to be dead before any answer came, the request is
        sent again on another: everything this program asks may be asked twice.
        """
        headers = {**request.headers, "Authorization": authorization} if authorization else request.headers
        data = None if request.method == "GET" else b"" if empty else request.body
        repeats = 0
        while True:
            ticket = _Ticket()
            _ticket.set(ticket)
            try:
                response = await self._session.request(
                    request.method, request.url, data=data, headers=headers, allow_redirects=False
                )
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:
                stale = isinstance(problem, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
                if stale and ticket.reused and repeats < _MOST_REPEATS:
                    repeats += 1
                    continue
                raise _explain(problem, request) from problem
            return Answer(response, request, ticket.connection)

    def sign(self, origin: str, connection: Connection | None) -> None:
        """This connection is signed in there from now on."""
        if len(self.signed) >= _MOST_SIGNED:
            self.signed.clear()
        if connection is not None:
            self.signed[origin] = connection

    def is_signed(self, origin: str) -> bool:
        """The connection that was signed in there is still up."""
        connection = self.signed.get(origin)
        return connection is not None and connection.transport is not None

    async def close(self) -> None:
        """Close every connection."""
        self.signed.clear()
        await self._session.close()


class Answer:
    """An answer whose head is there; the `Stream` of carrier.py."""

    __slots__ = ("_request", "_response", "connection")

    def __init__(
        self, response: aiohttp.ClientResponse, request: Request, connection: ResponseHandler | None
    ) -> None:
        self._response = response
        self._request = request
        self.connection: Connection | None = connection
        """what it runs on: the same object for requests on the same connection"""

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def cookies(self) -> Mapping[str, str]:
        """Set by this very answer."""
        if "Set-Cookie" not in self._response.headers:
            return {}
        return {name: morsel.value for name, morsel in self._response.cookies.items()}

    @property
    def challenges(self) -> tuple[str, ...]:
        """The WWW-Authenticate headers, one by one."""
        return tuple(self._response.headers.getall("WWW-Authenticate", ()))

    def certificate(self) -> bytes | None:
        """The server's certificate (DER), None without TLS."""
        transport = getattr(self.connection, "transport", None)
        tls_object = transport.get_extra_info("ssl_object") if transport is not None else None
        return tls_object.getpeercert(binary_form=True) if tls_object is not None else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes; ends at its clean end, raises CarrierProblem otherwise."""
        content = self._response.content
        try:
            while chunk := await content.readany():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise _explain(problem, self._request) from problem

    async def read(self, limit: int) -> bytes:
        """The whole body; CarrierProblem("too-large") beyond `limit` octets (counted unpacked)."""
        response, content = self._response, self._response.content
        pieces: list[bytes] = []
        size = response.content_length or 0
        try:
            if size <= limit:
                size = 0
                while size <= limit and (chunk := await content.readany()):
                    size += len(chunk)
                    pieces.append(chunk)
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            response.close()
            raise _explain(problem, self._request) from problem
        except BaseException:
            response.close()
            raise
        if size > limit:
            response.close()
            raise CarrierProblem(
                "too-large",
                f"the answer of {_host(self._request)} is larger than {limit // 1024} KiB",
                remedy="ask for less at a time; look whether this is Exchange at all",
            )
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def drain(self) -> None:
        """Read what is left of a small answer nobody wants, so that its connection can be used again."""
        try:
            await self.read(_SMALL)
        except CarrierProblem:
            self.close()

    def close(self) -> None:
        """Done with it; an unfinished body takes its connection along."""
        self._response.close()


def _host(request: Request) -> str:
    return request.origin.partition("://")[2]


def _explain(problem: Exception, request: Request) -> CarrierProblem:
    """What aiohttp's exception means, in words."""
    host = _host(request)
    name = host.rpartition(":")[0]
    match problem:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLError() as inner):
            return tls.explain(inner, host)
        case aiohttp.ClientConnectorSSLError(os_error=ssl.SSLError() as inner) | (ssl.SSLError() as inner):
            return tls.explain(inner, host)
        case aiohttp.ClientConnectorDNSError(os_error=inner):
            passing = isinstance(inner, gaierror) and inner.errno == EAI_AGAIN
            return CarrierProblem(
                "dns",
                f"the name {name} {'cannot be looked up at the moment' if passing else 'is unknown'}",
                remedy="check the name and the DNS servers of this machine",
                retry_after=timedelta(seconds=30) if passing else None,
            )
        case aiohttp.ConnectionTimeoutError():
            return CarrierProblem(
                "connect",
                f"{host} did not take a connection within {CONNECT_WITHIN.total_seconds():.0f} s",
                remedy="check the address and the firewalls between",
            )
        case aiohttp.ClientConnectorError(os_error=inner):
            return CarrierProblem(
                "connect",
                f"no connection to {host}: {inner.strerror or inner}",
                remedy="check the address, whether the server runs, and the firewalls between",
            )
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | ValueError():
            return CarrierProblem("broken", f"{request.url!r} cannot be asked", remedy="correct the address")
        case aiohttp.ClientResponseError(status=status) if status != HTTPStatus.OK:
            return CarrierProblem("broken", f"{host} sent something that is not HTTP")
        case TimeoutError():
            return CarrierProblem("timeout", f"{host} fell silent")
    return CarrierProblem(
        "broken", f"the connection to {host} broke before the answer was complete ({type(problem).__name__})"
    )
