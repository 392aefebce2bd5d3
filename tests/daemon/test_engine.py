"""The daemon between scripted doors: what is read when, and what is written and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from presenced.config.settings import PresenceSettings, UserSection
from presenced.core.activity import Mapped
from presenced.core.appointment import Appointment, Sensitivity
from presenced.core.mapping import MappingTable
from presenced.core.ports import DoorProblem, MailboxProblem, MailboxState
from presenced.core.presence import CLEARED
from presenced.daemon import agenda, chores
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.doors import Running, settings_for, user

START = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def meeting(start: int, end: int, **fields: object) -> Appointment:
    """Minutes after START."""
    fields = {"subject": "Meeting", "id": f"m{start}"} | fields
    return Appointment(start=START + start * MINUTE, end=START + end * MINUTE, **fields)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def few_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle loops wake up less often, so that days pass in a moment."""
    monkeypatch.setattr(agenda, "LONGEST_WAIT", timedelta(minutes=5))
    monkeypatch.setattr(chores, "LONGEST_WAIT", timedelta(minutes=5))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def running(clock: FakeClock, store: MemoryStore) -> AsyncIterator[Running]:
    async with Running(settings_for(), store, clock) as running:
        running.calendars.calendars = {"ann@example.com": [], "bob@example.com": []}
        yield running


async def test_from_login_to_presence(running: Running) -> None:
    running.calendars.calendars["ann@example.com"] = [meeting(-30, 30)]
    running.calendars.calendars["bob@example.com"] = [meeting(60, 90)]
    running.pbx.link(user("ann"), user("bob"), user("nobody"))
    await running.settle(1)
    assert running.pbx.note("ann").startswith("Meeting until 08:30 #busy #len:7:7")
    assert running.pbx.note("bob").startswith("Free until 09:00 (Busy: Meeting) #free")
    assert "guid-nobody" not in running.pbx.presences
    nobody = running.engine.roster.keepers["guid-nobody"]
    assert nobody.state is MailboxState.UNRESOLVED
    assert nobody.reason == "nobody@example.com: no such mailbox"
    assert len(running.calendars.reads) == 2


async def test_deadlines_need_no_read(running: Running) -> None:
    running.calendars.calendars["ann@example.com"] = [meeting(60, 90)]
    running.pbx.link(user("ann"))
    await running.settle(1)
    await running.settle(60 * 60)
    assert running.pbx.note("ann").startswith("Meeting until 09:30")
    await running.settle(30 * 60)
    assert running.pbx.note("ann") == "Free"
    assert len(running.calendars.reads) == 1
    assert len(running.pbx.writes) == 3


async def test_several_notices_make_one_read(running: Running) -> None:
    running.pbx.link(user("ann"))
    await running.settle(1)
    running.calendars.calendars["ann@example.com"] = [meeting(0, 30)]
    for _ in range(5):
        running.engine.watch.changed("ann@example.com")
    await running.settle(2)
    assert running.pbx.note("ann").startswith("Meeting until 08:30")
    assert len(running.calendars.reads) == 2
    latencies = running.engine.writer.latencies
    assert (latencies.count, latencies.total) == (1, timedelta(seconds=1))


async def test_a_change_that_changes_nothing_is_not_written(running: Running) -> None:
    running.pbx.link(user("ann"))
    await running.settle(1)
    running.engine.watch.changed("ann@example.com")
    await running.settle(2)
    assert len(running.calendars.reads) == 2
    assert len(running.pbx.writes) == 1


async def test_midnight_reads_everybody_spread_out(running: Running) -> None:
    names = [f"u{number}" for number in range(20)]
    running.calendars.calendars = {f"{name}@example.com": [] for name in names}
    running.pbx.link(*map(user, names))
    await running.settle(1)
    running.calendars.reads.clear()
    await running.settle(15.9 * 3600)
    assert running.calendars.reads == []
    await running.settle(0.1 * 3600 + 600)
    starts = sorted(window.start for _, window in running.calendars.reads)
    assert len(starts) == 20
    assert starts[0] >= datetime(2026, 11, 17, tzinfo=UTC)
    assert starts[-1] - starts[0] > timedelta(minutes=5)


async def test_two_users_with_one_mailbox_both_get_the_presence(running: Running) -> None:
    running.calendars.calendars["ann@example.com"] = [meeting(-30, 30)]
    running.pbx.link(user("ann"), user("desk", addresses=("ann@example.com",)))
    await running.settle(1)
    assert running.pbx.note("ann") == running.pbx.note("desk")
    assert len(running.calendars.reads) == 1


async def test_a_failing_mailbox_touches_nobody_else_and_comes_back(running: Running) -> None:
    running.calendars.problems["ann@example.com"] = MailboxProblem(
        MailboxState.FAILING, "the mailbox store is unavailable"
    )
    running.calendars.calendars["bob@example.com"] = [meeting(-30, 30)]
    running.pbx.link(user("ann"), user("bob"))
    await running.settle(1)
    assert running.pbx.note("bob").startswith("Meeting")
    keeper = running.engine.roster.keepers["guid-ann"]
    assert (keeper.state, keeper.reason) == (MailboxState.FAILING, "the mailbox store is unavailable")
    assert "guid-ann" not in running.pbx.presences
    running.calendars.problems.clear()
    await running.settle(60)
    assert running.pbx.note("ann") == "Free"
    assert keeper.state.value == "resolved"


async def test_last_known_appointments_go_on_deciding_while_exchange_is_away(running: Running) -> None:
    running.calendars.calendars["ann@example.com"] = [meeting(60, 90)]
    running.pbx.link(user("ann"))
    await running.settle(1)
    running.calendars.problems["ann@example.com"] = DoorProblem("Exchange does not answer")
    running.engine.watch.changed("ann@example.com")
    await running.settle(60 * 60)
    assert running.pbx.note("ann").startswith("Meeting until 09:30")
    await running.settle(60 * 60)
    assert running.pbx.note("ann") == "Free"
    assert running.engine.roster.keepers["guid-ann"].is_stale(running.clock.now())
    assert running.engine.status()["exchange"]["healthy"] is False
    await running.settle(47 * 3600)
    assert running.pbx.presences["guid-ann"] == CLEARED, "a window that is over says nothing any more"


async def test_a_mailbox_that_is_gone_clears_the_presence(running: Running) -> None:
    running.calendars.calendars["ann@example.com"] = [meeting(-30, 300)]
    running.pbx.link(user("ann"))
    await running.settle(1)
    del running.calendars.calendars["ann@example.com"]
    running.calendars.problems["ann@example.com"] = MailboxProblem(
        MailboxState.FAILING, "the mailbox does not exist", rediscover=True
    )
    running.engine.watch.changed("ann@example.com")
    await running.settle(3)
    assert running.pbx.presences["guid-ann"] == CLEARED
    assert running.engine.roster.keepers["guid-ann"].state is MailboxState.UNRESOLVED
    assert running.calendars.following == set()


async def test_a_mailbox_nobody_could_be_asked_about_is_kept(running: Running) -> None:
    running.calendars.calendars["ann@example.com"] = [meeting(-30, 300)]
    running.pbx.link(user("ann"))
    await running.settle(1)
    running.calendars.lost.add("ann@example.com")
    running.calendars.problems["ann@example.com"] = MailboxProblem(
        MailboxState.FAILING, "the mailbox is being moved", rediscover=True
    )
    running.engine.watch.changed("ann@example.com")
    await running.settle(3)
    assert running.pbx.note("ann").startswith("Meeting until 13:00")
    assert running.calendars.following == {"ann@example.com"}


async def test_a_server_out_of_reach_may_have_moved(running: Running) -> None:
    running.pbx.link(user("ann", addresses=("old@example.com", "ann@example.com")))
    await running.settle(1)
    asked = len(running.calendars.asked)
    running.calendars.problems["ann@example.com"] = DoorProblem("the server is away")
    running.engine.watch.changed("ann@example.com")
    await running.settle(3)
    assert len(running.calendars.asked) == asked, "it was looked up a moment ago"
    await running.settle(700)
    running.engine.watch.changed("ann@example.com")
    await running.settle(3)
    assert len(running.calendars.asked) > asked


async def test_nobody_is_asked_while_nobody_can_be(running: Running) -> None:
    running.calendars.resolving_problem = DoorProblem("no server", retry_after=timedelta(minutes=5))
    running.pbx.link(user("ann"))
    await running.settle(1)
    running.calendars.resolving_problem = None
    running.pbx.link(user("ann"), user("bob"))
    await running.settle(60)
    assert running.calendars.asked == []
    await running.settle(300)
    assert len(running.calendars.asked) == 2


async def test_a_moved_mailbox_is_found_again(running: Running) -> None:
    running.pbx.link(user("ann", addresses=("old@example.com", "ann@example.com")))
    await running.settle(1)
    running.calendars.calendars["old@example.com"] = [meeting(-30, 30)]
    running.calendars.problems["ann@example.com"] = MailboxProblem(
        MailboxState.FAILING, "the mailbox is being moved", rediscover=True
    )
    running.engine.watch.changed("ann@example.com")
    await running.settle(3)
    assert running.pbx.note("ann").startswith("Meeting until 08:30")
    assert running.calendars.following == {"old@example.com"}


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
    running.engine.apply(settings_for(mapping=MappingTable(busy=Mapped.DND)))
    await running.settle(1)
    assert running.pbx.presences["guid-ann"].activity == "dnd"
    assert len(running.calendars.reads) == 1


async def test_a_reload_of_priority_words_reads_again(running: Running) -> None:
    running.calendars.calendars["ann@example.com"] = [
        meeting(-60, 300, id="v", subject="Vacation", sensitivity=Sensitivity.PRIVATE),
        meeting(-30, 30),
    ]
    running.pbx.link(user("ann"))
    await running.settle(1)
    assert running.pbx.note("ann").startswith("Meeting until")
    running.engine.apply(
        settings_for(presence=PresenceSettings(timezone="UTC", priority_words=("vacation",)))
    )
    await running.settle(61)
    assert running.pbx.note("ann").startswith("Private until 13:00")


async def test_a_user_taken_out_of_the_sync_is_cleared(running: Running) -> None:
    running.pbx.link(user("ann"), user("bob"))
    await running.settle(1)
    running.engine.apply(settings_for(users=(UserSection("ann@*", 1, sync=False),)))
    await running.settle(1)
    assert running.pbx.presences["guid-ann"] == CLEARED
    assert running.pbx.note("bob") == "Free"
    assert running.calendars.following == {"bob@example.com"}
    running.engine.apply(settings_for())
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
    running.engine.apply(settings_for(users=(UserSection("ann@*", 1, sync=False),)))
    await running.settle(30)
    (kept,) = await store.load()
    assert (kept.mailbox, kept.appointments) == (None, ())
    assert running.pbx.presences["guid-ann"] == CLEARED
    running.engine.apply(settings_for())
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
    running.engine.apply(hidden)
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
