"""Proofs of an application without a secret: a token it signed itself, or one of a trusted issuer.

Source: "Microsoft identity platform application authentication certificate credentials", "Workload identity
federation", RFC 7523 section 3.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from presenced.sim.entra import jwts
from presenced.sim.entra.faults import EntraFaults
from presenced.sim.entra.federation import WorkloadIssuer
from presenced.sim.entra.refusals import Refused
from presenced.sim.entra.tenants import Application

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
NOT_FOUND = "The key was not found."
EXPIRED = "The key used is expired."
WRONG_SIGNATURE = "The provided signature value did not match the expected signature value."


class Assertions:
    """Checks proofs; remembers which were shown before."""

    def __init__(self, faults: EntraFaults) -> None:
        self.issuers: dict[str, WorkloadIssuer] = {}
        """issuer URL -> who it is; the keys of others can't be fetched"""
        self._faults = faults
        self._shown: dict[tuple[str, str], datetime] = {}

    def check(
        self, application: Application, assertion: str, audiences: frozenset[str], now: datetime
    ) -> str:
        """Raises Refused unless the assertion proves the application; says how: `certificate`, `federated`.

        `audiences` are the names under which this endpoint may be meant.
        """
        try:
            token = jwts.read(assertion)
        except jwts.Unreadable as error:
            raise Refused(50027, error) from None
        issuer = str(token.claims.get("iss", ""))
        if "://" in issuer:
            self._check_federated(application, assertion, token, issuer, now)
            return "federated"
        self._check_certified(application, assertion, token, audiences, now)
        return "certificate"

    def _check_certified(
        self,
        application: Application,
        assertion: str,
        token: jwts.Unverified,
        audiences: frozenset[str],
        now: datetime,
    ) -> None:
        claims = token.claims
        if {claims.get("iss"), claims.get("sub")} != {application.client_id}:
            raise Refused(700021)
        certificate, thumbprint = _signer(token.header, application)
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            raise Refused(700027, EXPIRED, thumbprint)
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise Refused(700027, NOT_FOUND, thumbprint)
        try:
            jwts.verify(assertion, key)
        except jwts.WrongSignature:
            raise Refused(700027, WRONG_SIGNATURE, thumbprint) from None
        if claims.get("aud") not in audiences:
            raise Refused(700023)
        self._check_times(claims, now)
        self._check_first_showing(application, claims, now)

    def _check_federated(
        self, application: Application, assertion: str, token: jwts.Unverified, issuer: str, now: datetime
    ) -> None:
        if not application.federated:
            raise Refused(70025, application.client_id, application.name)
        records = [record for record in application.federated if record.issuer == issuer]
        if not records or issuer not in self.issuers:
            raise Refused(700211, issuer)
        subject = token.claims.get("sub")
        records = [record for record in records if record.subject == subject]
        if not records:
            raise Refused(700213, subject)
        told = token.claims.get("aud")
        audiences = {told} if isinstance(told, str) else set(told or ())
        if not any(record.audience in audiences for record in records):
            raise Refused(700212, told)
        try:
            jwts.verify(assertion, self.issuers[issuer].public_key)
        except jwts.WrongSignature:
            raise Refused(50013, WRONG_SIGNATURE) from None
        self._check_times(token.claims, now)

    def _check_times(self, claims: Mapping[str, Any], now: datetime) -> None:
        begins, ends = claims.get("nbf", 0), claims.get("exp")
        if not isinstance(ends, int | float) or not isinstance(begins, int | float):
            raise Refused(50027, "There is no expiry time.")
        slack, moment = self._faults.tolerance.total_seconds(), now.timestamp()
        if not begins - slack <= moment < ends + slack:
            raise Refused(700024, _stamp(moment), _stamp(begins), _stamp(ends))

    def _check_first_showing(
        self, application: Application, claims: Mapping[str, Any], now: datetime
    ) -> None:
        name = claims.get("jti")
        if not isinstance(name, str) or not name:
            raise Refused(50027, "There is no jti.")
        self._shown = {shown: ends for shown, ends in self._shown.items() if ends > now}
        shown = (application.client_id, name)
        if shown in self._shown and self._faults.single_use_assertions:
            raise Refused(50027, "The jti was presented before.")
        ends = datetime.fromtimestamp(claims["exp"], UTC)
        self._shown[shown] = ends + self._faults.tolerance


def _signer(header: Mapping[str, Any], application: Application) -> tuple[Certificate, str]:
    """The registered certificate the header names, by each way it names one; and its thumbprint in hex."""
    ways = {
        "x5t#S256": (hashes.SHA256(), _decoded(header.get("x5t#S256"))),
        "x5t": (hashes.SHA1(), _decoded(header.get("x5t"))),  # noqa: S303 (what the header is made of)
    }
    leaf = _leaf(header.get("x5c"))
    told = next((print_.hex().upper() for _, print_ in ways.values() if print_), "")
    if not told and leaf is None:
        raise Refused(700027, NOT_FOUND, told)
    for certificate in application.certificates:
        named = all(
            print_ is None or certificate.fingerprint(algorithm) == print_
            for algorithm, print_ in ways.values()
        )
        if named and leaf in {None, certificate.public_bytes(Encoding.DER)}:
            return certificate, told or certificate.fingerprint(hashes.SHA256()).hex().upper()
    raise Refused(700027, NOT_FOUND, told)


def _leaf(chain: object) -> bytes | None:
    """The client's own certificate (DER) out of its chain; msal leaves the line breaks of PEM in it."""
    if chain is None:
        return None
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], str):
        raise Refused(50027, "The chain is no list of certificates.")
    try:
        return base64.b64decode(chain[0])
    except binascii.Error:
        raise Refused(50027, "The chain is not base64.") from None


def _decoded(print_: object) -> bytes | None:
    """A thumbprint out of base64url, with or without padding; None where there is none."""
    if print_ is None:
        return None
    try:
        return base64.urlsafe_b64decode(str(print_).rstrip("=") + "==")
    except binascii.Error:
        raise Refused(50027, "The thumbprint is not base64url.") from None


def _stamp(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
