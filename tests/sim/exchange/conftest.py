"""One simulated organisation of three mailboxes and an endpoint over it, on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, DummyCookieJar

from presenced.sim.exchange.organisation import Organisation, SimulatedMailbox
from presenced.sim.exchange.schema import SchemaCheck
from presenced.sim.exchange.server import SimulatedExchange
from tests.clock import FakeClock
from tests.sim.exchange.raw import RawClient, item, schema_folder


@pytest.fixture(scope="session")
def schema() -> SchemaCheck | None:
    """Microsoft's schema where it is present; then every request and answer of these tests is checked."""
    folder = schema_folder()
    return SchemaCheck(folder) if folder else None


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def organisation() -> Organisation:
    """Alice has two appointments on 2026-11-16, Bob and Carol none."""
    organisation = Organisation()
    alice = SimulatedMailbox(
        "Alice@example.com", aliases=("a.liddell@example.com",), name="Alice Liddell", zone="Europe/Vienna"
    )
    organisation.add(alice)
    organisation.add(SimulatedMailbox("bob@example.com", name="Bob Builder"))
    organisation.add(SimulatedMailbox("carol@example.com", name="Carol Bauer"))
    alice.put(item("standup", "2026-11-16 08:30", "2026-11-16 08:45", location="Room 1 & 2"))
    alice.put(item("lunch", "2026-11-16 11:00", "2026-11-16 12:00", show_as="OOF", sensitivity="Private"))
    return organisation


@pytest.fixture
async def exchange(
    organisation: Organisation, clock: FakeClock, schema: SchemaCheck | None
) -> AsyncIterator[SimulatedExchange]:
    exchange = SimulatedExchange(organisation, clock=clock, schema=schema)
    await exchange.start()
    yield exchange
    await exchange.stop()
    assert list(exchange.server_bugs) == []
    assert exchange.subscriptions.streams == set()


@pytest.fixture
async def client(exchange: SimulatedExchange) -> AsyncIterator[RawClient]:
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:
        yield RawClient(session, exchange)
