"""An organisation at the simulated identity provider, and a client made by hand."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from presenced.sim.entra.federation import WorkloadIssuer
from presenced.sim.entra.server import SimulatedEntra
from presenced.sim.entra.tenants import (
    EXCHANGE,
    GRAPH,
    Application,
    ClientSecret,
    FederatedCredential,
    Tenant,
    User,
)
from presenced.sim.stage import Certificates
from tests.clock import FakeClock

TENANT = "11111111-2222-3333-4444-555555555555"
APP = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
PUBLIC_APP = "99999999-bbbb-cccc-dddd-eeeeeeeeeeee"
SECRET = "s3cret~value"
SUBJECT = "system:serviceaccount:telephony:presenced"
EWS_SCOPE = f"{EXCHANGE}/.default"
USER_SCOPE = f"{EXCHANGE}/EWS.AccessAsUser.All offline_access openid profile"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@cache
def private_key(number: int) -> RSAPrivateKey:
    """Made once for all tests, as it takes a while."""
    return generate_private_key(65537, 2048)


class OwnCertificate:
    """A self-signed certificate as an administrator makes one."""

    def __init__(self, now: datetime, life: timedelta = timedelta(days=365), number: int = 0) -> None:
        self.key = private_key(number)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "presence")])
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + life)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def thumbprint(self, algorithm: hashes.HashAlgorithm) -> str:
        return jwt.utils.base64url_encode(self.certificate.fingerprint(algorithm)).decode()


@dataclass(frozen=True)
class Answer:
    status: int
    told: dict[str, Any]
    headers: dict[str, str]

    @property
    def code(self) -> int:
        """Number of the refusal, 0 for a token."""
        return int(self.told["error_codes"][0]) if "error_codes" in self.told else 0

    @property
    def claims(self) -> dict[str, Any]:
        """What the access token says, unverified."""
        return dict(jwt.decode(self.told["access_token"], options={"verify_signature": False}))


class House:
    """One tenant with a confidential and a public application, and a user."""

    def __init__(self, folder: Path, now: datetime | None = None) -> None:
        self.clock = FakeClock(now or datetime(2026, 11, 16, 8, 0, tzinfo=UTC))
        self.certificates = Certificates(folder)
        self.tenant = Tenant(TENANT, "example.com", "example.onmicrosoft.com")
        self.own = OwnCertificate(self.clock.now())
        self.issuer = WorkloadIssuer("https://cluster.example.com")
        self.application = self.tenant.register(
            Application(
                APP,
                "presenced",
                secrets=[ClientSecret(SECRET)],
                certificates=[self.own.certificate],
                federated=[FederatedCredential(self.issuer.url, SUBJECT)],
                roles={EXCHANGE: {"full_access_as_app"}, GRAPH: {"Calendars.Read"}},
            )
        )
        self.public = self.tenant.register(
            Application(
                PUBLIC_APP,
                "presenced for users",
                public=True,
                multi_tenant=True,
                scopes={EXCHANGE: {"EWS.AccessAsUser.All"}, GRAPH: {"Calendars.Read.Shared"}},
            )
        )
        self.user = self.tenant.employ(User("svc@example.com", "svc@example.com"))
        self.entra = SimulatedEntra(self.tenant, clock=self.clock)
        self.entra.grants.assertions.issuers[self.issuer.url] = self.issuer
        self.session: aiohttp.ClientSession

    @property
    def token_url(self) -> str:
        return f"{self.entra.base_url}/{TENANT}/oauth2/v2.0/token"

    def assertion(
        self,
        claims: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        *,
        algorithm: str = "PS256",
        key: RSAPrivateKey | str | None = None,
    ) -> str:
        """A proof by certificate; None drops a claim or a header."""
        now = int(self.clock.now().timestamp())
        told = {
            "aud": self.token_url,
            "iss": APP,
            "sub": APP,
            "nbf": now,
            "exp": now + 600,
            "jti": str(uuid.uuid4()),
        } | (claims or {})
        names = {"x5t#S256": self.own.thumbprint(hashes.SHA256())} | (headers or {})
        return jwt.encode(
            {name: value for name, value in told.items() if value is not None},
            self.own.key if key is None else key,
            algorithm=algorithm,
            headers={name: value for name, value in names.items() if value is not None},
        )

    async def post(
        self, path: str, form: dict[str, str | None], headers: dict[str, str] | None = None
    ) -> Answer:
        """None leaves a parameter out."""
        data = {name: value for name, value in form.items() if value is not None}
        url = f"{self.entra.base_url}/{path}"
        async with self.session.post(url, data=data, headers=headers) as answer:
            return Answer(answer.status, await answer.json(), dict(answer.headers))

    async def ask(self, tenant: str = TENANT, **changes: str | None) -> Answer:
        """A token for the application by its secret, or what comes of another request."""
        form: dict[str, str | None] = {
            "grant_type": "client_credentials",
            "client_id": APP,
            "client_secret": SECRET,
            "scope": EWS_SCOPE,
        }
        return await self.post(f"{tenant}/oauth2/v2.0/token", form | changes)

    async def ask_assertion(self, assertion: str, **changes: str | None) -> Answer:
        """The same by an assertion."""
        proof = {"client_assertion_type": JWT_BEARER, "client_assertion": assertion, "client_secret": None}
        return await self.ask(TENANT, **(proof | changes))

    async def begin_device(self, tenant: str = TENANT, **changes: str | None) -> Answer:
        form: dict[str, str | None] = {"client_id": PUBLIC_APP, "scope": USER_SCOPE}
        return await self.post(f"{tenant}/oauth2/v2.0/devicecode", form | changes)

    async def poll(self, device_code: str, tenant: str = TENANT, **changes: str | None) -> Answer:
        form: dict[str, str | None] = {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "client_id": PUBLIC_APP,
            "device_code": device_code,
        }
        return await self.post(f"{tenant}/oauth2/v2.0/token", form | changes)

    async def sign_in(self, tenant: str = TENANT, scope: str = USER_SCOPE) -> Answer:
        """The whole sign-in of the user on a device."""
        begun = (await self.begin_device(tenant, scope=scope)).told
        self.entra.enter_code(begun["user_code"], self.user.upn)
        return await self.poll(begun["device_code"], tenant)

    async def refresh(self, token: str, tenant: str = TENANT, **changes: str | None) -> Answer:
        form: dict[str, str | None] = {
            "grant_type": "refresh_token",
            "client_id": PUBLIC_APP,
            "refresh_token": token,
            "scope": USER_SCOPE,
        }
        return await self.post(f"{tenant}/oauth2/v2.0/token", form | changes)


Kind = TypeVar("Kind", bound=House)


@asynccontextmanager
async def opened(
    folder: Path, make: Callable[[Path, datetime | None], Kind], now: datetime | None = None
) -> AsyncIterator[Kind]:
    """A house whose provider listens."""
    house = make(folder, now)
    await house.entra.start(house.certificates.for_server())
    connector = aiohttp.TCPConnector(ssl=house.certificates.for_client())
    try:
        async with aiohttp.ClientSession(connector=connector) as session:
            house.session = session
            yield house
    finally:
        await house.entra.stop()
