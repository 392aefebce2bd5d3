"""XML as autodiscover requests bring it: parsed without entities, DTD or network."""

from __future__ import annotations

from html import escape as _escape

from lxml import etree


class NotXml(Exception):
    """The body is not XML, or XML with a document type."""


def parse(body: bytes) -> etree._Element:
    """The root element; raises NotXml."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as problem:
        raise NotXml(str(problem)) from None
    if root.getroottree().docinfo.doctype:
        raise NotXml("a document type is not allowed")
    return root


def text_at(element: etree._Element | None, *names: str) -> str:
    """The text of the descendant along these qualified names, without surrounding space; "" where missing."""
    for name in names:
        element = None if element is None else element.find(name)
    return "" if element is None else (element.text or "").strip()


def escape(text: str) -> str:
    """Text for an element or an attribute."""
    return _escape(text, quote=True)
