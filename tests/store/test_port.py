"""What the port promises, for every store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from presenced.core.ports import MailboxState, Store, StoredUser, StoreProblem
from tests.store.conftest import Opened
from tests.store.samples import (
    ANNA,
    BERT,
    BUSY,
    FREE,
    HOLIDAY,
    MAILBOX,
    MEETING,
    NOW,
    WINDOW,
    written,
)

LATER = NOW + timedelta(minutes=1)


async def test_a_new_store_is_empty(store: Store) -> None:
    assert list(await store.load()) == []
    assert list(await store.fetch_writes()) == []
    assert await store.fetch_value("cursor") is None


async def test_everything_about_a_user_comes_back(opened: Opened) -> None:
    store = await opened.again()
    await store.keep_user(BERT)
    await store.keep_user(ANNA)
    await store.keep_mailbox(ANNA.guid, MAILBOX, MailboxState.POLLED, "no stream for him", NOW)
    await store.keep_appointments(ANNA.guid, [MEETING, HOLIDAY], WINDOW, LATER)
    await store.keep_write(written(ANNA.guid))
    store = await opened.again()
    assert list(await store.load()) == [
        StoredUser(
            user=ANNA,
            mailbox=MAILBOX,
            resolved_at=NOW,
            state=MailboxState.POLLED,
            reason="no stream for him",
            appointments=(MEETING, HOLIDAY),
            window=WINDOW,
            read_at=LATER,
            written=BUSY,
            touched=True,
        ),
        StoredUser(BERT),
    ]


async def test_a_changed_row_keeps_the_rest(opened: Opened) -> None:
    store = await opened.again()
    await store.keep_user(ANNA)
    await store.keep_mailbox(ANNA.guid, MAILBOX, MailboxState.RESOLVED, "", NOW)
    await store.keep_appointments(ANNA.guid, [MEETING], WINDOW, NOW)
    married = replace(ANNA, cn="Anna Maier", addresses=())
    await store.keep_user(married)
    (kept,) = await (await opened.again()).load()
    assert (kept.user, kept.mailbox, kept.appointments) == (married, MAILBOX, (MEETING,))


async def test_appointments_are_replaced_whole(opened: Opened) -> None:
    store = await opened.again()
    await store.keep_user(ANNA)
    await store.keep_appointments(ANNA.guid, [MEETING, HOLIDAY, MEETING], WINDOW, NOW)
    await store.keep_appointments(ANNA.guid, [HOLIDAY], WINDOW.widened(timedelta(hours=1)), LATER)
    (kept,) = await (await opened.again()).load()
    assert kept.appointments == (HOLIDAY,)
    assert (kept.window, kept.read_at) == (WINDOW.widened(timedelta(hours=1)), LATER)
    await (await opened.again()).keep_appointments(ANNA.guid, [], WINDOW, LATER)
    (kept,) = await (await opened.again()).load()
    assert (kept.appointments, kept.window) == ((), WINDOW)


async def test_a_mailbox_can_go(opened: Opened) -> None:
    store = await opened.again()
    await store.keep_user(ANNA)
    await store.keep_mailbox(ANNA.guid, MAILBOX, MailboxState.RESOLVED, "", NOW)
    await store.keep_mailbox(ANNA.guid, None, MailboxState.UNRESOLVED, "nobody knows anna@x.com", LATER)
    (kept,) = await (await opened.again()).load()
    assert (kept.mailbox, kept.state, kept.resolved_at) == (None, MailboxState.UNRESOLVED, LATER)
    assert kept.reason == "nobody knows anna@x.com"


async def test_whoever_was_never_written_is_told_from_whoever_may_have_been(opened: Opened) -> None:
    store = await opened.again()
    await store.keep_user(ANNA)
    assert not (await store.load())[0].touched
    await store.expect_write(ANNA.guid)
    (one,) = await (await opened.again()).load()
    assert (one.written, one.touched) == (None, True)


async def test_what_the_pbx_has_is_unknown_while_a_write_is_under_way(opened: Opened) -> None:
    store = await opened.again()
    await store.keep_user(ANNA)
    seen = []
    for step in (
        store.keep_write(written(ANNA.guid, BUSY)),
        store.expect_write(ANNA.guid),
        store.keep_write(written(ANNA.guid, FREE, error="timed out")),
        store.keep_write(written(ANNA.guid, FREE)),
        store.keep_write(written(ANNA.guid, BUSY, error="refused")),
    ):
        await step
        seen.append((await store.load())[0].written)
    assert seen == [BUSY, None, None, FREE, None]
    assert (await (await opened.again()).load())[0].written is None


async def test_a_dropped_user_takes_everything_but_the_record_along(opened: Opened) -> None:
    store = await opened.again()
    for user in (ANNA, BERT):
        await store.keep_user(user)
        await store.keep_mailbox(user.guid, MAILBOX, MailboxState.RESOLVED, "", NOW)
        await store.keep_appointments(user.guid, [MEETING], WINDOW, NOW)
        await store.keep_write(written(user.guid))
    await store.drop_users([ANNA.guid, "nobody"])
    await store.drop_users([])
    store = await opened.again()
    assert [kept.user for kept in await store.load()] == [BERT]
    assert {write.guid for write in await store.fetch_writes()} == {ANNA.guid, BERT.guid}
    await store.keep_user(ANNA)
    assert (await store.load())[0] == StoredUser(ANNA)


async def test_nothing_is_kept_about_somebody_who_is_not_a_user(opened: Opened) -> None:
    store = await opened.again()
    await store.keep_mailbox("gone", MAILBOX, MailboxState.RESOLVED, "", NOW)
    await store.keep_appointments("gone", [MEETING], WINDOW, NOW)
    await store.expect_write("gone")
    await store.keep_write(written("gone"))
    assert list(await store.load()) == []
    await store.keep_user(replace(ANNA, guid="gone"))
    assert await store.load() == [StoredUser(replace(ANNA, guid="gone"))]
    assert list(await store.fetch_writes()) == [written("gone")]


async def test_the_record_is_newest_first_and_bounded(opened: Opened) -> None:
    store = await opened.again()
    moments = [NOW, LATER, NOW, NOW - timedelta(days=8)]
    notes = [replace(BUSY, note=str(number)) for number in range(4)]
    for guid, at, presence in zip("abab", moments, notes, strict=True):
        await store.keep_write(written(guid, presence, at=at))
    store = await opened.again()
    await store.keep_write(written("a", replace(BUSY, note="4"), at=NOW))

    async def found(**what: object) -> str:
        return "".join(write.presence.note for write in await store.fetch_writes(**what))  # type: ignore[arg-type]

    assert await found() == "14203"
    assert await found(limit=2) == "14"
    assert await found(limit=0) == ""
    assert await found(limit=-1) == ""
    assert await found(guid="a") == "420"
    assert await found(since=NOW) == "1420"
    assert await found(guid="b", since=NOW) == "1"
    assert await store.forget_writes(NOW) == 1
    assert await store.forget_writes(NOW) == 0
    assert await found() == "1420"


async def test_values_come_back_to_the_byte(opened: Opened) -> None:
    store = await opened.again()
    await store.keep_value("cursor", b"\x00\xff")
    await store.keep_value("empty", b"")
    await store.keep_value("gone", b"x")
    await store.keep_value("gone", None)
    await store.keep_value("cursor", b"\x00\xfe")
    store = await opened.again()
    assert [await store.fetch_value(name) for name in ("cursor", "empty", "gone")] == [b"\x00\xfe", b"", None]


async def test_many_calls_at_once_all_take_effect_in_order(opened: Opened) -> None:
    store = await opened.again()
    users = [replace(ANNA, guid=f"{number:032x}") for number in range(300)]
    async with asyncio.TaskGroup() as tasks:
        for user in users:
            tasks.create_task(store.keep_user(user))
            tasks.create_task(store.keep_appointments(user.guid, [MEETING], WINDOW, NOW))
            tasks.create_task(store.keep_write(written(user.guid, FREE)))
            tasks.create_task(store.keep_write(written(user.guid, BUSY, at=LATER)))
    store = await opened.again()
    kept = await store.load()
    assert [one.user for one in kept] == users
    assert {(one.appointments, one.written) for one in kept} == {((MEETING,), BUSY)}
    assert len(await store.fetch_writes(limit=10_000)) == 600


async def test_a_closed_store_refuses(store: Store) -> None:
    await store.close()
    await store.close()
    for call in (store.load(), store.keep_user(ANNA), store.fetch_writes(), store.fetch_value("x")):
        with pytest.raises(StoreProblem, match="closed"):
            await call
