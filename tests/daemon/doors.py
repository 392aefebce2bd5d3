"""Scripted doors: a PBX that remembers and calendars that can be told to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from presenced.config.settings import (
    ExchangeSettings,
    PbxSettings,
    PresenceSettings,
    Settings,
    SyncType,
)
from presenced.core.appointment import Appointment
from presenced.core.ports import (
    Answer,
    CalendarDoor,
    CalendarDoorStatus,
    LinkDown,
    Mailbox,
    PbxIdentity,
    PbxLinkStatus,
    PresenceRefused,
    Resolution,
    Store,
)
from presenced.core.presence import Presence
from presenced.core.replica import PbxUser
from presenced.core.window import Window
from presenced.daemon.engine import Engine
from presenced.daemon.roster import Roster
from presenced.daemon.watch import Watch
from tests.clock import FakeClock


def user(name: str, *, guid: str = "", addresses: tuple[str, ...] | None = None) -> PbxUser:
    return PbxUser(
        guid or f"guid-{name}", name, name.title(), addresses=addresses or (f"{name}@example.com",)
    )


class ScriptedPbx:
    """Keeps what is written; refuses or hangs where told to."""

    def __init__(self, roster: Roster) -> None:
        self.roster = roster
        self.presences: dict[str, Presence] = {}
        self.writes: list[tuple[str, Presence]] = []
        self.refusals: dict[str, str] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0
        self.most_under_way = 0

    async def run(self) -> None:
        await asyncio.Event().wait()

    def link(self, *users: PbxUser) -> None:
        self.roster.linked(PbxIdentity("master", "example.com"))
        for one in users:
            self.roster.changed(one)
        self.roster.replicated(frozenset(one.guid for one in users))

    async def send_presence(self, guid: str, presence: Presence) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.gate.wait()
            if self.roster.pbx is None:
                raise LinkDown("no PBX")
            if guid in self.refusals:
                raise PresenceRefused(self.refusals[guid])
            self.writes.append((guid, presence))
            self.presences[guid] = presence
        finally:
            self.under_way -= 1

    def status(self) -> Sequence[PbxLinkStatus]:
        return ()

    def counters(self) -> Mapping[str, int]:
        return {}

    def note(self, name: str) -> str:
        return self.presences[f"guid-{name}"].note


class ScriptedCalendars:
    """Mailboxes with appointments; failures by address."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.calendars: dict[str, list[Appointment]] = {}
        self.problems: dict[str, Exception] = {}
        self.resolving_problem: Exception | None = None
        self.lost: set[str] = set()
        """addresses whose server does not answer while others do"""
        self.reads: list[tuple[str, Window]] = []
        self.asked: list[tuple[str, ...]] = []
        self.following: set[str] = set()
        self.watch: Watch | None = None
        self.follows_at_once = True
        self.silent = False

    async def run(self) -> None:
        while True:
            await self._clock.sleep(timedelta(minutes=2))
            if self.watch is not None and not self.silent:
                self.watch.alive(sorted(self.following))

    async def fetch_mailboxes(self, users: Sequence[Sequence[str]]) -> Sequence[Resolution]:
        if self.resolving_problem is not None:
            raise self.resolving_problem
        self.asked.extend(tuple(addresses) for addresses in users)
        return [self._resolve(addresses) for addresses in users]

    def _resolve(self, addresses: Sequence[str]) -> Resolution:
        for address in addresses:
            if address.casefold() in self.lost:
                return Resolution(None, (Answer(address, "its server does not answer", definite=False),))
            if address.casefold() in self.calendars:
                return Resolution(Mailbox(address.casefold(), "https://ews"), (Answer(address, "found"),))
        return Resolution(None, tuple(Answer(address, "no such mailbox") for address in addresses))

    async def fetch_appointments(
        self, mailbox: Mailbox, window: Window, zone: str, *, organizers: bool
    ) -> tuple[Appointment, ...]:
        self.reads.append((mailbox.address, window))
        await asyncio.sleep(0)
        if mailbox.address in self.problems:
            raise self.problems[mailbox.address]
        found = self.calendars[mailbox.address]
        return tuple(found if organizers else [one._replace(organizer="") for one in found])

    def follow(self, mailboxes: Sequence[Mailbox]) -> None:
        addresses = [mailbox.address for mailbox in mailboxes]
        self.following.update(addresses)
        if self.follows_at_once and self.watch is not None:
            self.watch.followed(addresses, polled=False)

    def unfollow(self, addresses: Sequence[str]) -> None:
        self.following.difference_update(addresses)

    def status(self) -> CalendarDoorStatus:
        return CalendarDoorStatus("scripted", healthy=True, reason="")

    def counters(self) -> Mapping[str, int]:
        return {}


def settings_for(**changes: object) -> Settings:
    base = Settings(
        pbx=PbxSettings(master_pbx_name="master", app_name="presenced"),
        presence=PresenceSettings(timezone="UTC"),
        exchange=ExchangeSettings(sync_type=SyncType.ON_PREMISES, requests_in_flight=4),
    )
    return Settings(
        **{name: getattr(base, name) for name in ("pbx", "presence", "mapping", "exchange")} | changes
    )


class Running:
    """An engine between scripted doors, its loops running."""

    def __init__(self, settings: Settings, store: Store, clock: FakeClock) -> None:
        self.clock = clock
        self.calendars = ScriptedCalendars(clock)
        self.engine = Engine(settings, store, clock, self._new_pbx)
        self._tasks: list[asyncio.Task[None]] = []

    def _new_pbx(self, roster: Roster) -> ScriptedPbx:
        self.pbx = ScriptedPbx(roster)
        return self.pbx

    @asynccontextmanager
    async def _calendars(self, watch: Watch) -> AsyncIterator[CalendarDoor]:
        self.calendars.watch = watch
        yield self.calendars

    async def __aenter__(self) -> Running:
        await self.engine.restore()
        loops = self.engine.loops()
        self._tasks = [asyncio.create_task(loop()) for name, loop in loops.items() if name != "lag"]
        self._tasks.append(asyncio.create_task(self.engine.keep_calendars(self._calendars)))
        await self.settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settle(self, seconds: float = 0) -> None:
        await self.clock.settle(60)
        await self.clock.advance(timedelta(seconds=seconds), turns=10)
        await self.clock.settle(60)
