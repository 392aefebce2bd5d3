"""FindItem and GetItem.

MS-OXWSSRCH and MS-OXWSCORE. A CalendarView shows occurrences and is bounded; every other view sees what
lies within the horizon around now, since a generated calendar has no end. There are no recurring
masters here: an occurrence stands for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from presenced.sim.exchange.call import Call, each
from presenced.sim.exchange.folders import Folder, find_folder
from presenced.sim.exchange.ids import ObjectId, read_id
from presenced.sim.exchange.instants import read_instant
from presenced.sim.exchange.organisation import Item, SimulatedMailbox
from presenced.sim.exchange.problems import Problem, Refusal
from presenced.sim.exchange.properties import Angle
from presenced.sim.exchange.restriction import read_restriction, sort_items
from presenced.sim.exchange.shapes import compile_shape, read_shape, show_items
from presenced.sim.exchange.soap import (
    Element,
    child,
    children,
    local,
    number_of,
    paging,
    response,
    success,
    text_of,
)

VIEW_LIMIT = timedelta(days=2 * 366)
"""the longest CalendarView a server accepts"""
PAGE_LIMIT = 1000
"""the most items one page of an indexed view holds"""
Page = tuple[list[Item], str]
"""the items shown and the paging attributes"""


def find_items(call: Call) -> str:
    """MS-OXWSSRCH FindItem, one response message for every folder named."""
    asked = call.request.element
    parts = {local(part): part for part in asked}
    if "Traversal" not in asked.attrib or "ParentFolderIds" not in parts:
        raise Refusal("ErrorSchemaValidation", "The request failed schema validation: incomplete FindItem.")
    shape = read_shape(parts.get("ItemShape"))
    writers = compile_shape(shape, finding=True)
    view = _calendar_view if "CalendarView" in parts else _other_view

    def answer(element: Element) -> str:
        folder = find_folder(call, element)
        items, place = view(call, folder, parts)
        angle = Angle(
            folder.mailbox,
            call.request.level,
            finding=True,
            organizer_addresses=call.faults.organizer_addresses,
        )
        shown = show_items(items, writers, angle)
        return success("FindItem", f"<m:RootFolder{place}><t:Items>{shown}</t:Items></m:RootFolder>")

    return response("FindItem", each(call, parts["ParentFolderIds"], answer))


def _calendar_view(call: Call, folder: Folder, parts: dict[str, Element]) -> Page:
    view = parts["CalendarView"]
    zone = call.zone
    start, end = read_instant(view.get("StartDate"), zone), read_instant(view.get("EndDate"), zone)
    if not folder.is_calendar:
        raise Problem("ErrorCalendarFolderIsInvalidForCalendarView", "CalendarView needs a calendar folder.")
    if end < start:
        raise Problem("ErrorCalendarEndDateIsEarlierThanStartDate", "EndDate is earlier than StartDate.")
    if end - start > VIEW_LIMIT:
        raise Problem(
            "ErrorCalendarViewRangeTooBig", "The specified view range exceeds the maximum range of two years."
        )
    if not parts.keys().isdisjoint({"Restriction", "SortOrder", "GroupBy", "QueryString"}):
        raise Problem(
            "ErrorInvalidOperation", "Restrictions and sort order may not be specified for a CalendarView."
        )
    items = folder.mailbox.view(start, end)
    total = len(items)
    most = number_of(view, "MaxEntriesReturned", total)
    if min(total, most) > call.faults.find_limit:
        raise Problem(
            "ErrorExceededFindCountLimit",
            "You have exceeded the maximum number of objects that can be returned for the find operation."
            " Use paging to reduce the result size and try your request again.",
            {"PolicyLimit": str(call.faults.find_limit)},
        )
    return items[:most], paging(0, total, is_last=most >= total, indexed=False)


def _other_view(call: Call, folder: Folder, parts: dict[str, Element]) -> Page:
    items = folder.mailbox.view(*call.horizon) if folder.is_calendar else []
    if "Restriction" in parts:
        test = read_restriction(parts["Restriction"], call.zone)
        items = [item for item in items if test(item)]
    if "QueryString" in parts:
        words = text_of(parts["QueryString"]).casefold()
        items = [item for item in items if words in item.subject.casefold()]
    if "SortOrder" in parts:
        items = sort_items(items, parts["SortOrder"])
    if call.request.element.get("Traversal") != "Shallow":
        items = []
    offset, most = 0, PAGE_LIMIT
    if (view := parts.get("IndexedPageItemView")) is not None:
        offset, most = number_of(view, "Offset", 0), number_of(view, "MaxEntriesReturned", PAGE_LIMIT)
        if view.get("BasePoint") == "End":
            offset = max(0, len(items) - offset - most)
    elif (view := parts.get("FractionalPageItemView")) is not None:
        offset = len(items) * number_of(view, "Numerator", 0) // max(1, number_of(view, "Denominator", 1))
        most = number_of(view, "MaxEntriesReturned", PAGE_LIMIT)
    page = items[offset : offset + min(most, PAGE_LIMIT)]
    following = min(offset + len(page), len(items))
    return page, paging(following, len(items), is_last=following >= len(items))


def get_items(call: Call) -> str:
    """MS-OXWSCORE GetItem, one response message for every id."""
    asked = call.request.element
    shape = read_shape(child(asked, "ItemShape"))
    writers = compile_shape(shape, finding=False)
    elements = list(children(asked, "ItemIds"))
    find = item_finder(call, elements)

    def answer(element: Element) -> str:
        mailbox, item = find(element)
        angle = Angle(mailbox, call.request.level, body_type=shape.body_type)
        return success("GetItem", f"<m:Items>{show_items([item], writers, angle)}</m:Items>")

    return response("GetItem", each(call, elements, answer))


Finder = Callable[[Element], tuple[SimulatedMailbox, Item]]


def item_finder(call: Call, elements: list[Element]) -> Finder:
    """What finds the item an `ItemId` names, having looked into each mailbox only once."""
    wanted: dict[str, set[str]] = {}
    for element in elements:
        try:
            found = _read_item_id(element)
        except Problem:
            continue
        wanted.setdefault(found.address, set()).add(found.name)
    known: dict[str, dict[str, Item]] = {}

    def find(element: Element) -> tuple[SimulatedMailbox, Item]:
        found = _read_item_id(element)
        mailbox = call.open(found.address)
        if found.address not in known:
            known[found.address] = mailbox.pick(wanted.get(found.address, {found.name}))
        item = known[found.address].get(found.name)
        if item is None:
            raise Problem("ErrorItemNotFound", "The specified object was not found in the store.")
        return mailbox, item

    return find


def _read_item_id(element: Element) -> ObjectId:
    if local(element) != "ItemId":
        raise Problem("ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange", "There is no recurring master.")
    found = read_id(element.get("Id", ""))
    if found.kind != "item":
        raise Problem("ErrorCannotUseFolderIdForItemId", "A folder's id stands where an item's belongs.")
    return found
