"""`presenced run`: the daemon."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from presenced.cli.check import load_or_exit
from presenced.config.settings import Settings
from presenced.core.ports import DoorProblem, StoreProblem
from presenced.daemon.clock import SystemClock
from presenced.daemon.logs import set_up_logging
from presenced.daemon.supervisor import Supervisor


@click.command()
@click.option(
    "-c",
    "--config",
    "ini",
    metavar="INI",
    required=True,
    type=click.Path(path_type=Path),
    help="The configuration file.",
)
def run(ini: Path) -> None:
    """Wait for the PBX and keep every user's calendar presence right."""
    settings = load_or_exit(ini)
    set_up_logging(settings.log)
    sys.exit(serve(settings))


def serve(settings: Settings) -> int:
    """Run one daemon until it is told to stop; the exit status."""
    status = 0
    try:
        asyncio.run(Supervisor(settings, SystemClock()).run())
    except* (DoorProblem, StoreProblem) as failed:
        for problem in failed.exceptions:
            click.echo(f"presenced: {problem}; {getattr(problem, 'remedy', '')}", err=True)
        status = 1
    return status
