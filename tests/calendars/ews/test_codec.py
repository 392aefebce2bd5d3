from datetime import UTC, datetime

import pytest
from lxml import etree

from presenced.calendars.ews import codec
from presenced.core.window import Window
from tests.calendars.ews.answers import M, T
from tests.calendars.ews.schema import assert_valid

WINDOW = Window(datetime(2026, 11, 15, 6, tzinfo=UTC), datetime(2026, 11, 19, 10, 30, tzinfo=UTC))
ODD = "o'brien&<sons>@example.com"

REQUESTS = {
    "find": codec.find_appointments("ann@example.com", WINDOW, organizers=False),
    "find, organizers": codec.find_appointments("ann@example.com", WINDOW, organizers=True),
    "find, odd address": codec.find_appointments(ODD, WINDOW, organizers=True),
    "organizers": codec.get_organizers("ann@example.com", ["AAMk=", "AA&B"]),
    "subscribe": codec.subscribe("ann@example.com"),
    "subscribe, odd address": codec.subscribe(ODD),
    "stream": codec.get_stream("ann@example.com", ["sub-1", "sub-2"], 29),
    "unsubscribe": codec.unsubscribe("ann@example.com", "sub-1"),
    "first sync": codec.sync_calendar("ann@example.com", ""),
    "sync": codec.sync_calendar("ann@example.com", "H4sIAAA=="),
}


def texts(request: bytes, path: str) -> list[str]:
    found = etree.fromstring(request).iterfind(path, {"m": M, "t": T})
    return [one.text for one in found]


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_are_valid_by_microsofts_schema(name: str) -> None:
    assert_valid(REQUESTS[name])


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_names_a_version_that_knows_working_elsewhere(name: str) -> None:
    version = etree.fromstring(REQUESTS[name]).find(".//t:RequestServerVersion", {"t": T})
    assert version.get("Version") == "Exchange2013"


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_impersonates_the_mailbox(name: str) -> None:
    address = ODD if "odd" in name else "ann@example.com"
    path = ".//t:ExchangeImpersonation/t:ConnectingSID/t:PrimarySmtpAddress"
    assert texts(REQUESTS[name], path) == [address]


def test_find_asks_for_the_window_and_what_the_mapping_needs() -> None:
    root = etree.fromstring(REQUESTS["find"])
    view = root.find(".//m:CalendarView", {"m": M})
    assert dict(view.attrib) == {
        "StartDate": "2026-11-15T06:00:00Z",
        "EndDate": "2026-11-19T10:30:00Z",
        "MaxEntriesReturned": "1000",
    }
    assert {one.get("FieldURI") for one in root.iter(f"{{{T}}}FieldURI")} == {
        "item:Subject",
        "item:Sensitivity",
        "calendar:Start",
        "calendar:End",
        "calendar:StartTimeZone",
        "calendar:IsAllDayEvent",
        "calendar:LegacyFreeBusyStatus",
        "calendar:IsCancelled",
        "calendar:MyResponseType",
    }
    assert b'"calendar:Organizer"' in REQUESTS["find, organizers"], "only where a rule needs him"
    assert [one.get("Id") for one in root.iter(f"{{{T}}}DistinguishedFolderId")] == ["calendar"]


def test_a_subscription_asks_for_the_six_kinds_of_change() -> None:
    assert set(texts(REQUESTS["subscribe"], ".//t:EventType")) == {
        "CopiedEvent",
        "CreatedEvent",
        "DeletedEvent",
        "ModifiedEvent",
        "MovedEvent",
        "FreeBusyChangedEvent",
    }


def test_values_are_escaped_and_read_back_as_they_were() -> None:
    assert texts(codec.subscribe(ODD), ".//t:EmailAddress") == [ODD]
    assert texts(codec.sync_calendar("a@b", '<&>"'), ".//m:SyncState") == ['<&>"']


@pytest.mark.parametrize("address", ["a\x00@b", "a\ud800@b", "a\x1f@b"])
def test_what_xml_cannot_carry_is_an_error(address: str) -> None:
    with pytest.raises(ValueError, match="XML"):
        codec.subscribe(address)


def test_a_stream_asks_for_all_its_subscriptions() -> None:
    assert texts(REQUESTS["stream"], ".//t:SubscriptionId") == ["sub-1", "sub-2"]
    assert texts(REQUESTS["stream"], ".//m:ConnectionTimeout") == ["29"]


@pytest.mark.parametrize(
    ("name", "iana"),
    [
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("Pacific Standard Time", "America/Los_Angeles"),
        ("tzone://Microsoft/Utc", "UTC"),
        ("UTC", "Etc/UTC"),
        ("Europe/Vienna", "Europe/Vienna"),
        ("Customized Time Zone", None),
        ("", None),
    ],
)
def test_windows_zones_have_iana_names(name: str, iana: str | None) -> None:
    assert codec.iana_zone(name) == iana
