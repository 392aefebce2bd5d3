"""SOAP answers: parsed safely, success told from failure.

Exchange says "no" in many shapes: a fault with HTTP 500 or 200, a response message whose ResponseCode
is not NoError, an error wrapped in ErrorInternalServerError, children in other namespaces than the
schema gives them or in none. Everything here goes by local name, so that one reader serves them all
(exchange.md section 4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeAlias

from lxml import etree

Element: TypeAlias = Any  # lxml has no types
MAX_TEXT = 300
"""how much of a server's own words is kept, in characters"""
OK = "NoError"
BUSY = "ErrorServerBusy"
POLICY = "PolicyBlocked"
"""our name for HTTP 403 with the header X-EWS-Policy-Reason"""
UNREADABLE = "Unreadable"
"""our name for an answer that can't be read, where there is no exception to raise"""
DYING = "SubscriptionsDying"
"""our name for a mailbox whose subscriptions die as soon as they are made"""

_PARSER = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
    collect_ids=False,
)
"""keeps nothing from one answer to the next; lxml locks it where threads share it"""
_UNFIT_REFERENCE = re.compile(rb"&#(?:[xX]0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F])|0*(?:[0-8]|1[124-9]|2\d|3[01]));")
_UNFIT_BYTE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(frozen=True, slots=True)
class Trouble:
    """A request that Exchange did not carry out, as it said so."""

    code: str
    """ResponseCode, `Http<status>` where there was none, or POLICY"""
    text: str = ""
    status: int = 200
    backoff: timedelta | None = None
    """what the server asks for; may be zero"""
    subscriptions: tuple[str, ...] = ()
    """ErrorSubscriptionIds"""


class Refused(Exception):
    """Exchange answered, and the answer is no."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(f"{trouble.code}: {trouble.text}" if trouble.text else trouble.code)
        self.trouble = trouble


class Unreadable(Exception):
    """The answer is not what was asked for, or no XML at all."""


# --- parsing ------------------------------------------------------------------------------------


def parse(body: bytes) -> Element:
    """The root of an answer. No entities, no DTD, no network, libxml2's size limits kept.

    Titles may hold references to control characters, which XML forbids and Exchange sends all the
    same: they are taken out, nothing else is repaired. Raises Unreadable.
    """
    try:
        return _parse(body)
    except etree.XMLSyntaxError as error:
        cleaned = _UNFIT_BYTE.sub(b"", _UNFIT_REFERENCE.sub(b"", body))
        if cleaned == body:
            raise Unreadable(f"the answer is no XML: {error.msg}") from error
    try:
        return _parse(cleaned)
    except etree.XMLSyntaxError as error:
        raise Unreadable(f"the answer is no XML: {error.msg}") from error


def _parse(body: bytes) -> Element:
    root = etree.fromstring(body, _PARSER)
    if root.getroottree().docinfo.doctype:
        raise Unreadable("the answer holds a document type declaration")
    return root


@lru_cache(maxsize=1024)
def local(tag: str) -> str:
    """The name without its namespace."""
    return tag[tag.find("}") + 1 :]


def child(element: Element, name: str) -> Element | None:
    """The first child of this local name."""
    for one in element:
        if local(one.tag) == name:
            return one
    return None


def text_of(element: Element, name: str) -> str:
    """The text of the first child of this local name, "" where there is none."""
    found = child(element, name)
    return "" if found is None else (found.text or "").strip()


def children(element: Element, name: str) -> Iterable[Element]:
    """The children of the first child of this local name."""
    found = child(element, name)
    return () if found is None else found


def find(element: Element, *names: str) -> Element | None:
    """The element at the end of a path of local names."""
    for name in names:
        found = child(element, name)
        if found is None:
            return None
        element = found
    return element


# --- success or not -----------------------------------------------------------------------------


def response_messages(root: Element) -> Iterator[Element]:
    """The response messages of an answer; raises Refused for a fault, Unreadable for anything else."""
    body = child(root, "Body") if local(root.tag) == "Envelope" else None
    if body is None or not len(body):
        raise Unreadable(f"the answer is no SOAP envelope but <{local(root.tag)}>")
    response = body[0]
    if local(response.tag) == "Fault":
        raise Refused(fault(response))
    container = child(response, "ResponseMessages")
    return iter(container if container is not None else (response,))


def accepted(message: Element) -> Element:
    """The message itself, if it is no error; raises Refused."""
    trouble = trouble_in(message)
    if trouble is not None:
        raise Refused(trouble)
    return message


def trouble_in(message: Element) -> Trouble | None:
    """What a response message complains of; None for NoError."""
    code = text_of(message, "ResponseCode")
    if code in {OK, ""} and message.get("ResponseClass", "Success") != "Error":
        return None
    values = _values(child(message, "MessageXml"))
    return _trouble(code, text_of(message, "MessageText"), values, 200, _dead(message))


def fault(element: Element, status: int = 200) -> Trouble:
    """What a SOAP fault (1.1 or 1.2) complains of."""
    detail = next((one for one in element if local(one.tag) in {"detail", "Detail"}), None)
    code = text = ""
    values: dict[str, str] = {}
    if detail is not None:
        code = text_of(detail, "ResponseCode")
        text = text_of(detail, "Message") or text_of(detail, "MessageText")
        values = _values(child(detail, "MessageXml"))
    if not code:
        code = _all_text(element, {"faultcode", "Code"}).rpartition(":")[2]
    text = text or _all_text(element, {"faultstring", "Reason"})
    return _trouble(code, text, values, status)


def http_trouble(status: int, headers: Mapping[str, str], body: bytes) -> Trouble:
    """What an answer other than 200 complains of: its policy header, its fault, or its status."""
    policy = headers.get("X-EWS-Policy-Reason", "")
    if status == 403 and policy:
        return Trouble(POLICY, policy[:MAX_TEXT], status)
    asked = _seconds(headers.get("Retry-After", ""))
    try:
        root = parse(body) if body else None
        found = None if root is None else find(root, "Body", "Fault")
    except Unreadable:
        found = None
    if found is not None:
        inner = fault(found, status)
        return inner if inner.backoff is not None or asked is None else _asking(inner, asked)
    code = headers.get("X-CasErrorCode", "") or f"Http{status}"
    return Trouble(code, f"HTTP status {status}", status, asked)


def _asking(trouble: Trouble, asked: timedelta) -> Trouble:
    return Trouble(trouble.code, trouble.text, trouble.status, asked, trouble.subscriptions)


def _trouble(
    code: str, text: str, values: Mapping[str, str], status: int, dead: tuple[str, ...] = ()
) -> Trouble:
    """ErrorInternalServerError may be no more than a wrapper: the inner code counts."""
    code = values.get("InnerErrorResponseCode") or code or "ErrorUnknown"
    text = values.get("InnerErrorMessageText") or text
    return Trouble(code, " ".join(text.split())[:MAX_TEXT], status, _backoff(values), dead)


def _backoff(values: Mapping[str, str]) -> timedelta | None:
    asked = values.get("BackOffMilliseconds", "")
    if not asked.isdecimal() or len(asked) > 12:
        return None
    return timedelta(milliseconds=int(asked))


def _seconds(value: str) -> timedelta | None:
    value = value.strip()
    return timedelta(seconds=int(value)) if value.isdecimal() and len(value) < 8 else None


def _values(message_xml: Element | None) -> dict[str, str]:
    """MessageXml's `<Value Name="…">` children."""
    if message_xml is None:
        return {}
    return {one.get("Name", ""): (one.text or "").strip() for one in message_xml if local(one.tag) == "Value"}


def _dead(message: Element) -> tuple[str, ...]:
    ids = child(message, "ErrorSubscriptionIds")
    return () if ids is None else tuple((one.text or "").strip() for one in ids)


def _all_text(element: Element, names: set[str]) -> str:
    found = next((one for one in element if local(one.tag) in names), None)
    return "" if found is None else " ".join("".join(found.itertext()).split())
