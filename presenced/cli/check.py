"""`presenced check`: all problems of an ini file at once, what its admin should know; does it connect?"""

from __future__ import annotations

from pathlib import Path

import click

from presenced.cli.configuration import ini_option, load_or_exit, print_json
from presenced.cli.endings import WrongArguments


@click.command()
@ini_option
@click.option(
    "--connect", "connecting", is_flag=True, help="Try the whole chain, from DNS to a change notice."
)
@click.option("--user", default="", metavar="ADDRESS", help="With --connect: whose mailbox is tried.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def check(ini: Path, *, connecting: bool, user: str, as_json: bool) -> None:
    """Tell everything that is wrong with a configuration file, and with what it connects to."""
    if user and not connecting:
        raise WrongArguments("--user is for --connect")
    settings = load_or_exit(ini, as_json=as_json)
    for notice in settings.notices:
        if as_json:
            print_json(notice, "notice")
        else:
            click.echo(f"{notice.file}:{notice.line}: note: {notice.text}")
    if connecting:
        from presenced.cli.connect.report import try_out  # noqa: PLC0415 - the doors load slowly

        try_out(settings, user=user, as_json=as_json)
    elif not as_json:
        click.echo(f"{ini}: ok")
