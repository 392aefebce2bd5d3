"""`presenced explain`: why a user's presence is what it is (cli.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from presenced.cli.ask import ask, daemon_options
from presenced.cli.moment import read_moment
from presenced.cli.terminal import open_console, pairs

Row = tuple[str, str]


@click.command()
@click.argument("user", metavar="USER")
@click.option("--at", callback=read_moment, help="As of this time (now), in the user's presence zone.")
@daemon_options
@click.option("--json", "as_object", is_flag=True, help="One JSON object.")
def explain(
    user: str, *, at: datetime | None, ini: Path | None, socket: Path | None, as_object: bool
) -> None:
    """Ask the running daemon which appointment a user's presence stems from, and why.

    USER is a guid, a name or a mail address, or the beginning of one.
    """
    query = {"user": user} | ({} if at is None else {"at": at.isoformat()})
    answer = ask("/explain", query, ini=ini, socket=socket)
    if as_object:
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        open_console().print(pairs(rows(answer)))


def rows(answer: dict[str, Any]) -> Iterator[Row]:
    """The explanation for people: label and text."""
    user, at = answer["user"], answer["at"]
    names = ", ".join(filter(None, (user["cn"], user["guid"])))
    yield "user", f"{user['sip']} ({names}), as of {_local(at, '')} {answer['timezone']}"
    yield from _presence_rows(answer, at)
    for caution in answer["cautions"]:
        yield "mind", caution
    yield from _mailbox_rows(answer["mailbox"], at)
    yield from _pbx_rows(answer, at)
    for coming in answer["next"]:
        yield "next", f"{_local(coming['at'], at)}  {coming['what']}{_then(coming)}"
    for setting in (*answer["settings"], *answer["mapping"]):
        yield "settings", f"{setting['key']} = {setting['value']}  ({setting['where']})"


def _presence_rows(answer: dict[str, Any], at: str) -> Iterator[Row]:
    decision = answer["decision"]
    if decision is None:
        yield "presence", f"none: {answer['undecided']}"
        return
    until = f", until {_local(decision['until'], at)}" if decision["until"] else ""
    yield "presence", f"{_shown(decision)}{until}"
    current = decision["current"]
    if current is None:
        yield "because", decision["sentence"]
    else:
        mapped = current["mapped"]
        yield "because", f"{_appointment(current, at)}: {decision['sentence']}"
        yield "because", f"{mapped['key']} = {mapped['value']}  ({mapped['where']})"
    for ignored in decision["ignored"]:
        yield "not shown", f"{_appointment(ignored, at)}: {ignored['sentence']}"


def _mailbox_rows(mailbox: dict[str, Any], at: str) -> Iterator[Row]:
    yield "mailbox", f"{mailbox['address'] or 'none'}: {_sentence(mailbox['state'], mailbox['reason'])}"
    if mailbox["remedy"]:
        yield "mailbox", f"what to do: {mailbox['remedy']}"
    for candidate in mailbox["candidates"]:
        yield "mailbox", f"asked for {candidate['address']}: {candidate['outcome']}"
    if mailbox["address"] is None:
        return
    sign = mailbox["last_proof_of_life"]
    heard = f", last heard of {_local(sign, at)}" if sign else ""
    yield (
        "mailbox",
        f"followed by {mailbox['followed']}{heard}" if mailbox["followed"] else "not followed yet",
    )
    if mailbox["window"]:
        first, last = (_local(instant, at) for instant in mailbox["window"])
        count = mailbox["appointments"]
        stale = ", stale" if mailbox["stale"] else ""
        yield (
            "mailbox",
            f"read {_local(mailbox['last_read'], at)}{stale}: appointments from {first} to {last}: {count}",
        )


def _pbx_rows(answer: dict[str, Any], at: str) -> Iterator[Row]:
    pbx = answer["pbx"]
    has = "unknown" if pbx["has"] is None else _shown(pbx["has"])
    yield (
        "pbx",
        f"has {has}" + (f", confirmed {_local(pbx['confirmed_at'], at)}" if pbx["confirmed_at"] else ""),
    )
    if not pbx["linked"]:
        yield "pbx", f"not connected: {pbx['reason']}"
    if pbx["error"]:
        yield "pbx", f"refused the last write, {pbx['failures']} in a row: {pbx['error']}"
    elif pbx["to_write"]:
        yield "pbx", "does not have what was decided yet"
    for write in answer["writes"]:
        failed = f"; refused: {write['error']}" if write["error"] else ""
        yield "written", f"{_local(write['at'], at)}  {_shown(write)}: {write['sentence']}{failed}"
    if answer["writes_problem"]:
        yield "written", f"the record can't be read: {answer['writes_problem']}"


def _shown(presence: dict[str, Any]) -> str:
    if not presence["note"] and not presence["activity"]:
        return "nothing (cleared)"
    return f"{presence['activity'] or 'available'} \u201c{presence['note']}\u201d"


def _then(coming: dict[str, Any]) -> str:
    if "then" not in coming:
        return ""
    return f": {_shown(coming['then'])}" if coming["then"] else ": the calendar is not known that far"


def _appointment(appointment: dict[str, Any], at: str) -> str:
    kind = f"{'all-day ' if appointment['all_day'] else ''}{appointment['show_as'].replace('_', ' ')}"
    times = f"{_local(appointment['start'], at)} to {_local(appointment['end'], at)}"
    return f"{appointment['title']} ({times}, {kind})"


def _local(instant: str | None, at: str) -> str:
    """The time alone where the day is the one asked about."""
    if instant is None:
        return "unknown"
    day, time = instant[:10], instant[11:16]
    return time if day == at[:10] else f"{day} {time}"


def _sentence(state: str, reason: str) -> str:
    return f"{state} ({reason})" if reason else state
