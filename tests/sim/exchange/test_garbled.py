"""Requests with one thing missing or wrong: each is answered in EWS words, none upsets the server.

Without the schema, which would reject most of them at the door.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import ClientSession, DummyCookieJar
from lxml import etree

from presenced.sim.exchange.organisation import Organisation
from presenced.sim.exchange.server import OPERATIONS, SimulatedExchange
from tests.clock import FakeClock
from tests.sim.exchange.raw import CALENDAR, RawClient, find_item, request, streaming, subscribe
from tests.sim.exchange.test_directory import VIENNA, availability, resolve, zones
from tests.sim.exchange.test_notifications import get_events, pull
from tests.sim.exchange.test_reading import IS_LUNCH, get_item, indexed
from tests.sim.exchange.test_writing import TIMES, create, delete, set_field, sync, update

FOLDERS = "<m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>"
ID = "SQBBbGljZUBleGFtcGxlLmNvbQBsdW5jaA=="
SORT = (
    '<m:SortOrder><t:FieldOrder Order="Ascending"><t:FieldURI FieldURI="calendar:Start"/></t:FieldOrder>'
    "</m:SortOrder>"
)
REQUESTS = {
    "FindItem": find_item(),
    "FindItem indexed": indexed(0, 5, more=f"<m:Restriction>{IS_LUNCH}</m:Restriction>{SORT}"),
    "GetItem": get_item(ID),
    "CreateItem": create(
        f"<t:Subject>x</t:Subject><t:Sensitivity>Normal</t:Sensitivity>{TIMES}"
        '<t:LegacyFreeBusyStatus>Busy</t:LegacyFreeBusyStatus><t:StartTimeZone Id="UTC"/>'
        "<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag='0x1' PropertyType='String'/><t:Value>1</t:Value>"
        "</t:ExtendedProperty>"
    ),
    "UpdateItem": update(ID, ' ChangeKey="x"', set_field("item:Subject", "<t:Subject>y</t:Subject>")),
    "DeleteItem": delete("AAAA"),
    "SyncFolderItems": sync("AAAA"),
    "SyncFolderHierarchy": f"<m:SyncFolderHierarchy>{FOLDERS}<m:SyncState>H1</m:SyncState></m:SyncFolderHierarchy>",
    "GetFolder": f"<m:GetFolder>{FOLDERS}<m:FolderIds>{CALENDAR}</m:FolderIds></m:GetFolder>",
    "FindFolder": (
        f'<m:FindFolder Traversal="Deep">{FOLDERS}<m:IndexedPageFolderView MaxEntriesReturned="4" Offset="0"'
        f' BasePoint="Beginning"/><m:ParentFolderIds>{CALENDAR}</m:ParentFolderIds></m:FindFolder>'
    ),
    "ResolveNames": resolve("smtp:bob@example.com"),
    "ConvertId": (
        '<m:ConvertId DestinationFormat="OwaId"><m:SourceIds><t:AlternateId Format="EwsId"'
        f' Id="{ID}" Mailbox="x"/></m:SourceIds></m:ConvertId>'
    ),
    "GetUserAvailability": availability(
        VIENNA, "2026-11-16T00:00:00", "2026-11-17T00:00:00", "bob@example.com"
    ),
    "GetServerTimeZones": zones("UTC"),
    "Subscribe": subscribe(),
    "Subscribe pull": pull(),
    "GetEvents": get_events("AAAA", "AQ0000000000=="),
    "Unsubscribe": "<m:Unsubscribe><m:SubscriptionId>AAAA</m:SubscriptionId></m:Unsubscribe>",
    "GetStreamingEvents": streaming("AAAA"),
}


def garbled(body: bytes) -> Iterator[bytes]:
    """The request with each element gone, emptied, renamed or saying nonsense, and each attribute likewise."""
    root = etree.fromstring(body)
    for place, element in enumerate(root.iter()):
        if element.getparent() is None:
            continue
        for change in range(4 + 2 * len(element.attrib)):
            other = copy.deepcopy(root)
            victim = list(other.iter())[place]
            if change == 0:
                victim.getparent().remove(victim)
            elif change == 1:
                del victim[:]
                victim.text = ""
            elif change == 2:
                victim.tag = "{http://schemas.microsoft.com/exchange/services/2006/types}Nonsense"
            elif change == 3:
                victim.text = "-7 \u2028 nonsense"
            else:
                name = list(element.attrib)[(change - 4) // 2]
                if change % 2:
                    del victim.attrib[name]
                else:
                    victim.set(name, "-7 nonsense")
            yield etree.tostring(other)


@pytest.fixture
async def lenient(organisation: Organisation, clock: FakeClock) -> AsyncIterator[RawClient]:
    exchange = SimulatedExchange(organisation, clock=clock)
    await exchange.start()
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:
        yield RawClient(session, exchange)
    await exchange.stop()


def test_every_operation_is_among_them() -> None:
    assert {name.partition(" ")[0] for name in REQUESTS} == {*OPERATIONS, "GetStreamingEvents"}


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_garbled_request_gets_an_answer(lenient: RawClient, name: str) -> None:
    tried = 0
    for body in garbled(request(REQUESTS[name], mailbox="alice@example.com")):
        answer = await lenient.send(body)
        assert answer.status in {200, 500}, body
        assert answer.headers["Content-Type"] == "text/xml; charset=utf-8", (answer.body, body)
        assert answer.root is not None
        tried += 1
    assert tried > 20
