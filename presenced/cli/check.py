"""`presenced check`: all problems of an ini file at once, and what its admin should know."""

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


@click.command()
@click.option(
    "-c",
    "--config",
    "path",
    metavar="INI",
    required=True,
    type=click.Path(path_type=Path),
    help="The configuration file.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def check(path: Path, *, as_json: bool) -> None:
    """Tell everything that is wrong with a configuration file."""
    settings = load_or_exit(path, as_json=as_json)
    for notice in settings.notices:
        if as_json:
            _print_json(notice, "notice")
        else:
            click.echo(f"{notice.file}:{notice.line}: note: {notice.text}")
    if not as_json:
        click.echo(f"{path}: ok")


def load_or_exit(path: Path, *, secrets_looked_up: bool = True, as_json: bool = False) -> Settings:
    """The settings of an ini file; prints its problems and ends the program with 78 where there are any.

    Problems go to standard error, one line each, as JSON objects to standard output.
    """
    try:
        return load(path, secrets_looked_up=secrets_looked_up)
    except ConfigProblems as found:
        for problem in found.problems:
            if as_json:
                _print_json(problem, "problem")
            else:
                click.echo(str(problem), err=True)
    sys.exit(EX_CONFIG)


def _print_json(told: Problem, kind: str) -> None:
    click.echo(json.dumps({"file": told.file, "line": told.line, kind: told.text}, ensure_ascii=False))
