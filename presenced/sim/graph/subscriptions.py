"""Subscriptions to change notices: what may be asked for, how long they live, what they send.

Source: Microsoft Graph reference, "subscription resource type", "changeNotificationCollection" and the pages
on lifecycle notifications. Life times: Outlook events 10,080 minutes at most.
"""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from presenced.sim.exchange.organisation import Event
from presenced.sim.graph.problems import GraphProblem, bad_request

LONGEST = timedelta(minutes=10_080)
SHORTEST = timedelta(minutes=45)
"""a shorter one is stretched to this"""
LONGEST_STATE = 128
PER_MAILBOX = 1000
_RESOURCE = re.compile(r"/?users/([^/]+)/(?:calendar/)?events", re.IGNORECASE)
_CHANGES: Mapping[Event, str] = {
    "Created": "created",
    "Modified": "updated",
    "Deleted": "deleted",
    "Moved": "deleted",
}
Lifecycle = Literal["missed", "subscriptionRemoved", "reauthorizationRequired"]


@dataclass(slots=True)
class Subscription:
    """One promise to send notices."""

    id: str
    owner: str
    """client id"""
    user: str
    """as the client named the user"""
    address: str
    """of the mailbox"""
    changes: frozenset[str]
    notice_url: str
    lifecycle_url: str
    state: str
    expires_at: datetime
    suspended: bool = False
    """waits for a reauthorisation"""

    def show(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "id": self.id,
            "resource": f"/users/{self.user}/events",
            "applicationId": self.owner,
            "changeType": ",".join(sorted(self.changes)),
            "clientState": None,
            "notificationUrl": self.notice_url,
            "lifecycleNotificationUrl": self.lifecycle_url or None,
            "expirationDateTime": write_instant(self.expires_at),
        }

    def notice(self, event: Event, user_id: str, event_id: str, tenant: str) -> dict[str, Any] | None:
        """What a change is told as; None for a kind that was not asked for."""
        change = _CHANGES[event]
        if change not in self.changes or self.suspended:
            return None
        return {
            "subscriptionId": self.id,
            "subscriptionExpirationDateTime": write_instant(self.expires_at),
            "changeType": change,
            "resource": f"Users/{user_id}/Events/{event_id}",
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Event",
                "@odata.id": f"Users/{user_id}/Events/{event_id}",
                "id": event_id,
            },
            "clientState": self.state,
            "tenantId": tenant,
        }

    def lifecycle(self, event: Lifecycle, tenant: str) -> dict[str, Any]:
        """What a turn of its life is told as."""
        return {
            "subscriptionId": self.id,
            "subscriptionExpirationDateTime": write_instant(self.expires_at),
            "tenantId": tenant,
            "clientState": self.state,
            "lifecycleEvent": event,
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """A subscription as asked for, checked."""

    user: str
    changes: frozenset[str]
    notice_url: str
    lifecycle_url: str
    state: str
    expires_at: datetime


class Subscriptions:
    """All there are."""

    def __init__(self) -> None:
        self._all: dict[str, Subscription] = {}
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._all)

    def make(self, wanted: Wanted, owner: str, address: str) -> Subscription:
        """Keep it."""
        if len(self.of_mailbox(address)) >= PER_MAILBOX:
            raise GraphProblem(403, "ExtensionError", "Subscription limit of the mailbox was exceeded.")
        id_ = str(uuid.UUID(int=next(self._numbers)))
        made = Subscription(
            id_,
            owner,
            wanted.user,
            address,
            wanted.changes,
            wanted.notice_url,
            wanted.lifecycle_url,
            wanted.state,
            wanted.expires_at,
        )
        self._all[id_] = made
        return made

    def find(self, id_: str, owner: str, now: datetime) -> Subscription:
        """One of the caller's that is still alive."""
        found = self._all.get(id_)
        if found is None or found.owner != owner or found.expires_at <= now:
            raise GraphProblem(404, "ResourceNotFound", "The object was not found.")
        return found

    def drop(self, id_: str) -> Subscription | None:
        """It is no more."""
        return self._all.pop(id_, None)

    def of_mailbox(self, address: str) -> list[Subscription]:
        """Those to one mailbox."""
        return [one for one in self._all.values() if one.address == address]

    def alive(self, now: datetime) -> list[Subscription]:
        """Those that still send."""
        return [one for one in self._all.values() if one.expires_at > now]


def read_wanted(body: Mapping[str, Any], now: datetime) -> Wanted:
    """The request for a subscription; raises GraphProblem for anything that isn't right."""
    unknown = set(body) - {
        "changeType",
        "notificationUrl",
        "lifecycleNotificationUrl",
        "resource",
        "expirationDateTime",
        "clientState",
        "latestSupportedTlsVersion",
    }
    if unknown:
        raise bad_request(f"Invalid property '{min(unknown)}'.", "InvalidRequest")
    resource = _RESOURCE.fullmatch(_text(body, "resource"))
    if resource is None:
        raise bad_request("Resource is not supported here.", "ExtensionError")
    changes = frozenset(_text(body, "changeType").split(","))
    if not changes <= {"created", "updated", "deleted"}:
        raise bad_request("Invalid 'changeType'.", "InvalidRequest")
    state = _text(body, "clientState", needed=False)
    if len(state) > LONGEST_STATE:
        raise bad_request("'clientState' is too long.", "InvalidRequest")
    return Wanted(
        resource[1],
        changes,
        _url(body, "notificationUrl"),
        _url(body, "lifecycleNotificationUrl", needed=False),
        state,
        read_expiry(body, now),
    )


def read_expiry(body: Mapping[str, Any], now: datetime) -> datetime:
    """expirationDateTime, between the shortest and the longest life."""
    text = _text(body, "expirationDateTime")
    try:
        expires_at = datetime.fromisoformat(text)
    except ValueError:
        expires_at = None
    if expires_at is None or expires_at.tzinfo is None:
        raise bad_request(f"'{text}' is no date and time with offset.", "InvalidRequest")
    if expires_at <= now:
        raise bad_request("Subscription expiration must be in the future.", "ValidationError")
    if expires_at - now > LONGEST:
        raise bad_request(
            "Subscription expiration can only be 10080 minutes in the future.", "ValidationError"
        )
    return max(expires_at.astimezone(UTC), now + SHORTEST)


def write_instant(instant: datetime) -> str:
    """As Graph writes it."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def _text(body: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
    value = body.get(name, "")
    if not isinstance(value, str) or (needed and not value):
        raise bad_request(f"Property '{name}' is missing or no text.", "InvalidRequest")
    return value


def _url(body: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
    text = _text(body, name, needed=needed)
    if text and urlsplit(text).scheme != "https":
        raise bad_request(f"'{name}' must be an https address.", "InvalidRequest")
    return text
