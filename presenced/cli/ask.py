"""Asks a running daemon over its control socket, for the commands that show what it knows."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import click

from presenced.cli.configuration import load_or_exit
from presenced.cli.endings import Failed
from presenced.config.loading import load
from presenced.config.problems import ConfigProblems
from presenced.daemon.answers.meeting_place import SERVICE_SOCKET, socket_of

DEFAULT_INI = Path("/etc/presenced/presenced.ini")
STORE_HEADER = "Presenced-Store"
_WITHIN = aiohttp.ClientTimeout(total=60, sock_connect=5)
_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a daemon may answer."""

    socket: Path
    store: str = ""
    """its store, where that has to be made sure of"""


class _NoAnswer(Exception):
    """Nobody answers there; says why."""


def daemon_options(command: _Command) -> _Command:
    """The options that say which daemon is meant."""
    ini = click.option(
        "-c",
        "--config",
        "ini",
        metavar="INI",
        type=click.Path(path_type=Path),
        help=f"The daemon's configuration file ({DEFAULT_INI}).",
    )
    socket = click.option(
        "--socket", metavar="PATH", type=click.Path(path_type=Path), help="The daemon's socket, instead."
    )
    return ini(socket(command))


def ask(question: str, query: Mapping[str, str], *, ini: Path | None, socket: Path | None) -> Any:
    """The daemon's answer; ends the command where there is none."""
    places = [Place(socket)] if socket is not None else _places(ini)
    silent = []
    for place in places:
        try:
            return asyncio.run(_fetch(place, question, query))
        except _NoAnswer as none:
            silent.append(str(none))
    remedy = (
        "Its log names its socket (answering questions socket=...)."
        if socket is not None
        else "Start it (systemctl start presenced), or name its socket with --socket."
    )
    raise Failed(f"no daemon answers: {'; '.join(silent)}. {remedy}")


def _places(ini: Path | None) -> list[Place]:
    """The sockets of the daemon that runs with this file, the likeliest first."""
    path = DEFAULT_INI if ini is None else ini
    try:
        store = load(path, secrets_looked_up=False).store.path
    except ConfigProblems:
        if ini is None and _may_be_there(SERVICE_SOCKET):
            return [Place(SERVICE_SOCKET)]  # a running daemon can be asked what it says to a wrong file
        if ini is None and not _may_be_there(path):
            raise Failed(
                f"no daemon is found: there is neither {path} nor {SERVICE_SOCKET}; "
                "name its file with -c or its socket with --socket."
            ) from None
        load_or_exit(path, secrets_looked_up=False)
        raise
    own = [Place(socket_of(store, os.environ)), Place(socket_of(store, {}))]
    return list(dict.fromkeys((*own, Place(SERVICE_SOCKET, str(store)))))


def _may_be_there(path: Path) -> bool:
    """Whether it is there, or in a folder that this user may not look into."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


async def _fetch(place: Place, question: str, query: Mapping[str, str]) -> Any:
    connector = aiohttp.UnixConnector(path=str(place.socket))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=_WITHIN) as session,
            session.get(f"http://presenced{question}", params=query) as response,
        ):
            store = response.headers.get(STORE_HEADER, "")
            if place.store and store != place.store:
                raise _NoAnswer(f"the daemon at {place.socket} is another one (its store is {store})")
            answer = json.loads(await response.read())
    except aiohttp.ClientConnectorError as problem:
        raise _NoAnswer(_why(place.socket, problem.os_error)) from None
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as problem:
        reason = str(problem) or type(problem).__name__
        raise _NoAnswer(f"what listens at {place.socket} gives no answer ({reason})") from None
    if not isinstance(answer, dict):
        raise _NoAnswer(f"what listens at {place.socket} is no presenced")
    if response.status >= 400 and "problem" in answer:
        raise Failed(str(answer["problem"]))
    return answer


def _why(socket: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no socket {socket}"
    if isinstance(error, PermissionError):
        return f"you may not open {socket}: ask as root (sudo) or as the user the daemon runs as"
    if isinstance(error, ConnectionRefusedError):
        return f"nobody listens at {socket} any more"
    return f"{socket} can't be opened ({error.strerror or error})"
