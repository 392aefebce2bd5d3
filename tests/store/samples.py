"""Users, appointments and writes to keep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from presenced.core.appointment import Appointment, Response, Sensitivity, ShowAs
from presenced.core.ports import Mailbox, Write
from presenced.core.presence import Presence
from presenced.core.replica import PbxUser
from presenced.core.window import Window
from presenced.store.sqlite import SqliteStore, open_store
from tests.clock import FakeClock

NOW = datetime(2026, 11, 16, 8, 0, 0, 123457, tzinfo=UTC)
WINDOW = Window(NOW, NOW + timedelta(hours=48))
ANNA = PbxUser("a" * 32, "anna", "Anna Müller", "Müller, Anna", "root", "pbx", ("anna@x.com", "a@x.com"))
BERT = PbxUser("b" * 32, "bert")
MAILBOX = Mailbox("Anna@x.com", "https://mail.x.com/EWS/Exchange.asmx", "DB1")
BUSY = Presence("busy", "Rücksprache until 12:30 #busy #len:11:12 #until:1")
FREE = Presence("", "Free")
MEETING = Appointment(
    "AAMk=1",
    NOW,
    NOW + timedelta(minutes=30),
    ShowAs.TENTATIVE,
    "Rücksprache\x00 \U0001f600",
    sensitivity=Sensitivity.PERSONAL,
    organizer="boss@x.com",
    response=Response.ACCEPTED,
    prioritized=True,
    order=3,
)
HOLIDAY = Appointment(
    "AAMk=2", NOW, NOW + timedelta(days=1), ShowAs.OOF, None, all_day=True, cancelled=True, order=-1
)


def written(guid: str, presence: Presence = BUSY, *, at: datetime = NOW, error: str = "") -> Write:
    return Write(guid, at, presence, "change", "current appointment", error)


@asynccontextmanager
async def sqlite_at(path: Path) -> AsyncIterator[SqliteStore]:
    """The SQLite store, closed whatever the test finds (an open one would hold up the end of the run)."""
    store = await open_store(path, FakeClock())
    try:
        yield store
    finally:
        await store.close()
