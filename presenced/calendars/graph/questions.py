"""What to ask Graph: paths, below the version's root, and bodies. Values only.

Every call that names appointments asks for immutable ids (an id that changes when an appointment moves
would make two of one), and for UTC, so that no table of Windows zones is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from presenced.core.window import Window

FIELDS = "id,subject,start,end,isAllDay,showAs,sensitivity,organizer,isCancelled,responseStatus,type"
PAGE = 1000
"""appointments asked for on a page, the most there may be"""
DELTA_PAGE = 25
"""Delta answers carry whole appointments, texts included, and twenty mailboxes share an answer."""
IMMUTABLE = 'IdType="ImmutableId"'
PREFER = f'{IMMUTABLE}, outlook.timezone="UTC"'
CHANGES = "created,updated,deleted"


@dataclass(frozen=True, slots=True)
class Question:
    """One request, alone or as a part of a batch."""

    operation: str
    """its name in counters and the log"""
    path: str
    """below the version's root, with the query"""
    mailbox: str = ""
    """address whose budget is charged, "" for the account's"""
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] | None = None


def user_path(identity: str) -> str:
    """A user by id, principal name or address."""
    return f"/users/{quote(identity, safe='@')}"


def view(user: str, mailbox: str, span: Window) -> Question:
    """The appointments of a stretch of time; `user` is a path, `mailbox` the address."""
    query = f"{_period(span)}&$select={FIELDS}&$top={PAGE}"
    return Question("calendarView", f"{user}/calendarView?{query}", mailbox, headers={"Prefer": PREFER})


def view_page(path: str, mailbox: str) -> Question:
    """The next page of a view."""
    return Question("calendarView", path, mailbox, headers={"Prefer": PREFER})


def delta_start(user: str, span: Window) -> str:
    """The path that begins a round; the span is frozen in the token that comes back. No $select here."""
    return f"{user}/calendarView/delta?{_period(span)}"


def delta(path: str, mailbox: str) -> Question:
    """A page of a round, wherever it stands."""
    prefer = f"{PREFER}, odata.maxpagesize={DELTA_PAGE}"
    return Question("delta", path, mailbox, headers={"Prefer": prefer})


def person(address: str) -> Question:
    """The user who has this address, be it his primary one or another."""
    wanted = quote("smtp:" + address.replace("'", "''"), safe="")
    return Question(
        "users", f"/users?$filter=proxyAddresses/any(x:x%20eq%20'{wanted}')&$select=id,mail,userPrincipalName"
    )


def owner(address: str) -> Question:
    """Whose calendar this is: finds a mailbox where the directory may not be read."""
    return Question("calendar", f"{user_path(address)}/calendar?$select=id,owner")


def subscribe(user: str, mailbox: str, url: str, until: datetime, secret: str) -> Question:
    """Ask for notices of a mailbox's appointments."""
    body = {
        "changeType": CHANGES,
        "notificationUrl": url,
        "lifecycleNotificationUrl": url,
        "resource": f"{user}/events",
        "expirationDateTime": stamp(until),
        "clientState": secret,
    }
    return Question("subscribe", "/subscriptions", mailbox, "POST", {"Prefer": IMMUTABLE}, body)


def renew(subscription: str, mailbox: str, until: datetime) -> Question:
    """A longer life for a subscription."""
    path = f"/subscriptions/{quote(subscription, safe='')}"
    return Question("renew", path, mailbox, "PATCH", {}, {"expirationDateTime": stamp(until)})


def reauthorize(subscription: str, mailbox: str) -> Question:
    """Let a subscription go on that wants to see a fresh token; its life stays as it is."""
    path = f"/subscriptions/{quote(subscription, safe='')}/reauthorize"
    return Question("reauthorize", path, mailbox, "POST")


def unsubscribe(subscription: str, mailbox: str = "") -> Question:
    """End a subscription."""
    return Question("unsubscribe", f"/subscriptions/{quote(subscription, safe='')}", mailbox, "DELETE")


def subscriptions() -> Question:
    """Every subscription this app has."""
    return Question("subscriptions", "/subscriptions")


def stamp(moment: datetime) -> str:
    """An instant as Graph takes it, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _period(span: Window) -> str:
    return f"startDateTime={stamp(span.start)}&endDateTime={stamp(span.end)}"
