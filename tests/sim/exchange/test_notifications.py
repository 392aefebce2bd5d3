"""Subscribe, GetStreamingEvents, GetEvents, Unsubscribe: who is told what, and when no more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from presenced.sim.exchange.organisation import Organisation
from presenced.sim.exchange.server import SimulatedExchange
from tests.clock import FakeClock
from tests.sim.exchange.raw import CALENDAR, RawClient, find_item, item, subscribe, until

ALICE = "alice@example.com"
BOB = "bob@example.com"
AFFINITY = {"X-PreferServerAffinity": "true"}


async def test_a_stream_tells_of_changes_as_they_come(client: RawClient, organisation: Organisation) -> None:
    id_ = await client.subscribed(BOB)
    async with client.stream(id_, mailbox=BOB) as stream:
        assert stream.response.headers["Content-Type"] == "text/xml; charset=utf-8"
        assert stream.response.headers["Transfer-Encoding"] == "chunked"
        assert await stream.status() == "OK"
        organisation.put(BOB, item("new", "2026-11-16 14:00", "2026-11-16 15:00"))
        assert await stream.events() == [
            (id_, "CreatedEvent"),
            (id_, "FreeBusyChangedEvent"),
            (id_, "ModifiedEvent"),
        ]
        organisation.put(BOB, item("new", "2026-11-16 15:00", "2026-11-16 16:00"))
        assert await stream.events() == [(id_, "ModifiedEvent"), (id_, "FreeBusyChangedEvent")]
        organisation.remove(BOB, "new", moved=True)
        assert (await stream.events())[0] == (id_, "MovedEvent")
        organisation.put(BOB, item("new", "2026-11-16 15:00", "2026-11-16 16:00"))
        assert (await stream.events())[0] == (id_, "CreatedEvent")
        organisation.remove(BOB, "new")
        assert (await stream.events())[0] == (id_, "DeletedEvent")


async def test_an_event_names_the_item_finditem_shows(client: RawClient, organisation: Organisation) -> None:
    id_ = await client.subscribed(BOB, events=("CreatedEvent",))
    async with client.stream(id_, mailbox=BOB) as stream:
        await stream.envelope()
        organisation.put(BOB, item("new", "2026-11-16 14:00", "2026-11-16 15:00"))
        envelope = await stream.envelope()
    assert envelope is not None
    (told,) = envelope.iterfind(".//{*}CreatedEvent/{*}ItemId")
    assert envelope.findtext(".//{*}TimeStamp") == "2026-11-16T08:00:00Z"
    (shown,) = (await client.send(find_item(), mailbox=BOB)).all("//t:ItemId")
    assert dict(told.attrib) == dict(shown.attrib)


async def test_each_envelope_stands_for_itself(client: RawClient, organisation: Organisation) -> None:
    id_ = await client.subscribed(BOB)
    async with client.stream(id_, mailbox=BOB) as stream:
        await stream.envelope()
        organisation.put(BOB, item("new", "2026-11-16 14:00", "2026-11-16 15:00"))
        await stream.envelope()
        body = b"".join(stream.pieces)
    start = b'<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/">'
    assert body.startswith(start)
    assert (body.count(start), body.count(b"</Envelope>")) == (2, 2)
    assert b"<?xml" not in body


async def test_changes_of_one_moment_come_in_one_envelope(
    client: RawClient, organisation: Organisation
) -> None:
    headers = {"X-AnchorMailbox": ALICE}
    ids = [
        await client.subscribed(mailbox, events=("CreatedEvent",), headers=headers)
        for mailbox in (ALICE, BOB)
    ]
    async with client.stream(*ids, mailbox=ALICE, headers=headers) as stream:
        await stream.envelope()
        for number in range(2):
            for mailbox in (ALICE, BOB):
                organisation.put(mailbox, item(f"n{number}", "2026-11-16 14:00", "2026-11-16 15:00"))
        assert sorted(await stream.events()) == sorted([(id_, "CreatedEvent") for id_ in ids * 2])


async def test_only_the_events_asked_for_and_only_of_the_calendar(
    client: RawClient, organisation: Organisation
) -> None:
    deleted = await client.subscribed(BOB, events=("DeletedEvent",))
    inbox = await client.subscribed(BOB, folder='<t:DistinguishedFolderId Id="inbox"/>')
    async with client.stream(deleted, inbox, mailbox=BOB) as stream:
        await stream.envelope()
        organisation.put(BOB, item("new", "2026-11-16 14:00", "2026-11-16 15:00"))
        organisation.remove(BOB, "new")
        assert await stream.events() == [(deleted, "DeletedEvent")]


async def test_nothing_is_replayed_between_two_connections(
    client: RawClient, organisation: Organisation, exchange: SimulatedExchange, clock: FakeClock
) -> None:
    id_ = await client.subscribed(BOB, events=("CreatedEvent",))
    organisation.put(BOB, item("before", "2026-11-16 14:00", "2026-11-16 15:00"))
    async with client.stream(id_, mailbox=BOB) as stream:
        assert await stream.status() == "OK"
    await until(lambda: not exchange.subscriptions.streams)
    organisation.put(BOB, item("between", "2026-11-16 14:00", "2026-11-16 15:00"))
    async with client.stream(id_, mailbox=BOB) as stream:
        assert await stream.status() == "OK"
        organisation.put(BOB, item("after", "2026-11-16 14:00", "2026-11-16 15:00"))
        assert await stream.events() == [(id_, "CreatedEvent")]


async def test_silence_is_filled_and_the_timeout_ends_it(client: RawClient, clock: FakeClock) -> None:
    id_ = await client.subscribed(BOB)
    async with client.stream(id_, mailbox=BOB, minutes=2) as stream:
        assert await stream.status() == "OK"
        for _ in range(2):
            await clock.advance(timedelta(seconds=44))
            await clock.advance(timedelta(seconds=1))
            assert await stream.events() == [(id_, "StatusEvent")]
        await clock.advance(timedelta(seconds=30))
        assert await stream.status() == "Closed"
        assert await stream.envelope() is None


async def test_a_notice_puts_the_keep_alive_off(
    client: RawClient, organisation: Organisation, clock: FakeClock
) -> None:
    id_ = await client.subscribed(BOB, events=("CreatedEvent",))
    async with client.stream(id_, mailbox=BOB) as stream:
        await stream.envelope()
        await clock.advance(timedelta(seconds=40))
        organisation.put(BOB, item("new", "2026-11-16 14:00", "2026-11-16 15:00"))
        assert await stream.events() == [(id_, "CreatedEvent")]
        await clock.advance(timedelta(seconds=44))
        await clock.advance(timedelta(seconds=1))
        assert await stream.events() == [(id_, "StatusEvent")]


@pytest.mark.parametrize("minutes", [0, 31])
async def test_a_connection_lasts_one_to_thirty_minutes(
    client: RawClient, exchange: SimulatedExchange, minutes: int
) -> None:
    id_ = await client.subscribed(BOB)
    async with client.stream(id_, mailbox=BOB, minutes=minutes) as stream:
        assert stream.response.status == 500
    assert "ErrorSchemaValidation" in exchange.client_bugs[-1]


async def test_a_dead_id_silences_the_good_ones(client: RawClient) -> None:
    good = await client.subscribed(BOB)
    async with client.stream(good, "ZGVhZA==", mailbox=BOB) as stream:
        envelope = await stream.envelope()
        assert envelope is not None
        assert envelope.findtext(".//{*}ResponseCode") == "ErrorSubscriptionNotFound"
        dead = [element.text for element in envelope.iterfind(".//{*}ErrorSubscriptionIds/{*}SubscriptionId")]
        assert dead == ["ZGVhZA=="]
        assert envelope.findtext(".//{*}ConnectionStatus") == "Closed"
        assert await stream.envelope() is None


async def test_a_dead_id_may_also_leave_the_stream_hanging(
    client: RawClient, exchange: SimulatedExchange, organisation: Organisation, clock: FakeClock
) -> None:
    exchange.faults.dead_ids_hang = True
    good = await client.subscribed(BOB)
    async with client.stream(good, "ZGVhZA==", mailbox=BOB, minutes=1) as stream:
        assert await stream.status() == "OK"
        organisation.put(BOB, item("new", "2026-11-16 14:00", "2026-11-16 15:00"))
        await clock.advance(timedelta(minutes=1))
        assert await stream.envelope() is None


async def test_an_unsubscribed_id_is_gone(client: RawClient) -> None:
    id_ = await client.subscribed(BOB)
    body = f"<m:Unsubscribe><m:SubscriptionId>{id_}</m:SubscriptionId></m:Unsubscribe>"
    assert (await client.send(body, mailbox=BOB)).codes == ["NoError"]
    assert (await client.send(body, mailbox=BOB)).codes == ["ErrorSubscriptionNotFound"]


async def test_a_subscription_nobody_listens_to_dies(
    client: RawClient, exchange: SimulatedExchange, clock: FakeClock
) -> None:
    id_ = await client.subscribed(BOB)
    async with client.stream(id_, mailbox=BOB) as stream:
        await stream.envelope()
        await clock.advance(timedelta(minutes=29))
    await until(lambda: not exchange.subscriptions.streams)
    await clock.advance(timedelta(minutes=29))
    async with client.stream(id_, mailbox=BOB, minutes=1) as stream:
        assert await stream.status() == "OK"
    await until(lambda: not exchange.subscriptions.streams)
    await clock.advance(timedelta(minutes=31))
    async with client.stream(id_, mailbox=BOB) as stream:
        assert await stream.status() == "Closed"
    await client.subscribed(ALICE)
    assert len(exchange.subscriptions) == 1


async def test_a_stream_without_subscriptions_closes(client: RawClient) -> None:
    id_ = await client.subscribed(BOB)
    async with client.stream(id_, mailbox=BOB) as first:
        assert await first.status() == "OK"
        async with client.stream(id_, mailbox=BOB) as second:
            assert await second.status() == "OK"
            assert await first.status() == "Closed"
            body = f"<m:Unsubscribe><m:SubscriptionId>{id_}</m:SubscriptionId></m:Unsubscribe>"
            assert (await client.send(body, mailbox=BOB)).codes == ["NoError"]
            assert await second.status() == "Closed"


# --- affinity and limits --------------------------------------------------------------------------


async def subscribed_with_cookie(client: RawClient, mailbox: str, headers: dict[str, str]) -> tuple[str, str]:
    answer = await client.send(subscribe(), mailbox=mailbox, headers=headers)
    return answer.text("//m:SubscriptionId"), answer.cookies.get("X-BackEndOverrideCookie", "")


async def test_a_group_stays_together_by_its_cookie(client: RawClient, exchange: SimulatedExchange) -> None:
    exchange.faults.scatter = True
    first, cookie = await subscribed_with_cookie(client, ALICE, {**AFFINITY, "X-AnchorMailbox": ALICE})
    assert cookie
    with_cookie = {**AFFINITY, "X-AnchorMailbox": ALICE, "Cookie": f"X-BackEndOverrideCookie={cookie}"}
    others = [(await subscribed_with_cookie(client, BOB, with_cookie))[0] for _ in range(3)]
    async with client.stream(first, *others, mailbox=ALICE, headers=with_cookie) as stream:
        assert await stream.status() == "OK"


@pytest.mark.parametrize("wrong", ["", "X-BackEndOverrideCookie=EX99~1", "X-BackEndOverrideCookie=nonsense"])
async def test_without_the_right_cookie_another_server_answers(
    client: RawClient, exchange: SimulatedExchange, wrong: str
) -> None:
    id_, _ = await subscribed_with_cookie(client, ALICE, {**AFFINITY, "X-AnchorMailbox": ALICE})
    exchange.faults.scatter = not wrong
    headers = {"X-AnchorMailbox": ALICE, **({"Cookie": wrong} if wrong else {})}
    statuses = []
    for _ in range(2):
        async with client.stream(id_, mailbox=ALICE, headers=headers) as stream:
            statuses.append(await stream.status())
    assert "Closed" in statuses
    assert wrong == "" or "OK" not in statuses


async def test_no_cookie_is_set_unasked(client: RawClient) -> None:
    assert (await client.send(subscribe(), mailbox=ALICE)).cookies == {}


async def test_the_same_anchor_leads_to_the_same_server(client: RawClient) -> None:
    headers = {"X-AnchorMailbox": ALICE}
    ids = [await client.subscribed(mailbox, headers=headers) for mailbox in (ALICE, BOB, "carol@example.com")]
    async with client.stream(*ids, mailbox=ALICE, headers=headers) as stream:
        assert await stream.status() == "OK"


async def test_open_streams_are_charged_to_who_opens_them(
    client: RawClient, exchange: SimulatedExchange, clock: FakeClock
) -> None:
    exchange.faults.streams_per_budget = 1
    headers = {"X-AnchorMailbox": ALICE}
    ids = [await client.subscribed(BOB, headers=headers) for _ in range(3)]
    async with client.stream(ids[0], mailbox=BOB, headers=headers) as first:
        assert await first.status() == "OK"
        async with client.stream(ids[1], mailbox=BOB, headers=headers) as second:
            envelope = await second.envelope()
            assert envelope is not None
            assert envelope.findtext(".//{*}ResponseCode") == "ErrorExceededConnectionCount"
        async with client.stream(ids[2], mailbox=ALICE, headers=headers) as third:
            assert await third.status() == "OK"
    await until(lambda: not exchange.subscriptions.streams)
    async with client.stream(ids[1], mailbox=BOB, headers=headers) as again:
        assert await again.status() == "OK"


async def test_subscriptions_are_limited_until_dead_ones_are_swept(
    client: RawClient, exchange: SimulatedExchange, clock: FakeClock
) -> None:
    exchange.faults.subscriptions_per_budget = 2
    for _ in range(2):
        await client.subscribed(BOB)
    assert (await client.send(subscribe(), mailbox=BOB)).codes == ["ErrorExceededSubscriptionCount"]
    await client.subscribed(ALICE)
    await clock.advance(timedelta(minutes=31))
    await client.subscribed(BOB)


async def test_several_mailboxes_on_one_stream_may_be_too_much(
    client: RawClient, exchange: SimulatedExchange
) -> None:
    exchange.faults.several_mailboxes_a_stream = False
    headers = {"X-AnchorMailbox": ALICE}
    alice, bob = [await client.subscribed(mailbox, headers=headers) for mailbox in (ALICE, BOB)]
    async with client.stream(alice, bob, mailbox=ALICE, headers=headers) as stream:
        envelope = await stream.envelope()
        assert envelope is not None
        assert envelope.findtext(".//{*}ResponseCode") == "ErrorInvalidSubscription"
        named = [
            element.text for element in envelope.iterfind(".//{*}ErrorSubscriptionIds/{*}SubscriptionId")
        ]
        assert named == [alice, bob]
    async with client.stream(alice, mailbox=ALICE, headers=headers) as stream:
        assert await stream.status() == "OK"


async def test_streaming_is_too_new_for_old_versions(client: RawClient, exchange: SimulatedExchange) -> None:
    answer = await client.send(subscribe(), mailbox=BOB, version="Exchange2010")
    assert answer.codes == ["ErrorSchemaValidation"]
    assert (await client.send(subscribe(), mailbox=BOB, version="")).codes == ["NoError"]
    assert len(exchange.client_bugs) == 1


# --- pull -----------------------------------------------------------------------------------------


def pull(timeout: int = 10) -> str:
    return (
        f"<m:Subscribe><m:PullSubscriptionRequest><t:FolderIds>{CALENDAR}</t:FolderIds><t:EventTypes>"
        "<t:EventType>CreatedEvent</t:EventType></t:EventTypes>"
        f"<t:Timeout>{timeout}</t:Timeout></m:PullSubscriptionRequest></m:Subscribe>"
    )


def get_events(id_: str, watermark: str) -> str:
    return (
        f"<m:GetEvents><m:SubscriptionId>{id_}</m:SubscriptionId>"
        f"<m:Watermark>{watermark}</m:Watermark></m:GetEvents>"
    )


async def test_pulling_goes_from_watermark_to_watermark(
    client: RawClient, organisation: Organisation
) -> None:
    answer = await client.send(pull(), mailbox=BOB)
    id_, mark = answer.text("//m:SubscriptionId"), answer.text("//m:Watermark")
    quiet = await client.send(get_events(id_, mark), mailbox=BOB)
    assert quiet.text("//t:StatusEvent/t:Watermark") == mark
    for number in range(150):
        organisation.put(BOB, item(f"n{number}", "2026-11-16 14:00", "2026-11-16 15:00"))
    got = 0
    more = "true"
    while more == "true":
        answer = await client.send(get_events(id_, mark), mailbox=BOB)
        marks = [element.text for element in answer.all("//t:CreatedEvent/t:Watermark")]
        got += len(marks)
        more, mark = answer.text("//t:MoreEvents"), marks[-1] or ""
    assert got == 150
    assert len((await client.send(get_events(id_, mark), mailbox=BOB)).all("//t:StatusEvent")) == 1


async def test_who_pulls_too_late_has_missed_something(
    client: RawClient, organisation: Organisation, clock: FakeClock
) -> None:
    answer = await client.send(pull(), mailbox=BOB)
    id_, mark = answer.text("//m:SubscriptionId"), answer.text("//m:Watermark")
    for number in range(501):
        organisation.put(BOB, item(f"n{number}", "2026-11-16 14:00", "2026-11-16 15:00"))
    assert (await client.send(get_events(id_, mark), mailbox=BOB)).codes == ["ErrorMissedNotificationEvents"]
    assert (await client.send(get_events(id_, "AQx"), mailbox=BOB)).codes == ["ErrorInvalidWatermark"]
    await clock.advance(timedelta(minutes=11))
    assert (await client.send(get_events(id_, mark), mailbox=BOB)).codes == ["ErrorSubscriptionNotFound"]
