"""The accepting side of an NTLM handshake, raw or inside SPNEGO, for one TCP connection.

pyspnego does the cryptography (MS-NLMP); what IIS adds is here: whom a client claims to be is looked up among
the simulated accounts, and Extended Protection is tried against the certificate of the TLS channel (RFC 5929
`tls-server-end-point`). pyspnego's acceptor takes a client that sent no channel binding for one that agrees
(MS-NLMP 3.2.5.1.2 allows both), so whether a binding was sent is read from the message itself.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import spnego
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from spnego.channel_bindings import GssChannelBindings

_AUTHENTICATE = b"NTLMSSP\x00\x03\x00\x00\x00"
_UNICODE = 0x00000001
_AV_END, _AV_CHANNEL_BINDINGS = 0, 10
# NTLMv2_RESPONSE: 16 bytes of proof, then NTLMv2_CLIENT_CHALLENGE with 28 bytes before its AvPairs
_NTLM_V1_LENGTH, _AV_PAIRS = 24, 44
_NO_BINDING = bytes(16)
_MAX_TOKEN = 16384
_PROTOCOLS = {
    "ntlm": ("ntlm", spnego.NegotiateOptions.use_ntlm),
    "negotiate": ("negotiate", spnego.NegotiateOptions.use_negotiate),
}


class ExtendedProtection(StrEnum):
    """Exchange's setting ExtendedProtectionTokenChecking."""

    NONE = "none"
    ALLOW = "allow"
    """a binding is checked where the client sends one"""
    REQUIRE = "require"
    """the default from Exchange 2019 CU14 on"""


class NotAccepted(Exception):
    """The handshake failed; the text says why, for the simulator's own record."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an AUTHENTICATE_MESSAGE says about its sender (MS-NLMP 2.2.1.3)."""

    domain: str
    user: str
    binding: bytes
    """MD5 of the channel bindings, b"" where the client sent none"""


def read_claim(token: bytes) -> Claim | None:
    """The claim in a token, also where SPNEGO is wrapped around it; None if it isn't the third message."""
    at = token.find(_AUTHENTICATE)
    if at < 0:
        return None
    message = token[at:]
    if len(message) < 64:
        raise NotAccepted("the AUTHENTICATE_MESSAGE is shorter than its fixed part")
    encoding = "utf-16-le" if struct.unpack_from("<I", message, 60)[0] & _UNICODE else "latin-1"
    response = _field(message, 20)
    return Claim(
        domain=_field(message, 28).decode(encoding, "replace"),
        user=_field(message, 36).decode(encoding, "replace"),
        binding=_binding(response) if len(response) > _NTLM_V1_LENGTH else b"",
    )


def _field(message: bytes, at: int) -> bytes:
    length, _, offset = struct.unpack_from("<HHI", message, at)
    if offset + length > len(message):
        raise NotAccepted("a field of the AUTHENTICATE_MESSAGE points outside of it")
    return message[offset : offset + length]


def _binding(response: bytes) -> bytes:
    """The value of MsvAvChannelBindings (MS-NLMP 2.2.2.1); sixteen zeros are as good as none."""
    at = _AV_PAIRS
    while at + 4 <= len(response):
        kind, length = struct.unpack_from("<HH", response, at)
        if kind == _AV_END:
            break
        if kind == _AV_CHANNEL_BINDINGS:
            value = response[at + 4 : at + 4 + length]
            return b"" if value == _NO_BINDING else value
        at += 4 + length
    return b""


def server_end_point(certificate: bytes) -> bytes:
    """The channel binding data of a server's certificate (DER), RFC 5929 section 4.1."""
    algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    if algorithm is None or isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate)
    return b"tls-server-end-point:" + digest.finalize()


class Handshake:
    """One handshake: tokens in, tokens out, at the end `claim` is proved.

    `password_of(domain, user)` gives a known account's password, None for an unknown one. `end_point` is what
    `server_end_point` gives for the channel, None on plain TCP.
    """

    def __init__(
        self,
        scheme: str,
        password_of: Callable[[str, str], str | None],
        *,
        end_point: bytes | None = None,
        protection: ExtendedProtection = ExtendedProtection.ALLOW,
    ) -> None:
        # the options keep to the library's own Python code, whatever GSSAPI the machine has
        self._protocol, self._options = _PROTOCOLS[scheme.lower()]
        self._password_of = password_of
        self._end_point = end_point
        self._protection = protection
        self._context: spnego.ContextProxy | None = None
        self.claim: Claim | None = None

    @property
    def complete(self) -> bool:
        """Whether the client proved its claim."""
        return self._context is not None and bool(self._context.complete)

    def step(self, token: bytes) -> bytes:
        """Take the client's token, give ours (b"" where there is nothing to say); raises NotAccepted."""
        if len(token) > _MAX_TOKEN:
            raise NotAccepted("the token is longer than any NTLM token")
        claim = read_claim(token)
        line = "" if claim is None else self._credential(claim)
        self.claim = claim or self.claim
        bindings = self._bindings() if claim is not None and claim.binding else None
        try:
            with _credential_file(line):
                if self._context is None:
                    self._context = spnego.server(protocol=self._protocol, options=self._options)
                return self._context.step(token, channel_bindings=bindings) or b""
        except Exception as refusal:  # a wrong token may break the library in any way; all of them mean 401
            raise NotAccepted(f"{type(refusal).__name__}: {refusal}") from refusal

    def _bindings(self) -> GssChannelBindings | None:
        if self._end_point is None or self._protection is ExtendedProtection.NONE:
            return None
        return GssChannelBindings(application_data=self._end_point)

    def _credential(self, claim: Claim) -> str:
        """The line of the credential file against which this claim is to be tried."""
        if self._protection is ExtendedProtection.REQUIRE and not (claim.binding and self._end_point):
            raise NotAccepted("Extended Protection is required and there is no channel binding")
        password = self._password_of(claim.domain, claim.user)
        if password is None:
            raise NotAccepted("unknown account")
        line = f"{claim.domain}:{claim.user}:{password}"
        if line.count(":") != 2 or len(line.splitlines()) != 1:
            raise NotAccepted("a colon or line end in a name or password doesn't fit a credential file")
        return line


@contextmanager
def _credential_file(line: str) -> Iterator[None]:
    """Point pyspnego's acceptor at a private file (0600) that holds one credential, for one step only.

    The library knows no other way than this variable of the environment.
    """
    before = os.environ.get("NTLM_USER_FILE")
    with tempfile.NamedTemporaryFile(prefix="simulated-ntlm-") as file:
        file.write(line.encode())
        file.flush()
        os.environ["NTLM_USER_FILE"] = file.name
        try:
            yield
        finally:
            if before is None:
                del os.environ["NTLM_USER_FILE"]
            else:
                os.environ["NTLM_USER_FILE"] = before
