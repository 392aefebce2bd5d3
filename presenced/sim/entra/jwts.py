"""JSON Web Tokens signed with RSA: the one place that knows the library for them.

Times in a token are left to the callers, who hold them against the simulators' clock; the library would ask
the machine's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

ALGORITHMS = ("RS256", "PS256")
_SIGNATURE_ONLY = jwt.types.Options(
    verify_signature=True,
    verify_exp=False,
    verify_nbf=False,
    verify_iat=False,
    verify_aud=False,
    verify_iss=False,
    verify_sub=False,
    verify_jti=False,
)


class Unreadable(Exception):
    """Not a token at all, or signed in a way that is not accepted."""


class WrongSignature(Exception):
    """The signature is not that of the key."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says, before anybody looked whether it is true."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


def sign(
    claims: Mapping[str, Any],
    key: RSAPrivateKey,
    *,
    algorithm: str = "RS256",
    headers: Mapping[str, Any] | None = None,
) -> str:
    """The compact token."""
    return jwt.encode(dict(claims), key, algorithm=algorithm, headers=dict(headers or {}))


def read(token: str) -> Unverified:
    """Header and claims of a token signed with RS256 or PS256; raises Unreadable."""
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError) as error:
        raise Unreadable(f"Not a JSON Web Token: {error}") from None
    if parts["header"].get("alg") not in ALGORITHMS:
        raise Unreadable(f"Signed with {parts['header'].get('alg')!r}, not with one of {ALGORITHMS}")
    return Unverified(parts["header"], parts["payload"])


def verify(token: str, key: RSAPublicKey, algorithms: Sequence[str] = ALGORITHMS) -> Mapping[str, Any]:
    """The claims, signed by this key; raises WrongSignature."""
    try:
        return jwt.decode(token, key, algorithms=list(algorithms), options=_SIGNATURE_ONLY)
    except jwt.PyJWTError as error:
        raise WrongSignature(str(error)) from None


def public_key_record(key: RSAPublicKey, identifier: str, certificate: Certificate | None) -> dict[str, Any]:
    """The key as a JSON Web Key (RFC 7517), with its certificate where there is one."""
    record: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key))
    record |= {"use": "sig", "kid": identifier}
    record.pop("key_ops", None)
    if certificate is not None:
        record["x5t"] = identifier
        record["x5c"] = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()]
    return record
