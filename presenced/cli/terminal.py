"""What the commands print for people: columns and tables, plain wherever nobody looks at a terminal.

Names and reasons come from the PBX, from Exchange and from calendars; none of them may move the cursor or
turn the text around.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from presenced.core.reading import Unreadable, read

_PIPE_WIDTH = 2000
"""columns where the output is no terminal, so that a pipe gets whole lines"""
_UNSEEN = dict.fromkeys(
    (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd"
)


def visible(text: str) -> str:
    """The text without anything a terminal obeys: control characters, changes of direction."""
    return text.translate(_UNSEEN)


def shown(presence: dict[str, Any]) -> str:
    """A presence (`activity`, `note`) as a client shows it: without the tags of the note."""
    activity, note = presence["activity"], presence["note"]
    if activity is None:
        return "-"
    if not note and not activity:
        return "nothing (cleared)"
    return f"{activity or 'available'}: {text_of(note)}"


def text_of(note: str) -> str:
    """A note without its tags."""
    try:
        return read(note).text
    except Unreadable:
        return note


def put(*parts: RenderableType) -> None:
    """Print to standard output: in the width and style of a terminal, or in plain whole lines."""
    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        for part in parts:
            console.print(part)
        return
    plain = Console(width=_PIPE_WIDTH, markup=False, no_color=True, highlight=False, emoji=False)
    with plain.capture() as captured:
        for part in parts:
            plain.print(part)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """A label and what stands beside it, a row each; a label that comes again is left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    last = ""
    for label, text in rows:
        grid.add_row(Text("" if label == last else label, style="bold"), Text(visible(text)))
        last = label
    return grid


def table(*columns: str, narrowed: Collection[str]) -> Table:
    """An empty table with these headings, a line a row; those `narrowed` are cut where room is short."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(column, no_wrap=column not in narrowed)
    return made


def cells(*texts: str | None) -> list[Text]:
    """A row of a table."""
    return [Text(visible(text or "-"), no_wrap=True, overflow="ellipsis") for text in texts]


def ago(instant: str | None, now: datetime) -> str:
    """How long ago an ISO 8601 instant was, short: `12 s`, `3 min`, `5 h`, `2 d`; `-` for none."""
    if instant is None:
        return "-"
    seconds = max((now - datetime.fromisoformat(instant)).total_seconds(), 0)
    return span(seconds)


def ahead(instant: str, now: datetime) -> str:
    """How long until an ISO 8601 instant, short."""
    return span(max((datetime.fromisoformat(instant) - now).total_seconds(), 0))


def span(seconds: float) -> str:
    """A length of time, short."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
