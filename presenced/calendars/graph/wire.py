"""Answers of Graph as values.

Graph speaks JSON and leaves out or adds members as it likes, so every member is looked at before it is
believed. An appointment that can't be understood is skipped and counted with its reason; it never costs
the others. Source: the v1.0 resource pages event, dateTimeTimeZone, user, subscription and
changeNotificationCollection.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeAlias

from presenced.core.appointment import Appointment, Response, Sensitivity, ShowAs
from presenced.core.zones import from_wall, zone_of

Answer: TypeAlias = Mapping[str, Any]
"""a JSON object"""

_SHOW_AS = {
    "free": ShowAs.FREE,
    "tentative": ShowAs.TENTATIVE,
    "busy": ShowAs.BUSY,
    "oof": ShowAs.OOF,
    "workingElsewhere": ShowAs.WORKING_ELSEWHERE,
    "unknown": ShowAs.NO_DATA,
}
_SENSITIVITY = {one.value: one for one in Sensitivity}
_RESPONSE = {
    "none": Response.UNKNOWN,
    "organizer": Response.ORGANIZER,
    "tentativelyAccepted": Response.TENTATIVE,
    "accepted": Response.ACCEPTED,
    "declined": Response.DECLINED,
    "notResponded": Response.NOT_RECEIVED,
}
_UTC_NAMES = {"UTC", "Etc/UTC", "Etc/GMT", "Z", "tzone://Microsoft/Utc", ""}
_DAY = timedelta(days=1)


class Unreadable(Exception):
    """An answer that is not what the question asked for; the text says in what."""


class _Garbled(Exception):
    """An appointment without what makes it one."""


@dataclass(frozen=True, slots=True)
class ViewPage:
    """One page of a calendarView."""

    appointments: tuple[Appointment, ...]
    next_link: str = ""
    oddities: Mapping[str, int] = field(default_factory=dict)
    """reason -> how many appointments were skipped or read with a guess"""


@dataclass(frozen=True, slots=True)
class DeltaPage:
    """One page of a delta answer; exactly one of the links is there."""

    changes: int
    """appointments new, changed or (`@removed`) gone, stubs included"""
    next_link: str = ""
    delta_link: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the directory."""

    id: str
    mail: str
    """primary SMTP address, "" where there is none"""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription as Graph has it."""

    id: str
    expires_at: datetime
    notification_url: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """One entry of what Graph posts to the notification URL."""

    subscription: str
    client_state: str
    lifecycle: str = ""
    """`reauthorizationRequired`, `subscriptionRemoved` or `missed`; "" for a change"""


def parse(body: bytes) -> Answer:
    """The JSON object of a whole answer. Raises Unreadable."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("no JSON") from None
    return _object(parsed, "the answer")


def _object(value: object, what: str) -> Answer:
    if not isinstance(value, dict):
        raise Unreadable(f"{what} is no JSON object")
    return value


def _text(holder: object, name: str) -> str:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, str) else ""


def _values(answer: Answer) -> Iterator[Answer]:
    values = answer.get("value")
    if not isinstance(values, list):
        raise Unreadable("the answer has no list of values")
    return (one for one in values if isinstance(one, dict))


# --- appointments -------------------------------------------------------------------------------


def read_view(answer: Answer) -> ViewPage:
    """The raw appointments of a page of a calendarView. Raises Unreadable."""
    odd: Counter[str] = Counter()
    appointments: list[Appointment] = []
    for one in _values(answer):
        if _text(one, "type") == "seriesMaster":
            continue
        try:
            appointments.append(_appointment(one, odd))
        except (_Garbled, ValueError, OverflowError) as error:
            odd[str(error) if isinstance(error, _Garbled) else "time out of range"] += 1
    return ViewPage(tuple(appointments), _text(answer, "@odata.nextLink"), dict(odd))


def _appointment(one: Answer, odd: Counter[str]) -> Appointment:
    if not _text(one, "id"):
        raise _Garbled("no id")
    all_day = one.get("isAllDay") is True
    if all_day:
        start, end = _dates(_wall(one, "start")[0], _wall(one, "end")[0])
    else:
        start, end = _instant(one, "start"), _instant(one, "end")
    return Appointment(
        id=_text(one, "id"),
        start=start,
        end=end,
        show_as=_show_as(_text(one, "showAs"), odd),
        subject=_text(one, "subject"),
        all_day=all_day,
        sensitivity=_sensitivity(_text(one, "sensitivity"), odd),
        organizer=_address(one.get("organizer")),
        cancelled=one.get("isCancelled") is True,
        response=_RESPONSE.get(_text(one.get("responseStatus"), "response"), Response.UNKNOWN),
    )


def _wall(one: Answer, name: str) -> tuple[datetime, str]:
    """Wall-clock time and the name of its zone (dateTimeTimeZone)."""
    text = _text(one.get(name), "dateTime")
    if not text:
        raise _Garbled(f"no {name}")
    try:
        return datetime.fromisoformat(text), _text(one.get(name), "timeZone")
    except ValueError:
        raise _Garbled(f"unreadable {name}") from None


def _instant(one: Answer, name: str) -> datetime:
    """UTC was asked for; another zone is taken where its name is known."""
    wall, zone = _wall(one, name)
    if wall.tzinfo is not None:
        return wall.astimezone(UTC)
    if zone in _UTC_NAMES:
        return wall.replace(tzinfo=UTC)
    try:
        return from_wall(wall, zone_of(zone))
    except ValueError:
        raise _Garbled("unknown time zone") from None


def _dates(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The dates of an all-day appointment as `core.appointment` wants them: UTC midnights.

    They come as midnights whatever zone is asked for (graph.md section Read), so nothing is converted.
    """
    last = end.date() if end.time() == time() else end.date() + _DAY
    return _midnight(start.date()), _midnight(last)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _show_as(text: str, odd: Counter[str]) -> ShowAs:
    known = _SHOW_AS.get(text)
    if known is None:
        odd["unknown show-as" if text else "no show-as"] += 1
        return ShowAs.NO_DATA
    return known


def _sensitivity(text: str, odd: Counter[str]) -> Sensitivity:
    """An unknown word is private: better a hidden title than one that should not be seen."""
    known = _SENSITIVITY.get(text or "normal")
    if known is None:
        odd["unknown sensitivity"] += 1
        return Sensitivity.PRIVATE
    return known


def _address(recipient: object) -> str:
    """The SMTP address of a recipient; a legacy DN or a mere name is none."""
    entry = recipient.get("emailAddress") if isinstance(recipient, dict) else None
    address = _text(entry, "address")
    return address if "@" in address and address[0] != "/" else ""


# --- the rest -----------------------------------------------------------------------------------


def read_delta(answer: Answer) -> DeltaPage:
    """A page of a delta answer. Raises Unreadable."""
    changes = sum(1 for _ in _values(answer))
    page = DeltaPage(changes, _text(answer, "@odata.nextLink"), _text(answer, "@odata.deltaLink"))
    if bool(page.next_link) == bool(page.delta_link):
        raise Unreadable("the delta answer does not say where it goes on")
    return page


def read_people(answer: Answer) -> tuple[Person, ...]:
    """The users of a directory answer. Raises Unreadable."""
    people = (Person(_text(one, "id"), _text(one, "mail")) for one in _values(answer))
    return tuple(one for one in people if one.id)


def read_owner(answer: Answer) -> str:
    """The primary address of a calendar's owner, "" where the answer does not say."""
    address = _text(answer.get("owner"), "address")
    return address if "@" in address else ""


def read_subscribed(answer: Answer) -> Subscribed:
    """A subscription that was made or renewed. Raises Unreadable."""
    identity, expires = _text(answer, "id"), _text(answer, "expirationDateTime")
    try:
        moment = datetime.fromisoformat(expires)
    except ValueError:
        moment = None
    if not identity or moment is None:
        raise Unreadable("the answer is no subscription")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return Subscribed(identity, moment.astimezone(UTC), _text(answer, "notificationUrl"))


def read_subscriptions(answer: Answer) -> tuple[tuple[Subscribed, ...], str]:
    """A page of the subscriptions there are, and the link to the next. Raises Unreadable."""
    return tuple(map(read_subscribed, _values(answer))), _text(answer, "@odata.nextLink")


def read_notices(body: bytes) -> tuple[Notice, ...]:
    """What was posted to the notification URL. Raises Unreadable."""
    return tuple(
        Notice(_text(one, "subscriptionId"), _text(one, "clientState"), _text(one, "lifecycleEvent"))
        for one in _values(parse(body))
    )
