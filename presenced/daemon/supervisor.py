"""Builds the doors, starts the loops and sees to signals, reload and an orderly stop.

The only room (beside the commands) that names concrete doors; everyone else sees `core.ports`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from presenced.calendars.graph.notices import NoticeDesk
from presenced.calendars.signin.token_cache import TokenCache
from presenced.config.changes import Changes, compare
from presenced.config.loading import load
from presenced.config.problems import ConfigProblems, Problem
from presenced.config.settings import Settings, SyncType
from presenced.core.ports import Clock, DoorProblem, PbxListener
from presenced.daemon.answers.control import Control
from presenced.daemon.answers.meeting_place import is_service, socket_of
from presenced.daemon.answers.questions import Questions
from presenced.daemon.backoff import Backoff
from presenced.daemon.calendar_door import calendar_factory
from presenced.daemon.certificate import CertificateWatch
from presenced.daemon.engine import Engine
from presenced.daemon.logs import set_up_logging
from presenced.daemon.pulse import ServiceManager
from presenced.daemon.surroundings import REAL_WORLD, Surroundings
from presenced.daemon.web.notices import NoticeBox
from presenced.daemon.web.service import Web
from presenced.pbx.link import PbxLink
from presenced.store.sqlite import open_store

log = logging.getLogger(__name__)

STOP_WITHIN = timedelta(seconds=10)
"""daemon.md section Life, 4"""
_RETRY = Backoff(first=timedelta(seconds=2), longest=timedelta(minutes=1))
_LOOK_AT_FILE = timedelta(seconds=5)


class Supervisor:
    """One running daemon."""

    def __init__(self, settings: Settings, clock: Clock, *, surroundings: Surroundings = REAL_WORLD) -> None:
        self._settings = settings
        self._clock = clock
        self._surroundings = surroundings
        self._cache: TokenCache | None = None
        self._desk = NoticeDesk()
        self._wishes: asyncio.Queue[str] = asyncio.Queue()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._seen = _modified(settings.path)
        self.engine: Engine | None = None
        self.questions: Questions | None = None
        """what the socket and the page answer from, once running"""
        self.ready = asyncio.Event()
        """set when the link listens, or dials"""
        self.web: Web | None = None
        """the status page, where there is one"""

    def stop(self) -> None:
        """Stop orderly (SIGTERM)."""
        self._wishes.put_nowait("stop")

    def reload(self) -> None:
        """Read the settings again (SIGHUP)."""
        self._wishes.put_nowait("reload")

    async def run(self) -> None:
        """Run until stopped.

        Raises what makes running impossible: StoreProblem (the file is a newer version's), or DoorProblem
        (the port is taken) in an exception group.
        """
        store = await open_store(self._settings.store.path, self._clock)
        try:
            _tell(self._settings.notices)
            self._cache = TokenCache(store, os.environ)
            engine = self.engine = Engine(self._settings, store, self._clock, self._new_link)
            self._certificate = CertificateWatch(lambda: self._link, self._clock)
            engine.alerts.credentials = self._certificate.credentials
            await engine.restore()
            questions = self.questions = Questions(engine, store, self._clock, self.reload)
            self._new_web: Callable[[], Web] = lambda: Web(
                self._settings.web, engine, store, self._clock, questions, notices=self._notice_box()
            )
            manager = ServiceManager(self._clock, engine.pulse)
            async with asyncio.TaskGroup() as group:
                self._open_questions(group, questions)
                await self._start(group, engine, manager)
                with _signals({"SIGTERM": self.stop, "SIGINT": self.stop, "SIGHUP": self.reload}):
                    while await self._wishes.get() == "reload":
                        manager.reloading()
                        await self._reload(group, engine)
                        manager.ready("settings read again")
                manager.stopping()
                await self._finish(engine)
        finally:
            await store.close()

    async def _start(self, group: asyncio.TaskGroup, engine: Engine, manager: ServiceManager) -> None:
        self._open_web(group)
        for name, loop in engine.loops().items():
            self._begin(group, name, loop())
        link = self._link
        self._begin(group, "pbx", link.run())
        await link.listening.wait()
        self._open_calendars(group, engine)
        self._begin(group, "watchdog", manager.watchdog())
        self._begin(group, "file", self._look_at_file())
        self._begin(group, "certificate", self._certificate.run())
        manager.ready("waiting for the PBX")
        self.ready.set()

    async def _finish(self, engine: Engine) -> None:
        """No new work; what is under way ends or times out; then everything closes."""
        for name in ("file", "lookups", "reads", "calendars"):
            await self._end(name)
        try:
            async with self._clock.timeout(STOP_WITHIN * 0.8):
                await engine.finish(limit=STOP_WITHIN * 0.7, unset=self._settings.pbx.unset_on_stop)
        except TimeoutError:
            log.warning("stopped before everything was finished")
        for name in list(self._tasks):
            await self._end(name)

    @property
    def link(self) -> PbxLink:
        """The link to the PBX, once running."""
        return self._link

    @property
    def socket(self) -> Path:
        """Where the commands `explain` and `status` ask."""
        return socket_of(self._settings.store.path, os.environ)

    # --- who asks ---

    def _open_questions(self, group: asyncio.TaskGroup, questions: Questions) -> None:
        """Answer the admin from the start on, whatever becomes of the doors."""
        store, group_too = self._settings.store.path, is_service(os.environ)
        control = Control(self.socket, questions, store=store, group=group_too)
        self._begin(group, "control", control.run())

    # --- doors ---

    def _new_link(self, roster: PbxListener) -> PbxLink:
        self._link = PbxLink(self._settings.pbx, roster, self._clock)
        return self._link

    async def _keep(self, what: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it again and again: what was good enough to load may still be impossible to open."""
        failures = 0
        while True:
            try:
                await run()
            except DoorProblem as problem:
                failures += 1
                pause = _RETRY.pause(failures)
                log.error(
                    "%s can't open because=%s remedy=%s retry_in=%ds",
                    what,
                    problem.reason,
                    problem.remedy,
                    pause.total_seconds(),
                )
                await self._clock.sleep(pause)

    def _open_web(self, group: asyncio.TaskGroup) -> None:
        """The status page; presences go on without it where its port can't be had."""
        if self._settings.web.listen is not None:
            self.web = self._new_web()
            self._begin(group, "web", self._keep("the status page", self.web.run))

    def _notice_box(self) -> NoticeBox | None:
        """Notices come in where the page is, on a path of their own."""
        url = self._settings.exchange.notification_url
        return NoticeBox(url, self._desk) if url else None

    def _open_calendars(self, group: asyncio.TaskGroup, engine: Engine) -> None:
        exchange = self._settings.exchange
        if exchange.sync_type is SyncType.DISABLED:
            engine.roster.clear()
        else:
            factory = calendar_factory(
                exchange,
                self._clock,
                engine.requests.add_carried,
                cache=self._cache,
                desk=self._desk,
                surroundings=self._surroundings,
            )
            self._begin(group, "calendars", engine.keep_calendars(factory))

    def _begin(self, group: asyncio.TaskGroup, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = group.create_task(work, name=name)

    async def _end(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    # --- settings ---

    async def _reload(self, group: asyncio.TaskGroup, engine: Engine) -> None:
        """Take over a changed file; a wrong one leaves the old settings in force."""
        old = self._settings
        try:
            new = load(Path(old.path))
        except ConfigProblems as wrong:
            engine.mistakes = tuple(wrong.problems)
            for problem in wrong.problems:
                log.error("%s", problem)
            log.error("the old settings stay in force because=%s", f"{old.path} has problems")
            return
        engine.mistakes = ()
        changes = compare(old, new)
        self._settings = replace(new, store=replace(new.store, path=old.store.path))
        if changes.log:
            set_up_logging(new.log)
        await engine.apply(self._settings)
        if changes.pbx:
            await self._end("pbx")
            engine.use_pbx(self._new_link(engine.roster))
            self._begin(group, "pbx", self._keep("the PBX link", self._link.run))
        if changes.web:
            await self._end("web")
            self._open_web(group)
        if changes.exchange:
            await self._end("calendars")
            self._open_calendars(group, engine)
        _report(changes)
        _tell(new.notices)

    async def _look_at_file(self) -> None:
        """A changed file is a wish to read it again."""
        while True:
            await self._clock.sleep(_LOOK_AT_FILE)
            modified = _modified(self._settings.path)
            if modified not in {self._seen, 0}:
                self._seen = modified
                self.reload()


def _report(changes: Changes) -> None:
    log.info("settings read again reconnected=%s", ",".join(changes.doors) or "nothing")
    if changes.store:
        log.warning("a new [store] url takes effect at the next start")


def _tell(notices: Sequence[Problem]) -> None:
    """What the admin should know although nothing is wrong (exchange.md section 1)."""
    for notice in notices:
        log.warning("%s", notice)


def _modified(path: str) -> int:
    """When the file was last written, in nanoseconds; 0 where that can't be told."""
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


@contextmanager
def _signals(wishes: Mapping[str, Callable[[], None]]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for name, wish in wishes.items():
        loop.add_signal_handler(getattr(signal, name), wish)
    try:
        yield
    finally:
        for name in wishes:
            loop.remove_signal_handler(getattr(signal, name))
