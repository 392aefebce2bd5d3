"""What the simulated endpoint asks of whoever signs its clients in.

Sign-in (NTLM, Basic, Bearer) is a part of its own; the endpoint only needs to know who is calling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Account:
    """Who signed in."""

    name: str
    """as signed in: `DOMAIN\\user`, a UPN or an application id"""
    address: str = ""
    """SMTP address of its own mailbox, "" where it has none"""
    impersonates: bool = False
    """may act for every mailbox (`full_access_as_app`), whatever the organisation's list says"""


ANONYMOUS = Account("anonymous", impersonates=True)
"""who calls where no sign-in is asked for: a service account that may act for everybody"""


class Authenticator(Protocol):
    """Signs clients in, request by request; what belongs to a connection hangs on `request.transport`."""

    async def authenticate(self, request: web.Request) -> Account | web.StreamResponse:
        """Who sends this request, or the answer that asks for (better) proof. Reads no body."""


@runtime_checkable
class Announcer(Protocol):
    """An authenticator that has something to say with the answers, too."""

    async def announce(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add to the headers of an answer that is about to begin."""
