"""`presenced explain`: why a user's presence is what it is (cli.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from presenced.cli.ask import ask, daemon_options
from presenced.cli.moment import read_moment
from presenced.cli.terminal import pairs, put, shown

DEFAULT = "default"
"""where a setting comes from that nobody set"""
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
        put(pairs(rows(answer)))


def rows(answer: dict[str, Any]) -> Iterator[Row]:
    """The explanation for people: label and text."""
    user, at = answer["user"], answer["at"]
    yield "user", ", ".join(filter(None, (user["sip"], user["cn"], f"guid {user['guid']}")))
    yield "as of", f"{_local(at, '')} {answer['timezone']}"
    yield from _presence_rows(answer, at)
    today = at if at[:10] == answer["now"][:10] else ""  # asked about another day, times alone would mislead
    yield from _mailbox_rows(answer["mailbox"], today)
    yield from _pbx_rows(answer, today)
    for coming in answer["next"]:
        yield "next", f"{_local(coming['at'], today)}  {coming['what']}{_then(coming)}"
    yield from _setting_rows((*answer["settings"], *answer["mapping"]))


def _presence_rows(answer: dict[str, Any], at: str) -> Iterator[Row]:
    decision = answer["decision"]
    yield "presence", shown(decision) if decision else f"none decided: {answer['undecided']}"
    for caution in answer["cautions"]:
        yield "caution", caution
    if decision is None:
        return
    rule, current = f"{decision['sentence']} [{decision['rule']}]", decision["current"]
    if current is None:
        yield "because", rule
    else:
        mapped = current["mapped"]
        yield "because", f"{_appointment(current, at)}: {rule}"
        yield "because", f"mapped by {mapped['key']} = {mapped['value']} ({mapped['where']})"
    for ignored in decision["ignored"]:
        yield "not shown", f"{_appointment(ignored, at)}: {ignored['sentence']} [{ignored['why']}]"


def _mailbox_rows(mailbox: dict[str, Any], at: str) -> Iterator[Row]:
    yield "mailbox", f"{mailbox['address'] or 'none'}: {_sentence(mailbox['state'], mailbox['reason'])}"
    if mailbox["remedy"]:
        yield "mailbox", f"what to do: {mailbox['remedy']}"
    for candidate in mailbox["candidates"]:
        yield "looked up", f"{candidate['address']}: {candidate['outcome']}"
    if mailbox["address"] is None:
        return
    sign = mailbox["last_proof_of_life"]
    heard = f", last sign of life {_local(sign, at)}" if sign else ""
    how = f"by {mailbox['followed']}{heard}" if mailbox["followed"] else "not yet"
    yield "followed", how
    if mailbox["window"]:
        first, last = (_local(instant, at) for instant in mailbox["window"])
        count = mailbox["appointments"]
        stale = " (stale)" if mailbox["stale"] else ""
        what = f"{count} appointment{'' if count == 1 else 's'} between {first} and {last}"
        yield "read", f"{_local(mailbox['last_read'], at)}{stale}  {what}"


def _pbx_rows(answer: dict[str, Any], at: str) -> Iterator[Row]:
    pbx = answer["pbx"]
    if pbx["has"] is None:
        yield "pbx", "what it has is not known: nothing was confirmed yet"
    else:
        confirmed = f", confirmed {_local(pbx['confirmed_at'], at)}" if pbx["confirmed_at"] else ""
        yield "pbx", f"has {shown(pbx['has'])}{confirmed}"
        yield "pbx", f"the note in full: {pbx['has']['note'] or '(empty)'}"
    if not pbx["linked"]:
        yield "pbx", f"not connected: {pbx['reason']}"
    if pbx["error"]:
        yield "pbx", f"refused the last write, {pbx['failures']} in a row: {pbx['error']}"
    elif pbx["to_write"]:
        yield "pbx", "does not have what was decided yet"
    for write in answer["writes"]:
        failed = f"; refused: {write['error']}" if write["error"] else ""
        because = f"{write['sentence']} [{write['cause']}]"
        yield "written", f"{_local(write['at'], at)}  {shown(write)}; because {because}{failed}"
    if answer["writes_problem"]:
        yield "written", f"the record can't be read: {answer['writes_problem']}"


def _setting_rows(settings: Sequence[dict[str, str]]) -> Iterator[Row]:
    """What somebody set, each with its place; then the defaults in one."""
    for setting in settings:
        if setting["where"] != DEFAULT:
            yield "settings", f"{setting['key']} = {setting['value']} ({setting['where']})"
    defaults = [f"{one['key']} = {one['value']}" for one in settings if one["where"] == DEFAULT]
    if defaults:
        yield "defaults", ", ".join(defaults)


def _then(coming: dict[str, Any]) -> str:
    if "then" not in coming:
        return ""
    return f": {shown(coming['then'])}" if coming["then"] else ": the calendar is not known that far"


def _appointment(appointment: dict[str, Any], at: str) -> str:
    show_as = "out of office" if appointment["show_as"] == "oof" else appointment["show_as"].replace("_", " ")
    kind = f"{'all-day, ' if appointment['all_day'] else ''}{show_as}"
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
