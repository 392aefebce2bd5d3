"""The demo as a process of its own, with somebody in it whose titles are markup; for the tests of the page.

Prints one line of JSON when the page is there: its address and the path of the ini file.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from presenced.cli.demo import Play
from presenced.cli.demo_cast import ZONE, cast_people
from presenced.cli.demo_views import View
from presenced.sim.exchange.organisation import Item, SimulatedMailbox
from presenced.sim.pbx import PresenceWritten, SimulatedUser

MALLORY = "mallory@example.com"
NORA = "nora.example@example.com"
EVIL = '<script>document.title="taken"</script><img src=x onerror=alert(1)>'


class Announcing(View):
    def open(self, page: str, ini: str) -> None:
        print(json.dumps({"page": page, "ini": ini}), flush=True)

    def show(self, write: PresenceWritten) -> None:
        """Nobody looks here."""

    def end(self) -> None:
        """Nobody waits."""


def _day(title: str, now: datetime) -> list[Item]:
    """The current one began last; then a trip, something tentative that is ignored, and work from home."""
    hour = timedelta(hours=1)
    return [
        Item("current", "1", title, now - hour, now + 3 * hour),
        Item("trip", "1", "A trip", now - 2 * hour, now + 5 * hour, show_as="OOF"),
        Item("maybe", "1", "A talk, perhaps", now + hour, now + 4 * hour, show_as="Tentative"),
        Item("home", "1", "Working from home", now + 6 * hour, now + 9 * hour, show_as="WorkingElsewhere"),
    ]


def main(port: int) -> None:
    cast = cast_people(12)
    guests = (
        SimulatedUser("f" * 32, "mallory", cn="Mallory <b>Bold</b>", emails=(MALLORY,)),
        SimulatedUser("e" * 32, "noraexample", cn="Nora Example", emails=(NORA,)),
    )
    cast = replace(cast, users=(*cast.users, *guests))
    with tempfile.TemporaryDirectory(prefix="presenced-demo-") as folder:
        play = Play(cast, Announcing(), Path(folder), live=True, port=port, verbose=False)
        # they come when the stage is set, so that nobody changes their calendars
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        now -= timedelta(minutes=now.minute % 15)
        for address, title in ((MALLORY, EVIL), (NORA, "Quarterly review")):
            cast.organisation.add(SimulatedMailbox(address, zone=ZONE))
            for item in _day(title, now):
                cast.organisation.put(address, item)
        asyncio.run(play.run(None))


if __name__ == "__main__":
    main(int(sys.argv[1]))
