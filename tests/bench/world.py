"""Daemon, simulators and clients put together in a folder of their own, and what one can do with them."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.bench import staff
from tests.bench.child import Answer, Child, ChildFailed
from tests.bench.floor import BareClient
from tests.bench.simulators import PASSWORD, PBX_NAME, PBX_PASSWORD

EVENING = datetime(2026, 11, 16, 23, 40, tzinfo=UTC)
"""a Monday; what is measured before midnight takes less than a quarter of an hour"""
MIDNIGHT = EVENING.replace(hour=0, minute=0) + timedelta(days=1)
FRESH = 30.0
"""seconds: a younger sign of life is later than the last jump"""
_LOOK = 0.25
"""seconds between two looks at the daemon's state, which cost it a little"""
_GLANCE = 0.02
"""seconds between two looks at what it has left to do"""
LONGEST_JUMP = timedelta(seconds=200)
"""a longer one makes streams look silent"""

INI = """\
[pbx]
listen = 127.0.0.1:0
tls_certificate = {folder}/certificate.pem
tls_key = {folder}/key.pem
app_name = presenced
app_password = file:{folder}/pbx-password
master_pbx_name = {pbx}

[presence]
timezone = {zone}

[exchange]
sync_type = on-premises
authentication = basic
user = {user}
password = file:{folder}/exchange-password
autodiscover_url = {url}
tls_ca = {authority}

[store]
url = sqlite:///{folder}/bench.db

[web]
listen =

[log]
level = warning
"""


@dataclass(slots=True)
class World:
    """Simulators that run, and the daemon once it was started."""

    folder: Path
    mailboxes: int
    simulators: Child
    place: Answer
    daemon: Child | None = None
    port: int = 0

    def client(self) -> BareClient:
        """The floor's client."""
        return BareClient(self.place["user"], PASSWORD, self.place["authority"])

    async def start_daemon(self, *, start: datetime = EVENING, turned: bool = False) -> None:
        """Start it and let it listen; no PBX is there yet. `turned`: its clock stands still until turned."""
        for name, secret in (("pbx", PBX_PASSWORD), ("exchange", PASSWORD)):
            file = self.folder / f"{name}-password"
            file.touch(mode=0o600)
            file.write_text(secret)
        self.write_ini()
        self.daemon = await Child.start("tests.bench.daemon", self.folder)
        opened = await self.daemon.ask(
            "open", ini=str(self.ini), start=start.isoformat(), turned=turned, within=60
        )
        self.port = opened["port"]

    @property
    def ini(self) -> Path:
        return self.folder / "bench.ini"

    def write_ini(self, more: str = "") -> None:
        """The settings, with more sections at the end."""
        values: dict[str, Any] = {**self.place, "folder": self.folder, "pbx": PBX_NAME, "zone": staff.ZONE}
        self.ini.write_text(INI.format(**values) + more)

    async def ask_daemon(self, command: str, **values: Any) -> Answer:
        if self.daemon is None:
            raise ChildFailed("the daemon is not running")
        return await self.daemon.ask(command, **values)

    async def until_idle(self, within: float = 300) -> Answer:
        """The daemon's state once nothing is left to do, and since when."""
        deadline = time.monotonic() + within
        while any((waiting := await self.ask_daemon("waiting")).values()):
            if time.monotonic() > deadline:
                raise ChildFailed(f"the daemon did not come to rest within {within:g} s: {waiting}")
            await asyncio.sleep(_GLANCE)
        at = time.monotonic()
        return {**await self.ask_daemon("state"), "at": at}

    async def until_asked(self, operation: str, count: int, within: float = 600) -> None:
        """Return when the simulator has had so many requests of that kind."""
        deadline = time.monotonic() + within
        while (had := (await self.progress())["requests"].get(operation, 0)) < count:
            if time.monotonic() > deadline:
                raise ChildFailed(f"{had} of {count} {operation} after {within:g} s")
            await asyncio.sleep(0.02)

    async def progress(self) -> Answer:
        return await self.simulators.ask("progress", within=60)

    async def travel(self, target: datetime) -> None:
        """Set both clocks forward to the daemon's `target`, in steps no stream is surprised by."""
        while True:
            now = datetime.fromisoformat((await self.ask_daemon("now"))["now"])
            left = target - now
            if left <= LONGEST_JUMP:
                await self.jump(max(left, timedelta()))
                return
            await self.jump(LONGEST_JUMP)
            await self.until_heard()

    async def until_heard(self, within: float = 60) -> None:
        """Return when every stream has shown a sign of life since the last jump."""
        deadline = time.monotonic() + within
        while (await self.ask_daemon("state"))["silent"] > FRESH:
            if time.monotonic() > deadline:
                raise ChildFailed("the streams show no signs of life")
            await asyncio.sleep(_LOOK)

    async def jump(self, distance: timedelta) -> float:
        """Set both clocks forward, the daemon's first, so that the signs of life the streams give then
        are later than its jump; the instant of that."""
        at: float = (await self.ask_daemon("jump", seconds=distance.total_seconds()))["at"]
        await self.simulators.ask("jump", seconds=distance.total_seconds())
        return at

    async def close(self) -> None:
        """End everything."""
        if self.daemon is not None:
            daemon, self.daemon = self.daemon, None
            await daemon.ask("close", within=60)
            await daemon.stop()
        await self.simulators.stop()


@asynccontextmanager
async def open_world(mailboxes: int) -> AsyncIterator[World]:
    """Simulators with so many mailboxes, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="presenced-bench-") as name:
        folder = Path(name)
        simulators = await Child.start("tests.bench.simulators", folder)
        world: World | None = None
        try:
            place = await simulators.ask(
                "open", mailboxes=mailboxes, folder=name, start=EVENING.isoformat(), within=120
            )
            world = World(folder, mailboxes, simulators, place)
            yield world
            await world.close()
        finally:
            for child in (simulators, None if world is None else world.daemon):
                if child is not None:
                    await child.stop()
