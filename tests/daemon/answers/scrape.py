"""A scrape of an engine that has done a bit of everything, read as Prometheus reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from presenced.config.settings import UserSection
from presenced.core.appointment import Appointment
from presenced.core.ports import (
    CalendarDoorStatus,
    MailboxProblem,
    MailboxState,
    PbxLinkStatus,
    StreamStatus,
)
from presenced.daemon.answers.questions import Questions
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.doors import Running, settings_for, user

START = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

STATUS = CalendarDoorStatus(
    "on-premises",
    healthy=True,
    reason="",
    streams=(
        StreamStatus("ann@example.com", "https://ews", 200, START, START),
        StreamStatus("bob@example.com", "https://ews", 40, START, START),
        StreamStatus("eve@example.com", "https://ews", 77, None, None, "opening"),
    ),
    backoffs={"": START + MINUTE},
)
COUNTERS = {
    "requests": 9,
    "requests_FindItem": 7,
    "requests_Subscribe": 2,
    "errors_ErrorServerBusy": 3,
    "backoffs": 3,
    "reconnects": 1,
    "groups_halved": 1,
    "groups": 2,
    "mailboxes_followed": 240,
    "in_flight": 1,
}
PBX_COUNTERS = {"logins": 1, "unknown_messages": 0}


@asynccontextmanager
async def busy_engine() -> AsyncIterator[Running]:
    """Ann works, Bob is refused by the PBX, Eve's mailbox is blocked, Zoe has none, Dan is left alone."""
    settings = settings_for(users=(UserSection("dan@example.com", 1, sync=False),))
    async with Running(settings, MemoryStore(), FakeClock(START)) as running:
        running.calendars.calendars = {f"{name}@example.com": [] for name in ("ann", "bob", "eve")}
        running.calendars.calendars["ann@example.com"] = [
            Appointment("m", START - MINUTE, START + 60 * MINUTE, subject="Meeting")
        ]
        running.calendars.problems["eve@example.com"] = MailboxProblem(MailboxState.BLOCKED, "refused")
        running.pbx.refusals["guid-bob"] = "no"
        running.calendars.status = lambda: STATUS  # type: ignore[method-assign]
        running.calendars.counters = lambda: COUNTERS  # type: ignore[method-assign]
        running.pbx.counters = lambda: PBX_COUNTERS  # type: ignore[method-assign]
        running.pbx.status = lambda: [  # type: ignore[method-assign]
            PbxLinkStatus("master", "master", "10.0.0.1:5000", START)
        ]
        await running.settle(0.8)
        running.pbx.link(*map(user, ("ann", "bob", "eve", "zoe", "dan")))
        await running.settle(0.2)
        running.calendars.calendars["ann@example.com"] = []
        running.engine.watch.changed("ann@example.com")
        await running.settle(1)
        yield running


def scrape(running: Running) -> dict[str, Metric]:
    """Every family by name."""
    questions = Questions(running.engine, MemoryStore(), running.clock, lambda: None)
    text = questions.metrics().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(families: dict[str, Metric]) -> Iterator[tuple[str, dict[str, str], float]]:
    """Every sample: name as Prometheus stores it, labels, value."""
    for family in families.values():
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value
