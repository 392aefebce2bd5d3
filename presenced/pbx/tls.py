"""TLS of the PBX link: what we show a PBX that dials us, and whom we trust when we dial.

A new certificate is tried on a context of its own first, so that a half-written file can't spoil the one
that is served.
"""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

from cryptography import x509

from presenced.config.settings import PbxSettings
from presenced.core.ports import DoorProblem

CHAIN_ENDS_ELSEWHERE = frozenset({18, 19, 20, 21})
"""X509_V_ERR_* of OpenSSL's x509_vfy.h: no authority that is trusted stands at the end of the chain"""


def server_context(settings: PbxSettings) -> ssl.SSLContext | None:
    """For listening; None where no certificate is set (plain HTTP). Raises DoorProblem."""
    if settings.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_certificate(context, settings)
    return context


def certificate_files(settings: PbxSettings) -> tuple[Path, ...]:
    """What is read for listening; none where there is no certificate to show."""
    if settings.mode == "dial" or settings.tls_certificate is None:
        return ()
    return (
        (settings.tls_certificate,)
        if settings.tls_key is None
        else (settings.tls_certificate, settings.tls_key)
    )


def certificate_end(settings: PbxSettings) -> datetime | None:
    """When the certificate in the file ends (the first one there, as OpenSSL takes it); None for none."""
    if not certificate_files(settings) or settings.tls_certificate is None:
        return None
    try:
        return x509.load_pem_x509_certificates(settings.tls_certificate.read_bytes())[0].not_valid_after_utc
    except (OSError, ValueError):
        return None  # OpenSSL took it; what it made of it is told where it is loaded


def load_certificate(context: ssl.SSLContext, settings: PbxSettings) -> None:
    """Read certificate and key (again); handshakes from now on show them. Raises DoorProblem."""
    if settings.tls_certificate is None:
        return
    for target in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), context):
        try:
            _load(target, settings.tls_certificate, settings.tls_key)
        except (OSError, ValueError) as problem:
            files = f"{settings.tls_certificate} and {settings.tls_key or settings.tls_certificate}"
            raise DoorProblem(
                f"the certificate for the PBX can't be loaded from {files}: {problem}",
                remedy="set tls_certificate and tls_key in [pbx] to a chain and its unencrypted key",
            ) from problem


def client_context(settings: PbxSettings) -> ssl.SSLContext | None:
    """For dialling; None where `url` is plain `ws://`. Raises DoorProblem."""
    if not settings.url.lower().startswith("wss:"):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca)
    except OSError as problem:
        raise DoorProblem(
            f"the certificate authority in {settings.tls_ca} can't be read: {problem}",
            remedy="set tls_ca in [pbx] to a file of certificates in PEM form",
        ) from problem
    if not settings.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    # an empty password in place of OpenSSL's question on the terminal
    context.load_cert_chain(certificate, key, password="")
