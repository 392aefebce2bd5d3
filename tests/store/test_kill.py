"""kill -9 at any instant loses nothing that was confirmed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.store import writing_child
from tests.store.samples import NOW, sqlite_at

ROOT = Path(__file__).parents[2]


def run_and_kill(database: Path, lines: int) -> dict[tuple[str, str], int]:
    """Kill the writing child after it has confirmed `lines` calls; the last generation of each kind."""
    child = subprocess.Popen(
        [sys.executable, writing_child.__file__, str(database)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    assert child.stdout is not None
    confirmed: dict[tuple[str, str], int] = {}
    with child, child.stdout as said:
        for number, line in enumerate(said):
            guid, what, generation = line.decode().split()
            confirmed[guid, what] = int(generation)
            if number == lines:
                child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    return confirmed


@pytest.mark.parametrize("seed", range(4))
async def test_what_was_confirmed_survives(database: Path, seed: int) -> None:
    confirmed = run_and_kill(database, random.Random(seed).randrange(20, 1500))
    async with sqlite_at(database) as store:
        kept = {one.user.guid: one for one in await store.load()}
        record = {guid: await store.fetch_writes(guid=guid, limit=1_000_000) for guid in kept}
    assert set(kept) == {guid for guid, what in confirmed if what == "user"}
    for guid, one in kept.items():
        # the newest confirmed appointments, or a later set: always a whole one
        (generation,) = {int(appointment.id) for appointment in one.appointments} or {0}
        assert generation >= confirmed.get((guid, "appointments"), 0)
        assert len(one.appointments) == (3 if generation else 0)
        assert one.read_at == (NOW + timedelta(minutes=generation) if generation else None)
        # a presence the PBX may have lost track of is never taken for known
        expected, written = (confirmed.get((guid, what), 0) for what in ("expected", "written"))
        if one.written is None:
            assert written == 0 or generation > written
        else:
            assert int(one.written.note) >= expected
        notes = [int(write.presence.note) for write in record[guid]]
        assert notes == list(range(len(notes), 0, -1))
        assert len(notes) >= written
