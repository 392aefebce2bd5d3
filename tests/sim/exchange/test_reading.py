"""FindItem and GetItem: which items, which properties, which limits."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from presenced.sim.exchange.organisation import Item, Organisation, SimulatedMailbox, whole_days
from presenced.sim.exchange.server import SimulatedExchange
from tests.sim.exchange.raw import CALENDAR, Answer, RawClient, find_item, item, request

ALICE = "alice@example.com"


class BobsCalendar:
    """Bob's calendar from both sides."""

    def __init__(self, client: RawClient, organisation: Organisation) -> None:
        self._client = client
        self._organisation = organisation

    def put(self, item: Item) -> None:
        self._organisation.put("bob@example.com", item)

    async def find(self, start: str, end: str, *fields: str) -> Answer:
        return await self._client.send(find_item(start, end, fields=fields), mailbox="bob@example.com")


@pytest.fixture
def bob(client: RawClient, organisation: Organisation) -> BobsCalendar:
    return BobsCalendar(client, organisation)


def subjects(answer: Answer) -> list[str]:
    return [element.text or "" for element in answer.all("//t:CalendarItem/t:Subject")]


async def test_a_calendar_view_shows_what_overlaps_it(client: RawClient) -> None:
    answer = await client.send(find_item(), mailbox=ALICE)
    assert (answer.status, answer.codes) == (200, ["NoError"])
    assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert subjects(answer) == ["standup", "lunch"]
    (root,) = answer.all("//m:RootFolder")
    assert dict(root.attrib) == {"TotalItemsInView": "2", "IncludesLastItemInRange": "true"}
    first = answer.all("//t:CalendarItem")[0]
    told = {element.tag.rpartition("}")[2]: element.text for element in first}
    assert told["Start"] == "2026-11-16T08:30:00Z"
    assert told["End"] == "2026-11-16T08:45:00Z"
    assert told["IsAllDayEvent"] == told["IsCancelled"] == "false"
    assert told["LegacyFreeBusyStatus"] == "Busy"
    assert told["MyResponseType"] == "Organizer"
    assert answer.text("//t:CalendarItem[1]/t:Organizer/t:Mailbox/t:EmailAddress") == "Alice@example.com"


async def test_an_empty_view_still_says_how_much_there_is(client: RawClient) -> None:
    answer = await client.send(find_item(), mailbox="bob@example.com")
    (root,) = answer.all("//m:RootFolder")
    assert dict(root.attrib) == {"TotalItemsInView": "0", "IncludesLastItemInRange": "true"}


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("2026-11-16T08:45:00Z", "2026-11-16T11:00:00Z", []),
        ("2026-11-16T08:44:59Z", "2026-11-16T11:00:01Z", ["standup", "lunch"]),
        ("2026-11-16T09:30:00.123+01:00", "2026-11-16T09:30:30+01:00", ["standup"]),
        ("2026-11-16T08:00:00.0000000Z", "2026-11-16T09:00:00.5Z", ["standup"]),
        ("2026-11-16T08:00:00", "2026-11-16T09:00:00", ["standup"]),
    ],
)
async def test_dates_come_with_offsets_fractions_or_neither(
    client: RawClient, start: str, end: str, found: list[str]
) -> None:
    assert subjects(await client.send(find_item(start, end), mailbox=ALICE)) == found


async def test_bare_times_are_of_the_time_zone_context(client: RawClient) -> None:
    body = client_request_in_zone("W. Europe Standard Time", "2026-11-16T09:30:00", "2026-11-16T09:31:00")
    assert subjects(await client.send(body)) == ["standup"]


def client_request_in_zone(zone: str, start: str, end: str) -> bytes:
    context = f'<t:TimeZoneContext><t:TimeZoneDefinition Id="{zone}"/></t:TimeZoneContext>'
    whole = request(find_item(start, end), mailbox=ALICE).decode()
    return whole.replace("</s:Header>", f"{context}</s:Header>").encode()


@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        ("2026-11-17T00:00:00Z", "2026-11-16T00:00:00Z", "ErrorCalendarEndDateIsEarlierThanStartDate"),
        ("2026-11-16T00:00:00Z", "2029-11-16T00:00:00Z", "ErrorCalendarViewRangeTooBig"),
    ],
)
async def test_a_senseless_view_is_refused_and_blamed(
    client: RawClient, exchange: SimulatedExchange, start: str, end: str, code: str
) -> None:
    assert (await client.send(find_item(start, end), mailbox=ALICE)).codes == [code]
    assert code in exchange.client_bugs[-1]


async def test_a_view_with_a_restriction_is_refused(client: RawClient, exchange: SimulatedExchange) -> None:
    restriction = (
        "<m:Restriction><t:IsEqualTo><t:FieldURI FieldURI='item:Subject'/><t:FieldURIOrConstant>"
        "<t:Constant Value='x'/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>"
    )
    body = find_item().replace("<m:ParentFolderIds>", f"{restriction}<m:ParentFolderIds>")
    assert (await client.send(body, mailbox=ALICE)).codes == ["ErrorInvalidOperation"]
    assert len(exchange.client_bugs) == 1


async def test_too_many_items_are_refused_unless_fewer_are_asked_for(
    client: RawClient, exchange: SimulatedExchange, organisation: Organisation
) -> None:
    for number in range(5):
        organisation.put("bob@example.com", item(f"n{number}", "2026-11-16 10:00", "2026-11-16 11:00"))
    exchange.faults.find_limit = 4
    answer = await client.send(find_item(), mailbox="bob@example.com")
    assert answer.codes == ["ErrorExceededFindCountLimit"]
    assert answer.value("PolicyLimit") == "4"
    answer = await client.send(find_item(most="3"), mailbox="bob@example.com")
    (root,) = answer.all("//m:RootFolder")
    assert dict(root.attrib) == {"TotalItemsInView": "5", "IncludesLastItemInRange": "false"}
    assert subjects(answer) == ["n0", "n1", "n2"]


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        ("Exchange2013", "WorkingElsewhere"),
        ("V2017_07_11", "WorkingElsewhere"),
        ("Exchange2010_SP2", "Free"),
        ("", "Free"),
    ],
)
async def test_working_elsewhere_needs_a_new_version(
    client: RawClient, organisation: Organisation, version: str, shown: str
) -> None:
    organisation.put(
        "bob@example.com", item("home", "2026-11-16 09:00", "2026-11-16 10:00", show_as="WorkingElsewhere")
    )
    answer = await client.send(find_item(), mailbox="bob@example.com", version=version)
    assert answer.text("//t:LegacyFreeBusyStatus") == shown


@pytest.mark.parametrize(
    ("zone", "windows", "start", "end"),
    [
        ("Europe/Vienna", "W. Europe Standard Time", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("Europe/Vienna", "W. Europe Standard Time", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ("Pacific/Auckland", "New Zealand Standard Time", "2026-11-15T11:00:00Z", "2026-11-16T11:00:00Z"),
        ("UTC", "UTC", "2026-11-16T00:00:00Z", "2026-11-17T00:00:00Z"),
    ],
)
async def test_an_all_day_item_lies_between_its_makers_midnights(
    bob: BobsCalendar, zone: str, windows: str, start: str, end: str
) -> None:
    day = datetime.fromisoformat(start).astimezone(ZoneInfo(zone)).date()
    began, ended = whole_days(day, 1, zone)
    bob.put(Item("trip", "", "trip", began, ended, all_day=True, zone=zone))
    answer = await bob.find(start, end, "calendar:Start", "calendar:End", "calendar:StartTimeZone")
    assert (answer.text("//t:Start"), answer.text("//t:End")) == (start, end)
    (told,) = answer.all("//t:StartTimeZone")
    assert told.get("Id") == windows
    without = await bob.find(start, end, "calendar:Start")
    assert without.all("//t:StartTimeZone") == []


@pytest.mark.parametrize(("version", "count"), [("Exchange2007_SP1", 0), ("Exchange2010", 1), ("", 1)])
async def test_zones_are_told_unless_the_version_is_too_old(
    client: RawClient, version: str, count: int
) -> None:
    body = find_item(fields=("calendar:StartTimeZone",), most="1")
    answer = await client.send(body, mailbox=ALICE, version=version)
    assert len(answer.all("//t:StartTimeZone")) == count


async def test_an_organizer_may_come_without_address_in_finditem_only(
    client: RawClient, exchange: SimulatedExchange, organisation: Organisation
) -> None:
    organisation.put(
        "bob@example.com",
        item(
            "review",
            "2026-11-16 09:00",
            "2026-11-16 10:00",
            organizer_name="Dora",
            organizer_address="dora@partner.example",
            my_response="Tentative",
        ),
    )
    exchange.faults.organizer_addresses = False
    found = await client.send(find_item(), mailbox="bob@example.com")
    assert found.text("//t:Organizer/t:Mailbox/t:Name") == "Dora"
    assert found.all("//t:Organizer//t:EmailAddress") == []
    (id_,) = found.all("//t:ItemId")
    got = await client.send(get_item(id_.get("Id")), mailbox="bob@example.com")
    assert got.text("//t:Organizer/t:Mailbox/t:EmailAddress") == "dora@partner.example"


def get_item(*ids: str, shape: str = "AllProperties", more: str = "") -> str:
    told = "".join(f'<t:ItemId Id="{id_}"/>' for id_ in ids)
    return (
        f"<m:GetItem><m:ItemShape><t:BaseShape>{shape}</t:BaseShape>{more}</m:ItemShape>"
        f"<m:ItemIds>{told}</m:ItemIds></m:GetItem>"
    )


async def test_getitem_answers_each_id_by_itself(client: RawClient, exchange: SimulatedExchange) -> None:
    found = await client.send(find_item(), mailbox=ALICE)
    first, second = (element.get("Id") for element in found.all("//t:ItemId"))
    answer = await client.send(get_item(second, "AAAA", first), mailbox=ALICE)
    assert answer.codes == ["NoError", "ErrorInvalidIdMalformed", "NoError"]
    assert subjects(answer) == ["lunch", "standup"]
    assert answer.text("//t:CalendarItem[t:Subject='standup']/t:Location") == "Room 1 & 2"
    assert answer.text("//t:CalendarItem[t:Subject='lunch']/t:Sensitivity") == "Private"
    assert len(exchange.client_bugs) == 1


@pytest.mark.parametrize("shape", ["IdOnly", "Default", "AllProperties"])
async def test_every_shape_has_the_id(client: RawClient, shape: str) -> None:
    found = await client.send(find_item(), mailbox=ALICE)
    answer = await client.send(get_item(found.all("//t:ItemId")[0].get("Id"), shape=shape), mailbox=ALICE)
    (shown,) = answer.all("//t:CalendarItem")
    assert shown[0].get("Id") == found.all("//t:ItemId")[0].get("Id")
    assert shown[0].get("ChangeKey")
    assert {"IdOnly": len(shown) == 1, "Default": 5 < len(shown) < 15, "AllProperties": len(shown) > 30}[
        shape
    ]


async def test_a_body_comes_as_it_is_asked_for(client: RawClient, organisation: Organisation) -> None:
    organisation.put("bob@example.com", item("x", "2026-11-16 09:00", "2026-11-16 10:00", body="a < b"))
    found = await client.send(find_item(), mailbox="bob@example.com")
    id_ = found.all("//t:ItemId")[0].get("Id")
    plain = await client.send(get_item(id_), mailbox="bob@example.com")
    assert plain.text("//t:Body[@BodyType='Text']") == "a < b"
    html = await client.send(get_item(id_, more="<t:BodyType>HTML</t:BodyType>"), mailbox="bob@example.com")
    assert html.text("//t:Body[@BodyType='HTML']") == "<html><body>a &lt; b</body></html>"


async def test_an_item_of_another_mailbox_is_out_of_reach(client: RawClient) -> None:
    found = await client.send(find_item(), mailbox=ALICE)
    id_ = found.all("//t:ItemId")[0].get("Id")
    assert (await client.send(get_item(id_), mailbox="bob@example.com")).codes == ["ErrorAccessDenied"]


def indexed(offset: int, most: int, *, more: str = "", base: str = "Beginning") -> str:
    return (
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape>'
        f'<m:IndexedPageItemView MaxEntriesReturned="{most}" Offset="{offset}" BasePoint="{base}"/>'
        f"{more}<m:ParentFolderIds>{CALENDAR}</m:ParentFolderIds></m:FindItem>"
    )


async def test_indexed_pages_lead_to_the_end(client: RawClient, organisation: Organisation) -> None:
    for number in range(5):
        organisation.put(
            "bob@example.com", item(f"n{number}", f"2026-11-1{number} 10:00", "2026-11-16 11:00")
        )
    got: list[str] = []
    offset, is_last = 0, "false"
    while is_last == "false":
        answer = await client.send(indexed(offset, 2), mailbox="bob@example.com")
        (root,) = answer.all("//m:RootFolder")
        assert root.get("TotalItemsInView") == "5"
        offset, is_last = int(root.get("IndexedPagingOffset")), root.get("IncludesLastItemInRange")
        got += subjects(answer)
    assert got == [f"n{number}" for number in range(5)]
    from_end = await client.send(indexed(0, 2, base="End"), mailbox="bob@example.com")
    assert subjects(from_end) == ["n3", "n4"]


def compare(kind: str, field: str, value: str) -> str:
    return (
        f'<t:{kind}><t:FieldURI FieldURI="{field}"/><t:FieldURIOrConstant><t:Constant Value="{value}"/>'
        f"</t:FieldURIOrConstant></t:{kind}>"
    )


IS_LUNCH = compare("IsEqualTo", "item:Subject", "LUNCH")
IS_BUSY = compare("IsEqualTo", "calendar:LegacyFreeBusyStatus", "Busy")
IS_PART_OF_DAY = compare("IsEqualTo", "calendar:IsAllDayEvent", "false")
ENDS_LATER = compare("IsGreaterThan", "calendar:End", "2026-11-16T09:00:00Z")
HAS_AND = (
    '<t:Contains ContainmentMode="Substring" ContainmentComparison="IgnoreCase">'
    '<t:FieldURI FieldURI="item:Subject"/><t:Constant Value="AND"/></t:Contains>'
)


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (IS_LUNCH, ["lunch"]),
        (HAS_AND, ["standup"]),
        (f"<t:And>{ENDS_LATER}<t:Not>{IS_BUSY}</t:Not></t:And>", ["lunch"]),
        (f"<t:Or>{IS_LUNCH}{IS_PART_OF_DAY}</t:Or>", ["standup", "lunch"]),
        ('<t:Exists><t:FieldURI FieldURI="calendar:Location"/></t:Exists>', ["standup"]),
    ],
)
async def test_restrictions(client: RawClient, expression: str, found: list[str]) -> None:
    answer = await client.send(
        indexed(0, 10, more=f"<m:Restriction>{expression}</m:Restriction>"), mailbox=ALICE
    )
    assert subjects(answer) == found


async def test_sort_orders(client: RawClient) -> None:
    order = (
        '<m:SortOrder><t:FieldOrder Order="Descending"><t:FieldURI FieldURI="calendar:Start"/>'
        "</t:FieldOrder></m:SortOrder>"
    )
    assert subjects(await client.send(indexed(0, 10, more=order), mailbox=ALICE)) == ["lunch", "standup"]


async def test_what_cannot_be_searched_by_is_refused(client: RawClient) -> None:
    expression = '<m:Restriction><t:Exists><t:FieldURI FieldURI="item:Size"/></t:Exists></m:Restriction>'
    answer = await client.send(indexed(0, 10, more=expression), mailbox=ALICE)
    assert answer.codes == ["ErrorUnsupportedPathForQuery"]


async def test_names_with_markup_and_control_characters_survive(
    client: RawClient, organisation: Organisation
) -> None:
    organisation.add(SimulatedMailbox("mallory@example.com", name='<M> & "Co"'))
    organisation.put(
        "mallory@example.com", item("bad\x0b <tag> & ]]>", "2026-11-16 09:00", "2026-11-16 10:00")
    )
    answer = await client.send(find_item(), mailbox="mallory@example.com")
    assert subjects(answer) == ["bad <tag> & ]]>"]
    assert answer.text("//t:Organizer/t:Mailbox/t:Name") == '<M> & "Co"'
