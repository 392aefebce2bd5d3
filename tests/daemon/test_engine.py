"""The daemon between scripted doors: what is read when, and whose mailbox it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from presenced.core.ports import DoorProblem, MailboxProblem, MailboxState
from presenced.core.presence import CLEARED
from tests.daemon.day import meeting
from tests.daemon.doors import Running, user

pytestmark = pytest.mark.usefixtures("few_signs_of_life")


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
