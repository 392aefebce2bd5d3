"""Names, ports and certificates, looked at one after the other with the standard library alone.

The doors do all three at once and can only say that it did not work; an admin has to know whether the name
server, the firewall or the certificate stands in the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import socket
import ssl
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from presenced.calendars.transport.tls import explain
from presenced.cli.connect.course import Course, Finding, StepFailed, Verdict
from presenced.core.ports import Clock

WITHIN = timedelta(seconds=10)
SOON = timedelta(days=30)
"""a certificate that ends sooner is worth a note"""
_SECURE = {"https": 443, "wss": 443}
_PLAIN = {"http": 80, "ws": 80}

Trust: TypeAlias = Callable[[bool], ssl.SSLContext | None]
"""makes the context of a handshake, with certificates checked or not"""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads."""

    host: str
    port: int
    secure: bool

    @property
    def place(self) -> str:
        """As it is told."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def target_of(url: str) -> Target:
    """The machine and port behind a URL that the settings have accepted, or that a door uses."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    usual = _SECURE.get(scheme) or _PLAIN.get(scheme, 443)
    return Target(parts.hostname or "", parts.port or usual, scheme in _SECURE)


@dataclass(frozen=True, slots=True)
class Route:
    """The three steps to a server, and how much hangs on them."""

    prefix: str
    """`exchange` or `pbx`"""
    target: Target
    trust: Trust
    verify: bool = True
    harmless: str = ""
    """why it does no harm if this server can't be reached; "" where everything hangs on it"""


async def walk(course: Course, route: Route) -> bool:
    """DNS, TCP and TLS of one server; whether the way is free."""
    target, clock = route.target, course.clock
    steps: dict[str, Callable[[], Coroutine[Any, Any, Finding]]] = {
        "dns": lambda: look_up(target, clock),
        "tcp": lambda: reach(target, clock),
    }
    if target.secure:
        steps["tls"] = lambda: greet(target, route.trust, clock, verify=route.verify)
    failed = ""
    for kind, work in steps.items():
        name = f"{route.prefix} {kind}"
        if failed:
            course.skip(name, f"{failed} failed for {target.host}")
        elif not await course.take(name, work, harmless=route.harmless):
            failed = name
    return not failed


async def look_up(target: Target, clock: Clock) -> Finding:
    """The addresses of a host. Raises StepFailed."""
    host = target.host
    try:
        ip_address(host)
    except ValueError:
        pass
    else:
        return Finding(f"{host} is an address itself")
    try:
        async with clock.timeout(WITHIN):
            infos = await asyncio.get_running_loop().getaddrinfo(host, target.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise StepFailed(
            f"no name server said anything of {host} within {WITHIN.total_seconds():g} s",
            "check /etc/resolv.conf and the way to the name server",
        ) from None
    except UnicodeError:
        raise StepFailed(f"{host!r} is no name of a host", "correct it in the configuration") from None
    except socket.gaierror as problem:
        if problem.errno == socket.EAI_AGAIN:
            raise StepFailed(
                f"the name server could not be asked for {host}: {problem.strerror}",
                "check /etc/resolv.conf and the way to the name server",
            ) from None
        raise StepFailed(
            f"there is no host {host} in DNS: {problem.strerror}",
            "check the spelling, and whether this machine asks the right name server",
        ) from None
    found = list(dict.fromkeys(str(info[4][0]) for info in infos))
    return Finding(f"{host} is {', '.join(found)}")


async def reach(target: Target, clock: Clock) -> Finding:
    """Open a connection and close it. Raises StepFailed."""
    try:
        async with clock.timeout(WITHIN):
            _, writer = await asyncio.open_connection(target.host, target.port)
    except TimeoutError:
        raise StepFailed(
            f"{target.place} does not answer within {WITHIN.total_seconds():g} s",
            "look for a firewall on the way that drops it, and whether the machine is up",
        ) from None
    except OSError as problem:
        raise StepFailed(*_unreachable(target, problem)) from None
    peer = writer.get_extra_info("peername")
    await _close(writer)
    return Finding(f"{target.place} answers" + (f" at {peer[0]}" if peer and peer[0] != target.host else ""))


def in_words(problem: OSError) -> tuple[str, frozenset[int]]:
    """Why a connection failed, and the numbers; asyncio puts those of several addresses into one text."""
    several = map(int, re.findall(r"\[Errno (\d+)\]", str(problem)))
    numbers = frozenset(several if problem.errno is None else (problem.errno,))
    words = ", ".join(os.strerror(number) for number in sorted(numbers))
    return words or str(problem) or "connection lost", numbers


def _unreachable(target: Target, problem: OSError) -> tuple[str, str]:
    words, numbers = in_words(problem)
    if numbers == {errno.ECONNREFUSED}:
        return (
            f"nothing listens on {target.place}: connection refused",
            "check the port and whether the service runs there; a firewall may refuse, too",
        )
    return (
        f"{target.place} can't be reached: {words}",
        "check the address, the route to it and the firewalls between",
    )


async def greet(target: Target, trust: Trust, clock: Clock, *, verify: bool) -> Finding:
    """Shake hands, and read the certificate. Raises StepFailed."""
    try:
        version, certificate = await _shake_hands(target, trust(True), clock)
    except ssl.SSLError as problem:
        told = explain(problem, target.host)
        if not verify and isinstance(problem, ssl.SSLCertVerificationError):
            await _shake_hands(target, trust(False), clock)
            return Finding(
                f"certificates are not checked (tls_verify = no); checked, it would fail: {told.reason}",
                told.remedy,
                Verdict.NOTE,
            )
        raise StepFailed(told.reason, told.remedy) from None
    except TimeoutError:
        raise StepFailed(
            f"{target.place} takes the connection, but no TLS handshake within {WITHIN.total_seconds():g} s",
            "check that this port speaks TLS, and look for a firewall that inspects it",
        ) from None
    except OSError as problem:
        raise StepFailed(
            f"{target.place} broke off the TLS handshake: {in_words(problem)[0]}",
            "check the certificate and the TLS versions of the server",
        ) from None
    found = describe(certificate, target.host, clock.now())
    return replace(found, what=f"{version}, {found.what}")


def describe(certificate: Mapping[str, Any], host: str, now: datetime) -> Finding:
    """A certificate that was accepted, in words; a note where it ends soon."""
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    days = (ends - now) // timedelta(days=1)
    issuer = _name_in(certificate.get("issuer", ())) or "an unnamed authority"
    what = f"certificate for {host} issued by {issuer}, valid until {ends:%Y-%m-%d} ({days} days)"
    if ends - now < SOON:
        return Finding(
            what, f"renew the certificate of {host}: it ends in {days} days, then nothing works", Verdict.NOTE
        )
    return Finding(what)


def names_in(certificate: Mapping[str, Any]) -> list[str]:
    """What a certificate is for, host names before addresses."""
    names = certificate.get("subjectAltName", ())
    return [name for wanted in ("DNS", "IP Address") for kind, name in names if kind == wanted]


async def read_own_certificate(target: Target, context: ssl.SSLContext, clock: Clock) -> Mapping[str, Any]:
    """The certificate shown there, with `context` made to trust it. Raises ssl.SSLError, OSError."""
    return (await _shake_hands(target, context, clock))[1]


async def _shake_hands(
    target: Target, context: ssl.SSLContext | None, clock: Clock
) -> tuple[str, Mapping[str, Any]]:
    async with clock.timeout(WITHIN):
        _, writer = await asyncio.open_connection(
            target.host, target.port, ssl=context, server_hostname=target.host
        )
    shaken = writer.get_extra_info("ssl_object")
    version, certificate = shaken.version() or "TLS", shaken.getpeercert() or {}
    await _close(writer)
    return version, certificate


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _name_in(parts: Any) -> str:
    named = {key: value for part in parts for key, value in part}
    return str(named.get("commonName") or named.get("organizationName") or "")
