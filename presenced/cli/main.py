"""The console script: one command a file, each imported when it is called.

A command like `parse` must not wait for what only the daemon needs.
"""

from __future__ import annotations

from importlib import import_module

import click

from presenced import __version__
from presenced.cli.endings import OneLineErrors

COMMANDS = ("run", "check", "preview", "parse", "explain", "status", "demo", "secret", "signin")


class Commands(OneLineErrors):
    """Finds the command NAME as `presenced.cli.NAME:NAME`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"presenced.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="presenced")
def main() -> None:
    """Writes what Exchange calendars say as calendar presence into a PBX."""
