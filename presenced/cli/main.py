"""The console script: one command a file, gathered here."""

from __future__ import annotations

import click

from presenced import __version__
from presenced.cli.endings import OneLineErrors
from presenced.cli.parse import parse
from presenced.cli.preview import preview


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="presenced")
def main() -> None:
    """Writes what Exchange calendars say as calendar presence into a PBX."""


for command in (parse, preview):
    main.add_command(command)
