"""Somebody else's client against the simulated Exchange: exchangelib, unchanged, in a thread.

It shares nothing with the raw client of these tests; where it and the simulator disagree, one of them
has misread Microsoft's documents.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from exchangelib import (
    BASIC,
    DELEGATE,
    IMPERSONATION,
    Account,
    Attendee,
    CalendarItem,
    Configuration,
    Credentials,
    EWSDate,
    EWSDateTime,
    EWSTimeZone,
    Mailbox,
)
from exchangelib.errors import ErrorItemNotFound, ErrorNonExistentMailbox, ErrorServerBusy
from exchangelib.protocol import close_connections
from exchangelib.transport import NOAUTH

from presenced.sim.exchange.faults import Trouble
from presenced.sim.exchange.organisation import Item, Organisation, whole_days
from presenced.sim.exchange.server import SimulatedExchange
from tests.clock import FakeClock
from tests.sim.exchange.raw import item, until

UTC = EWSTimeZone("UTC")
VIENNA = EWSTimeZone("Europe/Vienna")
ALICE = "alice@example.com"
Result = TypeVar("Result")
Open = Callable[..., Account]


def when(hour: int, minute: int = 0) -> EWSDateTime:
    return EWSDateTime(2026, 11, 16, hour, minute, tzinfo=UTC)


@pytest.fixture
async def open_account(exchange: SimulatedExchange) -> AsyncIterator[Open]:
    """Opens an account the way exchangelib's users do; call it in a thread."""

    def open_it(address: str = ALICE, *, auth: str = BASIC, access: str = IMPERSONATION) -> Account:
        config = Configuration(
            service_endpoint=exchange.ews_url,
            credentials=Credentials("svc", "secret") if auth == BASIC else None,
            auth_type=auth,
            max_connections=1,
        )
        return Account(
            address, config=config, autodiscover=False, access_type=access, default_timezone=VIENNA
        )

    yield open_it
    await asyncio.to_thread(close_connections)
    assert [bug for bug in exchange.client_bugs if "ConvertId" not in bug] == []


async def threaded(work: Callable[[], Result]) -> Result:
    async with asyncio.timeout(20):
        return await asyncio.to_thread(work)


@pytest.mark.parametrize(
    ("auth", "access"), [(BASIC, IMPERSONATION), (NOAUTH, IMPERSONATION), (BASIC, DELEGATE)]
)
async def test_the_calendar_is_viewed(open_account: Open, auth: str, access: str) -> None:
    def work() -> list[tuple[Any, ...]]:
        account = open_account(auth=auth, access=access)
        return [
            (found.subject, found.start, found.end, found.legacy_free_busy_status, found.sensitivity)
            for found in account.calendar.view(start=when(0), end=when(23))
        ]

    assert await threaded(work) == [
        ("standup", when(8, 30), when(8, 45), "Busy", "Normal"),
        ("lunch", when(11), when(12), "OOF", "Private"),
    ]


async def test_everything_is_listed_with_all_its_properties(open_account: Open) -> None:
    def work() -> list[Any]:
        return list(open_account().calendar.all().order_by("start"))

    first, second = await threaded(work)
    assert (first.subject, first.location, first.organizer.email_address) == (
        "standup",
        "Room 1 & 2",
        "Alice@example.com",
    )
    assert (second.type, second.my_response_type, second.is_cancelled) == ("Single", "Organizer", False)


async def test_filters_reach_the_server(open_account: Open) -> None:
    def work() -> tuple[list[str], list[str], int]:
        calendar = open_account().calendar
        return (
            [found.subject for found in calendar.filter(subject__icontains="UNCH")],
            [found.subject for found in calendar.filter(start__lt=when(9), end__gt=when(8))],
            calendar.all().count(),
        )

    assert await threaded(work) == (["lunch"], ["standup"], 2)


async def test_an_item_is_made_changed_and_deleted(open_account: Open, organisation: Organisation) -> None:
    events: list[str] = []
    organisation.watchers.append(lambda _box, event, _item: events.append(event))

    def work() -> None:
        account = open_account("bob@example.com")
        made = CalendarItem(
            account=account,
            folder=account.calendar,
            subject="Planning",
            start=when(14),
            end=when(15),
            location="Room 3",
            legacy_free_busy_status="Tentative",
            categories=["Blue"],
            reminder_minutes_before_start=5,
            required_attendees=[Attendee(mailbox=Mailbox(email_address="carol@example.com"))],
        )
        made.save()
        got = account.calendar.get(id=made.id)
        assert (got.subject, got.location, got.categories) == ("Planning", "Room 3", ["Blue"])
        assert got.required_attendees[0].mailbox.email_address == "carol@example.com"
        assert got.start == when(14)
        got.subject = "Planning II"
        got.start = when(13)
        got.save()
        again = account.calendar.get(subject="Planning II")
        assert (again.id, again.start) == (made.id, when(13))
        assert again.changekey != made.changekey
        got.delete()
        with pytest.raises(ErrorItemNotFound):
            again.delete()
        assert again.allow_new_time_proposal

    await threaded(work)
    assert events == ["Created", "Modified", "Deleted"]


async def test_all_day_items_keep_their_dates(open_account: Open, organisation: Organisation) -> None:
    start, end = whole_days(EWSDate(2026, 11, 18), 2, "Europe/Vienna")
    organisation.put(ALICE, Item("trip", "", "trip", start, end, all_day=True, zone="Europe/Vienna"))

    def work() -> tuple[Any, ...]:
        account = open_account()
        day = CalendarItem(
            account=account,
            folder=account.calendar,
            subject="holiday",
            start=EWSDate(2026, 11, 20),
            end=EWSDate(2026, 11, 21),
            is_all_day=True,
        )
        day.save()
        trip, holiday = [account.calendar.get(subject=name) for name in ("trip", "holiday")]
        return trip.start, trip.end, holiday.start, holiday.end

    assert await threaded(work) == (
        EWSDate(2026, 11, 18),
        EWSDate(2026, 11, 19),
        EWSDate(2026, 11, 20),
        EWSDate(2026, 11, 21),
    )


async def test_a_stream_brings_events_until_its_minute_is_over(
    open_account: Open, exchange: SimulatedExchange, organisation: Organisation, clock: FakeClock
) -> None:
    def work() -> list[str]:
        account = open_account()
        subscription_id = account.calendar.subscribe_to_streaming()
        told = []
        for notification in account.calendar.get_streaming_events(subscription_id, connection_timeout=1):
            assert notification.subscription_id == subscription_id
            told += [type(event).__name__ for event in notification.events]
        account.calendar.unsubscribe(subscription_id)
        return told

    async with asyncio.timeout(20):
        streaming = asyncio.create_task(asyncio.to_thread(work))
        await until(lambda: exchange.subscriptions.streams, turns=1_000_000)
        organisation.put(ALICE, item("new", "2026-11-16 14:00", "2026-11-16 15:00"))
        await clock.advance(timedelta(seconds=50))
        await clock.advance(timedelta(seconds=10))
        told = await streaming
    assert told == ["CreatedEvent", "FreeBusyChangedEvent", "ModifiedEvent", "StatusEvent"]
    assert len(exchange.subscriptions) == 0


async def test_items_and_folders_are_synchronised(open_account: Open, organisation: Organisation) -> None:
    def first(account: Account) -> list[tuple[str, str]]:
        calendar = account.calendar
        return [(change, found.subject) for change, found in calendar.sync_items()]

    account = await threaded(open_account)
    assert sorted(await threaded(lambda: first(account))) == [("create", "lunch"), ("create", "standup")]
    organisation.put(ALICE, item("lunch", "2026-11-16 11:30", "2026-11-16 12:30"))
    organisation.remove(ALICE, "standup")
    changes = await threaded(lambda: [change for change, _ in account.calendar.sync_items()])
    assert changes == ["update", "delete"]
    assert await threaded(lambda: list(account.calendar.sync_items())) == []
    folders = await threaded(lambda: [folder.name for _, folder in account.root.sync_hierarchy()])
    assert "Calendar" in folders


async def test_the_rest_of_the_protocol(open_account: Open) -> None:
    def work() -> dict[str, Any]:
        account = open_account()
        protocol = account.protocol
        (availability,) = protocol.get_free_busy_info(
            [(account, "Required", False)], start=when(8), end=when(16), merged_free_busy_interval=60
        )
        subscription_id, watermark = account.calendar.subscribe_to_pull()
        (quiet,) = account.calendar.get_events(subscription_id, watermark)
        return {
            "names": [
                found.email_address for found in protocol.resolve_names(["smtp:a.liddell@example.com"])
            ],
            "zones": [zone.id for zone in protocol.get_timezones(return_full_timezone_data=True)],
            "folders": {folder.name for folder in account.root.walk()},
            "merged": availability.merged,
            "events": [event.details.subject for event in availability.calendar_events],
            "pulled": [type(event).__name__ for event in quiet.events],
            "version": str(protocol.version.build),
        }

    got = await threaded(work)
    assert got["names"] == ["Alice@example.com"]
    assert "W. Europe Standard Time" in got["zones"]
    assert {"Calendar", "Inbox", "Top of Information Store"} <= got["folders"]
    assert got["pulled"] == ["StatusEvent"]
    assert got["merged"] == "20030000"
    assert got["events"] == ["standup", "lunch"]
    assert got["version"].startswith("15.2")


async def test_errors_are_recognised(open_account: Open, exchange: SimulatedExchange) -> None:
    def view(address: str) -> list[Any]:
        return list(open_account(address).calendar.view(start=when(0), end=when(23)))

    with pytest.raises(ErrorNonExistentMailbox):
        await threaded(lambda: view("nobody@example.com"))
    await threaded(lambda: view(ALICE))
    exchange.faults.on(Trouble.BUSY, back_off=timedelta(milliseconds=1))
    with pytest.raises(ErrorServerBusy) as caught:
        await threaded(lambda: view(ALICE))
    assert caught.value.back_off is not None
    exchange.faults.off()
    exchange.faults.on(Trouble.BUSY_WRAPPED)
    with pytest.raises(ErrorServerBusy):
        await threaded(lambda: view(ALICE))
