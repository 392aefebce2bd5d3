"""What the demo shows: a live table in a terminal, lines elsewhere, objects for programs."""

from __future__ import annotations

import asyncio
import json
import statistics
from abc import ABC, abstractmethod
from collections import deque
from datetime import datetime, timedelta

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from presenced.cli.terminal import text_of
from presenced.sim.pbx import PresenceWritten

_CAUSED = timedelta(seconds=10)
"""a write that follows a calendar change within this time is taken for its effect"""
_COLOURS = {"": "green", "busy": "red", "away": "yellow", "dnd": "magenta"}


class View(ABC):
    """Told what happens; counts for the summary."""

    def __init__(self) -> None:
        self.writes = 0
        self.changes = 0
        self._users: set[str] = set()
        self._pending: dict[str, datetime] = {}
        self._latencies: list[float] = []

    def written(self, write: PresenceWritten) -> None:
        """The PBX received a presence."""
        self.writes += 1
        self._users.add(write.guid)
        changed = self._pending.pop(write.guid, None)
        if changed is not None and write.t - changed < _CAUSED:
            self._latencies.append((write.t - changed) / timedelta(milliseconds=1))
        self.show(write)

    def changed(self, at: datetime, guid: str, what: str) -> None:
        """Somebody changed his calendar."""
        self.changes += 1
        self._pending.setdefault(guid, at)
        self.tell(at, guid, what)

    @property
    def summary(self) -> dict[str, object]:
        """cli.md, `demo --json`; the latency is from the calendar change to the PBX, gathering included."""
        return {
            "users": len(self._users),
            "writes": self.writes,
            "changes": self.changes,
            "latency_ms": {"p50": _percentile(self._latencies, 50), "p99": _percentile(self._latencies, 99)},
        }

    def open(self, page: str, ini: str) -> None:
        """Where the status page is, and the file to change."""
        click.echo(f"Status page: {page}", err=True)
        click.echo(f"Settings:    {ini} (change it; it is taken over at once)", err=True)

    @abstractmethod
    def show(self, write: PresenceWritten) -> None:
        """Show a presence."""

    def tell(self, at: datetime, guid: str, what: str) -> None:  # noqa: B027 - most views don't
        """Show a change of a calendar."""

    async def run(self) -> None:
        """Keep the picture fresh until cancelled."""
        await asyncio.Event().wait()

    @abstractmethod
    def end(self) -> None:
        """The last word."""


class JsonView(View):
    """One object per SetPresence, then the summary."""

    def show(self, write: PresenceWritten) -> None:
        _print(
            {
                "t": write.t.isoformat(),
                "guid": write.guid,
                "sip": write.sip,
                "activity": write.activity,
                "note": write.note,
            }
        )

    def end(self) -> None:
        _print({"summary": self.summary})


class LinesView(View):
    """A line per event."""

    def show(self, write: PresenceWritten) -> None:
        activity = write.activity or "available"
        click.echo(f"{write.t.astimezone():%H:%M:%S}  {write.sip:<24} {activity:<9} {write.note}")

    def end(self) -> None:
        click.echo(_in_words(self))


class LiveView(View):
    """Everybody's presence in a table, the latest changes below it."""

    def __init__(self) -> None:
        super().__init__()
        self._presences: dict[str, PresenceWritten] = {}
        self._events: deque[Text] = deque(maxlen=8)
        self._places = Text()
        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=8, get_renderable=self._picture)

    def open(self, page: str, ini: str) -> None:
        self._places = Text(f"status page {page}   settings {ini}", style="bold", overflow="fold")

    def show(self, write: PresenceWritten) -> None:
        self._presences[write.guid] = write

    def tell(self, at: datetime, guid: str, what: str) -> None:
        known = self._presences.get(guid)
        if known is not None:
            self._events.append(Text(f"{at.astimezone():%H:%M:%S}  {known.sip} {what}", style="dim"))

    async def run(self) -> None:
        with self._live:
            await super().run()

    def end(self) -> None:
        click.echo(_in_words(self))

    def _picture(self) -> Group:
        table = Table(expand=True, header_style="bold", box=None)
        for name in ("user", "activity", "presence", "since"):
            table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=4 if name == "presence" else None)
        room = max(self._console.height - 16, 4)
        shown = sorted(self._presences.values(), key=lambda write: write.t, reverse=True)[:room]
        for write in sorted(shown, key=lambda write: write.sip):
            colour = _COLOURS.get(write.activity, "white")
            table.add_row(
                write.sip,
                Text(write.activity or "available", style=colour),
                Text(text_of(write.note)),
                f"{write.t.astimezone():%H:%M:%S}",
            )
        head = Text(
            f"{len(self._users)} users, {self.changes} calendar changes, {self.writes} presences written"
        )
        return Group(
            head,
            self._places,
            Text(),
            table,
            Text(),
            *self._events,
            Text("Ctrl-C ends the demo", style="dim"),
        )


def _in_words(view: View) -> str:
    return f"{_counts(view)}, latency in ms {json.dumps(view.summary['latency_ms'])}"


def _counts(view: View) -> str:
    return f"{view.changes} calendar changes, {view.writes} presences written"


def _percentile(values: list[float], percent: int) -> float | None:
    if len(values) < 2:
        return round(values[0], 1) if values else None
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 1)


def _print(entry: dict[str, object]) -> None:
    click.echo(json.dumps(entry, ensure_ascii=False))
