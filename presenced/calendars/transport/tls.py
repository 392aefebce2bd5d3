"""TLS towards Exchange: whom to trust, and what a failed handshake means in words.

An admin who reads `CERTIFICATE_VERIFY_FAILED` does not know whether the clock, the name or a missing
company CA is to blame; OpenSSL's codes do, so they are translated here, each with its remedy.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from presenced.calendars.carrier import CarrierProblem

_log = logging.getLogger(__name__)

_UNKNOWN_CA = (
    "was issued by an authority this machine does not trust",
    (
        "put the certificate of the CA at the end of its chain into a PEM file and name it in tls_ca in"
        " [exchange] (a file that is named there already holds another)"
    ),
)
_VERIFICATION = {
    9: ("is not valid yet", "check the clock of this machine and the certificate's dates"),
    10: ("has expired", "renew the certificate on the server"),
    18: ("is self-signed", "have it issued by a CA, or name the certificate itself in tls_ca"),
    19: _UNKNOWN_CA,
    20: _UNKNOWN_CA,
    21: _UNKNOWN_CA,
    23: ("has been revoked", "renew the certificate on the server"),
    62: ("is for another name", "use a name that is in the certificate, or have it issued for this name"),
    64: ("is not for this IP address", "use the server's name instead of its address"),
}
"""X509_V_ERR_* of OpenSSL's x509_vfy.h"""

_HANDSHAKE = {
    "WRONG_VERSION_NUMBER": ("answered without TLS", "check the port, and http:// against https://"),
    "HTTP_REQUEST": ("answered without TLS", "check the port, and http:// against https://"),
    "UNSUPPORTED_PROTOCOL": ("speaks only outdated TLS", "enable TLS 1.2 or later on the server"),
    "TLSV1_ALERT_PROTOCOL_VERSION": ("speaks only outdated TLS", "enable TLS 1.2 or later on the server"),
}


def build_context(ca: Path | None, *, verify: bool) -> ssl.SSLContext:
    """The trust of a carrier: the system's authorities, and those of the PEM file `ca` besides.

    Besides, not instead: a search for autodiscover may lead from a server of the company to one of
    Microsoft's. Raises CarrierProblem("tls") where the file is of no use.
    """
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(cafile=str(ca))
        except (OSError, ssl.SSLError) as problem:
            raise CarrierProblem(
                "tls",
                f"tls_ca {ca} cannot be used: {problem}",
                remedy="name a file of PEM certificates the service may read",
            ) from problem
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        _log.warning(
            "TLS certificates of Exchange are NOT checked (tls_verify = no): whoever stands between reads "
            "the password and every calendar; name the issuing CA in tls_ca and remove tls_verify"
        )
    return context


def explain(problem: ssl.SSLError, host: str) -> CarrierProblem:
    """What a failed handshake with `host` means, as CarrierProblem("tls")."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        what, remedy = _VERIFICATION.get(
            problem.verify_code,
            (f"was not accepted ({problem.verify_message})", "check the certificate of the server"),
        )
        return CarrierProblem("tls", f"the certificate of {host} {what}", remedy=remedy)
    reason = problem.reason or "handshake failed"
    what, remedy = _HANDSHAKE.get(
        reason, (f"broke off the TLS handshake ({reason})", "check the TLS set-up of the server")
    )
    return CarrierProblem("tls", f"{host} {what}", remedy=remedy)
