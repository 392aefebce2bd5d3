"""Subscriptions of the simulated Graph: handshake, life time, notices and turns of life."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from presenced.sim.exchange.organisation import Organisation
from presenced.sim.graph.ports import Caller
from presenced.sim.graph.server import SimulatedGraph
from presenced.sim.stage import Certificates
from tests.clock import FakeClock
from tests.sim.exchange.raw import item
from tests.sim.graph.conftest import Client, KnownTokens


class Receiver:
    """A client's address for notices."""

    def __init__(self) -> None:
        self.notices: list[dict[str, Any]] = []
        self.echoes = True
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        if "validationToken" in request.query:
            return web.Response(text=request.query["validationToken"] if self.echoes else "what?")
        self.notices += (await request.json())["value"]
        return web.Response(status=202)


@pytest.fixture
async def receiver(certificates: Certificates) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    application = web.Application()
    application.router.add_post("/notices", receiver.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificates.for_server()).start()
    receiver.url = f"https://127.0.0.1:{runner.addresses[0][1]}/notices"
    yield receiver
    await runner.cleanup()


def _wanted(receiver: Receiver, user: str, **more: object) -> dict[str, object]:
    return {
        "changeType": "created,updated,deleted",
        "notificationUrl": receiver.url,
        "lifecycleNotificationUrl": receiver.url,
        "resource": f"/users/{user}/events",
        "expirationDateTime": "2026-11-20T08:00:00Z",
        "clientState": "opaque",
        **more,
    }


async def _settled(graph: SimulatedGraph) -> None:
    for task in list(graph.notices._sending):
        await task


async def test_a_change_is_told(
    client: Client, graph: SimulatedGraph, organisation: Organisation, receiver: Receiver, ann: str
) -> None:
    status, _, made = await client.send("POST", "/subscriptions", body=_wanted(receiver, ann))
    assert (status, made["expirationDateTime"]) == (201, "2026-11-20T08:00:00.0000000Z")
    organisation.put("ann@example.com", item("new", "2026-11-17 09:00", "2026-11-17 10:00"))
    organisation.put("bob@example.com", item("other", "2026-11-17 09:00", "2026-11-17 10:00"))
    await _settled(graph)
    (notice,) = receiver.notices
    assert (notice["subscriptionId"], notice["clientState"], notice["changeType"]) == (
        made["id"],
        "opaque",
        "created",
    )


async def test_notices_are_lost_doubled_and_late(
    client: Client,
    graph: SimulatedGraph,
    organisation: Organisation,
    receiver: Receiver,
    clock: FakeClock,
    ann: str,
) -> None:
    await client.send("POST", "/subscriptions", body=_wanted(receiver, ann))
    graph.faults.lose_notices = 1
    graph.faults.double_notices = True
    graph.faults.late_notices = timedelta(seconds=30)
    for name in ("lost", "twice"):
        organisation.put("ann@example.com", item(name, "2026-11-17 09:00", "2026-11-17 10:00"))
    await clock.advance(timedelta(seconds=29))
    assert receiver.notices == []
    await clock.advance(timedelta(seconds=1))
    await _settled(graph)
    assert len(receiver.notices) == 2


async def test_turns_of_life(
    client: Client, graph: SimulatedGraph, organisation: Organisation, receiver: Receiver, ann: str
) -> None:
    _, _, made = await client.send("POST", "/subscriptions", body=_wanted(receiver, ann))
    graph.resources.tell("reauthorizationRequired", "Ann@example.com")
    organisation.put("ann@example.com", item("silent", "2026-11-17 09:00", "2026-11-17 10:00"))
    await _settled(graph)
    assert [notice.get("lifecycleEvent") for notice in receiver.notices] == ["reauthorizationRequired"]
    assert (await client.send("POST", f"/subscriptions/{made['id']}/reauthorize"))[0] == 204
    organisation.put("ann@example.com", item("heard", "2026-11-17 09:00", "2026-11-17 10:00"))
    await _settled(graph)
    assert receiver.notices[-1]["changeType"] == "created"
    graph.resources.tell("subscriptionRemoved", "Ann@example.com")
    assert (await client.send("GET", f"/subscriptions/{made['id']}"))[0] == 404


async def test_a_subscription_ends_unless_renewed(
    client: Client, organisation: Organisation, receiver: Receiver, clock: FakeClock, ann: str
) -> None:
    _, _, made = await client.send("POST", "/subscriptions", body=_wanted(receiver, ann))
    path = f"/subscriptions/{made['id']}"
    renewed = {"expirationDateTime": "2026-11-22T08:00:00Z"}
    assert (await client.send("PATCH", path, body=renewed))[2]["expirationDateTime"].startswith("2026-11-22")
    await clock.advance(timedelta(days=6))
    assert (await client.send("PATCH", path, body={"expirationDateTime": "2026-11-25T08:00:00Z"}))[0] == 404
    organisation.put("ann@example.com", item("late", "2026-11-17 09:00", "2026-11-17 10:00"))
    assert receiver.notices == []


@pytest.mark.parametrize(
    "more",
    [
        {"expirationDateTime": "2026-11-23T08:01:00Z"},
        {"expirationDateTime": "2026-11-16T07:00:00Z"},
        {"expirationDateTime": "2026-11-18T08:00:00"},
        {"changeType": "changed"},
        {"notificationUrl": "http://127.0.0.1/notices"},
        {"resource": "/me/events"},
        {"clientState": "x" * 129},
        {"includeResourceDate": True},
    ],
)
async def test_a_subscription_that_is_refused(
    client: Client, receiver: Receiver, ann: str, more: dict[str, object]
) -> None:
    status, _, _ = await client.send("POST", "/subscriptions", body=_wanted(receiver, ann, **more))
    assert status == 400
    assert len(client.graph.resources.subscriptions) == 0


async def test_the_address_must_echo(client: Client, receiver: Receiver, ann: str) -> None:
    receiver.echoes = False
    status, _, body = await client.send("POST", "/subscriptions", body=_wanted(receiver, ann))
    assert (status, body["error"]["code"]) == (400, "ValidationError")


async def test_an_account_subscribes_to_itself_only(
    client: Client, tokens: KnownTokens, receiver: Receiver, ann: str
) -> None:
    tokens.callers["bob"] = Caller(
        "app-1", frozenset({"Calendars.Read.Shared"}), account="bob@example.onmicrosoft.com"
    )
    status, _, _ = await client.send("POST", "/subscriptions", body=_wanted(receiver, ann), token="bob")
    assert status == 403
