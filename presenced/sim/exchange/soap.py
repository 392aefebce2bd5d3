"""SOAP 1.1 in and out: what a request asks, and the envelopes answers travel in.

Requests are parsed by lxml with entities and DTDs off and found by local names, since clients choose
their own prefixes. Answers are put together from text: a tree per answer would cost more than all the
rest of the request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape as _escape
from typing import TypeAlias

from lxml import etree

from presenced.sim.exchange.problems import Problem, Refusal

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"

VERSIONS = (
    "Exchange2007",
    "Exchange2007_SP1",
    "Exchange2009",
    "Exchange2010",
    "Exchange2010_SP1",
    "Exchange2010_SP2",
    "Exchange2012",
    "Exchange2013",
    "Exchange2013_SP1",
    "Exchange2015",
    "Exchange2016",
)
"""RequestServerVersion, oldest first; the dated ones (V2017_07_11) come after all of these"""
LEVEL = {name: level for level, name in enumerate(VERSIONS)}
UNSTATED = -1
"""the level of a request that names no version"""

VERSION_HEADER = (
    '<h:ServerVersionInfo MajorVersion="15" MinorVersion="2" MajorBuildNumber="1748"'
    ' MinorBuildNumber="10" Version="V2017_07_11"'
    f' xmlns:h="{TYPES}"/>'
)
_HEAD = (
    f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}">'
    f"<s:Header>{VERSION_HEADER}</s:Header><s:Body>"
)
_TAIL = "</s:Body></s:Envelope>"
_STREAM_HEAD = (
    f'<Envelope xmlns="{SOAP}"><soap11:Header xmlns:soap11="{SOAP}">{VERSION_HEADER}</soap11:Header>'
    f'<soap11:Body xmlns:soap11="{SOAP}">'
)
_STREAM_TAIL = "</soap11:Body></Envelope>"
EMPTY = {
    "CreateItem": "<m:Items/>",
    "GetItem": "<m:Items/>",
    "UpdateItem": "<m:Items/>",
    "GetFolder": "<m:Folders/>",
    "GetServerTimeZones": "<m:TimeZoneDefinitions/>",
}
"""what the schema wants in a response message even where there is nothing to tell"""
_DATED = re.compile(r"V\d{4}_\d{2}_\d{2}|V\d+_\d+")
_SPECIAL = re.compile("[&<>\"'\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
Element: TypeAlias = etree._Element
"""an element of a request; lxml stays in this file"""
_PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
)


@dataclass(slots=True)
class Request:
    """One request: what it asks for and what its SOAP headers say."""

    operation: str
    """`FindItem`: local name of the element in the body (GetUserAvailability puts Request behind it)"""
    element: Element
    headers: dict[str, Element]
    """by local name"""
    version: str = ""
    """as stated, "" where the request names none"""
    level: int = UNSTATED
    """place of the version in VERSIONS; dated versions come last"""

    def at_least(self, version: str) -> bool:
        """Whether the request states this version or a later one."""
        return self.level >= LEVEL[version]

    def older_than(self, version: str) -> bool:
        """Whether the request states a version before this one; one that states none is not refused."""
        return self.level != UNSTATED and self.level < LEVEL[version]


def parse(body: bytes) -> Request:
    """Read a request; Refusal where it isn't one a server would look at."""
    try:
        root = etree.fromstring(body, _PARSER)
    except etree.XMLSyntaxError as error:
        raise Refusal("ErrorSchemaValidation", f"The request failed schema validation: {error}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Refusal("ErrorSchemaValidation", "For security reasons DTD is prohibited in this XML document.")
    if root.tag != f"{{{SOAP}}}Envelope":
        raise Refusal("ErrorSchemaValidation", "The request failed schema validation: no SOAP 1.1 envelope.")
    body_element = root.find(f"{{{SOAP}}}Body")
    asked = None if body_element is None else next(iter(body_element), None)
    if asked is None or not asked.tag.startswith(f"{{{MESSAGES}}}"):
        raise Refusal("ErrorSchemaValidation", "The request failed schema validation: no EWS operation.")
    head = root.find(f"{{{SOAP}}}Header")
    headers = {} if head is None else {local(element): element for element in head}
    version, level = _version(headers.get("RequestServerVersion"))
    operation = asked.tag.rpartition("}")[2].removesuffix("Request")
    return Request(operation, asked, headers, version, level)


def _version(element: Element | None) -> tuple[str, int]:
    if element is None:
        return "", UNSTATED
    version = element.get("Version", "")
    if version in LEVEL:
        return version, LEVEL[version]
    if _DATED.fullmatch(version):
        return version, len(VERSIONS)
    raise Refusal("ErrorInvalidServerVersion", "The specified server version is invalid.")


# --- reading ---------------------------------------------------------------------------------------


def local(element: Element) -> str:
    """The name of an element without its namespace."""
    name: str = element.tag
    return name.rpartition("}")[2]


def child(element: Element | None, *names: str) -> Element | None:
    """The first child of that local name, its first child of the next name, and so on."""
    for name in names:
        if element is None:
            return None
        element = next((inner for inner in element if local(inner) == name), None)
    return element


def children(element: Element | None, *names: str) -> Iterator[Element]:
    """All children of the element found by these names; none where it is missing."""
    found = child(element, *names)
    return iter(()) if found is None else iter(found)


def text_of(element: Element | None, *names: str) -> str:
    """The text of the element found by these names, trimmed; "" where it is missing."""
    found = child(element, *names)
    return "" if found is None else (found.text or "").strip()


def first_of(element: Element) -> Element:
    """The first child of an element that must have one; Refusal where it hasn't."""
    for inner in element:
        return inner
    raise Refusal(
        "ErrorSchemaValidation", f"The request failed schema validation: {local(element)} is empty."
    )


def number_of(element: Element, attribute: str, default: int) -> int:
    """An attribute that is a number of zero or more; Problem("ErrorInvalidRequest") where it isn't."""
    text = element.get(attribute)
    if text is None:
        return default
    if not text.strip().isdecimal():
        raise Problem("ErrorInvalidRequest", f"The request is invalid: {attribute} is not a number.")
    return int(text)


# --- writing ---------------------------------------------------------------------------------------


def escape(text: str) -> str:
    """Text fit for an element or an attribute; characters XML can't carry are dropped."""
    if _SPECIAL.search(text) is None:
        return text
    return _escape(_ILLEGAL.sub("", text))


def rewrite(element: Element) -> str:
    """An element of the types namespace as it was written, with our prefix."""
    name = local(element)
    attributes = "".join(
        f' {key}="{escape(value)}"' for key, value in element.attrib.items() if "{" not in key
    )
    inner = escape(element.text or "") if not len(element) else "".join(rewrite(each) for each in element)
    return f"<t:{name}{attributes}>{inner}</t:{name}>"


def envelope(content: str) -> bytes:
    """A whole answer around the content of its body."""
    return f"{_HEAD}{content}{_TAIL}".encode()


def stream_envelope(content: str) -> bytes:
    """One of the envelopes of a streamed answer: unprefixed at the root, without an XML declaration."""
    return f"{_STREAM_HEAD}{content}{_STREAM_TAIL}".encode()


def response(operation: str, messages: str) -> str:
    """The body of an answer made of response messages."""
    return (
        f'<m:{operation}Response xmlns:m="{MESSAGES}" xmlns:t="{TYPES}">'
        f"<m:ResponseMessages>{messages}</m:ResponseMessages></m:{operation}Response>"
    )


def success(operation: str, content: str = "") -> str:
    """One response message that says yes."""
    return (
        f'<m:{operation}ResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>'
        f"{content}</m:{operation}ResponseMessage>"
    )


def failure(operation: str, problem: Problem, content: str = "", *, severity: str = "Error") -> str:
    """One response message that says no (or, as a Warning, yes with a reservation)."""
    content = content or EMPTY.get(operation, "")
    return (
        f'<m:{operation}ResponseMessage ResponseClass="{severity}">{failure_content(problem)}'
        f"{content}</m:{operation}ResponseMessage>"
    )


def failure_content(problem: Problem) -> str:
    """The elements every response message of class Error begins with."""
    details = _message_xml(problem.values)
    return (
        f"<m:MessageText>{escape(problem.text)}</m:MessageText>"
        f"<m:ResponseCode>{problem.code}</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>"
        + (f"<m:MessageXml>{details}</m:MessageXml>" if details else "")
    )


def paging(offset: int, total: int, *, is_last: bool, indexed: bool = True) -> str:
    """The attributes of a page: where the next begins, how many there are, whether it is the last."""
    place = f' IndexedPagingOffset="{offset}"' if indexed else ""
    return f'{place} TotalItemsInView="{total}" IncludesLastItemInRange="{"true" if is_last else "false"}"'


def fault(problem: Problem) -> bytes:
    """A SOAP fault, whole (sent with HTTP 500)."""
    details = _message_xml(problem.values)
    text = escape(problem.text)
    return envelope(
        f'<s:Fault><faultcode xmlns:a="{TYPES}">a:{problem.code}</faultcode>'
        f'<faultstring xml:lang="en-US">{text}</faultstring><detail>'
        f'<e:ResponseCode xmlns:e="{ERRORS}">{problem.code}</e:ResponseCode>'
        f'<e:Message xmlns:e="{ERRORS}">{text}</e:Message>'
        + (f'<t:MessageXml xmlns:t="{TYPES}">{details}</t:MessageXml>' if details else "")
        + "</detail></s:Fault>"
    )


def _message_xml(values: Mapping[str, str]) -> str:
    return "".join(f'<t:Value Name="{name}">{escape(value)}</t:Value>' for name, value in values.items())
