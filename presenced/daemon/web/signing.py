"""Who may see the page: one password, sessions, tokens against forged forms, and patience with guessers.

Pure but for the dice and scrypt: instants in, verdicts out. The password itself is forgotten once its hash
is made; sessions live in memory and end with the process.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

SESSION_LASTS = timedelta(hours=12)
"""after the last request"""
SESSIONS_KEPT = 200
_ADDRESSES_KEPT = 1000
_FREE_TRIES = 5
_FIRST_PAUSE = timedelta(seconds=2)
_LONGEST_PAUSE = timedelta(minutes=5)
_TRIES_A_MINUTE = 60
"""from all addresses together: hashing takes time on purpose"""
_MINUTE = timedelta(minutes=1)
_LONGEST_PASSWORD = 1000
_TOKEN_BYTES = 32
_SCHEME = "scrypt"
_WRITTEN = re.compile(rf"{_SCHEME}:([0-9a-f]{{32}}):([0-9a-f]{{128}})")


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A salted scrypt hash (RFC 7914); made and checked off the loop, it takes some 50 ms.

    Written `scrypt:SALT:DIGEST`, both in hexadecimal digits, it may stand in the ini file for the password.
    """

    salt: bytes
    digest: bytes

    def __str__(self) -> str:
        return f"{_SCHEME}:{self.salt.hex()}:{self.digest.hex()}"

    @classmethod
    def read(cls, text: str) -> PasswordHash | None:
        """The hash written so; None for any other text, a password among them."""
        found = _WRITTEN.fullmatch(text)
        return cls(bytes.fromhex(found[1]), bytes.fromhex(found[2])) if found else None

    @classmethod
    def of(cls, password: str) -> PasswordHash:
        salt = secrets.token_bytes(16)
        return cls(salt, _scrypt(password, salt))

    def fits(self, password: str) -> bool:
        """Whether this is the password; takes as long for a wrong one."""
        return len(password) <= _LONGEST_PASSWORD and hmac.compare_digest(
            _scrypt(password, self.salt), self.digest
        )


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"), salt=salt, n=2**14, r=8, p=1, maxmem=64 << 20
    )


class Sessions:
    """Who is signed in: unguessable ids, each with its end."""

    def __init__(self) -> None:
        self._ends: OrderedDict[bytes, datetime] = OrderedDict()

    def open(self, now: datetime) -> str:
        """A new session; the one unused for longest goes where there are too many."""
        session = secrets.token_urlsafe(_TOKEN_BYTES)
        self._ends[_digest(session)] = now + SESSION_LASTS
        while len(self._ends) > SESSIONS_KEPT:
            self._ends.popitem(last=False)
        return session

    def holds(self, session: str, now: datetime) -> bool:
        """Whether this session is open; it lasts longer for having been used."""
        key = _digest(session)
        end = self._ends.pop(key, None)
        if end is None or end <= now:
            return False
        self._ends[key] = now + SESSION_LASTS
        return True

    def is_open(self, session: str, now: datetime) -> bool:
        """Whether this session is open; asking does not lengthen it."""
        end = self._ends.get(_digest(session))
        return end is not None and end > now

    def close(self, session: str) -> None:
        """Sign out."""
        self._ends.pop(_digest(session), None)


def _digest(session: str) -> bytes:
    """Looked up by digest, so that the time a look-up takes tells nothing about the id."""
    return hashlib.sha256(session.encode("utf-8", "replace")).digest()


class FormTokens:
    """A token for every form, bound to the browser's cookie: another site can't know it."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(_TOKEN_BYTES)

    def of(self, cookie: str) -> str:
        return hmac.new(self._key, cookie.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def fits(self, token: str, cookie: str) -> bool:
        """Whether the form came from a page made for this cookie."""
        return bool(cookie) and hmac.compare_digest(
            token.encode("utf-8", "replace"), self.of(cookie).encode()
        )


@dataclass(slots=True)
class _Tries:
    failures: int
    not_before: datetime


class Patience:
    """How long somebody who guessed wrong has to wait: nothing at first, then ever longer."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, _Tries] = OrderedDict()
        self._minute: datetime | None = None
        self._in_minute = 0

    def wait(self, address: str, now: datetime) -> timedelta:
        """How long this address has to wait before a password is looked at; zero: not at all."""
        known = self._tries.get(address)
        own = known.not_before - now if known else timedelta()
        return max(own, self._wait_for_all(now), timedelta())

    def tried(self, now: datetime) -> None:
        """A password is about to be looked at."""
        if self._minute is None or now - self._minute >= _MINUTE:
            self._minute, self._in_minute = now, 0
        self._in_minute += 1

    def failed(self, address: str, now: datetime) -> None:
        """It was wrong."""
        known = self._tries.pop(address, None) or _Tries(0, now)
        known.failures += 1
        over = known.failures - _FREE_TRIES
        if over >= 0:
            known.not_before = now + min(_FIRST_PAUSE * 2 ** min(over, 20), _LONGEST_PAUSE)
        self._tries[address] = known
        while len(self._tries) > _ADDRESSES_KEPT:
            self._tries.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """It was right."""
        self._tries.pop(address, None)

    def _wait_for_all(self, now: datetime) -> timedelta:
        if self._minute is None or self._in_minute < _TRIES_A_MINUTE:
            return timedelta()
        return self._minute + _MINUTE - now
