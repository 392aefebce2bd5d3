"""Sign-in as IIS does it before Exchange: Negotiate, NTLM, Basic and Bearer, refused with 401 and offers.

NTLM signs in a TCP connection, not a request: the handshake lives on one connection, and once it has
succeeded every further request there is its owner's, without a header. A client that spreads a handshake over
connections, or shares a connection between accounts, must fail or act for the wrong one here as there.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary

from aiohttp import web

from presenced.sim.exchange.accounts import Accounts
from presenced.sim.exchange.ntlm import ExtendedProtection, Handshake, NotAccepted, server_end_point
from presenced.sim.exchange.ports import Account

log = logging.getLogger(__name__)

ON_PREMISES = ("Negotiate", "NTLM", "Basic")
"""what an Exchange server of one's own offers"""
CLOUD = ("Bearer",)

_REFUSED = "401 - Unauthorized: Access is denied due to invalid credentials."
_BEARER = (
    'Bearer client_id="00000002-0000-0ff1-ce00-000000000000", '
    'trusted_issuers="00000001-0000-0000-c000-000000000000@*", '
    'token_types="app_asserted_user_v1 service_asserted_app_v1"'
)


class TokenRefused(Exception):
    """An access token doesn't open this door; the text is the reason, as in `x-ms-diagnostics`."""


class TokenVerifier(Protocol):
    """Knows the access tokens that the simulated identity provider gave out."""

    async def verify(self, token: str) -> Account:
        """For whom the token was made; raises TokenRefused."""


@dataclass(slots=True)
class _Connection:
    """What is known of one TCP connection."""

    generation: int
    handshake: Handshake | None = None
    account: Account | None = None
    parting: str = ""
    """goes out as WWW-Authenticate with the next answer: SPNEGO's last token"""


class SignIn:
    """The ports `Authenticator` and `Announcer`.

    `certificate` is the server's own (DER), for Extended Protection; `offers` in the order of the headers.
    """

    def __init__(
        self,
        accounts: Accounts,
        *,
        offers: Sequence[str] = ON_PREMISES,
        realm: str = "exchange.example.com",
        certificate: bytes | None = None,
        protection: ExtendedProtection = ExtendedProtection.ALLOW,
        tokens: TokenVerifier | None = None,
    ) -> None:
        self._accounts = accounts
        self._schemes = {offer.lower(): offer for offer in offers}
        self._realm = realm
        self._end_point = server_end_point(certificate) if certificate else None
        self._tokens = tokens
        self._connections: WeakKeyDictionary[asyncio.BaseTransport, _Connection] = WeakKeyDictionary()
        self._generation = 0
        self.protection = protection
        """may be changed while running; handshakes begun afterwards go by it"""
        self.counters: Counter[str] = Counter()
        """`accepted` and `refused` sign-ins, `handshakes` begun, requests `unasked` (no header)"""
        self.last_refusal = ""
        """why the last sign-in was refused; the client is never told"""

    def expire(self) -> None:
        """Forget every sign-in: the next request on each open connection gets 401, whatever it brings."""
        self._generation += 1

    async def announce(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add what a completed handshake owes its client to the answer."""
        connection = None if request.transport is None else self._connections.get(request.transport)
        if connection is not None and connection.account is not None:
            response.headers["Persistent-Auth"] = "true"
            if connection.parting:
                response.headers.add("WWW-Authenticate", connection.parting)
                connection.parting = ""

    async def authenticate(self, request: web.Request) -> Account | web.StreamResponse:
        """Who sends this request, or the 401 that asks for (better) proof."""
        connection = self._connection(request)
        if connection is None:
            return self._refuse(None, "the sign-in expired")
        scheme, _, proof = request.headers.get("Authorization", "").partition(" ")
        proof = proof.strip()
        if not scheme:
            self.counters["unasked"] += 1
            return connection.account or self._offer()
        connection.account = None
        if scheme.lower() not in self._schemes:
            return self._refuse(connection, f"scheme {scheme!r} is not offered")
        try:
            return await self._prove(request, connection, scheme.lower(), proof)
        except (NotAccepted, TokenRefused) as refusal:
            return self._refuse(connection, str(refusal), scheme=scheme)

    def _connection(self, request: web.Request) -> _Connection | None:
        """What is known of the request's connection; None where that has just expired."""
        if request.transport is None:
            return _Connection(self._generation)
        known = self._connections.get(request.transport)
        if known is not None and known.generation == self._generation:
            return known
        fresh = self._connections[request.transport] = _Connection(self._generation)
        return fresh if known is None else None

    async def _prove(
        self, request: web.Request, connection: _Connection, scheme: str, proof: str
    ) -> Account | web.StreamResponse:
        if scheme == "basic":
            return self._accepted(self._basic(proof))
        if scheme == "bearer":
            if self._tokens is None:
                raise TokenRefused("nobody here knows any token")
            return self._accepted(await self._tokens.verify(proof))
        return self._shake_hands(request, connection, scheme, proof)

    def _basic(self, proof: str) -> Account:
        try:
            pair = base64.b64decode(proof, validate=True)
        except binascii.Error:
            raise NotAccepted("the credentials are not base64") from None
        try:
            name, _, password = pair.decode().partition(":")
        except UnicodeDecodeError:
            name, _, password = pair.decode("latin-1").partition(":")
        login = self._accounts.find(name)
        expected = "" if login is None else login.password
        matches = hmac.compare_digest(password.encode(), expected.encode())
        if login is None or not matches:
            raise NotAccepted("unknown account" if login is None else "wrong password")
        return login.account

    def _shake_hands(
        self, request: web.Request, connection: _Connection, scheme: str, proof: str
    ) -> Account | web.StreamResponse:
        try:
            token = base64.b64decode(proof, validate=True)
        except binascii.Error:
            raise NotAccepted("the token is not base64") from None
        if not token:
            raise NotAccepted("there is no token")
        if connection.handshake is None:
            self.counters["handshakes"] += 1
            connection.handshake = Handshake(
                scheme,
                self._password,
                end_point=self._end_point if request.secure else None,
                protection=self.protection,
            )
        handshake = connection.handshake
        answer = base64.b64encode(handshake.step(token)).decode()
        parting = f"{self._schemes[scheme]} {answer}" if answer else ""
        if not handshake.complete:
            return _unauthorized([parting])
        connection.handshake = None
        connection.parting = parting
        claim = handshake.claim
        login = None if claim is None else self._accounts.find(_spelling(claim.domain, claim.user))
        if login is None:
            raise NotAccepted("the account is gone")
        connection.account = login.account
        return self._accepted(login.account)

    def _password(self, domain: str, user: str) -> str | None:
        login = self._accounts.find(_spelling(domain, user))
        return None if login is None else login.password

    def _accepted(self, account: Account) -> Account:
        self.counters["accepted"] += 1
        return account

    def _refuse(self, connection: _Connection | None, reason: str, *, scheme: str = "") -> web.Response:
        if connection is not None:
            connection.handshake = None
        self.counters["refused"] += 1
        self.last_refusal = reason
        log.debug("sign-in refused because=%s", reason)
        response = self._offer()
        if scheme.lower() == "bearer":
            why = " ".join(reason.split())
            response.headers["x-ms-diagnostics"] = f'2000003;reason="{why}";error_category="invalid_token"'
        return response

    def _offer(self) -> web.Response:
        more = {"basic": f' realm="{self._realm}"'}
        return _unauthorized(
            [
                _BEARER if key == "bearer" else offer + more.get(key, "")
                for key, offer in self._schemes.items()
            ]
        )


def _spelling(domain: str, user: str) -> str:
    return f"{domain}\\{user}" if domain else user


def _unauthorized(challenges: Sequence[str]) -> web.Response:
    response = web.Response(status=401, text=_REFUSED, content_type="text/html")
    for challenge in challenges:
        response.headers.add("WWW-Authenticate", challenge)
    return response
