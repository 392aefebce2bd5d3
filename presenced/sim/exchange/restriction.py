"""Restrictions and sort orders of FindItem, over the properties an item has here.

MS-OXWSSRCH SearchExpressionType: enough of it for clients that filter on the server; a property nobody
can search by is answered as a real server does, with ErrorUnsupportedPathForQuery.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import datetime, tzinfo

from presenced.sim.exchange.instants import read_instant
from presenced.sim.exchange.organisation import Item
from presenced.sim.exchange.problems import Problem
from presenced.sim.exchange.shapes import path_key
from presenced.sim.exchange.soap import Element, child, local

Value = str | bool | datetime
Test = Callable[[Item], bool]

SEARCHABLE: dict[str, Callable[[Item], Value]] = {
    "item:Subject": lambda item: item.subject.casefold(),
    "item:Body": lambda item: item.body.casefold(),
    "item:ItemClass": lambda _: "ipm.appointment",
    "item:Sensitivity": lambda item: item.sensitivity.casefold(),
    "item:Categories": lambda item: ((item.extras or {}).get("Categories", "")).casefold(),
    "calendar:Start": lambda item: item.start,
    "calendar:End": lambda item: item.end,
    "calendar:IsAllDayEvent": lambda item: item.all_day,
    "calendar:LegacyFreeBusyStatus": lambda item: item.show_as.casefold(),
    "calendar:Location": lambda item: item.location.casefold(),
    "calendar:IsCancelled": lambda item: item.cancelled,
    "calendar:CalendarItemType": lambda item: item.item_type.casefold(),
    "calendar:MyResponseType": lambda item: item.my_response.casefold(),
    "calendar:Organizer": lambda item: f"{item.organizer_name} {item.organizer_address}".casefold(),
    "calendar:UID": lambda item: (item.uid or item.id).casefold(),
}
COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "IsEqualTo": operator.eq,
    "IsNotEqualTo": operator.ne,
    "IsGreaterThan": operator.gt,
    "IsGreaterThanOrEqualTo": operator.ge,
    "IsLessThan": operator.lt,
    "IsLessThanOrEqualTo": operator.le,
}
MODES: dict[str, Callable[[str, str], bool]] = {
    "FullString": operator.eq,
    "Prefixed": str.startswith,
    "Substring": operator.contains,
    "PrefixOnWords": lambda text, word: any(part.startswith(word) for part in text.split()),
    "ExactPhrase": operator.contains,
}


def read_restriction(element: Element, zone: tzinfo) -> Test:
    """The test a `Restriction` (or And, Or, Not) spells out; bare times are of `zone`. Raises Problem."""
    tests = [_read(expression, zone) for expression in element]
    return lambda item: all(test(item) for test in tests)


def _read(expression: Element, zone: tzinfo) -> Test:
    kind = local(expression)
    if kind in {"And", "Or", "Not"}:
        tests = [_read(inner, zone) for inner in expression]
        if kind == "And":
            return lambda item: all(test(item) for test in tests)
        if kind == "Or":
            return lambda item: any(test(item) for test in tests)
        return lambda item: not all(test(item) for test in tests)
    value = _searched(expression)
    if kind == "Exists":
        return lambda item: value(item) not in {"", None}
    if kind == "Contains":
        return _contains(expression, value)
    compare = COMPARISONS.get(kind)
    if compare is None:
        raise Problem("ErrorUnsupportedQueryFilter", f"{kind} can't be searched by.")
    other = _operand(expression, zone)
    return lambda item: _compare(compare, value(item), other(item))


def _compare(compare: Callable[[Value, Value], bool], left: Value, right: Value) -> bool:
    return type(left) is type(right) and compare(left, right)


def _searched(expression: Element) -> Callable[[Item], Value]:
    key = next((path_key(path) for path in expression if local(path).endswith("FieldURI")), "")
    if key.startswith("extended:"):
        return lambda item: (item.extras or {}).get(key, "")
    if key not in SEARCHABLE:
        raise Problem("ErrorUnsupportedPathForQuery", f"The property {key} can't be used in a restriction.")
    return SEARCHABLE[key]


def _operand(expression: Element, zone: tzinfo) -> Callable[[Item], Value]:
    operand = child(expression, "FieldURIOrConstant")
    constant = child(operand, "Constant")
    if constant is None:
        if operand is None:
            raise Problem("ErrorInvalidRequest", "The request is invalid: a comparison needs two sides.")
        return _searched(operand)
    text = constant.get("Value", "")
    key = next((path_key(path) for path in expression if local(path).endswith("FieldURI")), "")
    value: Value = text.casefold()
    if key in {"calendar:Start", "calendar:End"}:
        value = read_instant(text, zone)
    elif key in {"calendar:IsAllDayEvent", "calendar:IsCancelled"}:
        value = text.strip().casefold() in {"true", "1"}
    return lambda _: value


def _contains(expression: Element, value: Callable[[Item], Value]) -> Test:
    constant = child(expression, "Constant")
    wanted = "" if constant is None else constant.get("Value", "").casefold()
    mode = MODES.get(expression.get("ContainmentMode", "FullString"), operator.contains)
    return lambda item: mode(str(value(item)), wanted)


def sort_items(items: list[Item], element: Element) -> list[Item]:
    """The items in the order a `SortOrder` asks for. Raises Problem."""
    for order in reversed(element):
        items = sorted(items, key=_searched(order), reverse=order.get("Order") == "Descending")  # type: ignore[arg-type,unused-ignore]
    return items
