"""`presenced run`: the daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from presenced.cli.configuration import ini_option, load_or_exit
from presenced.cli.endings import Failed
from presenced.core.ports import DoorProblem, StoreProblem
from presenced.daemon.clock import SystemClock
from presenced.daemon.logs import set_up_logging
from presenced.daemon.supervisor import Supervisor


@click.command()
@ini_option
def run(ini: Path) -> None:
    """Wait for the PBX and keep every user's calendar presence right."""
    settings = load_or_exit(ini)
    set_up_logging(settings.log)
    supervise(Supervisor(settings, SystemClock()))


def supervise(supervisor: Supervisor) -> None:
    """Run until told to stop; what makes running impossible ends the program with 1 and a sentence."""
    try:
        asyncio.run(supervisor.run())
    except* (DoorProblem, StoreProblem) as failed:
        lines = [f"{problem}; {getattr(problem, 'remedy', '')}".rstrip("; ") for problem in failed.exceptions]
        raise Failed(*lines) from None
