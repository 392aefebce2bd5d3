"""What the calendar doors ask of the transport that carries their requests.

The protocol lies apart from its implementation so that the doors can be tested with bytes alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, body read (bounded)."""

    status: int
    headers: Mapping[str, str]
    """names compared without regard to case"""
    body: bytes = b""
    cookies: Mapping[str, str] = field(default_factory=dict)
    """cookies this answer set; the transport keeps none of its own"""


class Stream(Protocol):
    """An answer whose body is read as it comes."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def cookies(self) -> Mapping[str, str]: ...
    def chunks(self) -> AsyncIterator[bytes]:
        """Pieces of the body as they arrive, borders anywhere; ends at a clean end of the body."""


class CarrierProblem(Exception):
    """A request could not be carried: the network, TLS, a time-out or the sign-in stood in the way."""

    def __init__(
        self, kind: str, reason: str, *, remedy: str = "", retry_after: timedelta | None = None
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        """`dns`, `connect`, `tls`, `timeout`, `broken`, `too-large`, `sign-in` or `held`"""
        self.reason = reason
        self.remedy = remedy
        self.retry_after = retry_after


class Carrier(Protocol):
    """Carries requests signed in as the configured account, within the limits of work in flight.

    `budget` names who is charged: a mailbox address, or "" for the account. At most one request a
    mailbox and `requests_in_flight` an account are under way at a time; a held budget makes its
    requests wait until the hold is over (or raise CarrierProblem("held") when it is longer than a minute).
    """

    async def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        budget: str = "",
        signed_in: bool = True,
        within: timedelta | None = None,
    ) -> Reply:
        """One request and its whole answer; redirects are not followed. Raises CarrierProblem."""

    def open_stream(
        self,
        url: str,
        *,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        budget: str = "",
        opening_within: timedelta | None = None,
    ) -> AbstractAsyncContextManager[Stream]:
        """POST a request whose answer stays open; not counted among the requests in flight."""

    def hold(self, budget: str, duration: timedelta) -> None:
        """Back off: no request of this budget until `duration` has passed (a longer hold stays)."""
