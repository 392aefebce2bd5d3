"""An engine with Ann, and somebody who asks why her presence is what it is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from presenced.config.settings import Settings
from presenced.core.appointment import Appointment
from presenced.daemon.answers.questions import Questions
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.doors import Running, user

START = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def meeting(name: str, start: int, end: int, **fields: object) -> Appointment:
    """Minutes after START; the title is the id in capitals unless told otherwise."""
    fields = {"subject": name.upper()} | fields
    return Appointment(name, START + start * MINUTE, START + end * MINUTE, **fields)  # type: ignore[arg-type]


def all_day(name: str, **fields: object) -> Appointment:
    """Today, as a door reads it."""
    midnight = START.replace(hour=0)
    return Appointment(
        name,
        midnight,
        midnight + timedelta(days=1),
        subject=name.upper(),
        all_day=True,
        **fields,  # type: ignore[arg-type]
    )


class Asked:
    """An engine with Ann, and somebody who asks about her."""

    def __init__(self, running: Running, store: MemoryStore) -> None:
        self.running = running
        self.store = store
        self.questions = Questions(running.engine, store, running.clock, lambda: None)

    async def has(self, *appointments: Appointment) -> None:
        self.running.calendars.calendars["ann@example.com"] = list(appointments)
        self.running.pbx.link(user("ann"))
        await self.running.settle(1)

    async def why(self, who: str = "ann", **query: str) -> dict[str, Any]:
        answer = await self.questions.explain({"user": who, **query})
        json.dumps(answer)
        return answer


async def asked_with(settings: Settings) -> AsyncIterator[Asked]:
    store = MemoryStore()
    async with Running(settings, store, FakeClock(START)) as running:
        yield Asked(running, store)
