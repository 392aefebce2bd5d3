"""Autodiscover on the wire: its three dialects, written and read.

SOAP (`GetUserSettings`, MS-OXWSADISC) takes many addresses in a request and answers each with its own
error; POX (MS-OXDSCLI) and JSON ("Autodiscover v2") take one. What they answer is brought to one form,
so that only this page knows how they differ. Read by local name, for prefixes differ between servers;
entities and document types are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lxml import etree

SOAP_ACTION = "http://schemas.microsoft.com/exchange/2010/Autodiscover/Autodiscover/GetUserSettings"
ADDRESS = "AutoDiscoverSMTPAddress"
EXTERNAL = "ExternalEwsUrl"
INTERNAL = "InternalEwsUrl"
SCHEMAS = "EwsSupportedSchemas"
GROUPING = "GroupingInformation"
URL = "Url"
"""the one setting of the JSON dialect"""

NO_ERROR = "NoError"
REDIRECT_ADDRESS = "RedirectAddress"
REDIRECT_URL = "RedirectUrl"
INVALID_REQUEST = "InvalidRequest"
SERVER_BUSY = "ServerBusy"
FAULT = "Fault"

_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_ADDRESSING = "http://www.w3.org/2005/08/addressing"
_AUTODISCOVER = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
_POX_REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
_POX_RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_POX_ENDPOINTS = {"EXPR": EXTERNAL, "EXCH": INTERNAL}
"""MS-OXDSCLI 2.2.4.1.1.2.6: protocol type -> whose EwsUrl it has"""
_LONGEST_MESSAGE = 300


class Malformed(Exception):
    """An answer that is not what it should be; the text says how."""


@dataclass(frozen=True, slots=True)
class UserAnswer:
    """What a server says of one address, whatever the dialect."""

    code: str
    """`NoError`, `RedirectAddress`, `RedirectUrl`, or why there is nothing to say"""
    message: str = ""
    target: str = ""
    """where a redirect leads"""
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SettingsAnswer:
    """What a server says to GetUserSettings: of the request as a whole, and of each user in order."""

    code: str
    message: str = ""
    users: tuple[UserAnswer, ...] = ()


def render_user_settings(addresses: Sequence[str], url: str) -> bytes:
    """GetUserSettings for these addresses, to be sent to `url`."""
    envelope, header, body = start_envelope({"a": _AUTODISCOVER, "wsa": _ADDRESSING})
    _add(header, _AUTODISCOVER, "RequestedServerVersion", "Exchange2013")
    _add(header, _ADDRESSING, "Action", SOAP_ACTION)
    _add(header, _ADDRESSING, "To", url)
    message = _add(body, _AUTODISCOVER, "GetUserSettingsRequestMessage")
    request = _add(message, _AUTODISCOVER, "Request")
    users = _add(request, _AUTODISCOVER, "Users")
    for address in addresses:
        _add(_add(users, _AUTODISCOVER, "User"), _AUTODISCOVER, "Mailbox", address)
    wanted = _add(request, _AUTODISCOVER, "RequestedSettings")
    for name in (ADDRESS, EXTERNAL, INTERNAL, SCHEMAS, GROUPING):
        _add(wanted, _AUTODISCOVER, "Setting", name)
    return write(envelope)


def parse_user_settings(body: bytes) -> SettingsAnswer:
    """The answer to GetUserSettings; a SOAP fault has the code `Fault`. Raises Malformed."""
    root = read(body)
    fault = find(root, "Fault")
    if fault is not None:
        return SettingsAnswer(FAULT, _message(fault, "faultstring", "Text"))
    response = find(root, "Response")
    if response is None:
        raise Malformed("it is no answer to GetUserSettings")
    users = child(response, "UserResponses")
    return SettingsAnswer(
        text(response, "ErrorCode") or NO_ERROR,
        _message(response, "ErrorMessage"),
        tuple(_user(one) for one in children(users, "UserResponse")),
    )


def _user(response: etree._Element) -> UserAnswer:
    settings: dict[str, str] = {}
    for setting in children(child(response, "UserSettings"), "UserSetting"):
        said = _texts(setting)
        if (name := said.get("Name")) and (value := said.get("Value")):
            settings[name] = value
    said = _texts(response)
    return UserAnswer(
        said.get("ErrorCode") or NO_ERROR,
        _message(response, "ErrorMessage"),
        said.get("RedirectTarget", ""),
        settings,
    )


def render_pox(address: str) -> bytes:
    """The POX request for one address."""
    root = etree.Element(f"{{{_POX_REQUEST}}}Autodiscover", nsmap={None: _POX_REQUEST})
    request = _add(root, _POX_REQUEST, "Request")
    _add(request, _POX_REQUEST, "EMailAddress", address)
    _add(request, _POX_REQUEST, "AcceptableResponseSchema", _POX_RESPONSE)
    return write(root)


def parse_pox(body: bytes) -> UserAnswer:
    """A POX answer in the words of SOAP. Raises Malformed."""
    root = read(body)
    if name_of(root) != "Autodiscover":
        raise Malformed("it is no autodiscover answer")
    error = find(root, "Error")
    if error is not None:
        return UserAnswer(text(error, "ErrorCode") or "Error", _message(error, "Message"))
    account = find(root, "Account")
    if account is None:
        raise Malformed("it says nothing of the account")
    action = text(account, "Action").casefold()
    if action == "redirectaddr":
        return UserAnswer(REDIRECT_ADDRESS, target=text(account, "RedirectAddr"))
    if action == "redirecturl":
        return UserAnswer(REDIRECT_URL, target=text(account, "RedirectUrl"))
    settings = {ADDRESS: text(child(root, "Response", "User"), ADDRESS)}
    for protocol in children(account, "Protocol"):
        name = _POX_ENDPOINTS.get((text(protocol, "Type") or protocol.get("Type", "")).upper())
        if name is not None and name not in settings:
            settings[name] = text(protocol, "EwsUrl") or text(protocol, "ASUrl")
        settings.setdefault(GROUPING, text(protocol, GROUPING))
    return UserAnswer(NO_ERROR, settings={name: value for name, value in settings.items() if value})


def parse_json(body: bytes) -> UserAnswer:
    """A JSON answer: `Url` as its one setting, or the server's error. Raises Malformed."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as problem:
        raise Malformed("it is no JSON") from problem
    if not isinstance(answer, dict):
        raise Malformed("it is no JSON object")
    members = {name.casefold(): value for name, value in answer.items() if isinstance(value, str)}
    if url := members.get("url", "").strip():
        return UserAnswer(NO_ERROR, settings={URL: url})
    if code := members.get("errorcode", "").strip():
        return UserAnswer(code[:_LONGEST_MESSAGE], members.get("errormessage", "")[:_LONGEST_MESSAGE])
    raise Malformed("it has neither Url nor ErrorCode")


# --- reading and writing XML -----------------------------------------------------------------------


def read(body: bytes) -> etree._Element:
    """The root of a document without document type. Raises Malformed."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError) as problem:
        raise Malformed("it is no XML") from problem
    if root is None or root.getroottree().docinfo.doctype:
        raise Malformed("it is no plain XML document")
    return root


def name_of(element: etree._Element) -> str:
    """Its local name."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def find(element: etree._Element, name: str) -> etree._Element | None:
    """The first descendant of this local name."""
    return next(element.iter(f"{{*}}{name}"), None)


def children(element: etree._Element | None, name: str) -> Iterator[etree._Element]:
    """The children of this local name; none where there is no element."""
    return iter(()) if element is None else element.iterchildren(f"{{*}}{name}")


def child(element: etree._Element | None, *path: str) -> etree._Element | None:
    """The first child of this local name, or of a path of such names."""
    for name in path:
        element = next(children(element, name), None)
    return element


def text(element: etree._Element | None, name: str) -> str:
    """The text of the first child of this local name, "" where there is none."""
    found = child(element, name)
    return (found.text or "").strip() if found is not None else ""


def _texts(element: etree._Element) -> dict[str, str]:
    """The text of every child by local name, of the first where there are several."""
    return {one.tag.rpartition("}")[2]: (one.text or "").strip() for one in reversed(element)}


def start_envelope(
    prefixes: Mapping[str, str],
) -> tuple[etree._Element, etree._Element, etree._Element]:
    """A SOAP 1.1 envelope, its header and its body."""
    envelope = etree.Element(f"{{{_ENVELOPE}}}Envelope", nsmap={"soap": _ENVELOPE, **prefixes})
    return envelope, _add(envelope, _ENVELOPE, "Header"), _add(envelope, _ENVELOPE, "Body")


def write(root: etree._Element) -> bytes:
    """The document, UTF-8."""
    document: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return document


def _add(parent: etree._Element, namespace: str, name: str, content: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{namespace}}}{name}")
    element.text = content
    return element


def _message(element: etree._Element, *names: str) -> str:
    """The first text among descendants of these names, short enough to be shown."""
    for name in names:
        found = find(element, name)
        if found is not None and found.text:
            return " ".join(found.text.split())[:_LONGEST_MESSAGE]
    return ""
