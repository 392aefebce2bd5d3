"""The process of the simulators: a whole Exchange on TLS and the PBX that dials the daemon.

It also takes the time at both wires: when a change's notice is written to a stream, and when the
SetPresence that shows it arrives.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import psutil

from presenced.core.window import Window
from presenced.sim.exchange.organisation import Item
from presenced.sim.exchange.streaming import Pace
from presenced.sim.pbx import SimulatedPbx, SimulatedUser
from presenced.sim.pbx.state import PresenceWritten
from presenced.sim.scenario import Change, OfficeLife
from presenced.sim.stage import HOST, USER, Stage
from tests.bench import staff
from tests.bench.child import Answer, serve
from tests.bench.clocks import JumpClock
from tests.bench.truth import presence_of
from tests.clock import FakeClock

PASSWORD = "bench-exchange"
PBX_PASSWORD = "bench-pbx"
KEEP_ALIVE = timedelta(seconds=10)
"""often enough that no jump of the clock has to wait long for a sign of life"""
BETWEEN_CHANGES = timedelta(seconds=20)
"""the mean, on the day that is lived through"""
PBX_NAME = "pbx-bench"
_ID = re.compile(rb"SubscriptionId>([^<]+)<")


class Simulators:
    """What the parent asks for, by the names of the methods."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._dialling: asyncio.Task[None] | None = None
        self._called: SimulatedPbx | None = None
        """the PBX bare clients call"""
        self._changing: asyncio.Task[None] | None = None
        self._shown: set[str] = set()
        self._writes = 0
        self._last_write = 0.0
        self._announced: dict[str, str] = {}
        """mailbox -> title of a change whose notice is not on the wire yet"""
        self._noticed: dict[str, float] = {}
        """title -> when its notice was written"""
        self._awaited: dict[str, str] = {}
        """guid -> title that is to be shown"""
        self._latencies: list[float] = []
        self._turn = 0

    async def open(self, *, mailboxes: int, folder: str, start: str, turned: bool = False) -> Answer:
        """Listen; where, and with which authority. `turned`: the clock stands still until it is turned,
        and the calendars are generated ones."""
        began = datetime.fromisoformat(start)
        self._clock: JumpClock | FakeClock = FakeClock(began) if turned else JumpClock(began)
        everybody = staff.office(mailboxes) if turned else staff.organisation(mailboxes)
        pace = Pace() if turned else Pace(keep_alive=KEEP_ALIVE)
        self._stage = Stage(everybody, self._clock, Path(folder), password=PASSWORD, pace=pace)
        self._life = OfficeLife(everybody, self._clock, random.Random(1), pace=BETWEEN_CHANGES)
        await self._stage.open()
        exchange = self._stage.exchange
        exchange._around = replace(exchange._around, check=self._on_the_wire)
        self._pbx = self._new_pbx(staff.users(mailboxes), self._arrived)
        return {
            "url": exchange.base_url,
            "ews": exchange.ews_url,
            "authority": str(self._stage.certificates.authority),
            "user": USER,
        }

    def _new_pbx(
        self, users: Iterable[SimulatedUser], on_presence: Callable[[PresenceWritten], None] | None = None
    ) -> SimulatedPbx:
        return SimulatedPbx(
            users,
            clock=self._clock,
            name=PBX_NAME,
            domain=staff.DOMAIN,
            password=PBX_PASSWORD,
            on_presence=on_presence,
        )

    async def dial(self, *, port: int) -> Answer:
        """Let the PBX dial the daemon; the instant at which it begins."""
        url = f"wss://{HOST}:{port}/{staff.DOMAIN}/presenced"
        began = time.monotonic()
        self._dialling = asyncio.create_task(
            self._pbx.run_dialing(url, tls=self._stage.certificates.for_client())
        )
        return {"at": began}

    async def answer(self) -> Answer:
        """Let bare clients call a PBX with the same users, until `clear_up`; where."""
        self._called = self._new_pbx(self._pbx.users.values())
        port = await self._called.serve(HOST, tls=self._stage.certificates.for_server())
        return {"url": f"wss://{HOST}:{port}/PBX0/APPS/websocket"}

    async def hang_up(self) -> Answer:
        """The PBX goes away for good."""
        if self._dialling is not None:
            self._dialling.cancel()
            await asyncio.wait({self._dialling})
        return {}

    async def progress(self) -> Answer:
        """Requests by operation, presences by now, the instant of the last one, processor time."""
        spent = self._process.cpu_times()
        return {
            "requests": dict(self._stage.exchange.counters),
            "shown": len(self._shown),
            "writes": self._writes,
            "last_write": self._last_write,
            "cpu": spent.user + spent.system,
            "rss": self._process.memory_info().rss,
            "subscriptions": len(self._stage.exchange.subscriptions),
            "bugs": [*self._pbx.client_bugs, *self._stage.exchange.client_bugs][:5],
        }

    async def jump(self, *, seconds: float) -> Answer:
        """Set the clock forward; open streams look at it and show a sign of life."""
        assert isinstance(self._clock, JumpClock)
        self._clock.jump(timedelta(seconds=seconds))
        for stream in self._stage.exchange.subscriptions.streams:
            stream.wake.set()
        return {}

    async def turn(self, *, seconds: float) -> Answer:
        """Turn a clock that stands still."""
        assert isinstance(self._clock, FakeClock)
        await self._clock.advance(timedelta(seconds=seconds), turns=3)
        return {}

    async def live(self, *, live: bool) -> Answer:
        """Let people begin, or stop, to change their calendars."""
        if live:
            self._changes = 0
            self._life.watchers.append(self._changed)
            self._living = asyncio.create_task(self._life.run())
        else:
            self._living.cancel()
            await asyncio.wait({self._living})
        return {}

    def _changed(self, _: Change) -> None:
        self._changes += 1

    async def compare(self, *, windows: dict[str, tuple[str, str]]) -> Answer:
        """Whose presence is not what his calendar says."""
        wrong = []
        for number, mailbox in enumerate(self._stage.exchange.organisation.mailboxes):
            guid = staff.guid_of(number)
            window = Window(*map(datetime.fromisoformat, windows[guid]))
            due = presence_of(mailbox, window, self._clock.now(), staff.ZONE)
            shown = self._pbx.presences.get(guid, {}).get("calendar:")
            if shown != (due.activity, due.note):
                wrong.append(f"{mailbox.address}: {shown} instead of {(due.activity, due.note)}")
        return {"wrong": wrong, "changes": self._changes}

    async def clear_up(self) -> Answer:
        """Drop what other clients leave: subscriptions without a stream, and complaints about requests.

        What the PBX they called complains of is told.
        """
        bugs = []
        if self._called is not None:
            bugs = self._called.client_bugs
            await self._called.close()
            self._called = None
        self._stage.exchange.client_bugs.clear()
        subscriptions = self._stage.exchange.subscriptions
        for one in [one for one in subscriptions._by_id.values() if one.stream is None]:
            subscriptions.drop(one)
        return {"bugs": bugs[:5]}

    # --- changes ---

    async def begin_changes(self, *, rate: float, count: int, mailboxes: int) -> Answer:
        """Change `count` calendars, each another one, at `rate` a second."""
        self._latencies.clear()
        self._noticed.clear()
        self._awaited.clear()
        self._changing = asyncio.create_task(self._change(rate, count, mailboxes))
        return {}

    async def end_changes(self, *, longest: float) -> Answer:
        """Seconds from wire to wire of each, once all are shown; how many never were."""
        deadline = time.monotonic() + longest
        if self._changing is not None:
            await self._changing
        while self._awaited and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return {"latencies": self._latencies, "missing": len(self._awaited)}

    async def _change(self, rate: float, count: int, mailboxes: int) -> None:
        began = time.monotonic()
        self._turn += 1
        stride = max(mailboxes // count, 1)
        for number in range(count):
            delay = began + number / rate - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            self._put((number * stride) % mailboxes, f"Change {self._turn}-{number}.")

    def _put(self, number: int, title: str) -> None:
        now = self._clock.now().replace(microsecond=0)
        address = staff.address_of(number)
        item = Item(f"change-{self._turn}", "1", title, now - timedelta(minutes=1), now + timedelta(hours=2))
        self._awaited[staff.guid_of(number)] = title
        self._announced[address] = title
        self._stage.exchange.organisation.put(address, item)

    def _on_the_wire(self, envelope: bytes) -> None:
        if not self._announced:
            return
        now = time.monotonic()
        by_id = self._stage.exchange.subscriptions._by_id
        for found in _ID.findall(envelope):
            subscription = by_id.get(found.decode())
            title = None if subscription is None else self._announced.pop(subscription.mailbox, None)
            if title is not None:
                self._noticed[title] = now

    def _arrived(self, written: PresenceWritten) -> None:
        now = self._last_write = time.monotonic()
        self._writes += 1
        self._shown.add(written.guid)
        self._pbx.writes.clear()
        title = self._awaited.get(written.guid)
        if title is not None and written.note.startswith(title):
            del self._awaited[written.guid]
            self._latencies.append(now - self._noticed[title])


async def main() -> None:
    """Serve until the parent is done."""
    simulators = Simulators()
    names = (
        *("open", "dial", "answer", "hang_up", "progress", "jump", "turn", "live", "compare"),
        *("clear_up", "begin_changes", "end_changes"),
    )
    await serve({name: getattr(simulators, name) for name in names})
    await simulators.hang_up()


if __name__ == "__main__":
    asyncio.run(main())
