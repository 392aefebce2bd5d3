"""CreateItem, UpdateItem, DeleteItem, and what SyncFolderItems makes of them."""

from __future__ import annotations

import pytest

from presenced.sim.exchange.organisation import Item, Organisation
from presenced.sim.exchange.server import SimulatedExchange
from tests.sim.exchange.raw import CALENDAR, Answer, RawClient, T, at, item

BOB = "bob@example.com"
DAILY = (
    "<t:Recurrence><t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence>"
    "<t:NoEndRecurrence><t:StartDate>2026-11-16</t:StartDate></t:NoEndRecurrence></t:Recurrence>"
)
TIMES = "<t:Start>2026-11-16T09:00:00Z</t:Start><t:End>2026-11-16T10:00:00Z</t:End>"


def create(
    inner: str, *, invitations: str = ' SendMeetingInvitations="SendToNone"', folder: str = CALENDAR
) -> str:
    return (
        f"<m:CreateItem{invitations}><m:SavedItemFolderId>{folder}</m:SavedItemFolderId><m:Items>"
        f"<t:CalendarItem>{inner}</t:CalendarItem></m:Items></m:CreateItem>"
    )


def the_item(organisation: Organisation) -> Item:
    bob = organisation.find(BOB)
    assert bob is not None
    (found,) = bob.view(at("2026-01-01 00:00"), at("2027-12-31 00:00"))
    return found


async def created(client: RawClient, inner: str) -> tuple[str, str]:
    answer = await client.send(create(inner), mailbox=BOB)
    assert answer.codes == ["NoError"]
    (id_,) = answer.all("//t:ItemId")
    return id_.get("Id"), id_.get("ChangeKey")


async def test_what_is_created_is_there(client: RawClient, organisation: Organisation) -> None:
    inner = (
        "<t:Subject>Talk &amp; tea</t:Subject><t:Sensitivity>Private</t:Sensitivity>"
        f'<t:Body BodyType="Text">agenda</t:Body>{TIMES}'
        "<t:LegacyFreeBusyStatus>OOF</t:LegacyFreeBusyStatus><t:Location>Room 2</t:Location>"
        '<t:StartTimeZone Id="Pacific Standard Time"/>'
    )
    await created(client, inner)
    made = the_item(organisation)
    assert (made.subject, made.sensitivity, made.body) == ("Talk & tea", "Private", "agenda")
    assert (made.start, made.end) == (at("2026-11-16 09:00"), at("2026-11-16 10:00"))
    assert (made.show_as, made.location, made.zone) == ("OOF", "Room 2", "America/Los_Angeles")
    assert made.my_response == "Organizer"


async def test_a_bare_time_is_of_the_items_zone(client: RawClient, organisation: Organisation) -> None:
    await created(
        client,
        "<t:Start>2026-07-01T09:00:00</t:Start><t:End>2026-07-01T10:00:00</t:End>"
        '<t:StartTimeZone Id="W. Europe Standard Time"/>',
    )
    assert the_item(organisation).start == at("2026-07-01 07:00")


@pytest.mark.parametrize(
    ("start", "end", "began", "ended"),
    [
        ("2026-11-16T09:00:00Z", "2026-11-16T10:00:00Z", "2026-11-15 23:00", "2026-11-16 23:00"),
        ("2026-11-15T23:00:00Z", "2026-11-17T23:00:00Z", "2026-11-15 23:00", "2026-11-17 23:00"),
        ("2026-10-25T00:00:00", "2026-10-26T00:00:00", "2026-10-24 22:00", "2026-10-25 23:00"),
    ],
)
async def test_an_all_day_item_covers_whole_days_of_its_zone(
    client: RawClient, organisation: Organisation, start: str, end: str, began: str, ended: str
) -> None:
    await created(
        client,
        f"<t:Start>{start}</t:Start><t:End>{end}</t:End><t:IsAllDayEvent>true</t:IsAllDayEvent>"
        '<t:StartTimeZone Id="W. Europe Standard Time"/>',
    )
    made = the_item(organisation)
    assert (made.start, made.end) == (at(began), at(ended))


async def test_what_an_item_does_not_model_is_kept(client: RawClient) -> None:
    uri = '<t:ExtendedFieldURI PropertySetId="11111111-2222-3333-4444-555555555555" PropertyName="X" PropertyType="String"/>'
    id_, _ = await created(
        client,
        "<t:Categories><t:String>Red</t:String></t:Categories>"
        f"<t:ExtendedProperty>{uri}<t:Value>42</t:Value></t:ExtendedProperty>{TIMES}"
        "<t:RequiredAttendees><t:Attendee><t:Mailbox><t:EmailAddress>carol@example.com</t:EmailAddress>"
        "</t:Mailbox></t:Attendee></t:RequiredAttendees>",
    )
    answer = await client.send(
        "<m:GetItem><m:ItemShape><t:BaseShape>AllProperties</t:BaseShape><t:AdditionalProperties>"
        f"{uri}</t:AdditionalProperties></m:ItemShape>"
        f'<m:ItemIds><t:ItemId Id="{id_}"/></m:ItemIds></m:GetItem>',
        mailbox=BOB,
    )
    assert answer.text("//t:Categories/t:String") == "Red"
    assert answer.text("//t:ExtendedProperty/t:Value") == "42"
    assert answer.text("//t:RequiredAttendees//t:EmailAddress") == "carol@example.com"
    assert answer.text("//t:IsMeeting") == "true"


@pytest.mark.parametrize(
    ("inner", "how", "code"),
    [
        (TIMES, {"invitations": ""}, "ErrorSendMeetingInvitationsRequired"),
        (
            TIMES,
            {"folder": '<t:DistinguishedFolderId Id="inbox"/>'},
            "ErrorCannotCreateCalendarItemInNonCalendarFolder",
        ),
        (
            "<t:Start>2026-11-16T09:00:00Z</t:Start><t:End>2026-11-16T08:00:00Z</t:End>",
            {},
            "ErrorCalendarEndDateIsEarlierThanStartDate",
        ),
        (f'{TIMES}<t:StartTimeZone Id="Middle Earth"/>', {}, "ErrorCalendarInvalidTimeZone"),
        (TIMES + DAILY, {}, "ErrorCalendarInvalidRecurrence"),
    ],
)
async def test_what_cannot_be_created(client: RawClient, inner: str, how: dict[str, str], code: str) -> None:
    assert (await client.send(create(inner, **how), mailbox=BOB)).codes == [code]


def update(id_: str, key: str, updates: str, *, resolution: str = "NeverOverwrite") -> str:
    return (
        f'<m:UpdateItem ConflictResolution="{resolution}" SendMeetingInvitationsOrCancellations="SendToNone">'
        f'<m:ItemChanges><t:ItemChange><t:ItemId Id="{id_}"{key}/><t:Updates>{updates}</t:Updates>'
        "</t:ItemChange></m:ItemChanges></m:UpdateItem>"
    )


def set_field(uri: str, inner: str) -> str:
    return (
        f'<t:SetItemField><t:FieldURI FieldURI="{uri}"/><t:CalendarItem>{inner}</t:CalendarItem>'
        "</t:SetItemField>"
    )


async def test_an_update_changes_what_it_names(client: RawClient, organisation: Organisation) -> None:
    id_, key = await created(client, f"<t:Subject>Old</t:Subject>{TIMES}<t:Location>Room</t:Location>")
    before = the_item(organisation)
    updates = (
        set_field("item:Subject", "<t:Subject>New</t:Subject>")
        + set_field("calendar:LegacyFreeBusyStatus", "<t:LegacyFreeBusyStatus>Free</t:LegacyFreeBusyStatus>")
        + '<t:DeleteItemField><t:FieldURI FieldURI="calendar:Location"/></t:DeleteItemField>'
    )
    answer = await client.send(update(id_, f' ChangeKey="{key}"', updates), mailbox=BOB)
    assert answer.codes == ["NoError"]
    (shown,) = answer.all("//t:ItemId")
    assert shown.get("Id") == id_
    assert shown.get("ChangeKey") != key
    after = the_item(organisation)
    assert (after.subject, after.show_as, after.location) == ("New", "Free", "")
    assert (after.start, after.end, after.uid) == (before.start, before.end, before.uid)
    assert before.subject == "Old"


@pytest.mark.parametrize(
    ("key", "resolution", "code"),
    [
        ("", "NeverOverwrite", "ErrorChangeKeyRequiredForWriteOperations"),
        (' ChangeKey="stale"', "NeverOverwrite", "ErrorIrresolvableConflict"),
        (' ChangeKey="stale"', "AutoResolve", "NoError"),
        ("", "AlwaysOverwrite", "NoError"),
    ],
)
async def test_change_keys_guard_against_overwriting(
    client: RawClient, key: str, resolution: str, code: str
) -> None:
    id_, _ = await created(client, TIMES)
    updates = set_field("item:Subject", "<t:Subject>New</t:Subject>")
    answer = await client.send(update(id_, key, updates, resolution=resolution), mailbox=BOB)
    assert answer.codes == [code]


def delete(
    *ids: str, kind: str = "HardDelete", cancellations: str = ' SendMeetingCancellations="SendToNone"'
) -> str:
    told = "".join(f'<t:ItemId Id="{id_}"/>' for id_ in ids)
    return f'<m:DeleteItem DeleteType="{kind}"{cancellations}><m:ItemIds>{told}</m:ItemIds></m:DeleteItem>'


@pytest.mark.parametrize(
    ("kind", "event"), [("HardDelete", "Deleted"), ("SoftDelete", "Deleted"), ("MoveToDeletedItems", "Moved")]
)
async def test_deleting_is_told_as_what_it_is(
    client: RawClient, organisation: Organisation, kind: str, event: str
) -> None:
    id_, _ = await created(client, TIMES)
    told: list[str] = []
    organisation.watchers.append(lambda _box, event, _item: told.append(event))
    assert (await client.send(delete(id_, kind=kind), mailbox=BOB)).codes == ["NoError"]
    assert told == [event]
    assert (await client.send(delete(id_, kind=kind), mailbox=BOB)).codes == ["ErrorItemNotFound"]


async def test_deleting_needs_a_word_about_cancellations(client: RawClient) -> None:
    id_, _ = await created(client, TIMES)
    answer = await client.send(delete(id_, cancellations=""), mailbox=BOB)
    assert answer.codes == ["ErrorSendMeetingCancellationsRequired"]


async def test_an_id_named_twice_is_deleted_once(client: RawClient) -> None:
    id_, _ = await created(client, TIMES)
    answer = await client.send(delete(id_, id_), mailbox=BOB)
    assert answer.codes == ["NoError", "ErrorItemNotFound"]


# --- in step --------------------------------------------------------------------------------------


def sync(state: str = "", *, most: int = 512, folder: str = CALENDAR) -> str:
    known = f"<m:SyncState>{state}</m:SyncState>" if state else ""
    return (
        "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>"
        '<t:FieldURI FieldURI="item:Subject"/></t:AdditionalProperties></m:ItemShape>'
        f"<m:SyncFolderId>{folder}</m:SyncFolderId>{known}<m:MaxChangesReturned>{most}</m:MaxChangesReturned>"
        "</m:SyncFolderItems>"
    )


def changes(answer: Answer) -> list[tuple[str, str]]:
    return [
        (element.tag.removeprefix(f"{{{T}}}"), element.findtext(".//{*}Subject") or "")
        for element in answer.all("//m:Changes/*")
    ]


async def test_the_first_pages_bring_everything(client: RawClient, organisation: Organisation) -> None:
    for number in range(5):
        organisation.put(BOB, item(f"n{number}", "2026-11-16 10:00", "2026-11-16 11:00"))
    got, state, is_last = [], "", "false"
    while is_last == "false":
        answer = await client.send(sync(state, most=2), mailbox=BOB)
        if not state:
            organisation.put(BOB, item("meanwhile", "2026-11-16 10:00", "2026-11-16 11:00"))
        got += changes(answer)
        state, is_last = answer.text("//m:SyncState"), answer.text("//m:IncludesLastItemInRange")
    assert got[:5] != []
    assert {name for _, name in got} >= {f"n{number}" for number in range(5)}
    answer = await client.send(sync(state), mailbox=BOB)
    assert changes(answer) == [("Create", "meanwhile")]


async def test_later_only_what_changed_comes(client: RawClient, organisation: Organisation) -> None:
    for name in ("kept", "changed", "removed"):
        organisation.put(BOB, item(name, "2026-11-16 10:00", "2026-11-16 11:00"))
    first = await client.send(sync(), mailbox=BOB)
    state = first.text("//m:SyncState")
    assert changes(await client.send(sync(state), mailbox=BOB)) == []
    organisation.put(BOB, item("changed", "2026-11-16 12:00", "2026-11-16 13:00"))
    organisation.remove(BOB, "removed")
    organisation.put(BOB, item("new", "2026-11-16 10:00", "2026-11-16 11:00"))
    organisation.put(BOB, item("brief", "2026-11-16 10:00", "2026-11-16 11:00"))
    organisation.remove(BOB, "brief")
    answer = await client.send(sync(state), mailbox=BOB)
    assert changes(answer) == [("Update", "changed"), ("Delete", ""), ("Create", "new")]
    gone = answer.all("//t:Delete/t:ItemId")[0].get("Id")
    assert gone in {element.get("Id") for element in first.all("//t:Create//t:ItemId")}


async def test_changes_come_in_pages_too(client: RawClient, organisation: Organisation) -> None:
    state = (await client.send(sync(), mailbox=BOB)).text("//m:SyncState")
    for number in range(5):
        organisation.put(BOB, item(f"n{number}", "2026-11-16 10:00", "2026-11-16 11:00"))
    got, is_last = [], "false"
    while is_last == "false":
        answer = await client.send(sync(state, most=2), mailbox=BOB)
        got += changes(answer)
        state, is_last = answer.text("//m:SyncState"), answer.text("//m:IncludesLastItemInRange")
    assert got == [("Create", f"n{number}") for number in range(5)]


async def test_a_state_is_good_for_one_folder(client: RawClient, exchange: SimulatedExchange) -> None:
    state = (await client.send(sync(), mailbox=BOB)).text("//m:SyncState")
    inbox = '<t:DistinguishedFolderId Id="inbox"/>'
    for known, folder, mailbox in (
        (state, inbox, BOB),
        (state, CALENDAR, "carol@example.com"),
        ("nonsense", CALENDAR, BOB),
    ):
        answer = await client.send(sync(known, folder=folder), mailbox=mailbox)
        assert answer.codes == ["ErrorInvalidSyncStateData"]
    assert len(exchange.client_bugs) == 3
