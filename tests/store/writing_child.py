"""A process that writes until it is killed, and says on stdout what was confirmed.

Run as `python writing_child.py DATABASE`. Each of its users goes round and round: appointments of
generation n, a write expected, the write kept; after every call that returned one line `guid what n`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from presenced.core.appointment import Appointment
from presenced.core.ports import Write
from presenced.core.presence import Presence
from presenced.core.replica import PbxUser
from presenced.core.window import Window
from presenced.store.sqlite import SqliteStore, open_store
from tests.clock import FakeClock
from tests.store.samples import NOW

USERS = 8


def say(guid: str, what: str, generation: int) -> None:
    os.write(1, f"{guid} {what} {generation}\n".encode())


async def go_round(store: SqliteStore, guid: str) -> None:
    await store.keep_user(PbxUser(guid, guid))
    say(guid, "user", 0)
    for generation in range(1, 1_000_000):
        at = NOW + timedelta(minutes=generation)
        appointments = [Appointment(f"{generation}", at, at) for _ in range(3)]
        await store.keep_appointments(guid, appointments, Window(at, at), at)
        say(guid, "appointments", generation)
        await store.expect_write(guid)
        say(guid, "expected", generation)
        presence = Presence("busy", str(generation))
        await store.keep_write(Write(guid, at, presence, "change", "rule"))
        say(guid, "written", generation)


async def main() -> None:
    store = await open_store(Path(sys.argv[1]), FakeClock())
    await asyncio.gather(*(go_round(store, f"user{number}") for number in range(USERS)))


if __name__ == "__main__":
    asyncio.run(main())
