"""NTLM over HTTP: the handshake that signs in a connection (MS-NTHT, MS-NLMP), through pyspnego.

Two rounds on one connection: NEGOTIATE (without the body, it would be thrown away) brings a CHALLENGE,
AUTHENTICATE goes with the request itself; from then on the connection is signed in and requests go bare.
Extended Protection, on by default from Exchange 2019 CU14, wants the AUTHENTICATE bound to the TLS
connection: the hash of the server's certificate goes into it (`tls-server-end-point`, RFC 5929).
"""

from __future__ import annotations

import binascii
import logging
import struct
from base64 import b64decode, b64encode

import spnego
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.transport.authentication import UNAUTHORIZED, SignIn, find_schemes
from presenced.calendars.transport.gate import Gate
from presenced.calendars.transport.lanes import Answer, Lane, Request

logging.getLogger("spnego").setLevel(logging.INFO)
# its debug log holds the tokens, from which a password can be guessed

_MOST_HANDSHAKES = 4
_MOST_HOSTS = 64


class Ntlm(SignIn):
    """Signs in connections; as `NTLM`, or as `Negotiate` where only that is offered (SSPI takes both)."""

    scheme = "NTLM"
    pinned = True
    knocks = True

    def __init__(self, gate: Gate, user: str, password: str, *, plain_loopback: bool = False) -> None:
        super().__init__(gate, account=user, plain_loopback=plain_loopback)
        self._credential = spnego.Password(user, password)
        self._templates: dict[str, spnego.ContextProxy] = {}
        self._schemes: dict[str, str] = {}

    async def _attempt(self, lane: Lane, request: Request, *, proving: bool = False) -> Answer:
        for _ in range(_MOST_HANDSHAKES):
            if lane.is_signed(request.origin):
                answer = await lane.open(request)
                if answer.status != UNAUTHORIZED:
                    return answer
                await answer.drain()
                lane.signed.pop(request.origin, None)
            shaken = await self._shake_hands(lane, request)
            if shaken is not None:
                return shaken
        raise CarrierProblem(
            "broken",
            f"{request.origin} closes the connection in the middle of each NTLM sign-in",
            remedy="look for a proxy or load balancer between that does not keep connections together",
        )

    async def _shake_hands(self, lane: Lane, request: Request) -> Answer | None:
        """The answer to the request, or to the step that failed; None: start again on another connection."""
        origin = request.origin
        scheme = self._schemes.get(origin, self.scheme)
        context = self._new_context(origin)
        hello = await lane.open(request, authorization=_encode(scheme, context.step()), empty=True)
        if hello.status != UNAUTHORIZED:
            await hello.drain()
            return await lane.open(request)  # nobody is asked for a sign-in here
        await hello.drain()
        challenge = _find_challenge(hello, scheme)
        if not challenge:
            offered = find_schemes(hello.challenges)
            if "negotiate" in offered and "ntlm" not in offered and scheme == self.scheme:
                self._schemes[origin] = "Negotiate"
                return None
            return hello
        authenticate = respond(context, challenge, hello.certificate(), origin)
        answer = await lane.open(request, authorization=_encode(scheme, authenticate))
        if answer.connection is not hello.connection:
            answer.close()
            return None
        if answer.status != UNAUTHORIZED:
            lane.sign(origin, answer.connection)
        return answer

    def _is_proof(self, lane: Lane, request: Request, answer: Answer) -> bool:
        return lane.signed.get(request.origin) is answer.connection and super()._is_proof(
            lane, request, answer
        )

    def _offers(self, offered: frozenset[str]) -> bool:
        return bool(offered & {"ntlm", "negotiate"})

    def _refusal(self, answer: Answer, request: Request) -> CarrierProblem:
        return CarrierProblem(
            "sign-in",
            f"{request.origin} refused user and password of {self._account} (NTLM)",
            remedy="check user (DOMAIN\\name or name@domain) and password in [exchange], whether the account "
            "is locked, disabled or expired, and, where a load balancer ends TLS with another certificate "
            "than Exchange has, that Extended Protection is off",
        )

    def _new_context(self, origin: str) -> spnego.ContextProxy:
        template = self._templates.get(origin)
        if template is None:
            if len(self._templates) >= _MOST_HOSTS:
                self._templates.clear()
            host = origin.partition("://")[2].rpartition(":")[0]
            template = self._templates[origin] = spnego.client(
                self._credential,
                hostname=host,
                service="HTTP",
                protocol="ntlm",
                options=spnego.NegotiateOptions.use_ntlm,
            )
        return template.new_context()


def respond(context: spnego.ContextProxy, challenge: bytes, certificate: bytes | None, origin: str) -> bytes:
    """The AUTHENTICATE to a CHALLENGE; CarrierProblem("sign-in") where that is no CHALLENGE."""
    try:
        return context.step(challenge, channel_bindings=bind(certificate)) or b""
    except (SpnegoError, ValueError, LookupError, ArithmeticError, struct.error) as problem:
        # pyspnego's reader raises whatever the octets make it stumble over
        raise CarrierProblem("sign-in", f"{origin} sent an NTLM challenge that cannot be read") from problem


def bind(certificate: bytes | None) -> GssChannelBindings | None:
    """The channel bindings of a TLS connection to the server with this certificate (DER); None without TLS.

    RFC 5929 section 4.1: the hash is that of the certificate's signature, SHA-256 in place of MD5 and
    SHA-1, and where the signature has none of its own.
    """
    if certificate is None:
        return None
    algorithm: hashes.HashAlgorithm | None
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        algorithm = None
    if algorithm is None or isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate)
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest.finalize())


def _encode(scheme: str, token: bytes | None) -> str:
    return f"{scheme} {b64encode(token or b'').decode()}"


def _find_challenge(answer: Answer, scheme: str) -> bytes:
    for challenge in answer.challenges:
        name, _, token = challenge.partition(" ")
        if name.casefold() == scheme.casefold() and token.strip():
            try:
                return b64decode(token.strip(), validate=True)
            except binascii.Error:
                return b""
    return b""
