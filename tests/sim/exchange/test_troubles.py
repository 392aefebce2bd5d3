"""Everything that can be made to go wrong, each switched on and seen from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from aiohttp import ClientConnectionError, ClientPayloadError

from presenced.sim.exchange.faults import Trouble
from presenced.sim.exchange.organisation import Organisation
from presenced.sim.exchange.server import SimulatedExchange
from presenced.sim.exchange.streaming import Pace
from tests.clock import FakeClock
from tests.sim.exchange.raw import RawClient, find_item, item, subscribe, until

ALICE = "alice@example.com"
BOB = "bob@example.com"


@pytest.mark.parametrize("back_off", [0, 297749])
async def test_busy_comes_in_three_shapes(
    client: RawClient, exchange: SimulatedExchange, back_off: int
) -> None:
    wait = timedelta(milliseconds=back_off)
    for trouble in (Trouble.BUSY, Trouble.BUSY_WRAPPED, Trouble.BUSY_MESSAGE):
        exchange.faults.on(trouble, times=1, back_off=wait)
    fault, wrapped, message = [await client.send(find_item(), mailbox=ALICE) for _ in range(3)]
    assert (fault.status, fault.codes) == (500, ["ErrorServerBusy"])
    assert (wrapped.status, wrapped.codes) == (200, ["ErrorInternalServerError"])
    assert wrapped.value("InnerErrorResponseCode") == "ErrorServerBusy"
    assert (message.status, message.codes) == (200, ["ErrorServerBusy"])
    assert [each.value("BackOffMilliseconds") for each in (fault, wrapped, message)] == [str(back_off)] * 3
    assert (await client.send(find_item(), mailbox=ALICE)).codes == ["NoError"]


async def test_an_error_comes_once_for_every_part(client: RawClient, exchange: SimulatedExchange) -> None:
    exchange.faults.on(Trouble.ERROR, operation="GetItem", code="ErrorTooManyObjectsOpened")
    body = (
        "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"
        '<m:ItemIds><t:ItemId Id="a"/><t:ItemId Id="b"/></m:ItemIds></m:GetItem>'
    )
    assert (await client.send(body, mailbox=ALICE)).codes == ["ErrorTooManyObjectsOpened"] * 2


@pytest.mark.parametrize(
    ("trouble", "status", "header", "value"),
    [
        (Trouble.UNAVAILABLE, 503, "Retry-After", "30"),
        (Trouble.UNAUTHORIZED, 401, "WWW-Authenticate", None),
        (Trouble.BLOCKED, 403, "X-EWS-Policy-Reason", "EWS is blocked by policy for this user or tenant"),
    ],
)
async def test_refusals_of_http(
    client: RawClient,
    exchange: SimulatedExchange,
    trouble: Trouble,
    status: int,
    header: str,
    value: str | None,
) -> None:
    text = "EWS is blocked by policy for this user or tenant"
    switch = exchange.faults.on(trouble, mailbox=ALICE, back_off=timedelta(seconds=30), text=text)
    answer = await client.send(find_item(), mailbox=ALICE)
    assert answer.status == status
    assert value is None or answer.headers[header] == value
    assert header in answer.headers
    assert (await client.send(find_item(), mailbox=BOB)).status == 200
    exchange.faults.off(switch)
    assert (await client.send(find_item(), mailbox=ALICE)).status == 200


@pytest.mark.parametrize("trouble", [Trouble.NOT_XML, Trouble.TRUNCATED, Trouble.HTML])
async def test_nonsense(client: RawClient, exchange: SimulatedExchange, trouble: Trouble) -> None:
    exchange.faults.on(trouble, operation="FindItem")
    answer = await client.send(find_item(), mailbox=ALICE)
    assert answer.status == 200
    with pytest.raises(SyntaxError):
        _ = answer.root
    assert (await client.send(subscribe(), mailbox=ALICE)).codes == ["NoError"]


async def test_a_connection_is_reset_instead_of_answered(
    client: RawClient, exchange: SimulatedExchange
) -> None:
    exchange.faults.on(Trouble.RESET, times=1)
    with pytest.raises(ClientConnectionError):
        await client.send(find_item(), mailbox=ALICE)
    assert (await client.send(find_item(), mailbox=ALICE)).codes == ["NoError"]


async def test_a_slow_answer_comes_when_its_time_has_come(
    client: RawClient, exchange: SimulatedExchange, clock: FakeClock
) -> None:
    exchange.faults.on(Trouble.SLOW, delay=timedelta(seconds=10))
    exchange.faults.on(Trouble.BUSY, times=1)
    sending = asyncio.create_task(client.send(find_item(), mailbox=ALICE))
    await until(lambda: clock.sleepers)
    await clock.advance(timedelta(seconds=9))
    assert not sending.done()
    await clock.advance(timedelta(seconds=1))
    assert (await sending).codes == ["ErrorServerBusy"]


async def test_all_can_be_switched_off(client: RawClient, exchange: SimulatedExchange) -> None:
    exchange.faults.on(Trouble.BUSY)
    exchange.faults.on(Trouble.HTML)
    exchange.faults.off(Trouble.BUSY)
    assert (await client.send(find_item(), mailbox=ALICE)).headers["Content-Type"].startswith("text/html")
    exchange.faults.off()
    assert (await client.send(find_item(), mailbox=ALICE)).codes == ["NoError"]


async def test_a_mailbox_moves_to_another_endpoint(
    client: RawClient, exchange: SimulatedExchange, organisation: Organisation, clock: FakeClock
) -> None:
    headers = {"X-AnchorMailbox": ALICE}
    ids = [await client.subscribed(mailbox, headers=headers) for mailbox in (ALICE, BOB)]
    async with client.stream(*ids, mailbox=ALICE, headers=headers) as stream:
        assert await stream.status() == "OK"
        exchange.begin_move(BOB)
        envelope = await stream.envelope()
        assert envelope is not None
        assert envelope.findtext(".//{*}ResponseCode") == "ErrorMailboxMoveInProgress"
        assert envelope.findtext(".//{*}ErrorSubscriptionIds/{*}SubscriptionId") == ids[1]
        assert await stream.envelope() is None
    assert (await client.send(find_item(), mailbox=BOB)).codes == ["ErrorMailboxMoveInProgress"]
    assert (await client.send(find_item(), mailbox=ALICE)).codes == ["NoError"]
    other = SimulatedExchange(organisation, clock=clock, name="site-2")
    await other.start()
    try:
        exchange.finish_move(BOB, "site-2")
        assert (await client.send(find_item(), mailbox=BOB)).codes == ["ErrorProxyRequestNotAllowed"]
        bob = organisation.find(BOB)
        assert bob is not None
        url = exchange.ews_url_of(bob)
        assert url == other.ews_url
        assert (await client.send(find_item(), mailbox=BOB, url=url)).codes == ["NoError"]
    finally:
        await other.stop()


# --- streams --------------------------------------------------------------------------------------


async def test_a_stream_can_be_told_to_end_at_once(client: RawClient, exchange: SimulatedExchange) -> None:
    id_ = await client.subscribed(BOB)
    async with client.stream(id_, mailbox=BOB) as stream:
        assert await stream.status() == "OK"
        assert exchange.interrupt_streams(Trouble.CLOSED, mailbox=ALICE) == 0
        assert exchange.interrupt_streams(Trouble.CLOSED, mailbox=BOB) == 1
        assert await stream.status() == "Closed"
        assert await stream.envelope() is None


async def test_a_stream_can_end_without_a_word(client: RawClient, exchange: SimulatedExchange) -> None:
    id_ = await client.subscribed(BOB)
    async with client.stream(id_, mailbox=BOB) as stream:
        assert await stream.status() == "OK"
        exchange.interrupt_streams(Trouble.EOF)
        assert await stream.envelope() is None


async def test_a_stream_can_be_reset(client: RawClient, exchange: SimulatedExchange) -> None:
    id_ = await client.subscribed(BOB)
    async with client.stream(id_, mailbox=BOB) as stream:
        assert await stream.status() == "OK"
        exchange.interrupt_streams(Trouble.RESET)
        with pytest.raises(ClientPayloadError, match="reset by peer"):
            await stream.envelope()


async def test_a_stream_can_break_with_an_error(client: RawClient, exchange: SimulatedExchange) -> None:
    id_ = await client.subscribed(BOB)
    async with client.stream(id_, mailbox=BOB) as stream:
        await stream.envelope()
        exchange.interrupt_streams(Trouble.ERROR, code="ErrorReadEventsFailed")
        envelope = await stream.envelope()
        assert envelope is not None
        assert envelope.findtext(".//{*}ResponseCode") == "ErrorReadEventsFailed"
        assert await stream.envelope() is None


async def test_a_stalled_stream_stays_open_and_silent(
    client: RawClient, exchange: SimulatedExchange, organisation: Organisation, clock: FakeClock
) -> None:
    id_ = await client.subscribed(BOB)
    async with client.stream(id_, mailbox=BOB) as stream:
        assert await stream.status() == "OK"
        exchange.interrupt_streams(Trouble.STALL)
        organisation.put(BOB, item("new", "2026-11-16 14:00", "2026-11-16 15:00"))
        await clock.advance(timedelta(minutes=40))
        assert len(exchange.subscriptions.streams) == 1
        exchange.interrupt_streams(Trouble.EOF)
        assert await stream.envelope() is None


@pytest.mark.parametrize("trouble", [Trouble.CLOSED, Trouble.EOF])
async def test_the_trouble_can_wait_for_a_stream(
    client: RawClient, exchange: SimulatedExchange, trouble: Trouble
) -> None:
    exchange.faults.on(trouble, times=1)
    id_ = await client.subscribed(BOB)
    async with client.stream(id_, mailbox=BOB) as stream:
        assert await stream.status() == "OK"
        if trouble is Trouble.CLOSED:
            assert await stream.status() == "Closed"
        assert await stream.envelope() is None
    async with client.stream(id_, mailbox=BOB) as stream:
        assert await stream.status() == "OK"


async def test_chunk_borders_fall_inside_tags(
    client: RawClient, exchange: SimulatedExchange, organisation: Organisation, clock: FakeClock
) -> None:
    exchange.faults.piece_size = 7
    exchange.faults.piece_pause = timedelta(milliseconds=1)
    id_ = await client.subscribed(BOB, events=("CreatedEvent",))
    async with client.stream(id_, mailbox=BOB) as stream:

        async def keep_turning() -> None:
            while True:
                await clock.advance(timedelta(milliseconds=1), turns=2)

        turning = asyncio.create_task(keep_turning())
        assert await stream.status() == "OK"
        organisation.put(BOB, item("new", "2026-11-16 14:00", "2026-11-16 15:00"))
        assert await stream.events() == [(id_, "CreatedEvent")]
        turning.cancel()
    assert max(len(piece) for piece in stream.pieces) < 100
    assert any(b"<" in piece.rpartition(b">")[2] for piece in stream.pieces)


async def test_a_client_that_leaves_is_noticed(
    client: RawClient, exchange: SimulatedExchange, clock: FakeClock
) -> None:
    id_ = await client.subscribed(BOB)
    async with client.stream(id_, mailbox=BOB) as stream:
        await stream.envelope()
        assert len(exchange.subscriptions.streams) == 1
    await until(lambda: not exchange.subscriptions.streams)
    assert len(exchange.subscriptions) == 1


@pytest.fixture
async def gathering(organisation: Organisation, clock: FakeClock) -> AsyncIterator[SimulatedExchange]:
    pace = Pace(keep_alive=timedelta(seconds=10), notice_delay=timedelta(seconds=1))
    exchange = SimulatedExchange(organisation, clock=clock, pace=pace)
    await exchange.start()
    yield exchange
    await exchange.stop()


async def test_notices_may_be_gathered(
    gathering: SimulatedExchange, client: RawClient, organisation: Organisation, clock: FakeClock
) -> None:
    client.exchange = gathering
    id_ = await client.subscribed(BOB, events=("CreatedEvent",))
    async with client.stream(id_, mailbox=BOB) as stream:
        assert await stream.status() == "OK"
        organisation.put(BOB, item("a", "2026-11-16 14:00", "2026-11-16 15:00"))
        await clock.advance(timedelta(milliseconds=900))
        organisation.put(BOB, item("b", "2026-11-16 14:00", "2026-11-16 15:00"))
        await clock.advance(timedelta(milliseconds=100))
        assert await stream.events() == [(id_, "CreatedEvent")] * 2
        await clock.advance(timedelta(seconds=10))
        assert await stream.events() == [(id_, "StatusEvent")]


async def test_stopping_ends_streams_and_forgets_subscriptions(
    organisation: Organisation, client: RawClient, clock: FakeClock
) -> None:
    exchange = SimulatedExchange(organisation, clock=clock)
    await exchange.start()
    client.exchange = exchange
    id_ = await client.subscribed(BOB)
    async with client.stream(id_, mailbox=BOB) as stream:
        assert await stream.status() == "OK"
        port = exchange.port
        await exchange.stop()
        assert await stream.envelope() is None
    await exchange.start(port=port)
    async with client.stream(id_, mailbox=BOB) as stream:
        assert await stream.status() == "Closed"
    await exchange.stop()
