"""How an app proves who it is: client secret, certificate, or a token another provider keeps fresh.

Files are read anew for every token, so that a renewed certificate or a rotated token file is taken
without a restart, and their passwords and mistakes are told in our words before Entra is asked. A PEM
file and a PFX file come out the same: key, certificate of that key, dates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs12

from presenced.calendars.signin.problems import SignInProblem
from presenced.config.settings import ExchangeSettings, Secret

_LARGEST = 1 << 20
_SMALLEST_KEY = 2048
"""bits; Entra takes no smaller RSA key, and no other kind"""
_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """The Value of a client secret; Entra alone knows when it expires."""

    value: Secret
    kind: str = "client secret"


@dataclass(frozen=True, slots=True, repr=False)
class Certificate:
    """A certificate and its key."""

    key: RSAPrivateKey
    pem: str
    """the certificate alone"""
    valid_from: datetime
    valid_until: datetime
    path: Path
    kind: str = "certificate"


@dataclass(frozen=True, slots=True)
class FederatedToken:
    """A token of another identity provider that Entra takes in place of a secret."""

    value: Secret
    kind: str = "federated token"


Credential = ClientSecret | Certificate | FederatedToken


def read_credential(settings: ExchangeSettings) -> Credential:
    """What these settings name, whatever its dates; blocks on the disk. Raises SignInProblem."""
    if settings.certificate is not None:
        return read_certificate(settings)
    if settings.federated_token_file is not None:
        return FederatedToken(_read_token(settings.federated_token_file))
    if not settings.client_secret:
        raise SignInProblem(
            "there is no credential for the app",
            remedy="set client_secret, certificate or federated_token_file in [exchange]",
            lasting=True,
        )
    return ClientSecret(settings.client_secret)


def check_dates(credential: Credential, now: datetime) -> None:
    """Raise SignInProblem where Entra would refuse the credential at this time, as far as we can know."""
    if not isinstance(credential, Certificate):
        return
    path = credential.path
    if now >= credential.valid_until:
        day = credential.valid_until.date().isoformat()
        raise _unfit(
            f"the certificate in {path} expired on {day}",
            "make a new one, upload it under Certificates & secrets of the app and put it into the file",
        )
    if now < credential.valid_from:
        day = credential.valid_from.date().isoformat()
        raise _unfit(f"the certificate in {path} is valid only from {day}", "check the clock of this machine")


def read_certificate(settings: ExchangeSettings) -> Certificate:
    """Key and certificate from a PEM or PFX file, whatever their dates. Raises SignInProblem."""
    if settings.certificate is None:
        raise ValueError("no certificate is set")
    path, password = settings.certificate, settings.certificate_password
    data = _read(path, "certificate")
    key, candidates = (_open_pem if b"-----BEGIN" in data else _open_pfx)(data, path, password)
    if not isinstance(key, RSAPrivateKey) or key.key_size < _SMALLEST_KEY:
        raise _unfit(
            f"{path} holds no RSA key of {_SMALLEST_KEY} bits or more", "make a certificate with one"
        )
    own = key.public_key()
    leaf = next((each for each in candidates if each.public_key() == own), None)
    if leaf is None:
        raise _unfit(
            f"{path} holds no certificate for its key", "put the key and its certificate into one file"
        )
    return Certificate(
        key,
        leaf.public_bytes(Encoding.PEM).decode(),
        leaf.not_valid_before_utc,
        leaf.not_valid_after_utc,
        path,
    )


def _open_pem(data: bytes, path: Path, password: Secret) -> tuple[object, list[x509.Certificate]]:
    block = _KEY.search(data)
    if block is None:
        raise _unfit(
            f"{path} holds no private key", "put the key and its certificate into one PEM file, or name a PFX"
        )
    encrypted = b"ENCRYPTED" in block[0]
    if encrypted and not password:
        raise _unfit(f"the key in {path} is encrypted", "set certificate_password")
    try:
        key = load_pem_private_key(block[0] + b"\n", password.reveal().encode() if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unfit(
            f"the key in {path} can't be opened",
            "check certificate_password" if encrypted else "check whether the file is whole",
        ) from None
    try:
        return key, x509.load_pem_x509_certificates(data)
    except ValueError:
        raise _unfit(
            f"{path} holds no certificate", "put the key and its certificate into one file"
        ) from None


def _open_pfx(data: bytes, path: Path, password: Secret) -> tuple[object, list[x509.Certificate]]:
    try:
        key, leaf, others = pkcs12.load_key_and_certificates(
            data, password.reveal().encode() if password else None
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unfit(
            f"{path} can't be opened",
            "check certificate_password, and that it is a PEM or PFX file (a very old PFX: export it again "
            "with AES)",
        ) from None
    return key, ([leaf] if leaf is not None else []) + list(others)


def _read_token(path: Path) -> Secret:
    text = _read(path, "federated_token_file").decode("utf-8", "replace").strip()
    if not _JWT.fullmatch(text):
        raise _unfit(
            f"{path} holds no token",
            "check what should write the file (a JWT, three parts with dots between)",
        )
    return Secret(text)


def _read(path: Path, key: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise _unfit(
            f"{path} can't be read ({error.strerror or 'no reason given'})",
            f"check {key} and the rights of the file",
        ) from None
    if len(data) > _LARGEST:
        raise _unfit(f"{path} is too long", f"check {key}")
    return data


def _unfit(reason: str, remedy: str) -> SignInProblem:
    return SignInProblem(reason, remedy=remedy, lasting=True)
