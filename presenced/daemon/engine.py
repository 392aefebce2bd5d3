"""The daemon's own loops, put together around whatever doors it is given.

The supervisor builds real doors and hands them over; tests hand over scripted ones.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

from presenced.config.problems import Problem
from presenced.config.settings import Settings, SyncType
from presenced.core.ports import CalendarDoor, Clock, DoorProblem, PbxDoor, Store
from presenced.daemon.alerts.alerts import Alerts
from presenced.daemon.alerts.gathering import View
from presenced.daemon.backoff import Backoff
from presenced.daemon.chores import Chores
from presenced.daemon.garbage import collect_garbage
from presenced.daemon.milestones import Milestones
from presenced.daemon.pulse import Pulse
from presenced.daemon.requests_log import RequestsLog
from presenced.daemon.resolving import Resolving
from presenced.daemon.roster import Roster
from presenced.daemon.status import Sight, status_in_pieces, whole_status
from presenced.daemon.watch import Watch
from presenced.daemon.writer import Writer

log = logging.getLogger(__name__)

CalendarFactory = Callable[[Watch], AbstractAsyncContextManager[CalendarDoor]]
Loop = Callable[[], Coroutine[Any, Any, None]]

_RESTART = Backoff(first=timedelta(seconds=1), longest=timedelta(minutes=2))
_HOUSEKEEPING = timedelta(hours=1)


class Engine:
    """Roster, watch, resolving and writer, wired to each other."""

    def __init__(
        self, settings: Settings, store: Store, clock: Clock, pbx: Callable[[Roster], PbxDoor]
    ) -> None:
        self.settings = settings
        self.mistakes: tuple[Problem, ...] = ()
        """what keeps a changed settings file from being taken over; empty when it was"""
        self._store = store
        self._clock = clock
        self.pulse = Pulse(clock)
        self.chores = Chores(clock)
        self.roster = Roster(settings, store, clock)
        self.pbx = pbx(self.roster)
        self.watch = Watch(
            self.roster,
            clock,
            window=settings.presence.window,
            in_flight=settings.exchange.requests_in_flight,
        )
        self.resolving = Resolving(self.roster, self.watch, clock)
        self.writer = Writer(self.roster, self.pbx, store, clock, in_flight=settings.pbx.writes_in_flight)
        self.roster.on_write = self.writer.look
        self.roster.on_resolve = self.resolving.look_up
        self.roster.on_chore = self.chores.add
        self.roster.on_orphaned = self.watch.unfollow
        self.watch.on_lost = self._lost
        self.requests = RequestsLog()
        self.writer.on_request = self.requests.add
        view = View(self.roster, self.watch, lambda: self.pbx)
        self.alerts = Alerts(settings, store, clock, view)
        self.milestones = Milestones(clock, {"lookups": self.resolving.work, "reads": self.watch.work})

    def _lost(self, guid: str) -> None:
        if guid in self.roster.keepers:
            self.resolving.look_up(guid)

    async def restore(self) -> None:
        """What the store kept serves from now on."""
        kept = await self._store.load()
        self.roster.restore(kept)
        log.info("store loaded users=%d", len(kept))

    def loops(self) -> dict[str, Loop]:
        """The loops by name; each runs until cancelled."""
        beating = {
            "deadlines": self.roster.run,
            "reads": self.watch.run,
            "lookups": self.resolving.run,
            "writes": self.writer.run,
            "chores": self.chores.run,
            "alerts": self.alerts.run,
        }
        loops: dict[str, Loop] = {
            name: (lambda run=run, name=name: run(self.pulse.beat_of(name)))  # type: ignore[misc]
            for name, run in beating.items()
        }
        return loops | {
            "lag": self.pulse.measure,
            "housekeeping": self._keep_house,
            "garbage": lambda: collect_garbage(self._clock, lambda: sum(self.queues().values())),
            "progress": self.milestones.run,
        }

    def queues(self) -> dict[str, int]:
        """What is due and not done yet, by kind of work."""
        return {
            "lookups": self.resolving.waiting,
            "reads": self.watch.waiting,
            "writes": self.writer.waiting,
            "chores": self.chores.waiting,
        }

    def use_pbx(self, pbx: PbxDoor) -> None:
        """From now on this is the link."""
        self.pbx = self.writer.pbx = pbx

    async def keep_calendars(self, factory: CalendarFactory) -> None:
        """Keep a calendar door open, a new one whenever it breaks, until cancelled."""
        failures = 0
        while True:
            try:
                async with self._calendars(factory) as door:
                    await door.run()
            except Exception as problem:
                failures += 1
                self.watch.standing.close(_broken(problem))
                pause = _RESTART.pause(failures)
                log.exception("the calendar door broke retry_in=%ds", pause.total_seconds())
                await self._clock.sleep(pause)

    @asynccontextmanager
    async def _calendars(self, factory: CalendarFactory) -> AsyncIterator[CalendarDoor]:
        async with factory(self.watch) as door:
            self.watch.use(door)
            self.resolving.look_up_everybody()
            try:
                yield door
            finally:
                self.watch.use(None)

    async def apply(self, settings: Settings) -> None:
        """Settings that touch no connection: mapping, presence, users."""
        self.alerts.apply(settings)
        to_read = await self.roster.apply(settings)
        self.settings = settings
        if self.watch.window != settings.presence.window:
            self.watch.window = settings.presence.window
            to_read = set(self.roster.mailboxes())
        self.watch.read_again(sorted(to_read), "reload")

    async def finish(self, *, limit: timedelta, unset: bool) -> None:
        """No new work; writes under way end or time out, everything is kept."""
        self.watch.use(None)
        if unset:
            self.roster.clear()
            await self.writer.settle(limit / 2)
        await self.writer.drain(limit / 2)
        await self.chores.finish()

    async def _keep_house(self) -> None:
        while True:
            gone = await self._store.forget_writes(self._clock.now() - self.settings.store.history)
            log.debug("record of writes trimmed count=%d", gone)
            await self._clock.sleep(_HOUSEKEEPING)

    def counters(self) -> Counter[str]:
        """All counts since start, by room."""
        counts: Counter[str] = Counter()
        rooms = {
            "pbx": self.pbx.counters(),
            "exchange": self.watch.door.counters() if self.watch.door else {},
            "reads": self.watch.counters,
            "lookups": self.resolving.counters,
            "writes": self.writer.counters,
            "rule": self.roster.rules_used,
            "alerts": self.alerts.counters,
        }
        for room, named in rooms.items():
            for name, count in named.items():
                counts[f"{room}_{str(name).replace('-', '_')}"] += count
        counts.update({f"queue_{work}": waiting for work, waiting in self.queues().items()})
        return counts

    @property
    def calendars_wanted(self) -> bool:
        """Whether the settings ask for a calendar door at all."""
        return self.settings.exchange.sync_type is not SyncType.DISABLED

    def status(self) -> dict[str, Any]:
        """The whole status (cli.md, `status --json`)."""
        return whole_status(self._sight())

    def status_in_pieces(self) -> Iterator[str]:
        """The same as JSON text, bit by bit."""
        return status_in_pieces(self._sight())

    def _sight(self) -> Sight:
        counters = self.counters()
        counters["loop_lag_ms"] = round(self.pulse.loop_lag / timedelta(milliseconds=1))
        return Sight(
            self.roster,
            self.watch,
            self.pbx,
            counters,
            self.milestones.as_json(),
            self._clock.now(),
            calendars_wanted=self.calendars_wanted,
        )


def _broken(problem: Exception) -> str:
    if isinstance(problem, DoorProblem):
        return problem.told
    return f"the calendar door broke unexpectedly ({type(problem).__name__}); the log says how"
