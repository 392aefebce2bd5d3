"""`presenced parse`: what a client shows for a presence string (cli.md)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

import click
from click.exceptions import Exit

from presenced.cli.endings import Failed
from presenced.cli.moment import instant_of, read_moment
from presenced.core.reading import Reading, Unreadable, display, read
from presenced.core.strict import read_strictly
from presenced.core.wording import locale_of
from presenced.core.zones import zone_of


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at the string, and when."""

    language: str
    zone: tzinfo
    now: datetime
    strict: bool = False

    def read(self, note: bytes) -> Reading:
        """Raises Unreadable."""
        try:
            text = note.decode()
        except UnicodeDecodeError as error:
            raise Unreadable(f"byte {error.start} is not UTF-8") from None
        return read_strictly(text, self.language) if self.strict else read(text)

    def show(self, reading: Reading) -> str:
        """What a client displays."""
        return display(reading, self.language, self.zone, self.now)


def as_json(reading: Reading, shown: str) -> dict[str, Any]:
    """The object of `--json` (cli.md): null for what the string does not have."""
    return {
        "text": reading.text,
        "activity": reading.activity,
        "title": reading.title,
        "until": reading.until.astimezone(UTC).isoformat() if reading.until else None,
        "whole_day": reading.whole_day,
        "next_activity": reading.next_activity,
        "next_title": reading.next_title,
        "len": reading.len,
        "next": reading.next,
        "display": shown,
    }


@click.command()
@click.argument("note", required=False)
@click.option("--at", callback=read_moment, help="Show it as at this time (now).")
@click.option("--language", default="en", help="The client's language (en).")
@click.option("--timezone", help="The client's time zone (that of --at, else UTC).")
@click.option("--strict", is_flag=True, help="Hold the string against the grammar.")
@click.option("--json", "as_objects", is_flag=True, help="One JSON object a line.")
def parse(
    note: str | None,
    *,
    at: datetime | None,
    language: str,
    timezone: str | None,
    strict: bool,
    as_objects: bool,
) -> None:
    """Read a presence string, or one a line from standard input, as a client would."""
    viewer = _viewer(at, language, timezone, strict=strict)
    unreadable = 0
    for place, raw in _notes(note):
        try:
            reading = viewer.read(raw)
            shown = viewer.show(reading)
        except Unreadable as problem:
            unreadable += 1
            last = Failed(f"{place}: {problem}")
            if note is None:
                last.show()
                continue
            raise last from None
        click.echo(json.dumps(as_json(reading, shown), ensure_ascii=False) if as_objects else shown)
    if unreadable:
        raise Exit(1)


def _viewer(at: datetime | None, language: str, timezone: str | None, *, strict: bool) -> Viewer:
    try:
        locale_of(language)
    except ValueError:
        raise click.BadParameter(f"nobody knows {language!r}.", param_hint="--language") from None
    try:
        zone = zone_of(timezone or "UTC")
    except ValueError:
        raise click.BadParameter(f"nobody knows {timezone!r}.", param_hint="--timezone") from None
    now = instant_of(at, zone)
    own = None if at is None or timezone else at.tzinfo
    return Viewer(language, own or zone, now, strict)


def _notes(note: str | None) -> Iterator[tuple[str, bytes]]:
    """Each string with its place for messages."""
    if note is not None:
        yield "note", note.encode(errors="surrogateescape")
        return
    for number, line in enumerate(sys.stdin.buffer, start=1):
        yield f"line {number}", line.removesuffix(b"\n").removesuffix(b"\r")
