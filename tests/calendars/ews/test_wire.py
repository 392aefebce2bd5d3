from datetime import UTC, datetime

import pytest

from presenced.calendars.ews.codec import iana_zone
from presenced.calendars.ews.envelope import Refused, Unreadable
from presenced.calendars.ews.wire import (
    Found,
    read_appointments,
    read_done,
    read_organizers,
    read_subscription,
    read_sync,
)
from presenced.core.appointment import Appointment, Response, Sensitivity, ShowAs
from tests.calendars.ews.answers import answer, found, item, subscribed, synced


def read(*items: str) -> Found:
    return read_appointments(found(*items), "Europe/Berlin", iana_zone)


def one(**fields: str) -> Appointment:
    (appointment,) = read(item(**fields)).appointments
    return appointment


def test_an_appointment_is_read_whole() -> None:
    appointment = one(
        item_id="AAMk/1=",
        Subject="Budget & <planning>",
        Sensitivity="Private",
        LegacyFreeBusyStatus="OOF",
        MyResponseType="Accept",
        IsCancelled="true",
        Organizer="<t:Name>Bob</t:Name><t:EmailAddress>bob@example.com</t:EmailAddress>"
        "<t:RoutingType>SMTP</t:RoutingType>",
    )
    assert appointment == Appointment(
        id="AAMk/1=",
        start=datetime(2026, 11, 16, 9, tzinfo=UTC),
        end=datetime(2026, 11, 16, 10, tzinfo=UTC),
        show_as=ShowAs.OOF,
        subject="Budget & <planning>",
        sensitivity=Sensitivity.PRIVATE,
        organizer="bob@example.com",
        cancelled=True,
        response=Response.ACCEPTED,
    )


def test_any_prefix_and_foreign_elements_do() -> None:
    body = (
        found(item())
        .replace(b"t:", b"x0:")
        .replace(b"xmlns:t=", b"xmlns:x0=")
        .replace(b"<m:RootFolder", b'<m:News xmlns:n="urn:new"><n:CalendarItem/></m:News><m:RootFolder')
    )
    assert len(read_appointments(body, "Europe/Berlin", iana_zone).appointments) == 1


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-16T09:00:00Z", datetime(2026, 11, 16, 9, tzinfo=UTC)),
        ("2026-11-16T09:00:00.1234567Z", datetime(2026, 11, 16, 9, 0, 0, 123456, tzinfo=UTC)),
        ("2026-11-16T10:00:00+01:00", datetime(2026, 11, 16, 9, tzinfo=UTC)),
        ("2026-11-16T04:30:00-04:30", datetime(2026, 11, 16, 9, tzinfo=UTC)),
        ("2026-11-16T09:00:00", datetime(2026, 11, 16, 9, tzinfo=UTC)),
        ("\n 2026-11-16T09:00:00Z ", datetime(2026, 11, 16, 9, tzinfo=UTC)),
    ],
)
def test_every_way_to_write_an_instant(text: str, moment: datetime) -> None:
    start = one(start=text, end="2026-11-16T12:00:00Z").start
    assert start == moment
    assert start.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "show_as", "oddity"),
    [
        ("Free", ShowAs.FREE, None),
        ("Tentative", ShowAs.TENTATIVE, None),
        ("Busy", ShowAs.BUSY, None),
        ("OOF", ShowAs.OOF, None),
        ("WorkingElsewhere", ShowAs.WORKING_ELSEWHERE, None),
        ("NoData", ShowAs.NO_DATA, None),
        ("", ShowAs.NO_DATA, "no show-as"),
        ("OnTheMoon", ShowAs.NO_DATA, "unknown show-as"),
    ],
)
def test_show_as(text: str, show_as: ShowAs, oddity: str | None) -> None:
    result = read(item(LegacyFreeBusyStatus=text))
    assert result.appointments[0].show_as is show_as
    assert result.oddities == ({oddity: 1} if oddity else None)


@pytest.mark.parametrize(
    ("text", "sensitivity"),
    [("", Sensitivity.NORMAL), ("Personal", Sensitivity.PERSONAL), ("Confidential", Sensitivity.CONFIDENTIAL),
     ("TopSecret", Sensitivity.PRIVATE)],
)  # fmt: skip
def test_sensitivity_errs_on_the_side_of_hiding(text: str, sensitivity: Sensitivity) -> None:
    assert one(Sensitivity=text).sensitivity is sensitivity


@pytest.mark.parametrize(
    ("text", "response"),
    [("Organizer", Response.ORGANIZER), ("Decline", Response.DECLINED), ("Tentative", Response.TENTATIVE),
     ("NoResponseReceived", Response.NOT_RECEIVED), ("", Response.UNKNOWN), ("Maybe", Response.UNKNOWN)],
)  # fmt: skip
def test_responses(text: str, response: Response) -> None:
    assert one(MyResponseType=text).response is response


@pytest.mark.parametrize(
    ("mailbox", "address"),
    [
        ("<t:EmailAddress>bob@example.com</t:EmailAddress>", "bob@example.com"),
        ("<t:Name>Bob</t:Name>", ""),
        ("<t:EmailAddress>/O=X/OU=Y/CN=BOB</t:EmailAddress><t:RoutingType>EX</t:RoutingType>", ""),
        ("<t:EmailAddress>/o=x@y</t:EmailAddress>", ""),
        ("<t:EmailAddress>bob@example.com</t:EmailAddress><t:RoutingType>EX</t:RoutingType>", ""),
    ],
)
def test_only_an_smtp_address_is_an_organizer(mailbox: str, address: str) -> None:
    assert one(Organizer=mailbox).organizer == address


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (item(item_id=None), "no item id"),
        (item(item_id=""), "no item id"),
        (item(start=None), "no start"),
        (item(end=None), "no end"),
        (item(start="yesterday"), "unreadable start"),
        (item(end="2026-13-16T09:00:00Z"), "unreadable end"),
        (item(start="0001-01-01T00:00:00+14:00"), "time out of range"),
        (item(IsAllDayEvent="true", start="0001-01-01T00:00:00Z"), "time out of range"),
        ('<t:Message><t:ItemId Id="m"/></t:Message>', "not a calendar item"),
    ],
)
def test_a_garbled_item_costs_only_itself(bad: str, reason: str) -> None:
    result = read(item(item_id="before"), bad, item(item_id="after"))
    assert [one.id for one in result.appointments] == ["before", "after"]
    assert result.oddities == {reason: 1}


@pytest.mark.parametrize(
    ("fields", "first", "last"),
    [
        pytest.param({"start": "2026-12-24T23:00:00Z", "end": "2026-12-26T23:00:00Z"}, 25, 27,
                     id="presence zone"),
        pytest.param({"start": "2026-12-25T05:00:00Z", "end": "2026-12-26T05:00:00Z",
                      "StartTimeZone": "Eastern Standard Time"}, 25, 26, id="its own zone"),
        pytest.param({"start": "2026-12-25T00:00:00Z", "end": "2026-12-26T00:00:00Z",
                      "StartTimeZone": "tzone://Microsoft/Utc"}, 25, 26, id="UTC"),
        pytest.param({"start": "2026-12-24T10:00:00Z", "end": "2026-12-25T10:00:00Z",
                      "StartTimeZone": "Line Islands Standard Time"}, 25, 26, id="UTC+14"),
        pytest.param({"start": "2026-12-25T05:00:00Z", "end": "2026-12-26T05:00:00Z",
                      "StartTimeZone": "Customized Time Zone"}, 25, 26, id="a zone nobody knows"),
        pytest.param({"start": "2026-12-24T15:00:00Z", "end": "2026-12-25T15:00:00Z"}, 25, 26,
                     id="offset only"),
    ],
)  # fmt: skip
def test_all_day_appointments_stand_at_the_utc_midnights_of_their_dates(
    fields: dict[str, str], first: int, last: int
) -> None:
    appointment = one(IsAllDayEvent="true", **fields)
    assert appointment.all_day
    assert appointment.start == datetime(2026, 12, first, tzinfo=UTC)
    assert appointment.end == datetime(2026, 12, last, tzinfo=UTC)


def test_a_presence_zone_nobody_knows_does_not_stop_the_reading() -> None:
    body = found(item(IsAllDayEvent="1", start="2026-12-24T23:00:00Z", end="2026-12-25T23:00:00Z"))
    (appointment,) = read_appointments(body, "Mars/Olympus", iana_zone).appointments
    assert appointment.start == datetime(2026, 12, 25, tzinfo=UTC)


def test_an_answer_knows_whether_it_is_complete() -> None:
    assert read_appointments(found(), "UTC", iana_zone) == Found(())
    assert not read_appointments(found(item(), last=False), "UTC", iana_zone).complete


@pytest.mark.parametrize("body", [answer("FindItem"), subscribed("x")])
def test_an_answer_to_something_else_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_appointments(body, "UTC", iana_zone)


def test_a_refusal_is_raised() -> None:
    with pytest.raises(Refused, match="ErrorItemNotFound"):
        read_appointments(answer("FindItem", code="ErrorItemNotFound"), "UTC", iana_zone)


def test_subscriptions() -> None:
    assert read_subscription(subscribed("abc&")) == "abc&"
    with pytest.raises(Unreadable):
        read_subscription(answer("Subscribe"))
    with pytest.raises(Refused):
        read_subscription(answer("Subscribe", code="ErrorExceededSubscriptionCount"))
    read_done(answer("Unsubscribe"))
    with pytest.raises(Refused):
        read_done(answer("Unsubscribe", code="ErrorSubscriptionNotFound"))


def test_sync_answers() -> None:
    synced_now = read_sync(synced("c1", 3, last=False))
    assert (synced_now.cursor, synced_now.changes, synced_now.complete) == ("c1", 3, False)
    assert read_sync(synced("c2")).complete
    with pytest.raises(Unreadable):
        read_sync(answer("SyncFolderItems"))


def test_organizers_of_items_that_are_there() -> None:
    mail = "<t:EmailAddress>boss@example.com</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType>"
    ok = answer("GetItem", f"<m:Items>{item(item_id='a', Organizer=mail)}{item(item_id='b')}</m:Items>")
    gone = answer("GetItem", code="ErrorItemNotFound")
    assert read_organizers(ok) == {"a": "boss@example.com"}
    assert read_organizers(gone) == {}
