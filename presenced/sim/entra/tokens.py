"""Access tokens: made and signed for one resource, and looked at by that resource.

Exchange and Graph take tokens of version 1.0 (issuer sts.windows.net, `appid`, `scp` or `roles`). A resource
looks at signature, audience and times, and hears of revocations (continuous access evaluation); a client that
said it understands is then told with a claims challenge what the next token must have.
Source: "Access token claims reference", "Claims challenges, claims requests and client capabilities".
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from presenced.core.ports import Clock
from presenced.sim.entra import jwts
from presenced.sim.entra.asking import Asked, ClaimsRequest
from presenced.sim.entra.faults import EntraFaults
from presenced.sim.entra.tenants import RESOURCES, Application, Tenant, User

ISSUER = "https://sts.windows.net/{}/"
ACR = {"": "0", "secret": "1", "certificate": "2", "federated": "2"}
"""claim `appidacr` by the way the application proved itself"""


class TokenRejected(Exception):
    """The resource doesn't take the token; `claims` is the challenge for the next one, "" for none."""

    def __init__(self, reason: str, claims: str = "") -> None:
        super().__init__(reason)
        self.claims = claims

    def challenge(self, authority: str) -> str:
        """The header WWW-Authenticate of the resource's 401; `authority` is the provider's base URL."""
        words = f'Bearer realm="", authorization_uri="{authority}/common/oauth2/authorize", error='
        if not self.claims:
            return f'{words}"invalid_token", error_description="{self}"'
        return f'{words}"insufficient_claims", claims="{base64.b64encode(self.claims.encode()).decode()}"'


@dataclass(frozen=True, slots=True)
class Granted:
    """What a good token allows."""

    client_id: str
    tenant_id: str
    roles: frozenset[str]
    scopes: frozenset[str]
    upn: str
    """of the user acted for, "" for an application on its own"""
    ends: datetime


@dataclass(frozen=True, slots=True)
class Bearer:
    """For whom a token is made."""

    tenant: Tenant
    application: Application
    user: User | None = None
    proof: str = ""


class _SigningKey:
    """A key with a certificate around it, as the real service publishes them."""

    def __init__(self, now: datetime) -> None:
        self.private: RSAPrivateKey = generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "accounts.accesscontrol.windows.net")])
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=3650))
            .sign(self.private, hashes.SHA256())
        )
        print_ = self.certificate.fingerprint(hashes.SHA1())  # noqa: S303 (that is what a kid is here)
        self.identifier = base64.urlsafe_b64encode(print_).decode().rstrip("=")


class Tokens:
    """Makes tokens, and is asked about them by the resources they are for."""

    def __init__(self, clock: Clock, faults: EntraFaults) -> None:
        self.life = timedelta(seconds=3599)
        self.long_life = timedelta(hours=24)
        """for clients that understand claims challenges: their tokens can be revoked at once"""
        self.demanded_context = ""
        """authentication context (`acrs`) that resources demand of clients who understand challenges"""
        self._clock = clock
        self._faults = faults
        self._made_keys: list[_SigningKey] = []
        self._open: dict[str, tuple[str, str, datetime]] = {}
        """token id -> application, user and end"""
        self._revoked: set[str] = set()

    @property
    def now(self) -> datetime:
        """The provider's own time, which may be off."""
        return self._clock.now() + self._faults.skew

    @property
    def _keys(self) -> list[_SigningKey]:
        """The newest first; the first one is made when it is needed, as that takes a while."""
        if not self._made_keys:
            self._made_keys = [_SigningKey(self._clock.now())]
        return self._made_keys

    def change_keys(self) -> None:
        """Sign with a new key from now on; the last one is still published."""
        self._made_keys = [_SigningKey(self._clock.now()), self._keys[0]]

    def key_records(self) -> list[dict[str, Any]]:
        """The public keys, as JSON Web Keys."""
        return [
            jwts.public_key_record(key.private.public_key(), key.identifier, key.certificate)
            for key in self._keys
        ]

    def make(
        self, bearer: Bearer, asked: Asked, names: frozenset[str], claims: ClaimsRequest
    ) -> tuple[str, timedelta]:
        """An access token with these permissions, and how long it lives."""
        application, tenant, user = bearer.application, bearer.tenant, bearer.user
        now = self.now
        life = self.long_life if claims.knows_challenges else self.life
        identifier = uuid.uuid4().hex
        told: dict[str, Any] = {
            "aud": asked.audience,
            "iss": ISSUER.format(tenant.tenant_id),
            **_times(now, now + life),
            "app_displayname": application.name,
            "appid": application.client_id,
            "appidacr": ACR[bearer.proof],
            "tid": tenant.tenant_id,
            "uti": identifier,
            "ver": "1.0",
        }
        if claims.knows_challenges:
            told["xms_cc"] = ["cp1"]
        if claims.context:
            told["acrs"] = [claims.context]
        if user is None:
            told |= {"idtyp": "app", "oid": application.object_id, "sub": application.object_id}
            if names:
                told["roles"] = sorted(names)
        else:
            told |= {"idtyp": "user", "oid": user.object_id, "sub": user.object_id, "upn": user.upn}
            told |= {"unique_name": user.upn, "scp": " ".join(sorted(names))}
        self._open = {key: kept for key, kept in self._open.items() if kept[2] > self._clock.now()}
        self._revoked &= self._open.keys()
        self._open[identifier] = (application.client_id, user.upn if user else "", now + life)
        return self._sign(told), life

    def make_identity(self, bearer: Bearer, user: User, issuer: str) -> str:
        """An ID token: who signed in."""
        now = self.now
        return self._sign(
            {
                "aud": bearer.application.client_id,
                "iss": issuer,
                **_times(now, now + self.life),
                "name": user.upn.partition("@")[0],
                "oid": user.object_id,
                "preferred_username": user.upn,
                "sub": f"{user.object_id}:{bearer.application.client_id}",
                "tid": bearer.tenant.tenant_id,
                "uti": uuid.uuid4().hex,
                "ver": "2.0",
            }
        )

    def _sign(self, claims: Mapping[str, Any]) -> str:
        key = self._keys[0]
        return jwts.sign(claims, key.private, headers={"kid": key.identifier, "x5t": key.identifier})

    def revoke(self, *, client_id: str = "", upn: str = "") -> int:
        """Access tokens given out so far to this application or user (to all without) are void; how many."""
        gone = {
            identifier
            for identifier, (application, user, _) in self._open.items()
            if client_id in {"", application} and upn in {"", user}
        }
        self._revoked |= gone
        return len(gone)

    def inspect(self, token: str, resource: str) -> Granted:
        """What the token allows at this resource (its identifier); raises TokenRejected."""
        claims = self._verified(token)
        here = next(known for known in RESOURCES if known.identifier == resource)
        if claims.get("aud") not in {here.identifier, here.app_id}:
            raise TokenRejected("The audience of the token is wrong.")
        now = self._clock.now()
        if datetime.fromtimestamp(claims["exp"], UTC) <= now:
            raise TokenRejected("The token has expired.")
        if datetime.fromtimestamp(claims["nbf"], UTC) > now + self._faults.tolerance:
            raise TokenRejected("The token is not valid yet.")
        knows = "cp1" in claims.get("xms_cc", [])
        if claims["uti"] in self._revoked:
            wanted = {"nbf": {"essential": True, "value": str(int(now.timestamp()))}}
            raise TokenRejected("The token was revoked.", _claims_request(wanted) if knows else "")
        if knows and self.demanded_context and self.demanded_context not in claims.get("acrs", []):
            wanted = {"acrs": {"essential": True, "value": self.demanded_context}}
            raise TokenRejected("The token lacks an authentication context.", _claims_request(wanted))
        return Granted(
            claims["appid"],
            claims["tid"],
            frozenset(claims.get("roles", ())),
            frozenset(claims.get("scp", "").split()),
            claims.get("upn", ""),
            datetime.fromtimestamp(claims["exp"], UTC),
        )

    def _verified(self, token: str) -> Mapping[str, Any]:
        try:
            header = jwts.read(token).header
        except jwts.Unreadable:
            raise TokenRejected("The token is malformed.") from None
        for key in self._keys:
            if key.identifier == header.get("kid"):
                try:
                    return jwts.verify(token, key.private.public_key(), ["RS256"])
                except jwts.WrongSignature:
                    break
        raise TokenRejected("The token has an invalid signature.")


def _times(begin: datetime, end: datetime) -> dict[str, int]:
    return {"iat": int(begin.timestamp()), "nbf": int(begin.timestamp()), "exp": int(end.timestamp())}


def _claims_request(wanted: Mapping[str, Any]) -> str:
    return json.dumps({"access_token": wanted}, separators=(",", ":"))
