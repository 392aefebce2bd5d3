"""The kinds of values a key may have: each reads a text into what the settings hold, or says why not.

A kind knows nothing of keys, files or lines; the schema gives it to keys and the reading puts the
line to what it says. Texts that may hold a secret are never repeated.
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from presenced.config import region
from presenced.config.problems import Unfit, nearest, shown
from presenced.config.settings import Address

_DIGITS = re.compile(r"[0-9]{1,9}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9.])?")
_MAIL = re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+")
_CONTACT = re.compile(r"[a-z][a-z0-9-]*:")


class Kind(Protocol):
    """What a key's text means."""

    @property
    def allowed(self) -> str:
        """What may be written there, for an admin."""

    def read(self, text: str) -> object:
        """The value; raises Unfit."""


def is_loopback(host: str) -> bool:
    """Whether this host is this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, slots=True)
class Text:
    """Any text but none."""

    allowed: str = "any text"

    def read(self, text: str) -> str:
        return one_line(text, self.allowed)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words, in whatever case."""

    values: Mapping[str, object]

    @property
    def allowed(self) -> str:
        return "allowed: " + ", ".join(self.values)

    def read(self, text: str) -> object:
        word = one_line(text, self.allowed).lower()
        if word in self.values:
            return self.values[word]
        near = nearest(word, list(self.values))
        raise Unfit(
            f"{shown(text)} is not allowed", self.allowed + (f" (did you mean {near}?)" if near else "")
        )


def words(*names: str) -> Choice:
    """A choice whose words are their own values."""
    return Choice({name: name for name in names})


YES_NO = Choice({"yes": True, "no": False})


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number between two others, both allowed; `of` makes the value of it."""

    least: int
    most: int | None = None
    of: Callable[[int], object] = int

    @property
    def allowed(self) -> str:
        if self.most is None:
            return f"allowed: a whole number, {self.least} or more"
        return f"allowed: a whole number from {self.least} to {self.most}"

    def read(self, text: str) -> object:
        number = int(text) if _DIGITS.fullmatch(text) else None
        if number is None or number < self.least or (self.most is not None and number > self.most):
            one_line(text, self.allowed)
            raise Unfit(f"{shown(text)} is not allowed", self.allowed)
        return self.of(number)


def days(number: int) -> timedelta:
    return timedelta(days=number)


def hours(number: int) -> timedelta:
    return timedelta(hours=number)


def minutes(number: int) -> timedelta:
    return timedelta(minutes=number)


def seconds(number: int) -> timedelta:
    return timedelta(seconds=number)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen, `host:port`; an IPv6 address in brackets; port 0: any free one."""

    may_be_off: bool = False

    @property
    def allowed(self) -> str:
        return "allowed: host:port, e.g. 0.0.0.0:8443 or [::1]:8443" + (", or nothing: off" * self.may_be_off)

    def read(self, text: str) -> Address | None:
        if not text and self.may_be_off:
            return None
        host, colon, port = one_line(text, self.allowed).rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        host = host[1:-1] if bracketed else host
        fits = _is_ipv6(host) if bracketed else bool(_HOST.fullmatch(host))
        if not (colon and fits and _DIGITS.fullmatch(port) and int(port) <= 65535):
            raise Unfit(f"{shown(text)} is no place to listen", self.allowed)
        return Address(host, int(port))


@dataclass(frozen=True, slots=True)
class Url:
    """A URL of one of these schemes; of the plain ones only where it stays on this machine."""

    schemes: tuple[str, ...]
    plain: tuple[str, ...] = ()
    login: bool = False
    """whether a user name and a password may stand in it"""

    @property
    def allowed(self) -> str:
        usual = " or ".join(f"{scheme}://…" for scheme in self.schemes)
        rest = " or ".join(f"{scheme}://…" for scheme in self.plain)
        return f"allowed: {usual}" + (f" ({rest} on loopback)" if rest else "")

    def read(self, text: str) -> str:
        """The text itself; a URL is not repeated in problems, it may carry a password."""
        parts = split_url(one_line(text, self.allowed))
        if parts is None or parts.scheme not in self.schemes + self.plain:
            raise Unfit("this URL will not do", self.allowed)
        if not self.login and (parts.username is not None or parts.password is not None):
            raise Unfit("a user name or password stands in the URL", "take it out; there are keys for them")
        if parts.scheme in self.plain and not is_loopback(parts.hostname or ""):
            raise Unfit(f"{parts.scheme}:// would go through the network unencrypted", self.allowed)
        return text


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """The one kind of store there is."""

    allowed: str = "allowed: sqlite:///path/to/file, three slashes and the absolute path"

    def read(self, text: str) -> Path:
        path = one_line(text, self.allowed).removeprefix("sqlite://")
        if (
            path == text
            or not path.startswith("/")
            or not path.strip("/")
            or any(each in path for each in "?#")
        ):
            raise Unfit("this is no store the daemon knows", self.allowed)
        return Path("/" + path.lstrip("/"))


@dataclass(frozen=True, slots=True)
class FilePath:
    """A file that must be there; relative paths start at the folder of the ini file."""

    allowed: str = "allowed: the path of a file"

    def read(self, text: str) -> Path:
        return Path(one_line(text, self.allowed))


@dataclass(frozen=True, slots=True)
class Words:
    """A comma-separated list, trimmed, empty ones dropped; it may go on over indented lines."""

    allowed: str = "allowed: a comma-separated list"

    def read(self, text: str) -> tuple[str, ...]:
        return tuple(word for part in re.split(r"[,\n]", text) if (word := part.strip()))


@dataclass(frozen=True, slots=True)
class MailAddress:
    """One mail address."""

    allowed: str = "allowed: one mail address"

    def read(self, text: str) -> str:
        if not _MAIL.fullmatch(one_line(text, self.allowed)):
            raise Unfit(f"{shown(text)} is no mail address", self.allowed)
        return text


@dataclass(frozen=True, slots=True)
class MailAddresses:
    """A comma-separated list of mail addresses."""

    allowed: str = "allowed: mail addresses, separated by commas"

    def read(self, text: str) -> tuple[str, ...]:
        addresses = Words().read(text)
        for address in addresses:
            if not _MAIL.fullmatch(address):
                raise Unfit(f"{shown(address)} is no mail address", self.allowed)
        return addresses


@dataclass(frozen=True, slots=True)
class Contact:
    """The PBX contact that is written; not those that belong to others (pbx-link.md section 4)."""

    allowed: str = "allowed: a word and a colon, calendar: or cal:"

    def read(self, text: str) -> str:
        if text in {"tel:", "im:"}:
            raise Unfit(f"{text} is written by others", self.allowed)
        if not _CONTACT.fullmatch(one_line(text, self.allowed)):
            raise Unfit(f"{shown(text)} is no contact", self.allowed)
        return text


@dataclass(frozen=True, slots=True)
class Language:
    """A locale id."""

    allowed: str = "allowed: a locale id such as en, en_GB, de_AT"

    def read(self, text: str) -> str:
        return region.parse_language(one_line(text, self.allowed))


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone."""

    allowed: str = "allowed: an IANA name such as Europe/Berlin"

    def read(self, text: str) -> str:
        return region.parse_zone(one_line(text, self.allowed))


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """What webhooks are signed with: a text, or `whsec_` and base64 as Standard Webhooks writes it."""

    allowed: str = "allowed: 24 characters or more, or whsec_ and 24 bytes or more in base64"

    def read(self, text: str) -> str:
        coded = one_line(text, self.allowed).removeprefix("whsec_")
        try:
            long_enough = len(text if coded == text else b64decode(coded, validate=True)) >= 24
        except ValueError:
            raise Unfit("what follows whsec_ is no base64", self.allowed) from None
        if not long_enough:
            raise Unfit("this secret is too short to sign with", self.allowed)
        return text


@dataclass(frozen=True, slots=True)
class SecretText:
    """A secret, or where it lies; `of` says what the secret itself must be like."""

    of: Kind = Text()
    allowed: str = "allowed: the secret, env:NAME, file:PATH, credential:NAME or sealed:…"

    def read(self, text: str) -> str:
        """The text as it stands; where it leads is looked up by the reading."""
        return one_line(text, self.allowed)

    def gives_away(self, text: str) -> bool:
        """Whether this secret, written openly, tells anything: a URL does if it holds a password."""
        if not isinstance(self.of, Url):
            return True
        parts = split_url(text)
        return parts is not None and parts.password is not None


def split_url(text: str) -> SplitResult | None:
    """The parts of a URL that names a host; None where it is none."""
    try:
        parts = urlsplit(text)
        sound = bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        return None
    return parts if sound and not any(each.isspace() for each in text) else None


def one_line(text: str, allowed: str) -> str:
    """The text, if there is any and it stands on one line; raises Unfit."""
    if not text:
        raise Unfit("there is no value", allowed)
    if "\n" in text:
        raise Unfit("an indented line below goes on with the value", "begin keys where the line begins")
    return text


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
