"""Query options of a Graph address: what each resource takes, strictly.

OData 4 section 11.2 names the options; which a resource takes stands on its page of the Graph reference. A
real server ignores some mistakes; this one refuses them all, because a client that relies on luck is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote, urlsplit

from presenced.sim.graph.problems import bad_request

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:\d\d)?)?")
_PROXY = re.compile(r"proxyAddresses/any\((\w+):\s*(\w+) eq '((?:[^']|'')*)'\)")
_MOST_PATTERNS = 15
"""filter clauses a directory query takes"""


def split(url: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Path segments and query options of an address relative to the version; each option once."""
    parts = urlsplit(url)
    options: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in options:
            raise bad_request(f"Query option '{name}' was specified more than once.")
        options[name] = value
    return tuple(unquote(segment) for segment in parts.path.strip("/").split("/")), options


def take_only(options: Mapping[str, str], allowed: Collection[str]) -> None:
    """Refuse options this resource doesn't take."""
    for name in options:
        if name not in allowed:
            raise bad_request(f"The query parameter '{name}' is not supported.", "ErrorInvalidUrlQuery")


def read_top(options: Mapping[str, str], *, default: int, most: int) -> int:
    """$top."""
    text = options.get("$top")
    if text is None:
        return default
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise bad_request(f"Invalid value '{text}' for $top query option found.", "ErrorInvalidUrlQuery")
    return int(text)


def read_select(options: Mapping[str, str], known: Collection[str]) -> frozenset[str] | None:
    """$select, None where everything is meant."""
    text = options.get("$select")
    if text is None:
        return None
    names = text.split(",")
    for name in names:
        if name not in known:
            raise bad_request(f"Could not find a property named '{name}'.", "RequestBroker--ParseUri")
    return frozenset(names)


def read_moment(options: Mapping[str, str], name: str) -> datetime:
    """An instant in ISO 8601; without offset it is UTC."""
    text = options.get(name)
    if text is None:
        raise bad_request(
            "This request requires a time window specified by the query string parameters StartDateTime and "
            "EndDateTime.",
            "ErrorInvalidParameter",
        )
    if not _DATE_TIME.fullmatch(text):
        raise bad_request(f"The value '{text}' of parameter '{name}' is invalid.", "ErrorInvalidParameter")
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def read_window(options: Mapping[str, str]) -> tuple[datetime, datetime]:
    """startDateTime and endDateTime of a calendar view."""
    start, end = read_moment(options, "startDateTime"), read_moment(options, "endDateTime")
    if end < start:
        raise bad_request("The end date must not be before the start date.", "ErrorInvalidParameter")
    return start, end


def read_proxy_filter(text: str) -> list[str]:
    """The addresses of `proxyAddresses/any(x:x eq 'smtp:...')`, several joined by `or`."""
    clauses = re.split(r" or (?=proxyAddresses/any)", text)
    if len(clauses) > _MOST_PATTERNS:
        raise bad_request(
            "Too many child clauses specified in search filter expression.", "Request_BadRequest"
        )
    addresses = []
    for clause in clauses:
        match = _PROXY.fullmatch(clause.strip())
        if match is None or match[1] != match[2]:
            raise bad_request("Invalid filter clause.", "Request_UnsupportedQuery")
        value = match[3].replace("''", "'")
        kind, _, address = value.partition(":")
        if kind.casefold() != "smtp" or not address:
            raise bad_request(f"Invalid value '{value}' for proxyAddresses.", "Request_UnsupportedQuery")
        addresses.append(address)
    return addresses
