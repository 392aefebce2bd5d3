"""The simulated Graph answers as the reference says, and refuses what a real one refuses."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from presenced.sim.exchange.organisation import Organisation
from presenced.sim.graph.faults import Trouble
from presenced.sim.graph.ports import Caller
from presenced.sim.graph.server import SimulatedGraph
from tests.clock import FakeClock
from tests.sim.exchange.raw import item
from tests.sim.graph.conftest import WINDOW, Client, KnownTokens

IMMUTABLE = {"Prefer": 'IdType="ImmutableId", outlook.timezone="UTC"'}


async def test_an_address_leads_to_the_user(client: Client, ann: str) -> None:
    wanted = quote("proxyAddresses/any(x:x eq 'smtp:A.O''Hara@example.com')")
    found = await client.get(f"/users?$filter={wanted}&$select=id,mail,proxyAddresses")
    assert found["value"] == [
        {
            "id": ann,
            "mail": "Ann@example.com",
            "proxyAddresses": ["SMTP:Ann@example.com", "smtp:a.o'hara@example.com"],
        }
    ]


async def test_the_mail_address_is_no_user_name(client: Client, ann: str) -> None:
    assert (await client.get(f"/users/{ann}"))["userPrincipalName"] == "ann@example.onmicrosoft.com"
    status, _, body = await client.send("GET", f"/users/ann@example.com/calendarView?{WINDOW}")
    assert (status, body["error"]["code"]) == (404, "Request_ResourceNotFound")


async def test_a_view_shows_events_in_the_words_of_graph(client: Client, ann: str) -> None:
    select = "subject,start,end,isAllDay,showAs,sensitivity,type"
    view = await client.get(
        f"/users/{ann}/calendarView?{WINDOW}&$select={select}&$top=100", headers=IMMUTABLE
    )
    shown = [
        {name: event[name] for name in event if name not in {"id", "@odata.etag"}} for event in view["value"]
    ]
    assert shown == [
        {
            "subject": "standup",
            "start": {"dateTime": "2026-11-16T08:30:00.0000000", "timeZone": "UTC"},
            "end": {"dateTime": "2026-11-16T08:45:00.0000000", "timeZone": "UTC"},
            "isAllDay": False,
            "showAs": "busy",
            "sensitivity": "normal",
            "type": "occurrence",
        },
        {
            "subject": "secret",
            "start": {"dateTime": "2026-11-16T11:00:00.0000000", "timeZone": "UTC"},
            "end": {"dateTime": "2026-11-16T12:00:00.0000000", "timeZone": "UTC"},
            "isAllDay": False,
            "showAs": "oof",
            "sensitivity": "private",
            "type": "singleInstance",
        },
        {
            "subject": "fair",
            "start": {"dateTime": "2026-11-17T00:00:00.0000000", "timeZone": "UTC"},
            "end": {"dateTime": "2026-11-18T00:00:00.0000000", "timeZone": "UTC"},
            "isAllDay": True,
            "showAs": "unknown",
            "sensitivity": "normal",
            "type": "singleInstance",
        },
    ]


async def test_ids_depend_on_the_preference(client: Client, ann: str) -> None:
    plain = await client.get(f"/users/{ann}/calendarView?{WINDOW}")
    immutable = await client.get(f"/users/{ann}/calendarView?{WINDOW}", headers=IMMUTABLE)
    assert {event["id"] for event in plain["value"]}.isdisjoint(event["id"] for event in immutable["value"])
    first = immutable["value"][0]["id"]
    assert (await client.get(f"/users/{ann}/events/{first}", headers=IMMUTABLE))["subject"] == "standup"
    status, _, _ = await client.send("GET", f"/users/{ann}/events/{first}")
    assert status == 404


async def test_pages_are_followed_by_their_links(client: Client, ann: str) -> None:
    page = await client.get(f"/users/{ann}/calendarView?{WINDOW}&$top=2")
    rest = await client.get(page["@odata.nextLink"])
    assert [len(page["value"]), len(rest["value"])] == [2, 1]
    assert "@odata.nextLink" not in rest


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/users/{ann}/calendarView", "ErrorInvalidParameter"),
        ("/users/{ann}/calendarView?startDateTime=yesterday&endDateTime=2026-11-18", "ErrorInvalidParameter"),
        (
            "/users/{ann}/calendarView?startDateTime=2026-11-18&endDateTime=2026-11-16",
            "ErrorInvalidParameter",
        ),
        ("/users/{ann}/calendarView?" + WINDOW + "&$top=1001", "ErrorInvalidUrlQuery"),
        ("/users/{ann}/calendarView?" + WINDOW + "&$select=subject,nonsense", "RequestBroker--ParseUri"),
        ("/users/{ann}/calendarView?" + WINDOW + "&top=5", "ErrorInvalidUrlQuery"),
        ("/users/{ann}/calendarView/delta?" + WINDOW + "&$select=subject", "ErrorInvalidUrlQuery"),
        ("/users/{ann}/calendarView/delta", "ErrorInvalidParameter"),
        ("/users", "Request_UnsupportedQuery"),
        ("/users?$filter=mail eq 'ann@example.com'", "Request_UnsupportedQuery"),
        ("/users?$filter=proxyAddresses/any(x:x eq 'ann@example.com')", "Request_UnsupportedQuery"),
        ("/groups", "BadRequest"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    client: Client, graph: SimulatedGraph, ann: str, path: str, code: str
) -> None:
    status, headers, body = await client.send("GET", path.format(ann=ann))
    assert (status, body["error"]["code"]) == (400, code)
    assert headers["request-id"]
    assert len(graph.client_bugs) == 1


async def test_a_delta_round_tells_what_changed(client: Client, organisation: Organisation, ann: str) -> None:
    full = await client.get(f"/users/{ann}/calendarView/delta?{WINDOW}", headers=IMMUTABLE)
    assert len(full["value"]) == 3
    organisation.put("ann@example.com", item("new", "2026-11-17 09:00", "2026-11-17 10:00"))
    organisation.remove("ann@example.com", "secret")
    organisation.put("ann@example.com", item("standup", "2026-12-24 08:30", "2026-12-24 08:45"))
    organisation.put("ann@example.com", item("far", "2026-12-24 08:30", "2026-12-24 08:45"))
    changed = await client.get(full["@odata.deltaLink"], headers=IMMUTABLE)
    gone = {event["id"].rpartition("-")[2] for event in changed["value"] if "@removed" in event}
    there = [event["subject"] for event in changed["value"] if "@removed" not in event]
    assert (gone, there) == ({"secret", "standup"}, ["new"])
    again = await client.get(changed["@odata.deltaLink"], headers=IMMUTABLE)
    assert again["value"] == []


async def test_delta_pages_and_stubs(client: Client, graph: SimulatedGraph, ann: str) -> None:
    graph.faults.stubs = True
    prefer = {"Prefer": 'IdType="ImmutableId", odata.maxpagesize=2'}
    page = await client.get(f"/users/{ann}/calendarView/delta?{WINDOW}", headers=prefer)
    rest = await client.get(page["@odata.nextLink"], headers=prefer)
    stub = page["value"][0]
    assert (len(page["value"]), len(rest["value"])) == (2, 1)
    assert stub["type"] == "occurrence"
    assert "subject" not in stub
    assert "@odata.deltaLink" in rest


async def test_delta_tokens_end(client: Client, graph: SimulatedGraph, clock: FakeClock, ann: str) -> None:
    full = await client.get(f"/users/{ann}/calendarView/delta?{WINDOW}")
    await clock.advance(timedelta(days=8))
    status, _, body = await client.send("GET", full["@odata.deltaLink"])
    assert (status, body["error"]["code"]) == (410, "syncStateNotFound")
    fresh = await client.get(f"/users/{ann}/calendarView/delta?{WINDOW}")
    graph.resources.rounds.forget()
    assert (await client.send("GET", fresh["@odata.deltaLink"]))[0] == 410


def _batch(*urls: str) -> dict[str, Any]:
    return {"requests": [{"id": str(number), "method": "GET", "url": url} for number, url in enumerate(urls)]}


async def test_a_batch_answers_each_part_for_itself(client: Client, graph: SimulatedGraph, ann: str) -> None:
    graph.faults.on(Trouble.THROTTLED, resource="calendarView", times=1, retry_after=timedelta(seconds=7))
    view = f"/users/{ann}/calendarView?{WINDOW}"
    status, _, body = await client.send("POST", "/$batch", body=_batch(view, view, "/users/nobody"))
    by_id = {answer["id"]: answer for answer in body["responses"]}
    assert (status, [by_id[number]["status"] for number in "012"]) == (200, [429, 200, 404])
    assert by_id["0"]["headers"]["Retry-After"] == "7"
    assert len(by_id["1"]["body"]["value"]) == 3
    assert [answer["id"] for answer in body["responses"]] == ["2", "1", "0"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"requests": []},
        _batch(*["/users/x"] * 21),
        {"requests": [{"id": "1", "method": "GET", "url": "/x"}] * 2},
        {"requests": [{"id": 1, "method": "GET", "url": "/x"}]},
        {"requests": [{"id": "1", "method": "GET", "url": "https://graph.microsoft.com/v1.0/users"}]},
        {"requests": [{"id": "1", "method": "GET", "url": "/v1.0/users"}]},
        {"requests": [{"id": "1", "method": "POST", "url": "/subscriptions", "body": {}}]},
    ],
)
async def test_a_batch_that_is_none(client: Client, body: dict[str, Any]) -> None:
    assert (await client.send("POST", "/$batch", body=body))[0] == 400


async def test_a_mailbox_takes_four_at_a_time(client: Client, graph: SimulatedGraph, ann: str) -> None:
    graph.faults.per_mailbox = 0
    status, headers, body = await client.send("GET", f"/users/{ann}/calendarView?{WINDOW}")
    assert (status, body["error"]["code"], headers["Retry-After"]) == (429, "ApplicationThrottled", "1")
    graph.faults.per_mailbox = 4
    answers = await asyncio.gather(
        *(
            client.send("POST", "/$batch", body=_batch(*[f"/users/{ann}/calendarView?{WINDOW}"] * 20))
            for _ in "1"
        )
    )
    assert {part["status"] for part in answers[0][2]["responses"]} == {200}
    assert graph.most_at_once["Ann@example.com"] == 4


async def test_who_may_come_in(client: Client, tokens: KnownTokens, ann: str) -> None:
    view = f"/users/{ann}/calendarView?{WINDOW}"
    tokens.callers["no calendars"] = Caller("app-1", frozenset({"User.Read.All"}))
    tokens.callers["scoped"] = Caller(
        "app-1", frozenset({"Calendars.Read"}), calendars=frozenset({"bob@example.com"})
    )
    tokens.claims["stale"] = '{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}'
    assert (await client.send("GET", view, token="no calendars"))[0] == 403
    assert (await client.send("GET", view, token="scoped"))[0] == 403
    assert (await client.send("GET", "/users?$filter=x", token="scoped"))[0] == 403
    assert (await client.send("GET", view, token=""))[0] == 401
    status, headers, _ = await client.send("GET", view, token="stale")
    challenge = headers["WWW-Authenticate"]
    encoded = challenge.partition('claims="')[2].partition('"')[0]
    assert status == 401
    assert 'error="insufficient_claims"' in challenge
    assert json.loads(base64.b64decode(encoded)) == json.loads(tokens.claims["stale"])
