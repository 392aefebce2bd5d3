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
EVIL = '<script>document.title="taken"</script><img src=x onerror=alert(1)>'


class Announcing(View):
    def open(self, page: str, ini: str) -> None:
        print(json.dumps({"page": page, "ini": ini}), flush=True)

    def show(self, write: PresenceWritten) -> None:
        """Nobody looks here."""

    def end(self) -> None:
        """Nobody waits."""


def main(port: int) -> None:
    cast = cast_people(12)
    mallory = SimulatedUser("f" * 32, "mallory", cn="Mallory <b>Bold</b>", emails=(MALLORY,))
    cast = replace(cast, users=(*cast.users, mallory))
    with tempfile.TemporaryDirectory() as folder:
        play = Play(cast, Announcing(), Path(folder), live=True, port=port, verbose=False)
        # he comes when the stage is set, so that nobody changes his calendar
        cast.organisation.add(SimulatedMailbox(MALLORY, zone=ZONE))
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        hour = timedelta(hours=1)
        for name, start, end, fields in (
            ("evil", -hour, 3 * hour, {}),
            ("trip", -2 * hour, 5 * hour, {"show_as": "OOF"}),
            ("maybe", hour, 2 * hour, {"show_as": "Tentative"}),
            ("home", 6 * hour, 9 * hour, {"show_as": "WorkingElsewhere"}),
        ):
            title = EVIL if name == "evil" else f"A {name}"
            item = Item(name, "1", title, now + start, now + end, **fields)  # type: ignore[arg-type]
            cast.organisation.put(MALLORY, item)
        asyncio.run(play.run(None))


if __name__ == "__main__":
    main(int(sys.argv[1]))
