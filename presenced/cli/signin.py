"""`presenced signin`: an account signs in once, for access in its name.

What it gives is encrypted in the store; a daemon that runs takes it from there by itself.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click

from presenced.calendars.signin.clouds import is_delegated
from presenced.calendars.signin.device import sign_in
from presenced.calendars.signin.entra import DeviceCode
from presenced.calendars.signin.issuers import is_other_account
from presenced.calendars.signin.problems import SignInProblem
from presenced.calendars.signin.token_cache import TokenCache
from presenced.cli.configuration import ini_option, load_or_exit
from presenced.cli.endings import Failed
from presenced.config.problems import Unfit
from presenced.config.secrets import obtain_key
from presenced.config.settings import ExchangeSettings, Settings, SyncType
from presenced.core.ports import Clock, StoreProblem
from presenced.daemon.clock import SystemClock
from presenced.daemon.surroundings import REAL_WORLD, Surroundings
from presenced.store.sqlite import open_store

_NOT_NEEDED = {
    SyncType.DISABLED: "nothing signs in",
    SyncType.ON_PREMISES: "user and password of the ini file sign in",
    SyncType.CLOUD_APP_ONLY: "the app signs in with its own credential",
    SyncType.GRAPH: "the app signs in with its own credential (graph_access = application)",
}


@dataclass(frozen=True, slots=True)
class Instead:
    """What a test puts in place of the world and its time, as click's `obj`."""

    surroundings: Surroundings = REAL_WORLD
    clock: Clock | None = None


@click.command()
@ini_option
@click.pass_obj
def signin(instead: Instead | None, ini: Path) -> None:
    """Sign in an account with a browser, for sync_type = cloud or graph_access = delegated."""
    settings = load_or_exit(ini)
    exchange = settings.exchange
    if not is_delegated(exchange):
        raise Failed(
            f"sync_type = {exchange.sync_type} needs no presenced signin: {_NOT_NEEDED[exchange.sync_type]}"
        )
    _see_to_key()
    try:
        account = asyncio.run(_sign_in(settings, instead or Instead()))
    except (SignInProblem, StoreProblem) as problem:
        raise Failed(f"{problem.reason}; {problem.remedy}") from None
    click.echo(
        f"signed in as {account or 'an account without a name'}; a running daemon takes it within a minute"
    )
    if is_other_account(exchange, account):
        click.echo(
            f"warning: user in [exchange] is {exchange.user}, but {account} has signed in; correct user, or "
            "run presenced signin again",
            err=True,
        )


async def _sign_in(settings: Settings, instead: Instead) -> str:
    clock = instead.clock or SystemClock()
    store = await open_store(settings.store.path, clock)
    try:
        return await sign_in(
            settings.exchange,
            clock,
            TokenCache(store, os.environ),
            lambda invitation: _show(invitation, settings.exchange),
            authority_host=instead.surroundings.authority_host,
        )
    finally:
        await store.close()


def _show(invitation: DeviceCode, exchange: ExchangeSettings) -> None:
    minutes = max(invitation.lifetime // timedelta(minutes=1), 1)
    click.echo(f"In a browser, on any machine, open  {invitation.url}")
    click.echo(f"and within {minutes} minutes enter the code  {invitation.code}")
    if exchange.user:
        click.echo(f"Sign in as {exchange.user}.")
    click.echo("Waiting ...")


def _see_to_key() -> None:
    """Before anybody signs in: what comes of it is kept under the key of the installation."""
    try:
        _, made = obtain_key(os.environ)
    except Unfit as unfit:
        raise Failed(str(unfit)) from None
    except OSError as error:
        raise Failed(f"the key file can't be written: {error}; name another in PRESENCED_KEY_FILE") from None
    if made:
        click.echo(f"made the key file {made}; the service alone should read it", err=True)
