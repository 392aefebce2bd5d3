"""A sign-in authority on loopback, as strict as Entra: OpenID discovery, token endpoint, device codes.

It is written from Microsoft's pages (client credentials flow, certificate credentials, workload identity
federation, device authorization grant, refresh tokens), not from what msal sends. Signatures are checked
with cryptography alone.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.calendars.signin.keys import decode, encode

TENANT = "contoso.onmicrosoft.com"
APP = "8f2c7a10-0000-4000-8000-00000000a001"
ACCOUNT = "svc.calendar@contoso.com"
SECRET = "planted~client.secret~Value"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
RESOURCES = {
    "https://outlook.office365.com": ("full_access_as_app", "EWS.AccessAsUser.All"),
    "https://graph.microsoft.com": ("Calendars.Read", "Calendars.Read.Shared"),
}
"""resource -> application permission, delegated permission"""


class No(Exception):
    """An error answer: OAuth's word, Entra's number."""

    def __init__(self, error: str, number: int, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.number = number
        self.status = status


@dataclass(slots=True)
class Authority:
    """Knows one app in one tenant; serves inside `async with`."""

    tls: ssl.SSLContext
    certificates: list[x509.Certificate] = field(default_factory=list)
    federation: rsa.RSAPublicKey | None = None
    secret: str = SECRET
    public: bool = True
    """the app allows public client flows"""
    lifetime: int = 3599
    interval: int = 5
    token_endpoint: str = ""
    """named in place of its own"""
    answer_instead: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    """in place of the token endpoint"""
    pendings: int | None = 0
    """how often nobody has entered the device code yet; None: nobody ever does"""
    tenants: tuple[str, ...] = (TENANT, "organizations")
    username: str = ACCOUNT
    seen: list[Mapping[str, str]] = field(default_factory=list)
    """forms the token endpoint got"""
    discoveries: int = 0
    issued: int = 0
    revoked: int = 0
    """tokens up to this number are no good any more"""
    refresh_token: str = ""
    """the only one that is good"""
    device_code: str = ""
    device_scope: str = ""
    """what the code was asked for; the token is made for that (RFC 8628 section 3.1)"""
    slow_downs: int = 0
    used: set[str] = field(default_factory=set)
    """ids of assertions"""
    _server: TestServer | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", self._discover)
        app.router.add_post("/{tenant}/oauth2/v2.0/token", self._token)
        app.router.add_post("/{tenant}/oauth2/v2.0/devicecode", self._device)
        self._server = TestServer(app)
        await self._server.start_server(shutdown_timeout=0.1, ssl=self.tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        await self._server.close()
        await asyncio.sleep(0)

    @property
    def host(self) -> str:
        """host:port."""
        assert self._server is not None
        return f"localhost:{self._server.port}"

    def url(self, tenant: str, path: str) -> str:
        return f"https://{self.host}/{tenant}{path}"

    def revoke(self) -> None:
        """No token given out until now is good any more."""
        self.revoked = self.issued

    # --- the three addresses ---

    async def _discover(self, request: web.Request) -> web.Response:
        self.discoveries += 1
        tenant = request.match_info["tenant"]
        if tenant not in self.tenants:
            return refuse(No("invalid_tenant", 90002))
        return web.json_response(
            {
                "issuer": self.url(tenant, "/v2.0"),
                "authorization_endpoint": self.url(tenant, "/oauth2/v2.0/authorize"),
                "token_endpoint": self.token_endpoint or self.url(tenant, "/oauth2/v2.0/token"),
                "device_authorization_endpoint": self.url(tenant, "/oauth2/v2.0/devicecode"),
            }
        )

    async def _token(self, request: web.Request) -> web.StreamResponse:
        assert request.content_type == "application/x-www-form-urlencoded"
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.seen.append(form)
        if self.answer_instead is not None:
            return await self.answer_instead(request)
        try:
            return web.json_response(self._grant(request.match_info["tenant"], form))
        except No as no:
            return refuse(no)

    async def _device(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("client_id") != APP:
            return refuse(No("unauthorized_client", 700016))
        if "offline_access" not in str(form.get("scope")).split():
            return refuse(No("invalid_scope", 70011))
        self.device_code, self.device_scope = "planted-device-code", str(form["scope"])
        return web.json_response(
            {
                "user_code": "ABCD-EFGH",
                "device_code": self.device_code,
                "verification_uri": "https://microsoft.com/devicelogin",
                "expires_in": 900,
                "interval": self.interval,
                "message": "To sign in, use a web browser",
            }
        )

    # --- grants ---

    def _grant(self, tenant: str, form: Mapping[str, str]) -> dict[str, object]:
        if form.get("client_id") != APP:
            raise No("unauthorized_client", 700016)
        if "claims" in form and not isinstance(json.loads(form["claims"]), dict):
            raise No("invalid_request", 90013)
        kind = form.get("grant_type")
        if kind == "client_credentials":
            return self._to_app(tenant, form)
        if "client_secret" in form or "client_assertion" in form:
            raise No("invalid_client", 700025, 401)
        if not self.public:
            raise No("invalid_client", 7000218, 401)
        if kind == DEVICE:
            self._check_device(form)
        elif kind == "refresh_token":
            if not self.refresh_token or form.get("refresh_token") != self.refresh_token:
                raise No("invalid_grant", 700082)
        else:
            raise No("unsupported_grant_type", 70003)
        return self._to_account(form)

    def _to_app(self, tenant: str, form: Mapping[str, str]) -> dict[str, object]:
        if tenant == "organizations":
            raise No("invalid_request", 50059)
        resource, _, name = form.get("scope", "").rpartition("/")
        if name != ".default" or resource not in RESOURCES:
            raise No("invalid_scope", 70011)
        if "client_assertion" in form:
            if form.get("client_assertion_type") != ASSERTION:
                raise No("invalid_request", 900144)
            self._check_assertion(tenant, form["client_assertion"])
        elif form.get("client_secret") != self.secret:
            raise No("invalid_client", 7000215, 401)
        return self._answer({"aud": resource, "roles": [RESOURCES[resource][0]]})

    def _to_account(self, form: Mapping[str, str]) -> dict[str, object]:
        wanted = (self.device_scope if form["grant_type"] == DEVICE else form["scope"]).split()
        (scope,) = [each for each in wanted if each.startswith("https://")] or [""]
        resource, _, name = scope.rpartition("/")
        if RESOURCES.get(resource, ("", ""))[1] != name:
            raise No("invalid_grant", 65001)
        self.refresh_token = f"planted-refresh-token-{self.issued}"
        payload = {"preferred_username": self.username, "sub": "s", "oid": "o", "tid": TENANT, "aud": APP}
        return self._answer({"aud": resource, "scp": name}) | {
            "scope": scope,
            "refresh_token": self.refresh_token,
            "id_token": f"{encode({'alg': 'none'})}.{encode(payload)}.x",
            "client_info": encode({"uid": "o", "utid": TENANT}),
        }

    def _answer(self, payload: dict[str, object]) -> dict[str, object]:
        self.issued += 1
        token = f"{encode({'alg': 'RS256'})}.{encode(payload | {'number': self.issued})}.planted-signature"
        return {
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "ext_expires_in": self.lifetime,
            "access_token": token,
        }

    # --- proofs ---

    def _check_device(self, form: Mapping[str, str]) -> None:
        if form.get("device_code") != self.device_code:
            raise No("bad_verification_code", 70018)
        if self.slow_downs:
            self.slow_downs -= 1
            raise No("slow_down", 0)
        if self.pendings is None:
            raise No("authorization_pending", 70016)
        if self.pendings:
            self.pendings -= 1
            raise No("authorization_pending", 70016)
        self.device_code = ""

    def _check_assertion(self, tenant: str, assertion: str) -> None:
        head, payload, signature = assertion.split(".")
        header, claims = json.loads(decode(head)), json.loads(decode(payload))
        signed = f"{head}.{payload}".encode()
        try:
            if "x5t#S256" in header:
                self._check_certificate(header, signed, decode(signature))
                self._check_own_claims(tenant, claims)
            elif self.federation is not None:
                assert header["alg"] == "RS256"
                self.federation.verify(decode(signature), signed, padding.PKCS1v15(), hashes.SHA256())
                self._check_foreign_claims(claims)
            else:
                raise No("invalid_client", 700027, 401)
        except InvalidSignature:
            raise No("invalid_client", 700027, 401) from None

    def _check_certificate(self, header: Mapping[str, object], signed: bytes, signature: bytes) -> None:
        if header.get("alg") != "PS256" or header.get("typ") != "JWT":
            raise No("invalid_client", 700027, 401)
        thumbprint = decode(str(header["x5t#S256"]).rstrip("="))
        for certificate in self.certificates:
            der = certificate.public_bytes(Encoding.DER)
            if hashlib.sha256(der).digest() == thumbprint:
                break
        else:
            raise No("invalid_client", 700027, 401)
        chain = header.get("x5c")
        if not isinstance(chain, list) or base64.b64decode("".join(chain[0].split()), validate=True) != der:
            raise No("invalid_client", 700027, 401)
        key = certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        key.verify(signature, signed, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())

    def _check_own_claims(self, tenant: str, claims: Mapping[str, object]) -> None:
        if claims["aud"] != self.url(tenant, "/oauth2/v2.0/token") or claims["iss"] != APP:
            raise No("invalid_client", 700023, 401)
        if claims["sub"] != APP or claims["jti"] in self.used:
            raise No("invalid_client", 700027, 401)
        self.used.add(str(claims["jti"]))
        now, until, since = time.time(), claims["exp"], claims["iat"]
        assert isinstance(until, int | float)
        assert isinstance(since, int | float)
        if not since - 300 <= now < until <= now + 660:
            raise No("invalid_client", 700024, 401)

    def _check_foreign_claims(self, claims: Mapping[str, object]) -> None:
        if claims["iss"] != "https://cluster.example/":
            raise No("invalid_client", 700211, 401)
        if claims["aud"] != "api://AzureADTokenExchange":
            raise No("invalid_client", 700212, 401)
        if claims["sub"] != "system:serviceaccount:pbx:presenced":
            raise No("invalid_client", 700213, 401)
        until = claims["exp"]
        assert isinstance(until, int)
        if until <= time.time():
            raise No("invalid_client", 700024, 401)


def refuse(no: No) -> web.Response:
    codes = [no.number] if no.number else []
    return web.json_response(
        {
            "error": no.error,
            "error_description": f"AADSTS{no.number}: In Entra's words, for developers.\r\nTrace ID: 1",
            "error_codes": codes,
            "timestamp": "2026-11-16 08:00:00Z",
            "trace_id": "b72a9b9e-0000-4000-8000-000000000001",
            "correlation_id": "b72a9b9e-0000-4000-8000-000000000002",
        },
        status=no.status,
    )
