"""What the simulated Graph asks of whoever knows the access tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a token was made for."""

    app: str
    """client id"""
    permissions: frozenset[str]
    """roles of an app, or scopes of a signed-in account"""
    account: str = ""
    """sign-in name of the account, "" for the app itself"""
    calendars: frozenset[str] | None = None
    """primary addresses, casefolded, it may read (a management scope, or shares); None: all"""


class TokenRefused(Exception):
    """A token doesn't open this door; `claims` is what the next one must bring (JSON text)."""

    def __init__(self, reason: str, *, claims: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.claims = claims


class TokenVerifier(Protocol):
    """Knows the access tokens of the simulated identity provider."""

    async def identify(self, token: str) -> Caller:
        """For whom the token was made; raises TokenRefused."""
