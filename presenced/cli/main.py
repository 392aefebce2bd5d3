"""The console script: one command a file, gathered here."""

from __future__ import annotations

import click

from presenced import __version__
from presenced.cli.endings import OneLineErrors
from presenced.cli.parse import parse


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="presenced")
def main() -> None:
    """Writes what Exchange calendars say as calendar presence into a PBX."""


main.add_command(parse)
