"""The whole daemon between the simulators, over real sockets, TLS and NTLM; time is a fake clock's.

Whoever goes away and comes back (PBX, Exchange, the daemon), the right presences stand in the PBX in the
end, without a restart of the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from presenced.cli.demo import INI
from presenced.config.loading import load
from presenced.core.ports import MailboxState
from presenced.daemon.supervisor import Supervisor
from presenced.sim.exchange.organisation import Item, Organisation, SimulatedMailbox
from presenced.sim.pbx import SimulatedPbx, SimulatedUser
from presenced.sim.stage import HOST, USER, Stage
from tests.clock import FakeClock
from tests.e2e.configuration import keep

START = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
NAMES = ("ann", "bob", "eve")


def item(name: str, start: int, end: int, **fields: str) -> Item:
    """Minutes after START."""
    return Item(
        id=name,
        change_key="1",
        subject=name.title(),
        start=START + timedelta(minutes=start),
        end=START + timedelta(minutes=end),
        **fields,  # type: ignore[arg-type]
    )


class World:
    """PBX, Exchange and daemon; each can be taken away and brought back."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(START)
        self.folder = folder
        self.organisation = Organisation()
        for name in NAMES:
            self.organisation.add(SimulatedMailbox(f"{name}@example.com", zone="Europe/Berlin"))
        self.stage = Stage(self.organisation, self.clock, folder, password="exchange-secret")
        users = [SimulatedUser(f"guid-{name}", name, emails=(f"{name}@example.com",)) for name in NAMES]
        self.pbx = SimulatedPbx(users, clock=self.clock, password="pbx-secret")
        self._running: dict[str, asyncio.Task[None]] = {}
        self.port = 0

    async def open_exchange(self) -> None:
        await self.stage.open(self.stage.exchange.port)

    async def open_daemon(self) -> None:
        await self.start(Supervisor(load(self.write_ini()), self.clock))

    def write_ini(self) -> Path:
        """The daemon's file, and the secrets it names."""
        for name in ("pbx", "exchange"):
            keep(self.folder, f"{name}-password", f"{name}-secret")
        files = self.stage.certificates
        ini = self.folder / "presenced.ini"
        ini.write_text(
            self.rewrite(
                INI.format(
                    host=HOST,
                    certificate=files.certificate,
                    key=files.key,
                    authority=files.authority,
                    pbx_password=self.folder / "pbx-password",
                    exchange_password=self.folder / "exchange-password",
                    zone="UTC",
                    user=USER,
                    autodiscover_url=self.stage.exchange.base_url,
                    store=self.folder / "store.db",
                    web="",
                    level="error",
                )
                .replace("pbx-demo", "master")
                .replace(f"{HOST}:0", f"{HOST}:{self.port}")
            )
        )
        return ini

    async def start(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self._running["daemon"] = asyncio.create_task(self.supervisor.run())
        await self.until(self.supervisor.ready.is_set)
        self.port = self.supervisor.link.port

    def rewrite(self, ini: str) -> str:
        """The text of the ini file, for a world that wants it otherwise."""
        return ini

    def open_pbx(self) -> None:
        url = f"wss://{HOST}:{self.port}/example.com/presenced"
        dialing = self.pbx.run_dialing(url, tls=self.stage.certificates.for_client())
        self._running["pbx"] = asyncio.create_task(dialing)

    async def open_all(self) -> None:
        """Daemon and PBX, until everybody's presence stands; nobody has an appointment."""
        await self.open_daemon()
        self.open_pbx()
        await self.shows(ann="Free", bob="Free", eve="Free")

    async def kill(self, name: str) -> None:
        """Take it away without a goodbye."""
        task = self._running.pop(name)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def stop(self) -> None:
        self.supervisor.stop()
        daemon = self._running.pop("daemon")
        await self.until(daemon.done)
        await daemon

    def note(self, name: str) -> str:
        return self.pbx.presences.get(f"guid-{name}", {}).get("calendar:", ("", ""))[1]

    def exchange_status(self) -> dict[str, object]:
        assert self.supervisor.engine is not None
        status = self.supervisor.engine.status()["exchange"]
        assert isinstance(status, dict)
        return status

    def standing(self, name: str) -> tuple[MailboxState, str, str]:
        assert self.supervisor.engine is not None
        keeper = self.supervisor.engine.roster.keepers.get(f"guid-{name}")
        return (keeper.state, keeper.reason, keeper.remedy) if keeper else (MailboxState.UNRESOLVED, "", "")

    async def until(self, condition: Callable[[], bool], what: str = "") -> None:
        """Let time pass in small steps, and the sockets work, until it is so."""
        for _ in range(1500):
            if condition():
                return
            await self.clock.advance(timedelta(seconds=0.25), turns=3)
            await self.clock.rest()
        pytest.fail(f"it never came to this: {what or condition}")

    async def shows(self, **notes: str) -> None:
        def all_right() -> bool:
            return all(self.note(name).startswith(note) for name, note in notes.items())

        await self.until(all_right, f"{notes}, the PBX has {self.pbx.presences}")

    async def close(self) -> None:
        for name in list(self._running):
            await self.kill(name)
        await self.stage.close()


@contextlib.asynccontextmanager
async def opened(world: World) -> AsyncIterator[World]:
    """Everything is open; in the end neither simulator has seen a mistake of ours."""
    await world.open_exchange()
    await world.open_daemon()
    world.open_pbx()
    yield world
    await world.close()
    assert list(world.pbx.client_bugs) == []
    assert list(world.stage.exchange.client_bugs) == []


async def test_from_login_to_presence_and_a_change(world: World) -> None:
    world.organisation.put("ann@example.com", item("meeting", -30, 300))
    await world.shows(ann="Meeting until 13:00 #busy", bob="Free", eve="Free")
    world.organisation.put("bob@example.com", item("trip", -30, 300, show_as="OOF"))
    await world.shows(bob="Trip until 13:00 #away")
    world.organisation.remove("ann@example.com", "meeting")
    await world.shows(ann="Free")


async def test_exchange_goes_away_and_comes_back(world: World) -> None:
    await world.shows(ann="Free", bob="Free", eve="Free")
    await world.stage.close()
    world.organisation.put("ann@example.com", item("meeting", -30, 300))
    await world.clock.advance(timedelta(seconds=20), turns=3)
    await world.open_exchange()
    await world.shows(ann="Meeting until 13:00 #busy")
    world.organisation.put("bob@example.com", item("trip", -30, 300, show_as="OOF"))
    await world.shows(bob="Trip until 13:00 #away")


async def test_the_pbx_goes_away_and_comes_back(world: World) -> None:
    await world.shows(ann="Free", bob="Free", eve="Free")
    await world.kill("pbx")
    world.organisation.put("ann@example.com", item("meeting", -30, 300))
    await world.clock.advance(timedelta(seconds=20), turns=3)
    writes = len(world.pbx.writes)
    world.open_pbx()
    await world.shows(ann="Meeting until 13:00 #busy")
    assert [write.sip for write in list(world.pbx.writes)[writes:]] == ["ann"]


async def test_the_daemon_is_killed_and_started_again(world: World) -> None:
    world.organisation.put("eve@example.com", item("visit", -30, 300, show_as="OOF"))
    await world.shows(ann="Free", bob="Free", eve="Visit until 13:00 #away")
    engine = world.supervisor.engine
    assert engine is not None
    keepers = engine.roster.keepers
    await world.until(lambda: all(keeper.written == keeper.wanted for keeper in keepers.values()))
    await world.kill("daemon")
    world.organisation.put("ann@example.com", item("meeting", -30, 300))
    writes = len(world.pbx.writes)
    await world.open_daemon()
    await world.shows(ann="Meeting until 13:00 #busy", eve="Visit until 13:00 #away")
    assert {write.sip for write in list(world.pbx.writes)[writes:]} == {"ann"}


async def test_an_orderly_stop(world: World) -> None:
    await world.shows(ann="Free", bob="Free", eve="Free")
    await world.stop()
    assert world.note("ann") == "Free"
