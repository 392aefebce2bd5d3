"""`presenced demo`: the real daemon between a simulated PBX and a simulated Exchange on loopback.

The daemon is composed from an ini file exactly as `run` composes it; what differs is who is at the other
ends of its doors.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import click

from presenced.cli.demo_cast import DOMAIN, ZONE, Cast, cast_owners, cast_people
from presenced.cli.demo_views import JsonView, LinesView, LiveView, View
from presenced.cli.endings import Failed
from presenced.config.loading import load
from presenced.config.settings import Settings
from presenced.core.ports import DoorProblem
from presenced.daemon.clock import SystemClock
from presenced.daemon.logs import set_up_logging
from presenced.daemon.supervisor import Supervisor
from presenced.sim.pbx import SimulatedPbx
from presenced.sim.scenario import OfficeLife
from presenced.sim.stage import HOST, USER, Stage

INI = """\
[pbx]
listen = {host}:0
tls_certificate = {certificate}
tls_key = {key}
app_name = presenced
app_password = file:{pbx_password}
master_pbx_name = pbx-demo

[presence]
timezone = {zone}

[mapping]
busy = busy
tentative = ignore
out_of_office = away
working_elsewhere = available

[exchange]
sync_type = on-premises
user = {user}
password = file:{exchange_password}
autodiscover_url = {autodiscover_url}
tls_ca = {authority}

[store]
url = sqlite:///{store}

[web]
listen = {web}

[log]
level = {level}
"""


@click.command()
@click.option(
    "--users", default=12, show_default=True, type=click.IntRange(1, 50_000), help="How many people."
)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End after so long (Ctrl-C).")
@click.option(
    "--calendars",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of ICS files, one a mailbox, instead of made-up calendars.",
)
@click.option("--json", "as_objects", is_flag=True, help="One JSON object a line.")
@click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Where the status page listens; 0: any free port.",
)
@click.option("--verbose", is_flag=True, help="Show the daemon's log.")
def demo(
    *,
    users: int,
    seconds: float | None,
    calendars: Path | None,
    as_objects: bool,
    port: int,
    verbose: bool,
) -> None:
    """Run the daemon between simulators, and show every presence the PBX receives."""
    cast = cast_owners(calendars) if calendars else cast_people(users)
    view = _view(as_objects=as_objects, verbose=verbose)
    length = timedelta(seconds=seconds) if seconds else None
    with tempfile.TemporaryDirectory(prefix="presenced-demo-") as folder:
        play = Play(cast, view, Path(folder), live=not calendars, port=port, verbose=verbose)
        try:
            asyncio.run(play.run(length))
        except* DoorProblem as failed:
            raise Failed(*(str(problem) for problem in failed.exceptions)) from None


class Play:
    """One performance."""

    def __init__(self, cast: Cast, view: View, folder: Path, *, live: bool, port: int, verbose: bool) -> None:
        self._cast = cast
        self._view = view
        self._folder = folder
        self._port = port
        self._verbose = verbose
        self._clock = SystemClock()
        self._passwords = {name: secrets.token_urlsafe(12) for name in ("pbx", "exchange")}
        self._stage = Stage(cast.organisation, self._clock, folder, password=self._passwords["exchange"])
        cast.make_trouble(self._stage.faults)
        self._pbx = SimulatedPbx(
            cast.users,
            clock=self._clock,
            name="pbx-demo",
            domain=DOMAIN,
            password=self._passwords["pbx"],
            on_presence=view.written,
        )
        self._life = OfficeLife(cast.organisation, self._clock, random.Random(7))  # noqa: S311 - a play
        self._life.watchers.append(
            lambda change: view.changed(change.at, cast.by_address.get(change.address, ""), change.what)
        )
        if live:
            self._life.arrange()

    async def run(self, length: timedelta | None) -> None:
        """Play for so long, or until the daemon is told to stop."""
        await self._stage.open()
        settings = self._settings()
        set_up_logging(settings.log)
        supervisor = Supervisor(settings, self._clock)
        try:
            async with asyncio.TaskGroup() as tasks:
                daemon = tasks.create_task(supervisor.run())
                await supervisor.ready.wait()
                self._tell_how_to_ask(supervisor.socket)
                url = f"wss://{HOST}:{supervisor.link.port}/{DOMAIN}/presenced"
                tls = self._stage.certificates.for_client()
                company = [
                    tasks.create_task(self._pbx.run_dialing(url, tls=tls)),
                    tasks.create_task(self._life.run()),
                    tasks.create_task(self._view.run()),
                    tasks.create_task(self._announce(supervisor, settings.path)),
                ]
                if length is not None:
                    company.append(tasks.create_task(self._end(supervisor, length)))
                await daemon
                for task in company:
                    task.cancel()
        finally:
            await self._stage.close()
            self._view.end()

    async def _announce(self, supervisor: Supervisor, ini: str) -> None:
        """Tell where the status page is, as soon as it is there."""
        if supervisor.web is not None:
            await supervisor.web.listening.wait()
            self._view.open(f"http://{HOST}:{supervisor.web.port}/", ini)

    def _tell_how_to_ask(self, socket: Path) -> None:
        """On standard error: standard output is for presences."""
        name = self._cast.users[0].h323
        click.echo(f"Ask it: presenced explain {name} --socket {socket}", err=True)
        click.echo(f"        presenced status --socket {socket}", err=True)

    async def _end(self, supervisor: Supervisor, length: timedelta) -> None:
        await self._clock.sleep(length)
        supervisor.stop()

    def _settings(self) -> Settings:
        """The daemon's settings, by way of an ini file."""
        files = self._stage.certificates
        for name, password in self._passwords.items():
            secret = self._folder / f"{name}-password"
            secret.touch(mode=0o600)
            secret.write_text(password)
        ini = self._folder / "demo.ini"
        ini.write_text(
            INI.format(
                host=HOST,
                certificate=files.certificate,
                key=files.key,
                authority=files.authority,
                pbx_password=self._folder / "pbx-password",
                exchange_password=self._folder / "exchange-password",
                zone=ZONE,
                user=USER,
                autodiscover_url=self._stage.exchange.base_url,
                store=self._folder / "demo.db",
                web=f"{HOST}:{self._port}",
                level="info" if self._verbose else "error",
            )
            + self._cast.wishes
        )
        return load(ini)


def _view(*, as_objects: bool, verbose: bool) -> View:
    if as_objects:
        return JsonView()
    return LiveView() if sys.stdout.isatty() and not verbose else LinesView()
