"""Where autodiscover is looked for, in which order, and where redirects may lead.

Published order (concept page of the vendor's calendar service, exchange.md section 3): for user@domain
https://autodiscover.domain, https://domain, then the same by plain http, for a redirect only. At each
server SOAP, POX and JSON are tried in this order. Nothing here asks anybody: `Search` names the next
probe and is told what became of it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import quote, urljoin, urlsplit

MOST_REDIRECTS = 10
_MICROSOFT = (
    "outlook.com",
    "office365.com",
    "office.com",
    "office365.us",
    "apps.mil",
    "partner.outlook.cn",
)
"""Exchange Online of the worldwide cloud, of the US government's, the US military's and China's"""
_LOCAL = re.compile(r"[^\s@\"<>()\[\]:;,\\\x00-\x1f\x7f]{1,64}")
_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_FILE = re.compile(r"/autodiscover\.(?P<kind>svc|xml|json)(?:/.*)?\Z", re.IGNORECASE)


class Dialect(StrEnum):
    """How a server speaks autodiscover."""

    SOAP = "soap"
    POX = "pox"
    JSON = "json"


_KINDS = {"svc": Dialect.SOAP, "xml": Dialect.POX, "json": Dialect.JSON}


def find_domain(address: str) -> str | None:
    """The domain of an e-mail address, as in DNS; None where this is no address one could ask for."""
    local, at, domain = address.strip().rpartition("@")
    return _as_in_dns(domain) if at and _LOCAL.fullmatch(local) else None


@lru_cache(maxsize=1000)
def _as_in_dns(domain: str) -> str | None:
    """Everybody shares a few domains, so the answers are kept."""
    try:
        ascii_domain = domain.casefold().encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    return ascii_domain if _DOMAIN.fullmatch(ascii_domain) else None


@dataclass(frozen=True, slots=True)
class Place:
    """The autodiscover folder of a server."""

    base: str
    """`https://host[:port]/…/autodiscover`"""
    tainted: bool = False
    """the way here led through plain http, so anybody may have pointed here"""

    def url(self, dialect: Dialect, address: str = "", protocol: str = "AutodiscoverV1") -> str:
        """Where to ask; `address` and `protocol` matter to JSON alone."""
        match dialect:
            case Dialect.SOAP:
                return f"{self.base}/autodiscover.svc"
            case Dialect.POX:
                return f"{self.base}/autodiscover.xml"
            case Dialect.JSON:
                return f"{self.base}/autodiscover.json/v1.0/{quote(address, safe='@')}?Protocol={protocol}"

    @property
    def host(self) -> str:
        """The host's name."""
        return urlsplit(self.base).hostname or ""


def find_place(url: str, *, tainted: bool = False) -> tuple[Place, Dialect | None] | None:
    """The folder a URL points into, and the dialect it names if any; None where it is no http(s) URL.

    Of the path only what leads to the folder is kept, of the query nothing: it is not for the redirecting
    side to say what is asked.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return None
    if ":" in host:
        host = f"[{host}]"
    named = _FILE.search(parts.path)
    path = parts.path[: named.start()] if named else parts.path.rstrip("/")
    if not named and not path.casefold().endswith("/autodiscover"):
        path += "/autodiscover"
    usual = {"http": 80, "https": 443}[parts.scheme]
    place = Place(f"{parts.scheme}://{host}{f':{port}' if port and port != usual else ''}{path}", tainted)
    return place, _KINDS[named["kind"].casefold()] if named else None


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom credentials may go to, on behalf of a domain."""

    domain: str
    plain_loopback: bool = False
    """a server on this very machine was configured by the admin; such may do without TLS"""

    def object_to(self, url: str, *, tainted: bool = False) -> str:
        """Why this URL may not be asked with credentials, in words; "" where it may."""
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            return f"{url!r} is no address"
        if not host or "@" in parts.netloc or parts.scheme not in ("http", "https"):
            return f"{url!r} is no address"
        if parts.scheme == "http" and not (self.plain_loopback and is_this_machine(host)):
            return f"{host} would be asked without TLS"
        if tainted and not (_is_in(host, self.domain) or any(_is_in(host, known) for known in _MICROSOFT)):
            return f"{host} was named over plain http and is not in {self.domain}"
        return ""


def join(url: str, location: str) -> str:
    """The URL a Location header means, seen from `url`; as it stands where it means none."""
    try:
        return urljoin(url, location.strip())
    except ValueError:
        return location


def is_this_machine(host: str) -> bool:
    """A loopback address or `localhost`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_in(host: str, domain: str) -> bool:
    return bool(domain) and (host == domain or host.endswith("." + domain))


@dataclass(frozen=True, slots=True)
class Probe:
    """One question: does this server speak this dialect? `plain`: GET without sign-in, for a redirect."""

    place: Place
    dialect: Dialect
    plain: bool = False


@dataclass(slots=True)
class Search:
    """The search for one server, step by step.

    Ask what `probe` names, tell what became of it, until `probe` is None: then `found` is the server, or
    `words` tell why there is none.
    """

    trust: Trust
    dialects: Mapping[str, Dialect] = field(default_factory=dict)
    """base -> the dialect known to be spoken there"""
    found: Probe | None = None
    words: list[str] = field(default_factory=list)
    _queue: deque[Probe] = field(default_factory=deque)
    _bases: set[str] = field(default_factory=set)
    _redirects: int = 0

    @property
    def probe(self) -> Probe | None:
        """What to ask now."""
        return self._queue[0] if self._queue and self.found is None else None

    def add(self, place: Place, dialect: Dialect | None = None) -> None:
        """A server to try after those before; `dialect` is tried first there."""
        self._queue.extend(self._probes(place, dialect))

    def add_plain(self, place: Place) -> None:
        """A server to be asked for a redirect only."""
        self._queue.append(Probe(place, Dialect.POX, plain=True))

    def answered(self) -> None:
        """The server speaks the dialect."""
        self.found = self.probe

    def refused(self, why: str) -> None:
        """It does not speak this dialect: on to its next, then to the next server."""
        self._note(why)

    def gave_up(self, why: str) -> None:
        """It can't be reached, or refused the sign-in: on to the next server."""
        probe = self._note(why)
        self._queue = deque(other for other in self._queue if other.place.base != probe.place.base)

    def redirected(self, location: str) -> None:
        """It sent us on."""
        probe = self._queue[0]
        here = probe.place.url(probe.dialect)
        target = join(here, location)
        tainted = probe.plain or probe.place.tainted
        found = find_place(target, tainted=tainted)
        objection = self.trust.object_to(target, tainted=tainted)
        if found is None or objection:
            self._note(f"sent on, but {objection or 'to nowhere'}")
            return
        place, dialect = found
        if place.base in self._bases:
            self._note(f"sent on to {place.host}, where we have been")
            return
        self._redirects += 1
        if self._redirects > MOST_REDIRECTS:
            self._note(f"sent on to {place.host}, one redirect too many")
            return
        self._note(f"sent on to {place.host}")
        self._queue.extendleft(reversed(self._probes(place, dialect)))

    def _probes(self, place: Place, dialect: Dialect | None) -> list[Probe]:
        self._bases.add(place.base)
        known = self.dialects.get(place.base)
        order = sorted(
            Dialect, key=lambda one: (one is not known, one is not dialect, list(Dialect).index(one))
        )
        return [Probe(place, one) for one in order]

    def _note(self, why: str) -> Probe:
        probe = self._queue.popleft()
        self.words.append(f"{probe.place.url(probe.dialect).partition('?')[0]}: {why}")
        return probe


def search_domain(domain: str, trust: Trust, dialects: Mapping[str, Dialect]) -> Search:
    """The published order for user@domain."""
    search = Search(trust, dialects)
    hosts = (f"autodiscover.{domain}", domain)
    for host in hosts:
        search.add(Place(f"https://{host}/autodiscover"))
    for host in hosts:
        search.add_plain(Place(f"http://{host}/autodiscover"))
    return search


def search_place(
    place: Place, dialect: Dialect | None, trust: Trust, dialects: Mapping[str, Dialect]
) -> Search:
    """The search at one given server: a configured one, or one a redirect names."""
    search = Search(trust, dialects)
    if trust.object_to(place.base, tainted=place.tainted):
        search.add_plain(place)
    else:
        search.add(place, dialect)
    return search


@dataclass(frozen=True, slots=True)
class Trail:
    """The redirects of one user so far: they must end, and not go in circles."""

    seen: frozenset[str]
    """what was asked about, the beginning included"""

    def follow(self, target: str) -> Trail | None:
        """One step on; None where it has been taken before, or there were too many."""
        target = target.casefold()
        if target in self.seen or len(self.seen) > MOST_REDIRECTS:
            return None
        return replace(self, seen=self.seen | {target})


def choose_endpoint(urls: Sequence[str], trust: Trust) -> tuple[str, str]:
    """The first EWS URL that may be used, and why the others may not, in words."""
    objections = []
    for url in urls:
        objection = trust.object_to(url)
        if not objection:
            return url, ""
        objections.append(objection)
    return "", "; ".join(objections)
