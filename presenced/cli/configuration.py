"""The configuration file as the commands take it: read whole, or its problems told and the end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from presenced.config.loading import load
from presenced.config.problems import ConfigProblems, Problem
from presenced.config.settings import Settings

EX_CONFIG = 78
"""sysexits.h: something was found in an unconfigured or misconfigured state"""


ini_option = click.option(
    "-c",
    "--config",
    "ini",
    metavar="INI",
    required=True,
    type=click.Path(path_type=Path),
    help="The configuration file.",
)
"""`-c INI`, for commands that can't do without"""


def load_or_exit(path: Path, *, secrets_looked_up: bool = True, as_json: bool = False) -> Settings:
    """The settings of an ini file; prints its problems and ends the program with 78 where there are any.

    Problems go to standard error, one line each, as JSON objects to standard output.
    """
    try:
        return load(path, secrets_looked_up=secrets_looked_up)
    except ConfigProblems as found:
        for problem in found.problems:
            if as_json:
                print_json(problem, "problem")
            else:
                click.echo(str(problem), err=True)
    sys.exit(EX_CONFIG)


def print_json(told: Problem, kind: str) -> None:
    """One problem or notice as a JSON object."""
    click.echo(json.dumps({"file": told.file, "line": told.line, kind: told.text}, ensure_ascii=False))
