"""The simulated Exchange put together: sign-in, autodiscover, EWS, generated calendars and office life.

The client is exchangelib, which knows nothing of us: it signs in by NTLM and reads whole weeks, while every
answer is held against Microsoft's schema where that is present.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import exchangelib
import pytest
from exchangelib.version import EXCHANGE_2016

from presenced.sim.exchange.accounts import Accounts, Login
from presenced.sim.exchange.autodiscover.directory import Directory
from presenced.sim.exchange.autodiscover.service import Autodiscover
from presenced.sim.exchange.organisation import Organisation
from presenced.sim.exchange.ports import Account
from presenced.sim.exchange.schema import SchemaCheck
from presenced.sim.exchange.server import SimulatedExchange
from presenced.sim.exchange.signin import SignIn
from presenced.sim.scenario import OfficeLife
from presenced.sim.scene import Scene
from presenced.sim.titles import ODD, titles
from tests.clock import FakeClock
from tests.sim.exchange.raw import schema_folder
from tests.sim.test_autodiscover import envelope, responses, values
from tests.sim.test_scenario import office

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
LOGIN = Login("svc", "secret", Account("EXAMPLE\\svc", impersonates=True), domain="EXAMPLE")


@pytest.fixture
def house() -> Organisation:
    return office(30)


@pytest.fixture
def signin() -> SignIn:
    return SignIn(Accounts(LOGIN))


@pytest.fixture
async def exchange(house: Organisation, signin: SignIn) -> AsyncIterator[SimulatedExchange]:
    folder, clock = schema_folder(), FakeClock(MONDAY)
    exchange = SimulatedExchange(
        house, clock=clock, authenticator=signin, schema=SchemaCheck(folder) if folder else None
    )
    exchange.add_routes(Autodiscover(Directory(house), signin, clock).routes())
    await exchange.start()
    yield exchange
    await exchange.stop()
    assert list(exchange.server_bugs) == []
    assert list(exchange.client_bugs) == []


def read_weeks(url: str, address: str) -> list[tuple[str, str, str]]:
    """Subject, status and organizer of a fortnight, by exchangelib."""
    configuration = exchangelib.Configuration(
        service_endpoint=url,
        credentials=exchangelib.Credentials("EXAMPLE\\svc", "secret"),
        auth_type=exchangelib.NTLM,
        version=exchangelib.Version(EXCHANGE_2016),
    )
    utc = exchangelib.EWSTimeZone("UTC")
    account = exchangelib.Account(
        address, config=configuration, access_type=exchangelib.IMPERSONATION, default_timezone=utc
    )
    try:
        window = [exchangelib.EWSDateTime(2026, 11, day, tzinfo=utc) for day in (16, 30)]
        found = account.calendar.view(start=window[0], end=window[1])
        return [(item.subject, item.legacy_free_busy_status, item.organizer.email_address) for item in found]
    finally:
        account.protocol.close()


async def test_other_peoples_client_reads_generated_weeks(
    house: Organisation, exchange: SimulatedExchange, signin: SignIn
) -> None:
    life = OfficeLife(house, FakeClock(MONDAY), random.Random(1))
    life.arrange()
    for _ in range(300):
        life.step()
    for mailbox in list(house.mailboxes)[:3]:
        read = await asyncio.to_thread(read_weeks, exchange.ews_url, mailbox.address)
        shown = mailbox.view(MONDAY, MONDAY + timedelta(days=14))
        assert read == [
            (item.subject, item.show_as, item.organizer_address or mailbox.address) for item in shown
        ]
        assert len(read) > 10
    assert signin.counters["handshakes"] == 3
    assert signin.counters["refused"] == 0


async def test_every_odd_title_survives_the_wire(house: Organisation, exchange: SimulatedExchange) -> None:
    mailbox = next(house.mailboxes)
    scene = Scene(mailbox, MONDAY, random.Random(1), titles("en"), "odd")
    for title in ODD:
        scene.add(title, MONDAY, MONDAY + timedelta(hours=1))
    read = await asyncio.to_thread(read_weeks, exchange.ews_url, mailbox.address)
    assert {subject for subject, _, _ in read} >= set(ODD)


async def test_autodiscover_leads_to_the_endpoint_beside_it(
    house: Organisation, exchange: SimulatedExchange
) -> None:
    users = [mailbox.address for mailbox in house.mailboxes]
    headers = {
        "Content-Type": "text/xml; charset=utf-8",
        "Authorization": aiohttp.encode_basic_auth("svc", "secret"),
    }
    url = f"{exchange.base_url}/autodiscover/autodiscover.svc"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=envelope(users), headers=headers) as answer,
    ):
        found = [values(user) for user in responses(await answer.read())]
    assert [one["AutoDiscoverSMTPAddress"] for one in found] == users
    assert {one["ExternalEwsUrl"] for one in found} == {exchange.ews_url}
