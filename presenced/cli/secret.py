"""`presenced secret seal` and `hash`: from a secret to the value that stands for it in the ini file.

The secret comes from the terminal without echo or from standard input, never from the command line,
where every user of the machine could read it.
"""

from __future__ import annotations

import os
import sys

import click

from presenced.config.problems import Unfit
from presenced.config.secrets import obtain_key, seal
from presenced.daemon.web.signing import PasswordHash


@click.group()
def secret() -> None:
    """Secrets for the configuration file."""


@secret.command("seal")
def seal_command() -> None:
    """Read a secret and print the sealed: value that stands for it in the ini file."""
    plain = _need_secret()
    try:
        key, made = obtain_key(os.environ)
    except Unfit as unfit:
        raise click.ClickException(str(unfit)) from None
    except OSError as error:
        raise click.ClickException(
            f"the key file can't be written: {error}; name another in PRESENCED_KEY_FILE"
        ) from None
    if made:
        click.echo(f"made the key file {made}; the service alone should read it", err=True)
    click.echo(seal(plain, key))


@secret.command("hash")
def hash_command() -> None:
    """Read the status page's password and print the scrypt: value that stands for it in [web] password."""
    click.echo(str(PasswordHash.of(_need_secret())))


def _need_secret() -> str:
    try:
        plain = _read_secret()
    except UnicodeDecodeError:
        raise click.ClickException("the secret is not UTF-8 text") from None
    if not plain:
        raise click.ClickException("there is no secret on standard input")
    return plain


def _read_secret() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Secret", hide_input=True, err=True))
    return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
