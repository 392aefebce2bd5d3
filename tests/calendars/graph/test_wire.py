from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from presenced.calendars.graph.batch import MISSING, read_batch, write_batch
from presenced.calendars.graph.questions import delta, person, renew, stamp, subscribe, user_path, view
from presenced.calendars.graph.wire import (
    DeltaPage,
    Notice,
    Person,
    Unreadable,
    parse,
    read_delta,
    read_notices,
    read_owner,
    read_people,
    read_subscribed,
    read_view,
)
from presenced.core.appointment import Appointment, Response, Sensitivity, ShowAs
from presenced.core.window import Window

NINE = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 16, tzinfo=UTC)


def event(**members: Any) -> dict[str, Any]:
    """An appointment as Graph shows it; None takes a member away."""
    whole = {
        "@odata.etag": 'W/"x"',
        "id": "A1",
        "subject": "Fair",
        "isAllDay": False,
        "isCancelled": False,
        "showAs": "busy",
        "sensitivity": "normal",
        "type": "singleInstance",
        "start": {"dateTime": "2026-11-16T09:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2026-11-16T10:00:00.0000000", "timeZone": "UTC"},
        "organizer": {"emailAddress": {"name": "Ann", "address": "ann@example.com"}},
        "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
        **members,
    }
    return {name: value for name, value in whole.items() if value is not None}


def one(**members: Any) -> Appointment:
    page = read_view({"value": [event(**members)]})
    (appointment,) = page.appointments
    return appointment


def when(text: str, zone: str = "UTC") -> dict[str, str]:
    return {"dateTime": text, "timeZone": zone}


def test_an_appointment_with_everything() -> None:
    assert one() == Appointment(
        id="A1",
        start=NINE,
        end=NINE + timedelta(hours=1),
        show_as=ShowAs.BUSY,
        subject="Fair",
        organizer="ann@example.com",
        response=Response.ORGANIZER,
    )


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("free", ShowAs.FREE),
        ("tentative", ShowAs.TENTATIVE),
        ("busy", ShowAs.BUSY),
        ("oof", ShowAs.OOF),
        ("workingElsewhere", ShowAs.WORKING_ELSEWHERE),
        ("unknown", ShowAs.NO_DATA),
    ],
)
def test_every_show_as(word: str, meaning: ShowAs) -> None:
    assert one(showAs=word).show_as is meaning


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("none", Response.UNKNOWN),
        ("organizer", Response.ORGANIZER),
        ("tentativelyAccepted", Response.TENTATIVE),
        ("accepted", Response.ACCEPTED),
        ("declined", Response.DECLINED),
        ("notResponded", Response.NOT_RECEIVED),
        ("somethingNew", Response.UNKNOWN),
    ],
)
def test_every_response(word: str, meaning: Response) -> None:
    assert one(responseStatus={"response": word}).response is meaning


@pytest.mark.parametrize(
    ("members", "field", "value", "oddity"),
    [
        ({"sensitivity": "private"}, "sensitivity", Sensitivity.PRIVATE, None),
        ({"sensitivity": "personal"}, "sensitivity", Sensitivity.PERSONAL, None),
        ({"sensitivity": "confidential"}, "sensitivity", Sensitivity.CONFIDENTIAL, None),
        ({"sensitivity": "secret"}, "sensitivity", Sensitivity.PRIVATE, "unknown sensitivity"),
        ({"sensitivity": None}, "sensitivity", Sensitivity.NORMAL, None),
        ({"showAs": "asleep"}, "show_as", ShowAs.NO_DATA, "unknown show-as"),
        ({"showAs": None}, "show_as", ShowAs.NO_DATA, "no show-as"),
        ({"subject": None}, "subject", "", None),
        ({"subject": 7}, "subject", "", None),
        ({"isCancelled": True}, "cancelled", True, None),
        ({"isCancelled": "true"}, "cancelled", False, None),
        ({"organizer": None}, "organizer", "", None),
        ({"organizer": {"emailAddress": {"name": "Ann"}}}, "organizer", "", None),
        ({"organizer": {"emailAddress": {"address": "/o=Org/cn=a@b"}}}, "organizer", "", None),
        ({"organizer": "ann@example.com"}, "organizer", "", None),
        ({"responseStatus": None}, "response", Response.UNKNOWN, None),
        ({"start": when("2026-11-16T09:00:00")}, "start", NINE, None),
        ({"start": when("2026-11-16T09:00:00Z")}, "start", NINE, None),
        ({"start": when("2026-11-16T09:00:00", "tzone://Microsoft/Utc")}, "start", NINE, None),
        ({"start": when("2026-11-16T10:00:00", "Europe/Berlin")}, "start", NINE, None),
    ],
)
def test_members_that_are_there_or_not(
    members: dict[str, Any], field: str, value: object, oddity: str | None
) -> None:
    page = read_view({"value": [event(**members)]})
    assert getattr(page.appointments[0], field) == value
    assert dict(page.oddities) == ({oddity: 1} if oddity else {})


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (when("2026-11-16T00:00:00.0000000"), when("2026-11-17T00:00:00.0000000"), 1),
        (when("2026-11-16T00:00:00", "W. Europe Standard Time"), when("2026-11-19T00:00:00"), 3),
        (when("2026-11-16T00:00:00"), when("2026-11-16T23:59:00"), 1),
        (when("2026-11-16T00:00:00"), when("2026-11-16T00:00:00"), 0),
    ],
)
def test_the_dates_of_an_all_day_appointment_are_taken_as_they_stand(
    start: dict[str, str], end: dict[str, str], days: int
) -> None:
    found = one(isAllDay=True, start=start, end=end)
    assert (found.start, found.end, found.all_day) == (MIDNIGHT, MIDNIGHT + timedelta(days=days), True)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"id": None}, "no id"),
        ({"start": None}, "no start"),
        ({"end": {"timeZone": "UTC"}}, "no end"),
        ({"start": when("yesterday")}, "unreadable start"),
        ({"start": when("2026-11-16T09:00:00", "Narnia")}, "unknown time zone"),
        ({"start": when("9999-12-31T23:00:00-05:00")}, "time out of range"),
        ({"isAllDay": True, "end": when("9999-12-31T23:00:00")}, "time out of range"),
    ],
)
def test_an_appointment_that_is_none_costs_no_other(members: dict[str, Any], reason: str) -> None:
    page = read_view({"value": [event(**members), event(id="A2")]})
    assert [found.id for found in page.appointments] == ["A2"]
    assert dict(page.oddities) == {reason: 1}


def test_masters_of_series_are_left_out() -> None:
    page = read_view({"value": [event(type="seriesMaster"), event(id="A2", type="occurrence")]})
    assert [found.id for found in page.appointments] == ["A2"]
    assert not page.oddities


@pytest.mark.parametrize("answer", [{}, {"value": None}, {"value": {}}])
def test_an_answer_without_values_is_unreadable(answer: dict[str, Any]) -> None:
    for read in (read_view, read_delta, read_people):
        with pytest.raises(Unreadable):
            read(answer)


def test_delta_pages_count_changes_stubs_and_removals() -> None:
    value = [event(), {"id": "A2", "@removed": {"reason": "deleted"}}, {"id": "A3", "type": "occurrence"}]
    assert read_delta({"value": value, "@odata.nextLink": "n"}) == DeltaPage(3, next_link="n")
    assert read_delta({"value": [], "@odata.deltaLink": "d"}) == DeltaPage(0, delta_link="d")


@pytest.mark.parametrize("links", [{}, {"@odata.nextLink": "n", "@odata.deltaLink": "d"}])
def test_a_delta_page_goes_on_in_one_way(links: dict[str, str]) -> None:
    with pytest.raises(Unreadable):
        read_delta({"value": [], **links})


def test_people_without_an_id_are_nobody() -> None:
    value = [{"id": "1", "mail": "ann@example.com"}, {"mail": "x@example.com"}, {"id": "2", "mail": None}]
    assert read_people({"value": value}) == (Person("1", "ann@example.com"), Person("2", ""))
    assert read_owner({"owner": {"address": "ann@example.com"}}) == "ann@example.com"
    assert read_owner({"owner": None}) == ""


def test_a_subscription_has_an_id_and_an_end() -> None:
    found = read_subscribed({"id": "S", "expirationDateTime": "2026-11-23T08:00:00.1234567Z"})
    assert (found.id, found.expires_at.tzinfo, found.expires_at.day) == ("S", UTC, 23)
    for wrong in ({}, {"id": "S"}, {"id": "S", "expirationDateTime": "soon"}):
        with pytest.raises(Unreadable):
            read_subscribed(wrong)


def test_notices_of_both_kinds_are_read() -> None:
    body = {
        "value": [
            {"subscriptionId": "S", "clientState": "secret", "changeType": "updated", "resource": "Users/1"},
            {"subscriptionId": "S", "clientState": "secret", "lifecycleEvent": "missed"},
            "rubbish",
            {"clientState": None},
        ]
    }
    assert read_notices(json.dumps(body).encode()) == (
        Notice("S", "secret"),
        Notice("S", "secret", "missed"),
        Notice("", ""),
    )


@pytest.mark.parametrize("body", [b"", b"null", b"[1]", b'"x"', b"\xff\xfe", b"[" * 50_000])
def test_what_is_no_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(body)


# --- questions and batches ----------------------------------------------------------------------


def test_a_view_names_its_fields_and_asks_for_immutable_ids_and_utc() -> None:
    question = view("/users/1", "ann@example.com", Window(NINE, NINE + timedelta(hours=48)))
    path, _, query = question.path.partition("?")
    assert path == "/users/1/calendarView"
    assert query.startswith("startDateTime=2026-11-16T09:00:00Z&endDateTime=2026-11-18T09:00:00Z&$select=id,")
    assert query.endswith("&$top=1000")
    assert question.headers["Prefer"] == 'IdType="ImmutableId", outlook.timezone="UTC"'
    assert "$select" not in delta("/x", "ann@example.com").path


def test_apostrophes_in_an_address_are_doubled_and_escaped() -> None:
    assert "eq%20'smtp%3Ao%27%27hara%40example.com')" in person("o'hara@example.com").path
    assert user_path("a/b?c@example.com") == "/users/a%2Fb%3Fc@example.com"


def test_a_subscription_asks_for_life_cycle_notices_too() -> None:
    question = subscribe("/users/1", "ann@example.com", "https://x.example.com/n", NINE, "secret")
    assert question.body == {
        "changeType": "created,updated,deleted",
        "notificationUrl": "https://x.example.com/n",
        "lifecycleNotificationUrl": "https://x.example.com/n",
        "resource": "/users/1/events",
        "expirationDateTime": "2026-11-16T09:00:00Z",
        "clientState": "secret",
    }
    assert stamp(NINE.astimezone()) == "2026-11-16T09:00:00Z"


def test_a_batch_is_read_by_id_whatever_the_order() -> None:
    questions = [delta("/a", "ann@example.com"), renew("S", "bob@example.com", NINE)]
    written = json.loads(write_batch(questions))["requests"]
    assert [(part["id"], part["method"], part["url"]) for part in written] == [
        ("0", "GET", "/a"),
        ("1", "PATCH", "/subscriptions/S"),
    ]
    assert written[1]["headers"]["Content-Type"] == "application/json"
    responses = [
        {"id": "1", "status": 429, "headers": {"Retry-After": "7"}, "body": {"error": {}}},
        {"id": "0", "status": 200, "body": {"value": []}},
        {"id": "7", "status": 200},
        {"id": 1, "status": 500},
        "rubbish",
    ]
    first, second = read_batch({"responses": responses}, 2)
    assert (first.status, first.body) == (200, {"value": []})
    assert (second.status, second.headers) == (429, {"retry-after": "7"})
    assert read_batch({"responses": []}, 1) == [MISSING]
    with pytest.raises(Unreadable):
        read_batch({}, 1)
