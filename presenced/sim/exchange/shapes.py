"""Which properties of a calendar item a request asks for, compiled into the writers for them.

The answer to FindItem is the hot path: a shape is compiled once into a list of small functions in the
order of the schema and remembered by its words, so that an item costs a few microseconds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from presenced.sim.exchange.organisation import Item
from presenced.sim.exchange.properties import (
    ALL,
    DEFAULT,
    EXTENDED_PLACE,
    NOT_FOUND,
    TABLE,
    Angle,
    Writer,
    item_id,
)
from presenced.sim.exchange.soap import Element, local


class Shape(NamedTuple):
    """What a request wants to see of each item; hashable, so that compiling it can be remembered."""

    base: str
    """IdOnly, Default or AllProperties"""
    more: tuple[str, ...] = ()
    """field URIs, and the keys of extended properties (`extended_key`)"""
    body_type: str = ""
    """HTML, Text or Best"""


def read_shape(element: Element | None) -> Shape:
    """The `ItemShape` of a request; just ids where there is none."""
    base, body_type = "IdOnly", ""
    more: list[str] = []
    for part in element if element is not None else ():
        name = local(part)
        if name == "BaseShape":
            base = (part.text or "").strip()
        elif name == "BodyType":
            body_type = (part.text or "").strip()
        elif name == "AdditionalProperties":
            more = [path_key(path) for path in part]
    return Shape(base, tuple(more), body_type)


def path_key(path: Element) -> str:
    """What a FieldURI, IndexedFieldURI or ExtendedFieldURI names, as one word."""
    if local(path) == "ExtendedFieldURI":
        attributes = sorted((name, value.casefold()) for name, value in path.attrib.items())
        return "extended:" + ";".join(f"{name}={value}" for name, value in attributes)
    return str(path.get("FieldURI", ""))


@lru_cache(maxsize=512)
def compile_shape(shape: Shape, *, finding: bool) -> tuple[Writer, ...]:
    """The writers for what the shape asks for, in the order of the schema; the id is always among them."""
    asked = set(shape.more)
    if shape.base == "AllProperties":
        asked |= ALL
    elif shape.base == "Default":
        asked |= DEFAULT
    if finding:
        asked -= NOT_FOUND
    found: list[tuple[float, Writer]] = [
        (place, writer) for place, (uri, writer) in enumerate(TABLE) if uri in asked
    ]
    found += [(EXTENDED_PLACE, _extended(key)) for key in shape.more if key.startswith("extended:")]
    return (item_id, *(writer for _, writer in sorted(found, key=lambda entry: entry[0])))


def _extended(key: str) -> Writer:
    def write(item: Item, _: Angle) -> str:
        return item.extras.get(key, "") if item.extras else ""

    return write


def show_items(items: list[Item], writers: tuple[Writer, ...], angle: Angle) -> str:
    """The items as `CalendarItem` elements."""
    return "".join(
        [
            f"<t:CalendarItem>{''.join([write(item, angle) for write in writers])}</t:CalendarItem>"
            for item in items
        ]
    )
