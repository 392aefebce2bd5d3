"""What `check --connect` prints: a line a step as it ends, the remedy beneath, and the exit status."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import timedelta

import click

from presenced.cli.connect.chain import connect
from presenced.cli.connect.course import Step, Verdict
from presenced.cli.terminal import visible
from presenced.config.settings import Settings
from presenced.daemon.clock import SystemClock

_COLOURS = {Verdict.OK: "green", Verdict.FAIL: "red", Verdict.NOTE: "yellow", Verdict.SKIP: "bright_black"}
_INDENT = " " * 6
_AFRESH = "\r\x1b[K"
"""back to the beginning of the line, and nothing on it"""


def try_out(settings: Settings, *, user: str, as_json: bool) -> None:
    """Take all steps and print them; ends the command with 1 where one failed."""

    watched = sys.stdout.isatty() and not as_json

    def begin(name: str) -> None:
        if watched:  # a status event may take most of a minute
            click.echo(f"...   {name}", nl=False)
            sys.stdout.flush()

    def tell(step: Step) -> None:
        if watched:
            click.echo(_AFRESH, nl=False)
        for line in [as_object(step)] if as_json else as_text(step):
            click.echo(line)
        sys.stdout.flush()

    failures = asyncio.run(connect(settings, SystemClock(), tell, user=user, begin=begin))
    if not as_json:
        failed = f"{failures} step{'s' * (failures > 1)} failed"
        click.echo(f"{settings.path}: {failed if failures else 'ok'}")
    if failures:
        sys.exit(1)


def as_object(step: Step) -> str:
    """One JSON object: step, verdict (`ok`, `fail`, `note`, `skip`), seconds (null where not tried), ..."""
    seconds = None if step.took is None else round(step.took.total_seconds(), 3)
    told = {
        "step": step.name,
        "verdict": step.verdict.lower(),
        "seconds": seconds,
        "what": step.what,
        "remedy": step.remedy,
    }
    return json.dumps(told, ensure_ascii=False)


def as_text(step: Step) -> Iterator[str]:
    """The line of a step, and one for its remedy."""
    verdict = click.style(f"{step.verdict:<4}", fg=_COLOURS[step.verdict])
    took = "" if step.took is None else f"({_length(step.took)})"
    yield f"{verdict}  {step.name:<22}  {took:<9}  {visible(step.what)}"
    if step.remedy:
        yield f"{_INDENT}{visible(step.remedy)}"


def _length(took: timedelta) -> str:
    seconds = took.total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
