"""The daemon between scripted doors: what is written, what is not, and what outlives a restart."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from presenced.config.settings import PresenceSettings, UserSection
from presenced.core.activity import Mapped
from presenced.core.appointment import Sensitivity, ShowAs
from presenced.core.mapping import MappingTable
from presenced.core.ports import DoorProblem
from presenced.core.presence import CLEARED
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.day import MINUTE, meeting
from tests.daemon.doors import Running, settings_for, user

pytestmark = pytest.mark.usefixtures("few_signs_of_life")


async def test_a_user_removed_from_the_pbx_is_not_written(running: Running, store: MemoryStore) -> None:
    running.pbx.link(user("ann"), user("bob"))
    await running.settle(1)
    writes = len(running.pbx.writes)
    running.engine.roster.removed("guid-ann")
    running.pbx.link(user("new", addresses=("x@example.com",)))
    await running.settle(1)
    assert len(running.pbx.writes) == writes
    assert {kept.user.sip for kept in await store.load()} == {"new"}
    assert running.calendars.following == set()


async def test_a_reconnect_writes_only_what_differs(running: Running) -> None:
    running.calendars.calendars["bob@example.com"] = [meeting(10, 30)]
    running.pbx.link(user("ann"), user("bob"))
    await running.settle(1)
    running.engine.roster.unlinked("socket lost")
    await running.settle(15 * 60)
    running.pbx.writes.clear()
    running.pbx.link(user("ann"), user("bob"))
    await running.settle(1)
    assert [guid for guid, _ in running.pbx.writes] == ["guid-bob"]


async def test_changed_addresses_are_looked_up_again(running: Running) -> None:
    running.pbx.link(user("ann", addresses=("wrong@example.com",)))
    await running.settle(1)
    running.engine.roster.changed(user("ann", addresses=("bob@example.com",)))
    await running.settle(1)
    assert running.pbx.note("ann") == "Free"
    assert running.calendars.asked == [("wrong@example.com",), ("bob@example.com",)]


async def test_unresolved_users_are_tried_again_hourly(running: Running) -> None:
    running.pbx.link(user("late"))
    await running.settle(1)
    running.calendars.calendars["late@example.com"] = []
    await running.settle(59 * 60)
    assert "guid-late" not in running.pbx.presences
    await running.settle(2 * 60)
    assert running.pbx.note("late") == "Free"


async def test_nobody_can_be_looked_up(running: Running) -> None:
    running.calendars.resolving_problem = DoorProblem("the password was refused", remedy="change it")
    running.pbx.link(user("ann"))
    await running.settle(1)
    assert running.engine.roster.keepers["guid-ann"].reason == "the password was refused"
    running.calendars.resolving_problem = None
    await running.settle(30)
    assert running.pbx.note("ann") == "Free"


async def test_a_refused_write_is_tried_again_and_shown(running: Running, store: MemoryStore) -> None:
    running.pbx.link(user("ann"))
    running.pbx.refusals["guid-ann"] = "error 5: no licence"
    await running.settle(1)
    assert running.engine.roster.keepers["guid-ann"].write_error == "error 5: no licence"
    (record,) = await store.fetch_writes()
    assert record.error == "error 5: no licence"
    running.pbx.refusals.clear()
    await running.settle(10)
    assert running.pbx.note("ann") == "Free"
    assert running.engine.roster.keepers["guid-ann"].write_error == ""


async def test_writes_in_flight_are_bounded(clock: FakeClock, store: MemoryStore) -> None:
    settings = settings_for()
    settings = replace(settings, pbx=replace(settings.pbx, writes_in_flight=3))
    async with Running(settings, store, clock) as running:
        names = [f"u{number}" for number in range(20)]
        running.calendars.calendars = {f"{name}@example.com": [] for name in names}
        running.pbx.gate.clear()
        running.pbx.link(*map(user, names))
        await running.settle(1)
        assert running.pbx.most_under_way == 3
        running.pbx.gate.set()
        await running.settle(1)
        assert len(running.pbx.presences) == 20


async def test_a_restart_serves_from_the_store_at_once(clock: FakeClock, store: MemoryStore) -> None:
    async with Running(settings_for(), store, clock) as running:
        running.calendars.calendars["ann@example.com"] = [meeting(-30, 30), meeting(60, 90)]
        running.pbx.link(user("ann"))
        await running.settle(1)
        presences = running.pbx.presences
    await clock.advance(35 * MINUTE)
    async with Running(settings_for(), store, clock) as running:
        running.pbx.presences.update(presences)
        running.calendars.resolving_problem = DoorProblem("Exchange is away")
        running.calendars.follows_at_once = False
        running.pbx.link(user("ann"))
        await running.settle(1)
        assert running.pbx.note("ann").startswith("Free until 09:00 (Busy: Meeting)")
        assert running.calendars.reads == []


async def test_a_write_under_way_at_a_kill_is_repeated(clock: FakeClock, store: MemoryStore) -> None:
    async with Running(settings_for(), store, clock) as running:
        running.calendars.calendars["ann@example.com"] = []
        running.pbx.link(user("ann"))
        await running.settle(1)
        running.pbx.gate.clear()
        running.calendars.calendars["ann@example.com"] = [meeting(0, 30)]
        running.engine.watch.changed("ann@example.com")
        await running.settle(2)
    async with Running(settings_for(), store, clock) as running:
        running.calendars.calendars["ann@example.com"] = []
        running.pbx.link(user("ann"))
        await running.settle(61)
        assert running.pbx.note("ann") == "Free", "though Free was confirmed last, it is written again"


async def test_a_reload_of_the_mapping_touches_no_connection(running: Running) -> None:
    running.calendars.calendars["ann@example.com"] = [meeting(-30, 30)]
    running.pbx.link(user("ann"))
    await running.settle(1)
    await running.engine.apply(settings_for(mapping=MappingTable(busy=Mapped.DND)))
    await running.settle(1)
    assert running.pbx.presences["guid-ann"].activity == "dnd"
    assert len(running.calendars.reads) == 1


async def test_a_reload_of_many_lets_others_work_in_between(running: Running) -> None:
    """One user leaves and one comes while the rules of the others change."""
    people = [f"p{number}" for number in range(250)]
    running.pbx.link(*map(user, people))
    await running.settle(1)
    applying = asyncio.create_task(running.engine.apply(settings_for(mapping=MappingTable(busy=Mapped.DND))))
    await asyncio.sleep(0)
    keepers = running.engine.roster.keepers
    assert {keepers["guid-p0"].mapping.table.busy, keepers["guid-p249"].mapping.table.busy} == {
        Mapped.DND,
        Mapped.BUSY,
    }
    running.engine.roster.removed("guid-p249")
    running.engine.roster.changed(user("late"))
    await applying
    assert len(keepers) == 250
    assert {keeper.mapping.table.busy for keeper in keepers.values()} == {Mapped.DND}


async def test_a_reload_of_priority_words_reads_again(running: Running) -> None:
    running.calendars.calendars["ann@example.com"] = [
        meeting(-60, 300, id="v", subject="Vacation", sensitivity=Sensitivity.PRIVATE),
        meeting(-30, 30),
    ]
    running.pbx.link(user("ann"))
    await running.settle(1)
    assert running.pbx.note("ann").startswith("Meeting until")
    await running.engine.apply(
        settings_for(presence=PresenceSettings(timezone="UTC", priority_words=("vacation",)))
    )
    await running.settle(61)
    assert running.pbx.note("ann").startswith("Private until 13:00")


async def test_a_reload_that_asks_for_organizers_reads_again(running: Running) -> None:
    boss = meeting(-30, 30, show_as=ShowAs.TENTATIVE, organizer="boss@example.com")
    running.calendars.calendars["ann@example.com"] = [boss]
    running.pbx.link(user("ann"))
    await running.settle(1)
    assert running.pbx.note("ann") == "Free"
    await running.engine.apply(
        settings_for(mapping=MappingTable(tentative_exception_organizers=("boss@example.com",)))
    )
    await running.settle(61)
    assert running.pbx.presences["guid-ann"].activity == "away"
    await running.engine.apply(
        settings_for(mapping=MappingTable(tentative_exception_organizers=("other@example.com",)))
    )
    await running.settle(61)
    assert running.pbx.note("ann") == "Free"
    assert len(running.calendars.reads) == 2, "another list asks for nothing that was not read"


async def test_a_reload_of_the_window_reads_everybody_again(running: Running) -> None:
    running.calendars.calendars["ann@example.com"] = [meeting(50 * 60, 51 * 60)]
    running.pbx.link(user("ann"))
    await running.settle(1)
    assert running.pbx.note("ann") == "Free"
    await running.engine.apply(
        settings_for(presence=PresenceSettings(timezone="UTC", window=timedelta(hours=72)))
    )
    await running.settle(61)
    assert running.pbx.note("ann").startswith("Free until")


async def test_a_user_taken_out_of_the_sync_is_cleared(running: Running) -> None:
    running.pbx.link(user("ann"), user("bob"))
    await running.settle(1)
    await running.engine.apply(settings_for(users=(UserSection("ann@*", 1, sync=False),)))
    await running.settle(1)
    assert running.pbx.presences["guid-ann"] == CLEARED
    assert running.pbx.note("bob") == "Free"
    assert running.calendars.following == {"bob@example.com"}
    await running.engine.apply(settings_for())
    await running.settle(2)
    assert running.pbx.note("ann") == "Free"


async def test_stopping_can_clear_what_was_written(running: Running) -> None:
    running.pbx.link(user("ann"), user("bob"))
    await running.settle(1)
    finishing = asyncio.create_task(running.engine.finish(limit=timedelta(seconds=7), unset=True))
    await running.settle(8)
    await finishing
    assert set(running.pbx.presences.values()) == {CLEARED}


async def test_stopping_waits_for_writes_under_way(running: Running) -> None:
    running.pbx.gate.clear()
    running.pbx.link(user("ann"))
    await running.settle(1)
    finishing = asyncio.create_task(running.engine.finish(limit=timedelta(seconds=7), unset=False))
    await running.settle(1)
    assert not finishing.done()
    running.pbx.gate.set()
    await running.settle(1)
    await finishing
    assert running.pbx.note("ann") == "Free"


async def test_a_mailbox_without_signs_of_life_is_read_to_be_sure(running: Running) -> None:
    running.pbx.link(user("ann"))
    await running.settle(1)
    running.calendars.silent = True
    running.calendars.calendars["ann@example.com"] = [meeting(0, 30)]
    await running.settle(12 * 60)
    assert running.pbx.note("ann").startswith("Meeting until 08:30")


async def test_status(running: Running) -> None:
    running.calendars.calendars["ann@example.com"] = [meeting(-30, 30)]
    running.pbx.link(user("ann"), user("nobody"))
    await running.settle(1)
    status = running.engine.status()
    assert set(status) == {"pbx", "exchange", "users", "counters", "version"}
    ann, nobody = status["users"]
    assert ann == {
        "guid": "guid-ann",
        "sip": "ann",
        "mailbox": "ann@example.com",
        "state": "resolved",
        "reason": "",
        "activity": "busy",
        "note": "Meeting until 08:30 #busy #len:7:7 #until:1794817800000",
        "until": "2026-11-16T08:30:00+00:00",
        "last_read": "2026-11-16T08:00:00.200000+00:00",
        "last_proof_of_life": "2026-11-16T08:00:00.200000+00:00",
    }
    assert nobody["state"] == "unresolved"


async def test_who_opts_out_leaves_nothing_behind(
    running: Running, store: MemoryStore, clock: FakeClock
) -> None:
    running.calendars.calendars["ann@example.com"] = [meeting(-30, 30)]
    running.pbx.link(user("ann"))
    await running.settle(1)
    await running.engine.apply(settings_for(users=(UserSection("ann@*", 1, sync=False),)))
    await running.settle(30)
    (kept,) = await store.load()
    assert (kept.mailbox, kept.appointments) == (None, ())
    assert running.pbx.presences["guid-ann"] == CLEARED
    await running.engine.apply(settings_for())
    await running.settle(2)
    assert running.pbx.note("ann").startswith("Meeting until 08:30")


async def test_who_hides_titles_hides_those_kept_before(
    running: Running, store: MemoryStore, clock: FakeClock
) -> None:
    """Even where the calendar can't be read again: at once, in the store, and after a restart."""
    running.calendars.calendars["ann@example.com"] = [meeting(-30, 30)]
    running.pbx.link(user("ann"))
    await running.settle(1)
    running.calendars.problems["ann@example.com"] = DoorProblem("away")
    hidden = settings_for(users=(UserSection("ann@*", 1, subject_shown=False),))
    await running.engine.apply(hidden)
    await running.settle()
    assert running.pbx.note("ann").startswith("Private until 08:30")
    await running.settle(30)
    assert [one.subject for one in (await store.load())[0].appointments] == [None]


async def test_a_wish_made_while_the_daemon_was_down(store: MemoryStore, clock: FakeClock) -> None:
    async with Running(settings_for(), store, clock) as first:
        first.calendars.calendars = {
            "ann@example.com": [meeting(-30, 30)],
            "bob@example.com": [meeting(-30, 30)],
        }
        first.pbx.link(user("ann"), user("bob"))
        await first.settle(1)
        await first.settle(30)
    wishes = (UserSection("ann@*", 1, subject_shown=False), UserSection("bob@*", 2, sync=False))
    async with Running(settings_for(users=wishes), store, clock) as second:
        second.calendars.problems["ann@example.com"] = DoorProblem("away")
        second.pbx.link(user("ann"), user("bob"))
        await second.settle(30)
        assert second.pbx.note("ann").startswith("Private until 08:30")
        assert second.pbx.presences["guid-bob"] == CLEARED
        kept = {one.user.sip: [each.subject for each in one.appointments] for one in await store.load()}
        assert kept == {"ann": [None], "bob": []}
