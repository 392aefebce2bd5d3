"""ResolveNames and ConvertId.

MS-OXWSRSLNM and MS-OXWSCVTID. Clients use the one to find who an address belongs to and the other,
cheap as it is, to find out which server they talk to.
"""

from __future__ import annotations

import binascii
import itertools
from urllib.parse import quote, unquote

from presenced.sim.exchange.call import Call, each
from presenced.sim.exchange.ids import read_payload
from presenced.sim.exchange.organisation import Organisation, SimulatedMailbox
from presenced.sim.exchange.problems import Problem, Refusal
from presenced.sim.exchange.soap import Element, children, escape, failure, paging, response, success, text_of

MOST_RESOLUTIONS = 100
FORMATS = frozenset({"EwsLegacyId", "EwsId", "EntryId", "HexEntryId", "StoreId", "OwaId"})
XSI = "http://www.w3.org/2001/XMLSchema-instance"


def resolve_names(call: Call) -> str:
    """MS-OXWSRSLNM ResolveNames: an address (`smtp:`, primary or alias) or the beginning of a name."""
    asked = call.request.element
    with_contact = asked.get("ReturnFullContactData") in {"true", "1"}
    found = list(
        itertools.islice(_matches(call.organisation, text_of(asked, "UnresolvedEntry")), MOST_RESOLUTIONS + 1)
    )
    if not found:
        problem = Problem("ErrorNameResolutionNoResults", "No results were found.")
        return response("ResolveNames", failure("ResolveNames", problem))
    is_last = len(found) <= MOST_RESOLUTIONS
    found = found[:MOST_RESOLUTIONS]
    shown = "".join(_resolution(mailbox, with_contact=with_contact) for mailbox in found)
    place = paging(0, len(found), is_last=is_last, indexed=False)
    content = f"<m:ResolutionSet{place}>{shown}</m:ResolutionSet>"
    if len(found) == 1:
        return response("ResolveNames", success("ResolveNames", content))
    problem = Problem("ErrorNameResolutionMultipleResults", "Multiple results were found.")
    return response("ResolveNames", failure("ResolveNames", problem, content, severity="Warning"))


def _matches(organisation: Organisation, entry: str) -> itertools.chain[SimulatedMailbox]:
    scheme, colon, address = entry.partition(":")
    if colon and scheme.casefold() == "smtp":
        entry = address
    exact = organisation.find(entry)
    if exact is not None or colon or not entry:
        return itertools.chain(() if exact is None else (exact,))
    word = entry.casefold()
    return itertools.chain(
        mailbox
        for mailbox in organisation.mailboxes
        if mailbox.address.casefold().startswith(word)
        or mailbox.name.casefold().startswith(word)
        or any(part.startswith(word) for part in mailbox.name.casefold().split())
    )


def _resolution(mailbox: SimulatedMailbox, *, with_contact: bool) -> str:
    contact = ""
    if with_contact:
        addresses = (f"SMTP:{mailbox.address}", *(f"smtp:{alias}" for alias in mailbox.aliases[:2]))
        entries = "".join(
            f'<t:Entry Key="EmailAddress{number}">{escape(address)}</t:Entry>'
            for number, address in enumerate(addresses, 1)
        )
        contact = (
            f"<t:Contact><t:DisplayName>{escape(mailbox.name)}</t:DisplayName>"
            f"<t:EmailAddresses>{entries}</t:EmailAddresses>"
            "<t:ContactSource>ActiveDirectory</t:ContactSource></t:Contact>"
        )
    return (
        f"<t:Resolution><t:Mailbox><t:Name>{escape(mailbox.name)}</t:Name>"
        f"<t:EmailAddress>{escape(mailbox.address)}</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType>"
        f"<t:MailboxType>Mailbox</t:MailboxType></t:Mailbox>{contact}</t:Resolution>"
    )


def convert_ids(call: Call) -> str:
    """MS-OXWSCVTID ConvertId between the spellings of one id; public folders there are none."""
    asked = call.request.element
    destination = asked.get("DestinationFormat", "EwsId")
    if destination not in FORMATS:
        raise Refusal("ErrorSchemaValidation", "The request failed schema validation: DestinationFormat.")

    def answer(element: Element) -> str:
        payload = _decode(element.get("Id", ""), element.get("Format", ""))
        read_payload(payload)
        mailbox = escape(element.get("Mailbox", ""))
        return success(
            "ConvertId",
            f'<m:AlternateId xmlns:xsi="{XSI}" xsi:type="t:AlternateIdType" Format="{destination}"'
            f' Id="{escape(_encode(payload, destination))}" Mailbox="{mailbox}"/>',
        )

    return response("ConvertId", each(call, children(asked, "SourceIds"), answer))


def _decode(text: str, form: str) -> bytes:
    try:
        if form == "HexEntryId":
            return binascii.unhexlify(text)
        return binascii.a2b_base64(unquote(text) if form == "OwaId" else text)
    except ValueError:
        raise Problem("ErrorInvalidIdMalformed", "Id is malformed.") from None


def _encode(payload: bytes, form: str) -> str:
    if form == "HexEntryId":
        return payload.hex().upper()
    text = binascii.b2a_base64(payload, newline=False).decode()
    return quote(text, safe="") if form == "OwaId" else text
