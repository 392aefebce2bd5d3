"""The console script: one command a file, gathered here."""

from __future__ import annotations

import click

from presenced import __version__
from presenced.cli.check import check
from presenced.cli.endings import OneLineErrors
from presenced.cli.parse import parse
from presenced.cli.preview import preview
from presenced.cli.secret import secret
from presenced.cli.signin import signin


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="presenced")
def main() -> None:
    """Writes what Exchange calendars say as calendar presence into a PBX."""


main.add_command(check)
main.add_command(parse)
main.add_command(preview)
main.add_command(secret)
main.add_command(signin)
