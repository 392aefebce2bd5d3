"""`presenced status`: how everything stands (cli.md)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType

from presenced.cli.ask import ask, daemon_options
from presenced.cli.terminal import ago, ahead, cells, pairs, put, shown, span, table

WELL = frozenset({"resolved", "polled", "disabled"})
"""states of a mailbox nobody has to look into"""
FEW = 50
"""users listed without being asked for; of more only those in trouble are"""


@click.command()
@daemon_options
@click.option("--all", "everybody", is_flag=True, help=f"List every user, even where there are over {FEW}.")
@click.option("--json", "as_object", is_flag=True, help="One JSON object.")
def status(*, ini: Path | None, socket: Path | None, everybody: bool, as_object: bool) -> None:
    """Ask the running daemon how the doors and every user's mailbox stand."""
    answer = ask("/status", {}, ini=ini, socket=socket)
    if as_object:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    put(*parts(answer, datetime.now(UTC), everybody=everybody))


def parts(answer: dict[str, Any], now: datetime, *, everybody: bool) -> Iterator[RenderableType]:
    """The status for people: a summary, the streams, the users."""
    yield pairs(_summary(answer, now))
    if streams := answer["exchange"]["streams"]:
        yield ""
        yield _streams(streams, now)
    users = answer["users"]
    listed = users if everybody or len(users) <= FEW else [user for user in users if _in_trouble(user)]
    if listed:
        yield ""
        yield _users(listed, now)
    if troubled := [user for user in listed if _in_trouble(user)]:
        yield ""
        yield pairs((user["sip"] or user["guid"], f"{user['state']}: {user['reason']}") for user in troubled)
    if left := len(users) - len(listed):
        yield ""
        yield f"{left} users without trouble are not listed; --all lists them."


def _summary(answer: dict[str, Any], now: datetime) -> Iterator[tuple[str, str]]:
    pbx, exchange = answer["pbx"], answer["exchange"]
    yield "presenced", answer["version"]
    yield "pbx", f"linked to {pbx['name']}" if pbx["linked"] else f"not linked: {pbx['reason']}"
    for link in pbx["connections"]:
        told = ", ".join(filter(None, (link["version"], link["detail"])))
        role = f"{link['name']} ({link['role']})" if link["name"] else link["role"]
        connected = f"{role} from {link['peer']} for {ago(link['since'], now)}"
        yield "pbx", f"{connected}: {told}" if told else connected
    well = "well" if exchange["healthy"] else "not well"
    yield (
        "exchange",
        f"{exchange['kind']}, {well}" + (f": {exchange['reason']}" if exchange["reason"] else ""),
    )
    yield "exchange", f"{exchange['followed']} mailboxes followed"
    for budget, until in exchange["backoffs"].items():
        yield "exchange", f"held back: {budget or 'the account'}, for {ahead(until, now)} more"
    if exchange["sign_in"] is not None:
        yield "sign-in", _sign_in(exchange["sign_in"], exchange["reason"], now)
    for work, progress in exchange["progress"].items():
        if progress is not None:
            yield "progress", f"{work}: {_progress(progress)}"
    yield "users", _states(answer["users"])


def _sign_in(sign_in: dict[str, Any], told_already: str, now: datetime) -> str:
    """As whom and by what, until when; or why not, and when it is tried again."""
    if not sign_in["healthy"]:
        told = f"failing for {ago(sign_in['failing_since'], now)}"
        told += f", tried again in {ahead(sign_in['next_try'], now)}"
        if sign_in["reason"] in told_already:
            return told
        return f"{told}: {sign_in['reason']}; {sign_in['remedy']}"
    if sign_in["expires_at"] is None:
        return "not tried yet"
    told = f"{sign_in['account'] or 'the app'} by {sign_in['kind']}"
    told += f", token good for {ahead(sign_in['expires_at'], now)}"
    ends = sign_in["credential_expires_at"]
    return f"{told}, certificate for {ahead(ends, now)}" if ends is not None else told


def _progress(progress: dict[str, Any]) -> str:
    stands = f"{progress['done']} of {progress['total']} done"
    if progress["left"] is None:
        return f"{stands}, none lately"
    return f"{stands}, {progress['rate']:g} a second, about {span(progress['left'])} to go"


def _states(users: Sequence[dict[str, Any]]) -> str:
    states = Counter(user["state"] for user in users)
    return ", ".join(f"{count} {state}" for state, count in states.most_common()) or "none"


def _streams(streams: Sequence[dict[str, Any]], now: datetime) -> RenderableType:
    made = table("stream", "mailboxes", "open for", "last sign", "detail", narrowed=("stream", "detail"))
    for one in streams:
        made.add_row(
            *cells(
                one["anchor"],
                str(one["mailboxes"]),
                ago(one["since"], now),
                ago(one["last_sign"], now),
                one["detail"],
            )
        )
    return made


def _users(users: Sequence[dict[str, Any]], now: datetime) -> RenderableType:
    """Those in trouble first."""
    columns = ("user", "mailbox", "state", "read", "heard of", "presence")
    made = table(*columns, narrowed=("mailbox", "presence"))
    for user in sorted(users, key=lambda user: not _in_trouble(user)):
        made.add_row(
            *cells(
                user["sip"] or user["guid"],
                user["mailbox"],
                user["state"],
                ago(user["last_read"], now),
                ago(user["last_proof_of_life"], now),
                shown(user),
            )
        )
    return made


def _in_trouble(user: dict[str, Any]) -> bool:
    return user["state"] not in WELL
