"""Writes presences into the PBX: the fewest, each confirmed, each on record.

Before a presence is sent the store is told that what the PBX has is unknown from now on; only the
PBX's answer makes it known again. So a kill at any instant leaves at worst one write to be repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from presenced.core.ports import Clock, LinkDown, PbxDoor, PresenceRefused, Store, Write
from presenced.core.presence import Presence
from presenced.daemon.agenda import Agenda
from presenced.daemon.backoff import Backoff
from presenced.daemon.keeper import Keeper
from presenced.daemon.latency import Latencies
from presenced.daemon.requests_log import OK, LoggedRequest
from presenced.daemon.roster import Roster

log = logging.getLogger(__name__)

_RETRY = Backoff(first=timedelta(seconds=2), longest=timedelta(minutes=5))


class Writer:
    """Looks at whoever the roster names and writes what differs."""

    def __init__(self, roster: Roster, pbx: PbxDoor, store: Store, clock: Clock, *, in_flight: int) -> None:
        self._roster = roster
        self.pbx = pbx
        self._store = store
        self._clock = clock
        self._slots = asyncio.Semaphore(in_flight)
        self._agenda: Agenda[str] = Agenda(clock)
        self._busy: set[str] = set()
        self._stopping = False
        self.counters: Counter[str] = Counter()
        self.latencies = Latencies()
        """from the notice (gathering included) to the PBX's confirmation"""
        self.on_request: Callable[[LoggedRequest], None] = _nobody
        """told every write and its outcome"""

    def look(self, guid: str) -> None:
        """This user's presence may have to be written."""
        keeper = self._roster.keepers.get(guid)
        if keeper is not None and self._roster.pbx is not None and keeper.to_write() is not None:
            self._agenda.put(guid, self._clock.now())

    @property
    def waiting(self) -> int:
        """Writes that are due, put off or under way."""
        return len(self._agenda) + len(self._busy)

    def due_at(self, guid: str) -> datetime | None:
        """When this user's presence is written, or tried again; None where nothing is planned."""
        return self._agenda.due_at(guid)

    async def run(self, beat: Callable[[], None]) -> None:
        """Write until cancelled; writes under way are ended by `drain`."""
        async with asyncio.TaskGroup() as writes:
            while True:
                for guid in await self._agenda.wait(100):
                    await self._slots.acquire()
                    if guid in self._busy or self._stopping:
                        self._slots.release()
                        continue
                    self._busy.add(guid)
                    writes.create_task(self._serve(guid))
                beat()

    async def settle(self, limit: timedelta) -> None:
        """Wait until nothing is left to write, `limit` at most."""
        await self._wait_for(lambda: self.waiting, limit)

    async def drain(self, limit: timedelta) -> None:
        """No new writes; wait for those under way, `limit` at most."""
        self._stopping = True
        await self._wait_for(lambda: len(self._busy), limit)

    async def _wait_for(self, left: Callable[[], int], limit: timedelta) -> None:
        try:
            async with self._clock.timeout(limit):
                while left() and self._roster.pbx is not None:
                    await self._clock.sleep(timedelta(milliseconds=20))
        except TimeoutError:
            log.warning("writes left unconfirmed count=%d", left())

    async def _serve(self, guid: str) -> None:
        try:
            keeper = self._roster.keepers.get(guid)
            while keeper is not None and self._roster.pbx is not None and not self._stopping:
                presence = keeper.to_write()
                if presence is None or not await self._write(keeper, presence):
                    break
        finally:
            self._busy.discard(guid)
            self._slots.release()

    async def _write(self, keeper: Keeper, presence: Presence) -> bool:
        """One write; whether the PBX confirmed it."""
        guid, cause = keeper.user.guid, keeper.cause
        rule = keeper.decision.because.rule.value if keeper.decision else ""
        noticed_at, keeper.noticed_at = keeper.noticed_at, None
        await self._store.expect_write(guid)
        keeper.written, keeper.touched = None, True
        error = ""
        started = self._clock.now()
        try:
            await self.pbx.send_presence(guid, presence)
        except LinkDown as down:
            self.counters["link_down"] += 1
            self._tell(keeper, started, str(down) or "link down")
            return False
        except PresenceRefused as refused:
            error = str(refused)
        now = self._clock.now()
        self._tell(keeper, started, error or OK)
        await self._store.keep_write(Write(guid, now, presence, cause, rule, error))
        keeper.write_error = error
        if error:
            self._postpone(keeper, error)
            return False
        keeper.written, keeper.written_at = presence, now
        keeper.write_failures = 0
        self.counters["written"] += 1
        if noticed_at is not None:
            self.latencies.add(now - noticed_at)
        log.info("presence written user=%s activity=%s because=%s", keeper.user.sip, presence.activity, cause)
        return True

    def _tell(self, keeper: Keeper, started: datetime, outcome: str) -> None:
        duration = self._clock.now() - started
        self.on_request(LoggedRequest("pbx", started, keeper.user.sip, "SetPresence", outcome, duration))

    def _postpone(self, keeper: Keeper, error: str) -> None:
        keeper.write_failures += 1
        self.counters["refused"] += 1
        pause = _RETRY.pause(keeper.write_failures)
        self._agenda.put(keeper.user.guid, self._clock.now() + pause)
        log.warning(
            "presence refused user=%s because=%s retry_in=%ds", keeper.user.sip, error, pause.total_seconds()
        )


def _nobody(_: LoggedRequest) -> None:
    """Before the engine is composed nobody listens."""
