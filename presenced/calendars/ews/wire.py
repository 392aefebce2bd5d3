"""Answers of Exchange as values.

FindItem answers are read for every mailbox at every change, so this reader walks each item's children
once, by local name, no farther than they matter, and makes nothing but the appointment (exchange.md
section 2: 0.025 ms against exchangelib's 1.1 ms for a notification). An item that can't be understood
is skipped and counted with its reason; it never costs the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pytz.tzinfo import BaseTzInfo

from presenced.calendars.ews.dates import as_utc_midnights, find_dates
from presenced.calendars.ews.envelope import (
    Element,
    Unreadable,
    accepted,
    child,
    children,
    local,
    parse,
    response_messages,
    text_of,
)
from presenced.core.appointment import Appointment, Response, Sensitivity, ShowAs
from presenced.core.window import Window
from presenced.core.zones import zone_of

ZoneNames = Callable[[str], str | None]
"""a Windows zone id -> an IANA name"""

_SHOW_AS = {
    "Free": ShowAs.FREE,
    "Tentative": ShowAs.TENTATIVE,
    "Busy": ShowAs.BUSY,
    "OOF": ShowAs.OOF,
    "WorkingElsewhere": ShowAs.WORKING_ELSEWHERE,
    "NoData": ShowAs.NO_DATA,
}
_SENSITIVITY = {
    "Normal": Sensitivity.NORMAL,
    "Personal": Sensitivity.PERSONAL,
    "Private": Sensitivity.PRIVATE,
    "Confidential": Sensitivity.CONFIDENTIAL,
}
_RESPONSE = {
    "Unknown": Response.UNKNOWN,
    "Organizer": Response.ORGANIZER,
    "Tentative": Response.TENTATIVE,
    "Accept": Response.ACCEPTED,
    "Decline": Response.DECLINED,
    "NoResponseReceived": Response.NOT_RECEIVED,
}
_TRUE = {"true", "1"}
_WHEN = {"ItemId", "Start", "End"}
"""what tells, with IsAllDayEvent, whether an item matters; Exchange sends these before the rest"""


@dataclass(frozen=True, slots=True)
class Found:
    """What a FindItem with a CalendarView brought."""

    appointments: tuple[Appointment, ...]
    complete: bool = True
    """IncludesLastItemInRange"""
    oddities: Mapping[str, int] | None = None
    """reason -> how many items were skipped or read with a guess; None where there were none"""


@dataclass(frozen=True, slots=True)
class Synced:
    """What SyncFolderItems brought."""

    cursor: str
    changes: int
    complete: bool


class _Garbled(Exception):
    """An item without what makes it an appointment."""


# --- FindItem -----------------------------------------------------------------------------------


def read_appointments(body: bytes, zone: str, zone_names: ZoneNames, within: Window | None = None) -> Found:
    """The raw appointments of a FindItem answer; `zone` is the IANA name of the presence zone.

    Timed ones that do not overlap `within` are passed over: the answer is wider than what was wanted, and
    half of it need not be looked at closely. Raises Refused or Unreadable.
    """
    appointments: list[Appointment] = []
    odd: Counter[str] = Counter()
    complete = True
    for message in response_messages(parse(body)):
        folder = child(accepted(message), "RootFolder")
        if folder is None:
            raise Unreadable("the FindItem answer has no RootFolder")
        complete &= folder.get("IncludesLastItemInRange", "true").lower() in _TRUE
        for item in children(folder, "Items"):
            try:
                appointment = _appointment(item, zone, zone_names, odd, within)
                if appointment is not None:
                    appointments.append(appointment)
            except (_Garbled, ValueError, OverflowError) as error:
                odd[str(error) if isinstance(error, _Garbled) else "time out of range"] += 1
    return Found(tuple(appointments), complete, dict(odd) if odd else None)


def _appointment(
    item: Element, zone: str, zone_names: ZoneNames, odd: Counter[str], within: Window | None
) -> Appointment | None:
    if local(item.tag) != "CalendarItem":
        raise _Garbled("not a calendar item")
    fields: dict[str, Element] = {}
    rest = iter(item)
    for one in rest:
        fields[local(one.tag)] = one
        if "IsAllDayEvent" in fields and fields.keys() >= _WHEN:
            break
    identity = fields.get("ItemId")
    item_id = "" if identity is None else identity.get("Id", "")
    if not item_id:
        raise _Garbled("no item id")
    start, end = _instant(fields, "Start"), _instant(fields, "End")
    all_day = _text(fields, "IsAllDayEvent") in _TRUE
    if not all_day and within is not None and not within.overlaps(start, end):
        return None
    for one in rest:
        fields[local(one.tag)] = one
    if all_day:
        zones = _zones(fields.get("StartTimeZone"), zone, zone_names)
        start, end = as_utc_midnights(find_dates(start, end, zones))
    return Appointment(
        id=item_id,
        start=start,
        end=end,
        show_as=_show_as(_text(fields, "LegacyFreeBusyStatus"), odd),
        subject=_subject(fields.get("Subject")),
        all_day=all_day,
        sensitivity=_sensitivity(_text(fields, "Sensitivity"), odd),
        organizer=_organizer(fields.get("Organizer")),
        cancelled=_text(fields, "IsCancelled") in _TRUE,
        response=_RESPONSE.get(_text(fields, "MyResponseType")) or Response.UNKNOWN,
    )


def _text(fields: Mapping[str, Element], name: str) -> str:
    found = fields.get(name)
    return "" if found is None else (found.text or "").strip()


def _instant(fields: Mapping[str, Element], name: str) -> datetime:
    """An xs:dateTime with Z, an offset or none (then UTC), with or without fractions."""
    text = _text(fields, name)
    if not text:
        raise _Garbled(f"no {name.lower()}")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Garbled(f"unreadable {name.lower()}") from None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _show_as(text: str, odd: Counter[str]) -> ShowAs:
    known = _SHOW_AS.get(text)
    if known is None:
        odd["unknown show-as" if text else "no show-as"] += 1
        return ShowAs.NO_DATA
    return known


def _sensitivity(text: str, odd: Counter[str]) -> Sensitivity:
    """An unknown word is private: better a hidden title than one that should not be seen."""
    known = _SENSITIVITY.get(text or "Normal")
    if known is None:
        odd["unknown sensitivity"] += 1
        return Sensitivity.PRIVATE
    return known


def _subject(element: Element | None) -> str:
    return "" if element is None else element.text or ""


def _organizer(element: Element | None) -> str:
    """The organizer's SMTP address; a legacy DN or a mere name is none."""
    mailbox = None if element is None else child(element, "Mailbox")
    if mailbox is None:
        return ""
    fields = {local(one.tag): one for one in mailbox}
    address = _text(fields, "EmailAddress")
    if _text(fields, "RoutingType").upper() in {"", "SMTP"} and "@" in address and address[0] != "/":
        return address
    return ""


def _zones(element: Element | None, zone: str, zone_names: ZoneNames) -> Iterable[BaseTzInfo]:
    if element is not None:
        name = zone_names(element.get("Id", "")) or zone_names(element.get("Name", ""))
        own = None if name is None else _zone(name)
        if own is not None:
            yield own
    presence = _zone(zone)
    if presence is not None:
        yield presence


def _zone(name: str) -> BaseTzInfo | None:
    try:
        return zone_of(name)
    except ValueError:
        return None


# --- the rest -----------------------------------------------------------------------------------


def read_organizers(body: bytes) -> dict[str, str]:
    """Item id -> organizer's SMTP address, of a GetItem answer; items that failed are left out."""
    organizers: dict[str, str] = {}
    for message in response_messages(parse(body)):
        for item in children(message, "Items"):
            identity, address = child(item, "ItemId"), _organizer(child(item, "Organizer"))
            if identity is not None and address:
                organizers[identity.get("Id", "")] = address
    return organizers


def read_subscription(body: bytes) -> str:
    """The id of a new subscription. Raises Refused or Unreadable."""
    for message in response_messages(parse(body)):
        subscription = text_of(accepted(message), "SubscriptionId")
        if subscription:
            return subscription
    raise Unreadable("the Subscribe answer has no SubscriptionId")


def read_done(body: bytes) -> None:
    """An answer that says no more than done (Unsubscribe). Raises Refused or Unreadable."""
    for message in response_messages(parse(body)):
        accepted(message)


def read_sync(body: bytes) -> Synced:
    """Cursor and number of changes of a SyncFolderItems answer. Raises Refused or Unreadable."""
    for message in response_messages(parse(body)):
        cursor = text_of(accepted(message), "SyncState")
        if not cursor:
            break
        changes = child(message, "Changes")
        complete = text_of(message, "IncludesLastItemInRange").lower() in _TRUE
        return Synced(cursor, 0 if changes is None else len(changes), complete)
    raise Unreadable("the SyncFolderItems answer has no SyncState")
