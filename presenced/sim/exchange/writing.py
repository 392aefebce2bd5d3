"""CreateItem, UpdateItem and DeleteItem for calendar items.

MS-OXWSCORE and MS-OXWSMTGS. What an `Item` models is read into it; the other properties clients like to
set are kept as they came. Recurring masters are refused: nothing here could expand them.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from presenced.sim.exchange.call import Call, each
from presenced.sim.exchange.folders import find_folder
from presenced.sim.exchange.instants import read_instant, write_instant
from presenced.sim.exchange.organisation import Item, SimulatedMailbox
from presenced.sim.exchange.problems import Problem, Refusal
from presenced.sim.exchange.properties import WRITABLE_EXTRAS, Angle, item_id
from presenced.sim.exchange.reading import item_finder
from presenced.sim.exchange.shapes import path_key
from presenced.sim.exchange.soap import (
    Element,
    children,
    first_of,
    local,
    response,
    rewrite,
    success,
    text_of,
)
from presenced.sim.exchange.zones import find_zone

TEXTS = {
    "Subject": "subject",
    "Sensitivity": "sensitivity",
    "Body": "body",
    "LegacyFreeBusyStatus": "show_as",
    "Location": "location",
    "UID": "uid",
}
"""elements whose text is a field of Item"""
DEFAULTS: dict[str, str] = {"Sensitivity": "Normal", "LegacyFreeBusyStatus": "Busy"}
"""what DeleteItemField leaves behind, "" otherwise"""
CHOICES: dict[str, frozenset[str]] = {
    "Sensitivity": frozenset({"Normal", "Personal", "Private", "Confidential"}),
    "LegacyFreeBusyStatus": frozenset({"Free", "Tentative", "Busy", "OOF", "WorkingElsewhere", "NoData"}),
}
ZONE_ELEMENTS = frozenset({"StartTimeZone", "MeetingTimeZone"})
BOOLEANS = frozenset({"AllowNewTimeProposal", "IsOnlineMeeting", "IsResponseRequested", "ReminderIsSet"})
"""written back as `true` and `false`, however they came"""
PASSED_OVER = frozenset({"EndTimeZone", "ItemId", "Organizer", "MyResponseType", "IsDraft"})
"""elements clients send that change nothing"""


def create_items(call: Call) -> str:
    """MS-OXWSCORE CreateItem."""
    asked = call.request.element
    target = next(children(asked, "SavedItemFolderId"), None)

    def answer(element: Element) -> str:
        if local(element) != "CalendarItem":
            raise Problem("ErrorInvalidOperation", "This server keeps calendar items only.")
        if "SendMeetingInvitations" not in asked.attrib:
            raise Problem(
                "ErrorSendMeetingInvitationsRequired",
                "The SendMeetingInvitations attribute is required for calendar items.",
            )
        if target is None:
            mailbox = call.admit(call.own())
        else:
            folder = find_folder(call, target)
            if not folder.is_calendar:
                raise Problem(
                    "ErrorCannotCreateCalendarItemInNonCalendarFolder",
                    "Calendar items can only be created in a calendar folder.",
                )
            mailbox = folder.mailbox
        item = _new_item(call, mailbox)
        _fill(item, list(element), call.zone)
        mailbox.put(item)
        return success("CreateItem", _shown(mailbox, item))

    return response("CreateItem", each(call, children(asked, "Items"), answer))


def update_items(call: Call) -> str:
    """MS-OXWSCORE UpdateItem: SetItemField, AppendToItemField (the body) and DeleteItemField."""
    asked = call.request.element
    changes = list(children(asked, "ItemChanges"))
    find = item_finder(call, [first for change in changes for first in change if local(first) == "ItemId"])

    def answer(change: Element) -> str:
        if "SendMeetingInvitationsOrCancellations" not in asked.attrib:
            raise Problem(
                "ErrorSendMeetingInvitationsOrCancellationsRequired",
                "The SendMeetingInvitationsOrCancellations attribute is required for calendar items.",
            )
        named = first_of(change)
        mailbox, old = find(named)
        _check_change_key(old, named, asked.get("ConflictResolution", ""))
        item = replace(old, extras=dict(old.extras) if old.extras else None)
        elements: list[Element] = []
        for update in children(change, "Updates"):
            if local(update) == "DeleteItemField":
                _clear(item, next((path_key(path) for path in update), ""))
            elif local(update) == "AppendToItemField":
                item.body += text_of(update, "CalendarItem", "Body")
            else:
                elements += list(children(update, "CalendarItem"))
        _fill(item, elements, call.zone)
        mailbox.put(item)
        conflicts = "<m:ConflictResults><t:Count>0</t:Count></m:ConflictResults>"
        return success("UpdateItem", _shown(mailbox, item) + conflicts)

    return response("UpdateItem", each(call, changes, answer))


def delete_items(call: Call) -> str:
    """MS-OXWSCORE DeleteItem: for good, or into the deleted items."""
    asked = call.request.element
    elements = list(children(asked, "ItemIds"))
    find = item_finder(call, elements)

    def answer(element: Element) -> str:
        if "SendMeetingCancellations" not in asked.attrib:
            raise Problem(
                "ErrorSendMeetingCancellationsRequired",
                "The SendMeetingCancellations attribute is required for calendar items.",
            )
        mailbox, item = find(element)
        try:
            mailbox.remove(item.id, moved=asked.get("DeleteType") == "MoveToDeletedItems")
        except KeyError:
            raise Problem("ErrorItemNotFound", "The object is already deleted.") from None
        return success("DeleteItem")

    return response("DeleteItem", each(call, elements, answer))


def _new_item(call: Call, mailbox: SimulatedMailbox) -> Item:
    start = call.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return Item(
        secrets.token_hex(16),
        "",
        "",
        start,
        start + timedelta(minutes=30),
        zone=mailbox.zone,
        uid=secrets.token_hex(28).upper(),
        extras={"DateTimeCreated": write_instant(call.now)},
    )


def _shown(mailbox: SimulatedMailbox, item: Item) -> str:
    shown = item_id(item, Angle(mailbox, 0))
    return f"<m:Items><t:CalendarItem>{shown}</t:CalendarItem></m:Items>"


def _check_change_key(item: Item, named: Element, resolution: str) -> None:
    key = named.get("ChangeKey")
    if resolution == "AlwaysOverwrite":
        return
    if not key:
        raise Problem(
            "ErrorChangeKeyRequiredForWriteOperations", "A change key is required for this operation."
        )
    if key != (item.change_key or "AQAAAA==") and resolution == "NeverOverwrite":
        raise Problem(
            "ErrorIrresolvableConflict",
            "The send or update operation could not be performed because the change key passed in the request"
            " does not match the current change key for the item.",
        )


def _fill(item: Item, elements: list[Element], bare_zone: tzinfo) -> None:
    """Write these properties into the item; times without a zone are of the item's, else of `bare_zone`."""
    zone = bare_zone
    for element in elements:
        if local(element) in ZONE_ELEMENTS:
            found = find_zone(element.get("Id") or element.get("TimeZoneName") or "")
            if found is None:
                raise Problem("ErrorCalendarInvalidTimeZone", "The time zone is unknown.")
            item.zone, zone = found.key, found
    for element in elements:
        _write(item, element, zone)
    if item.end < item.start:
        raise Problem("ErrorCalendarEndDateIsEarlierThanStartDate", "EndDate is earlier than StartDate.")
    if item.all_day:
        _cover_whole_days(item)


def _write(item: Item, element: Element, zone: tzinfo) -> None:
    name = local(element)
    text = element.text or ""
    if name in TEXTS:
        if text not in CHOICES.get(name, {text}):
            raise Refusal("ErrorSchemaValidation", f"The request failed schema validation: {name}.")
        setattr(item, TEXTS[name], text)
    elif name == "Start":
        item.start = read_instant(text, zone)
    elif name == "End":
        item.end = read_instant(text, zone)
    elif name == "IsAllDayEvent":
        item.all_day = text.strip() in {"true", "1"}
    elif name == "ExtendedProperty":
        _keep(item, path_key(first_of(element)), element)
    elif name in WRITABLE_EXTRAS:
        _keep(item, name, element)
    elif name == "Recurrence":
        raise Problem("ErrorCalendarInvalidRecurrence", "This server keeps no recurring masters.")
    elif name not in ZONE_ELEMENTS and name not in PASSED_OVER:
        raise Problem("ErrorInvalidPropertySet", f"Set action is invalid for property {name}.")


def _keep(item: Item, key: str, element: Element) -> None:
    if item.extras is None:
        item.extras = {}
    if key in BOOLEANS:
        element.text = "true" if (element.text or "").strip() in {"true", "1"} else "false"
    item.extras[key] = rewrite(element)


def _clear(item: Item, key: str) -> None:
    name = key.partition(":")[2]
    if name in TEXTS:
        setattr(item, TEXTS[name], DEFAULTS.get(name, ""))
    elif item.extras:
        item.extras.pop(key if key.startswith("extended:") else name, None)


def _cover_whole_days(item: Item) -> None:
    """An all-day item begins and ends at midnight in its zone, whatever was written."""
    zone = ZoneInfo(item.zone)
    first = item.start.astimezone(zone).date()
    last = (item.end - timedelta(microseconds=1)).astimezone(zone).date()
    beyond = max(last, first) + timedelta(days=1)
    item.start = datetime.combine(first, time(), zone).astimezone(UTC)
    item.end = datetime.combine(beyond, time(), zone).astimezone(UTC)
