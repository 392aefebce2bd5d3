"""ResolveNames on the wire (MS-OXWSRSLNM): one address asked, its mailbox in the answer.

For installations without autodiscover, where `ews_url` is set. The directory looks for what *begins*
like the address, so the answer is looked at closely: another user's calendar shown as this one's is
worse than none.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from presenced.calendars.discovery.wire import (
    FAULT,
    NO_ERROR,
    Malformed,
    UserAnswer,
    child,
    children,
    find,
    read,
    start_envelope,
    text,
    write,
)

SOAP_ACTION = "http://schemas.microsoft.com/exchange/services/2006/messages/ResolveNames"
ADDRESS = "EmailAddress"
NO_RESULTS = "ErrorNameResolutionNoResults"
MULTIPLE = "ErrorNameResolutionMultipleResults"
AMBIGUOUS = "Ambiguous"
SERVER_BUSY = "ErrorServerBusy"
_MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
_TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"


@dataclass(frozen=True, slots=True)
class _Entry:
    address: str
    routing: str
    kind: str


def render_resolve_names(address: str, *, impersonated: bool) -> bytes:
    """ResolveNames for `smtp:<address>` in the directory; `impersonated`: asked as that mailbox."""
    envelope, header, body = start_envelope({"m": _MESSAGES, "t": _TYPES})
    etree.SubElement(header, f"{{{_TYPES}}}RequestServerVersion", Version="Exchange2013")
    if impersonated:
        impersonation = etree.SubElement(header, f"{{{_TYPES}}}ExchangeImpersonation")
        whom = etree.SubElement(impersonation, f"{{{_TYPES}}}ConnectingSID")
        etree.SubElement(whom, f"{{{_TYPES}}}SmtpAddress").text = address
    request = etree.SubElement(
        body, f"{{{_MESSAGES}}}ResolveNames", ReturnFullContactData="false", SearchScope="ActiveDirectory"
    )
    etree.SubElement(request, f"{{{_MESSAGES}}}UnresolvedEntry").text = f"smtp:{address}"
    return write(envelope)


def parse_resolve_names(body: bytes, asked: str) -> UserAnswer:
    """The mailbox asked for, its address as the setting `EmailAddress`. Raises Malformed."""
    root = read(body)
    message = find(root, "ResolveNamesResponseMessage")
    if message is None:
        fault = find(root, "Fault")
        if fault is None:
            raise Malformed("it is no answer to ResolveNames")
        code = find(fault, "ResponseCode")
        named = (code.text or "").strip() if code is not None else ""
        return UserAnswer(named or FAULT, text(fault, "faultstring")[:300])
    code = text(message, "ResponseCode") or NO_ERROR
    if code not in (NO_ERROR, MULTIPLE):
        return UserAnswer(code, text(message, "MessageText")[:300])
    entries = [
        _Entry(text(mailbox, ADDRESS), text(mailbox, "RoutingType"), text(mailbox, "MailboxType"))
        for resolution in children(child(message, "ResolutionSet"), "Resolution")
        if (mailbox := child(resolution, "Mailbox")) is not None
    ]
    return _choose([entry for entry in entries if _is_mailbox(entry)], asked)


def _is_mailbox(entry: _Entry) -> bool:
    """A mailbox with an SMTP address: no list, no contact."""
    return (
        "@" in entry.address
        and entry.routing.upper() in ("", "SMTP")
        and entry.kind in ("", "Mailbox", "Unknown")
    )


def _choose(entries: list[_Entry], asked: str) -> UserAnswer:
    exact = [entry for entry in entries if entry.address.casefold() == asked.casefold()]
    if exact:
        return UserAnswer(NO_ERROR, settings={ADDRESS: exact[0].address})
    if not entries:
        return UserAnswer(NO_RESULTS, "nothing of that address is a mailbox")
    if len(entries) > 1:
        return UserAnswer(AMBIGUOUS, f"{len(entries)} mailboxes are called alike, and none exactly so")
    [only] = entries
    if only.address.casefold().startswith(asked.casefold()):
        return UserAnswer(NO_RESULTS, f"there is only {only.address}, which merely begins like it")
    return UserAnswer(NO_ERROR, settings={ADDRESS: only.address})  # asked by one of its other addresses
