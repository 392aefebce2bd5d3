"""`make bench`: the figures of this program beside a bare client and exchangelib, in one run.

Prints one JSON document. It fails where a measurement is broken (something missing, wrong or never
coming), not where the machine is slow: a figure that is missed is told as missed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import click

from tests.bench.child import ChildFailed
from tests.bench.figures import NAMES, Plan, run
from tests.bench.report import document, table


@click.command()
@click.option("--mailboxes", default=10_000, show_default=True, type=click.IntRange(20, 100_000))
@click.option("--only", default="", help=f"Some of: {','.join(NAMES)}.")
@click.option("--sizes", default="", help="Sizes for growth, such as 1000,10000,50000.")
@click.option("--hours", default=24.0, show_default=True, help="Simulated hours of the figure `day`.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the document there, too.")
@click.option("--pictures", type=click.Path(path_type=Path, file_okay=False), help="Draw the curves there.")
def bench(
    *, mailboxes: int, only: str, sizes: str, hours: float, file: Path | None, pictures: Path | None
) -> None:
    """Measure the figures of the daemon."""
    wanted = frozenset(only.split(",")) if only else frozenset(NAMES)
    if unknown := wanted.difference(NAMES):
        raise click.BadParameter(f"no figure is called {', '.join(sorted(unknown))}", param_hint="--only")
    grown = tuple(int(size) for size in sizes.split(",")) if sizes else _sizes(mailboxes)
    plan = Plan(mailboxes, wanted, grown, hours, pictures)
    try:
        figures = asyncio.run(run(plan, lambda line: click.echo(line, err=True)))
    except (ChildFailed, ExceptionGroup, RuntimeError) as problem:
        click.echo(f"the measurement is broken: {problem}", err=True)
        sys.exit(1)
    text = json.dumps(document(figures), indent=1)
    click.echo(table(figures), err=True)
    click.echo(text)
    if file is not None:
        file.write_text(text + "\n")


def _sizes(mailboxes: int) -> tuple[int, ...]:
    return max(mailboxes // 10, 10), mailboxes, mailboxes * 5


if __name__ == "__main__":
    bench()
