"""Checks requests and answers against Microsoft's schema, where somebody has it.

The schema isn't ours to ship; the folder with `messages.xsd` is given by the caller. A real server rejects
a request its schema doesn't know, so does this one with a `SchemaCheck` in place.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from presenced.sim.exchange.soap import MESSAGES, SOAP, TYPES

EXCEPTIONS = (("Notifications", "Notification"), ("ErrorSubscriptionIds", "SubscriptionId"))
"""parent and child real servers write in the messages namespace although the schema says types"""

VERSION = f"{{{TYPES}}}RequestServerVersion"
"""looked at by the parser: dated versions come faster than schemas"""


class SchemaCheck:
    """Microsoft's schema, loaded once."""

    def __init__(self, folder: Path) -> None:
        self._schema = etree.XMLSchema(etree.parse(folder / "messages.xsd"))
        self.checked = 0
        """messages looked at since the start"""

    def problems(self, envelope: bytes) -> list[str]:
        """What is wrong with a request or an answer, in the validator's words; empty: nothing."""
        self.checked += 1
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        try:
            root = etree.fromstring(envelope, parser)
        except etree.XMLSyntaxError as error:
            return [str(error)]
        return [problem for part in _parts(root) for problem in self._problems(part)]

    def _problems(self, element: etree._Element) -> list[str]:
        element = copy.deepcopy(element)
        for parent, child in EXCEPTIONS:
            for found in element.iterfind(f".//{{{MESSAGES}}}{parent}/{{{MESSAGES}}}{child}"):
                found.tag = f"{{{TYPES}}}{child}"
        if self._schema.validate(element):
            return []
        return [f"{element.tag.rpartition('}')[2]}: {error.message}" for error in self._schema.error_log]


def _parts(root: etree._Element) -> Iterator[etree._Element]:
    for section in ("Header", "Body"):
        for element in root.iterfind(f"{{{SOAP}}}{section}/*"):
            if element.tag.startswith((f"{{{MESSAGES}}}", f"{{{TYPES}}}")) and element.tag != VERSION:
                yield element
