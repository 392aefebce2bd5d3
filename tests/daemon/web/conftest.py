"""An office of four on the page: busy, private by wish, broken, without a mailbox."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from presenced.config.settings import UserSection
from presenced.core.ports import MailboxProblem, MailboxState
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.day import meeting
from tests.daemon.doors import Running, settings_for, user
from tests.daemon.web.browser import Browser

EVIL = '<script>document.title="gone"</script> & "more"'


@pytest.fixture
async def running(clock: FakeClock, store: MemoryStore) -> AsyncIterator[Running]:
    sections = (UserSection("bob@example.com", 40, subject_shown=False), UserSection("out@*", 43, sync=False))
    async with Running(settings_for(users=sections), store, clock) as running:
        running.calendars.calendars = {
            "ann@example.com": [meeting(-30, 360, subject=EVIL)],
            "bob@example.com": [meeting(-30, 60, subject="Divorce lawyer")],
            "eve@example.com": [],
        }
        running.calendars.problems["eve@example.com"] = MailboxProblem(
            MailboxState.BLOCKED, "the account may not impersonate this mailbox", remedy="grant it the role"
        )
        people = (
            user("ann"),
            user("bob"),
            user("eve"),
            user("nobody"),
            user("out", addresses=("out@example.com",)),
        )
        running.pbx.link(*people)
        await running.settle(1)
        yield running


@pytest.fixture
async def page(running: Running, store: MemoryStore, clock: FakeClock) -> AsyncIterator[Browser]:
    async with Browser(running, store, clock) as page:
        yield page


@pytest.fixture
async def locked(running: Running, store: MemoryStore, clock: FakeClock) -> AsyncIterator[Browser]:
    async with Browser(running, store, clock, "correct horse") as page:
        yield page
