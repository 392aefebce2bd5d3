"""The last requests of the doors: bounded, searchable, without bodies unless they are asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from presenced.calendars.transport.http_carrier import HttpCarrier
from presenced.calendars.transport.record import RequestRecord
from presenced.config.settings import ExchangeSettings
from presenced.daemon.answers.questions import Questions, Unanswerable
from presenced.daemon.requests_log import KEPT, LoggedRequest, RequestsLog, Search, as_json
from presenced.store.memory import MemoryStore
from tests.calendars.site import Site
from tests.clock import FakeClock
from tests.daemon.doors import Running, settings_for, user

START = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)


def request(second: int, **fields: object) -> LoggedRequest:
    known: dict[str, object] = {
        "door": "exchange",
        "mailbox": "ann@example.com",
        "operation": "FindItem",
        "outcome": "ok",
    }
    return LoggedRequest(
        at=START + timedelta(seconds=second),
        duration=timedelta(milliseconds=40),
        **known | fields,  # type: ignore[arg-type]
    )


LOG = [
    request(0),
    request(1, mailbox="bob@example.com", outcome="ErrorServerBusy", request_id="4f1c"),
    request(2, door="pbx", mailbox="ann", operation="SetPresence"),
    request(3, mailbox="", operation="/autodiscover/autodiscover.svc", outcome="HTTP 503"),
    request(4, door="pbx", mailbox="bob", operation="SetPresence", outcome="no such user"),
]


@pytest.mark.parametrize(
    ("search", "seconds"),
    [
        (Search(), [4, 3, 2, 1, 0]),
        (Search(limit=2), [4, 3]),
        (Search(limit=0), []),
        (Search(door="pbx"), [4, 2]),
        (Search(door="mail"), []),
        (Search(mailbox="ANN"), [2, 0]),
        (Search(outcome="ok"), [2, 0]),
        (Search(outcome="failed"), [4, 3, 1]),
        (Search(outcome="busy"), [1]),
        (Search(text="setpres"), [4, 2]),
        (Search(text="4F1C"), [1]),
        (Search(text="autodiscover"), [3]),
        (Search(text="bob", outcome="failed", door="exchange"), [1]),
    ],
)
def test_searches(search: Search, seconds: list[int]) -> None:
    log = RequestsLog()
    for one in LOG:
        log.add(one)
    assert [(found.at - START).total_seconds() for found in log.search(search)] == seconds


def test_the_log_is_bounded_and_one_door_does_not_push_out_the_other() -> None:
    log = RequestsLog()
    log.add(request(0, door="pbx"))
    for second in range(KEPT + 50):
        log.add(request(second))
    found = log.search(Search(limit=10**6))
    assert len(found) == KEPT + 1
    assert found[-1].door == "pbx"
    assert found[-2].at == START + timedelta(seconds=50), "the oldest went"


@pytest.mark.parametrize(
    ("status", "problem", "code", "outcome"),
    [
        (200, "", "", "ok"),
        (200, "", "ErrorItemNotFound", "ErrorItemNotFound"),
        (500, "", "ErrorServerBusy", "ErrorServerBusy"),
        (503, "", "", "HTTP 503"),
        (302, "", "", "HTTP 302"),
        (0, "timeout", "", "timeout"),
    ],
)
def test_how_a_carried_request_ended(status: int, problem: str, code: str, outcome: str) -> None:
    log = RequestsLog()
    record = RequestRecord(START, "ann@example.com", "/EWS", status, timedelta(), "id", problem, "", code)
    log.add_carried(record)
    (told,) = log.search(Search())
    assert (told.outcome, told.operation) == (outcome, "/EWS")


def test_bodies_are_shown_only_where_there_are_any() -> None:
    assert "sent" not in as_json(request(0))
    assert as_json(request(0, sent="<x/>"))["sent"] == "<x/>"


SOAP = (
    b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><m:FindItem xmlns:m="m">'
    b"<t:Subject>Takeover</t:Subject></m:FindItem></s:Body></s:Envelope>"
)
ANSWER = (
    b"<Envelope><Body><ResponseCode>NoError</ResponseCode><t:Subject>Globex</t:Subject></Body></Envelope>"
)


@pytest.mark.parametrize("debug", [True, False])
async def test_bodies_come_only_with_debug_protocol_and_masked(debug: bool) -> None:
    log = RequestsLog()

    async def say(_: object) -> object:
        from aiohttp import web

        return web.Response(body=ANSWER)

    settings = ExchangeSettings(debug_protocol=debug)
    async with (
        Site(say) as site,  # type: ignore[arg-type]
        HttpCarrier(settings, FakeClock(), observe=log.add_carried) as carrier,
    ):
        await carrier.send("POST", site.url(), body=SOAP, budget="ann@example.com")
    (told,) = [as_json(one) for one in log.search(Search())]
    assert (told["operation"], told["outcome"], told["mailbox"]) == ("FindItem", "ok", "ann@example.com")
    assert ("sent" in told, "received" in told) == (debug, debug)
    assert "Takeover" not in json.dumps(told)
    assert "Globex" not in json.dumps(told)
    if debug:
        assert "<t:Subject>***</t:Subject>" in told["sent"]
        assert "<t:Subject>***</t:Subject>" in told["received"]


async def test_writes_to_the_pbx_are_in_it() -> None:
    async with Running(settings_for(), MemoryStore(), FakeClock(START)) as running:
        running.calendars.calendars = {"ann@example.com": [], "bob@example.com": []}
        running.pbx.refusals["guid-bob"] = "no such contact"
        running.pbx.link(user("ann"), user("bob"))
        await running.settle(1)
        questions = Questions(running.engine, MemoryStore(), running.clock, lambda: None)
        told = questions.requests({"door": "pbx"})["requests"]
        assert {(one["mailbox"], one["outcome"]) for one in told} == {
            ("ann", "ok"),
            ("bob", "no such contact"),
        }
        assert questions.requests({"door": "pbx", "outcome": "failed", "limit": "1"})["requests"][0][
            "mailbox"
        ] == ("bob")
        with pytest.raises(Unanswerable, match="a number up to"):
            questions.requests({"limit": "-1"})
