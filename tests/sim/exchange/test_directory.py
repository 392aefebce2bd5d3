"""Folders, names, ids, free/busy and time zones: what foreign clients ask before and beside the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from presenced.sim.exchange.organisation import Organisation
from presenced.sim.exchange.zones import WINDOWS_NAMES, changes_in, find_zone, windows_name
from tests.sim.exchange.raw import CALENDAR, RawClient, at, find_item, item

ALICE = "alice@example.com"
SHAPE = "<m:FolderShape><t:BaseShape>{}</t:BaseShape></m:FolderShape>"


async def test_getfolder_shows_the_calendar(client: RawClient) -> None:
    folders = f'{CALENDAR}<t:DistinguishedFolderId Id="archiveroot"/><t:DistinguishedFolderId Id="root"/>'
    body = f"<m:GetFolder>{SHAPE.format('AllProperties')}<m:FolderIds>{folders}</m:FolderIds></m:GetFolder>"
    answer = await client.send(body, mailbox=ALICE)
    assert answer.codes == ["NoError", "ErrorFolderNotFound", "NoError"]
    assert answer.text("//t:CalendarFolder/t:DisplayName") == "Calendar"
    assert answer.text("//t:CalendarFolder/t:FolderClass") == "IPF.Appointment"
    assert answer.text("//t:CalendarFolder/t:TotalCount") == "2"
    assert answer.text("//t:CalendarFolder/t:DistinguishedFolderId") == "calendar"


async def test_a_folders_id_is_as_good_as_its_name(client: RawClient) -> None:
    body = f"<m:GetFolder>{SHAPE.format('IdOnly')}<m:FolderIds>{CALENDAR}</m:FolderIds></m:GetFolder>"
    (folder,) = (await client.send(body, mailbox=ALICE)).all("//t:FolderId")
    answer = await client.send(find_item(folder=f'<t:FolderId Id="{folder.get("Id")}"/>'))
    assert len(answer.all("//t:CalendarItem")) == 2


@pytest.mark.parametrize(
    ("traversal", "view", "shown", "is_last"),
    [
        ("Shallow", "", 11, "true"),
        ("Deep", "", 11, "true"),
        (
            "Deep",
            '<m:IndexedPageFolderView MaxEntriesReturned="4" Offset="4" BasePoint="Beginning"/>',
            4,
            "false",
        ),
        (
            "Deep",
            '<m:IndexedPageFolderView MaxEntriesReturned="4" Offset="8" BasePoint="Beginning"/>',
            3,
            "true",
        ),
    ],
)
async def test_findfolder_walks_the_tree(
    client: RawClient, traversal: str, view: str, shown: int, is_last: str
) -> None:
    body = (
        f'<m:FindFolder Traversal="{traversal}">{SHAPE.format("Default")}{view}<m:ParentFolderIds>'
        '<t:DistinguishedFolderId Id="msgfolderroot"/></m:ParentFolderIds></m:FindFolder>'
    )
    answer = await client.send(body, mailbox=ALICE)
    assert len(answer.all("//t:DisplayName")) == shown
    (root,) = answer.all("//m:RootFolder")
    assert (root.get("TotalItemsInView"), root.get("IncludesLastItemInRange")) == ("11", is_last)


async def test_the_hierarchy_is_in_step_after_one_page(client: RawClient) -> None:
    body = f"<m:SyncFolderHierarchy>{SHAPE.format('Default')}</m:SyncFolderHierarchy>"
    first = await client.send(body, mailbox=ALICE)
    assert len(first.all("//t:Create")) == 11
    state = f"<m:SyncState>{first.text('//m:SyncState')}</m:SyncState>"
    later = await client.send(body.replace("</m:Sync", f"{state}</m:Sync"), mailbox=ALICE)
    assert later.all("//m:Changes/*") == []


# --- names and ids --------------------------------------------------------------------------------


def resolve(entry: str, *, contact: str = "false") -> str:
    return (
        f'<m:ResolveNames ReturnFullContactData="{contact}">'
        f"<m:UnresolvedEntry>{entry}</m:UnresolvedEntry></m:ResolveNames>"
    )


@pytest.mark.parametrize(
    ("entry", "code", "found"),
    [
        ("smtp:A.LIDDELL@example.com", "NoError", ["Alice@example.com"]),
        ("SMTP:bob@example.com", "NoError", ["bob@example.com"]),
        ("bob@example.com", "NoError", ["bob@example.com"]),
        ("liddell", "NoError", ["Alice@example.com"]),
        ("b", "ErrorNameResolutionMultipleResults", ["bob@example.com", "carol@example.com"]),
        ("smtp:nobody@example.com", "ErrorNameResolutionNoResults", []),
        ("smtp:bob", "ErrorNameResolutionNoResults", []),
    ],
)
async def test_names_are_resolved(client: RawClient, entry: str, code: str, found: list[str]) -> None:
    answer = await client.send(resolve(entry))
    assert answer.codes == [code]
    assert [element.text for element in answer.all("//t:Mailbox/t:EmailAddress")] == found


async def test_contact_data_comes_when_asked_for(client: RawClient) -> None:
    answer = await client.send(resolve("smtp:alice@example.com", contact="true"))
    entries = [element.text for element in answer.all("//t:EmailAddresses/t:Entry")]
    assert entries == ["SMTP:Alice@example.com", "smtp:a.liddell@example.com"]
    assert answer.text("//t:Contact/t:DisplayName") == "Alice Liddell"


async def test_ids_go_through_every_format_and_back(client: RawClient) -> None:
    found = await client.send(find_item(), mailbox=ALICE)
    start = id_ = found.all("//t:ItemId")[0].get("Id")
    form = "EwsId"
    for destination in ("HexEntryId", "OwaId", "EntryId", "StoreId", "EwsLegacyId", "EwsId"):
        answer = await client.send(
            f'<m:ConvertId DestinationFormat="{destination}"><m:SourceIds><t:AlternateId Format="{form}"'
            f' Id="{id_}" Mailbox="{ALICE}"/><t:AlternateId Format="EwsId" Id="DUMMY" Mailbox="x"/>'
            "</m:SourceIds></m:ConvertId>"
        )
        assert answer.codes == ["NoError", "ErrorInvalidIdMalformed"]
        (told,) = answer.all("//m:AlternateId")
        form, id_ = told.get("Format"), told.get("Id")
    assert (form, id_) == ("EwsId", start)


# --- free/busy ------------------------------------------------------------------------------------

VIENNA = (
    "<t:TimeZone><t:Bias>-60</t:Bias>"
    "<t:StandardTime><t:Bias>0</t:Bias><t:Time>03:00:00</t:Time><t:DayOrder>5</t:DayOrder><t:Month>10</t:Month>"
    "<t:DayOfWeek>Sunday</t:DayOfWeek></t:StandardTime>"
    "<t:DaylightTime><t:Bias>-60</t:Bias><t:Time>02:00:00</t:Time><t:DayOrder>5</t:DayOrder><t:Month>3</t:Month>"
    "<t:DayOfWeek>Sunday</t:DayOfWeek></t:DaylightTime></t:TimeZone>"
)
SYDNEY = (
    "<t:TimeZone><t:Bias>-600</t:Bias>"
    "<t:StandardTime><t:Bias>0</t:Bias><t:Time>03:00:00</t:Time><t:DayOrder>1</t:DayOrder><t:Month>4</t:Month>"
    "<t:DayOfWeek>Sunday</t:DayOfWeek></t:StandardTime>"
    "<t:DaylightTime><t:Bias>-60</t:Bias><t:Time>02:00:00</t:Time><t:DayOrder>1</t:DayOrder><t:Month>10</t:Month>"
    "<t:DayOfWeek>Sunday</t:DayOfWeek></t:DaylightTime></t:TimeZone>"
)


def availability(zone: str, start: str, end: str, *addresses: str, view: str = "DetailedMerged") -> str:
    mailboxes = "".join(
        f"<t:MailboxData><t:Email><t:Address>{address}</t:Address></t:Email>"
        "<t:AttendeeType>Required</t:AttendeeType></t:MailboxData>"
        for address in addresses
    )
    return (
        f"<m:GetUserAvailabilityRequest>{zone}<m:MailboxDataArray>{mailboxes}</m:MailboxDataArray>"
        f"<t:FreeBusyViewOptions><t:TimeWindow><t:StartTime>{start}</t:StartTime><t:EndTime>{end}</t:EndTime>"
        "</t:TimeWindow><t:MergedFreeBusyIntervalInMinutes>60</t:MergedFreeBusyIntervalInMinutes>"
        f"<t:RequestedView>{view}</t:RequestedView></t:FreeBusyViewOptions></m:GetUserAvailabilityRequest>"
    )


async def test_availability_speaks_the_zone_of_the_request(client: RawClient) -> None:
    body = availability(
        VIENNA, "2026-11-16T08:00:00", "2026-11-16T16:00:00", "a.liddell@example.com", "nobody@example.com"
    )
    answer = await client.send(body)
    assert answer.codes == ["NoError", "ErrorMailRecipientNotFound"]
    assert [element.text for element in answer.all("//t:CalendarEvent/t:StartTime")] == [
        "2026-11-16T09:30:00",
        "2026-11-16T12:00:00",
    ]
    assert answer.text("//t:MergedFreeBusy") == "02003000"
    assert answer.text("//t:CalendarEvent[2]/t:CalendarEventDetails/t:IsPrivate") == "true"
    assert answer.text("//t:WorkingHours/t:TimeZone/t:Bias") == "-60"


@pytest.mark.parametrize(
    ("zone", "window", "start"),
    [
        (VIENNA, ("2026-07-01T00:00:00", "2026-07-02T00:00:00"), ("2026-07-01 10:00", "2026-07-01T12:00:00")),
        (SYDNEY, ("2026-07-01T00:00:00", "2026-07-02T00:00:00"), ("2026-07-01 10:00", "2026-07-01T20:00:00")),
        (SYDNEY, ("2026-01-01T00:00:00", "2026-01-02T00:00:00"), ("2026-01-01 10:00", "2026-01-01T21:00:00")),
        (
            VIENNA,
            ("2026-06-30T22:00:00Z", "2026-07-02T00:00:00Z"),
            ("2026-07-01 10:00", "2026-07-01T12:00:00"),
        ),
    ],
)
async def test_summer_time_is_where_the_rules_put_it(
    client: RawClient, organisation: Organisation, zone: str, window: tuple[str, str], start: tuple[str, str]
) -> None:
    began = at(start[0])
    organisation.put("bob@example.com", item("x", start[0], f"{began + timedelta(hours=1):%Y-%m-%d %H:%M}"))
    answer = await client.send(availability(zone, *window, "bob@example.com", view="FreeBusy"))
    assert answer.text("//t:CalendarEvent/t:StartTime") == start[1]
    assert answer.all("//t:MergedFreeBusy") == []
    assert answer.all("//t:CalendarEventDetails") == []


async def test_the_busier_status_wins(client: RawClient, organisation: Organisation) -> None:
    for name, status in (("a", "Tentative"), ("b", "OOF"), ("c", "Busy"), ("d", "WorkingElsewhere")):
        organisation.put(
            "bob@example.com", item(name, "2026-11-16 10:00", "2026-11-16 11:00", show_as=status)
        )
    window = ("2026-11-16T10:00:00Z", "2026-11-16T12:00:00Z")
    answer = await client.send(availability(VIENNA, *window, "bob@example.com", view="MergedOnly"))
    assert answer.text("//t:MergedFreeBusy") == "30"
    assert answer.all("//t:CalendarEventArray") == []


async def test_a_window_may_be_too_long(client: RawClient) -> None:
    answer = await client.send(availability(VIENNA, "2026-01-01T00:00:00", "2026-06-01T00:00:00", ALICE))
    assert answer.codes == ["ErrorTimeIntervalTooBig"]


# --- time zones -----------------------------------------------------------------------------------


def zones(*ids: str, full: str = "true") -> str:
    told = "".join(f"<t:Id>{id_}</t:Id>" for id_ in ids)
    ids_element = f"<m:Ids>{told}</m:Ids>" if ids else ""
    return f'<m:GetServerTimeZones ReturnFullTimeZoneData="{full}">{ids_element}</m:GetServerTimeZones>'


async def test_a_zone_comes_with_its_rules(client: RawClient) -> None:
    answer = await client.send(zones("W. Europe Standard Time", "Atlantis Standard Time"))
    (zone,) = answer.all("//t:TimeZoneDefinition")
    assert zone.get("Name") == "(UTC+01:00) W. Europe Standard Time"
    assert {element.get("Name"): element.get("Bias") for element in answer.all("//t:Period")} == {
        "Standard": "-PT1H",
        "Daylight": "-PT2H",
    }
    rules = [
        tuple(element.findtext(f"{{*}}{name}") for name in ("TimeOffset", "Month", "DayOfWeek", "Occurrence"))
        for element in answer.all("//t:RecurringDayTransition")
    ]
    assert rules == [("PT2H", "3", "Sunday", "-1"), ("PT3H", "10", "Sunday", "-1")]


async def test_all_zones_come_on_request(client: RawClient) -> None:
    answer = await client.send(zones(full="false"))
    assert len(answer.all("//t:TimeZoneDefinition")) == len(WINDOWS_NAMES)
    assert answer.all("//t:Periods") == []


@pytest.mark.parametrize(
    ("iana", "windows"),
    [
        ("Europe/Vienna", "W. Europe Standard Time"),
        ("Asia/Kolkata", "India Standard Time"),
        ("UTC", "UTC"),
        ("Mars/Olympus", "UTC"),
    ],
)
def test_zones_have_windows_names(iana: str, windows: str) -> None:
    assert windows_name(iana) == windows


@pytest.mark.parametrize("name", WINDOWS_NAMES)
def test_changes_of_the_clocks_are_found_to_the_minute(name: str) -> None:
    zone = find_zone(name)
    assert isinstance(zone, ZoneInfo)
    for change in changes_in(zone, 2026):
        minute = timedelta(minutes=1)
        assert (change.at - minute).astimezone(zone).utcoffset() == change.before
        assert change.at.astimezone(zone).utcoffset() == change.after
        assert datetime(2026, 1, 1, tzinfo=UTC) <= change.at
