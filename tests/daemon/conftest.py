"""An engine between scripted doors, on a clock that is turned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from presenced.daemon import agenda, chores
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.day import START
from tests.daemon.doors import Running, settings_for


@pytest.fixture
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
