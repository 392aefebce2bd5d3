"""Keys, certificates and tokens of other identity providers, for tests of the sign-in."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

START = datetime(2020, 1, 1, tzinfo=UTC)
END = datetime(2099, 1, 1, tzinfo=UTC)


@lru_cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key for each name; they take their time to make."""
    return rsa.generate_private_key(65537, bits)


@lru_cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, start: datetime = START, end: datetime = END
) -> x509.Certificate:
    """Self-signed, as an app's certificate usually is."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "presenced")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 4711, start, end)
    return builder.sign(key, hashes.SHA256())


def key_pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: str = "", *, old: bool = False
) -> bytes:
    kind = PrivateFormat.TraditionalOpenSSL if old else PrivateFormat.PKCS8
    return key.private_bytes(Encoding.PEM, kind, _locked(password))


def cert_pem(cert: x509.Certificate) -> bytes:
    return cert.public_bytes(Encoding.PEM)


def pfx(key: rsa.RSAPrivateKey, cert: x509.Certificate | None, password: str = "") -> bytes:
    return pkcs12.serialize_key_and_certificates(b"presenced", key, cert, None, _locked(password))


def _locked(password: str) -> KeySerializationEncryption:
    return BestAvailableEncryption(password.encode()) if password else NoEncryption()


def signed_jwt(key: rsa.RSAPrivateKey, claims: Mapping[str, object]) -> str:
    """A JWT signed with RS256, as a Kubernetes cluster hands one out."""
    head = f"{encode({'alg': 'RS256', 'typ': 'JWT'})}.{encode(claims)}"
    signature = key.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{head}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def encode(claims: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def claims_of(token: str) -> dict[str, Any]:
    """What a JWT says; nobody looks at its signature."""
    claims: dict[str, Any] = json.loads(decode(token.split(".")[1]))
    return claims


def workload_claims(**more: object) -> dict[str, object]:
    """What the token of a workload says that Entra is to trust."""
    now = datetime.now(UTC)  # whoever checks it goes by the real time
    return {
        "iss": "https://cluster.example/",
        "sub": "system:serviceaccount:pbx:presenced",
        "aud": "api://AzureADTokenExchange",
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(hours=1)).timestamp()),
        **more,
    }
