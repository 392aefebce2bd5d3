"""Refresh tokens: how long a user stays signed in at an application, and what ends it.

Source: "Refresh tokens in the Microsoft identity platform": each use gives a new one, and its 90 days begin
anew; the old one stays valid, but a client shall forget it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from presenced.sim.entra.refusals import Refused
from presenced.sim.entra.tenants import Tenant, User


@dataclass(slots=True)
class Session:
    """A user who is signed in at an application."""

    client_id: str
    tenant: Tenant
    user: User
    begun: datetime
    revoked: bool = False


@dataclass(slots=True)
class _Ticket:
    session: Session
    issued: datetime
    used: bool = False


class Sessions:
    """All refresh tokens."""

    def __init__(self) -> None:
        self.idle_life = timedelta(days=90)
        """how long a refresh token may lie unused"""
        self._tickets: dict[str, _Ticket] = {}

    def issue(self, session: Session, now: datetime) -> str:
        """A new refresh token."""
        token = f"1.{secrets.token_urlsafe(96)}"
        self._tickets[token] = _Ticket(session, now)
        return token

    def resume(self, token: str, client_id: str, now: datetime, *, single_use: bool) -> Session:
        """The session the token stands for; raises Refused where it does no more."""
        ticket = self._tickets.get(token)
        if ticket is None or ticket.session.client_id != client_id or (ticket.used and single_use):
            raise Refused(70000, "refresh_token")
        session = ticket.session
        if session.user.disabled:
            raise Refused(50057)
        if now - ticket.issued >= self.idle_life:
            raise Refused(700082, _stamp(ticket.issued), now - ticket.issued)
        valid_from = session.user.sessions_valid_from
        if session.revoked or (valid_from is not None and session.begun < valid_from):
            raise Refused(50173, _stamp(session.begun), _stamp(valid_from or now))
        ticket.used = True
        return session

    def revoke(self, user: User) -> int:
        """End the user's sessions, as a new password does; how many there were."""
        open_ones = {
            id(ticket.session): ticket.session
            for ticket in self._tickets.values()
            if ticket.session.user is user and not ticket.session.revoked
        }
        for session in open_ones.values():
            session.revoked = True
        return len(open_ones)


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"
