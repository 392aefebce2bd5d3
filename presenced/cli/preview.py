"""`presenced preview`: what the mapping makes of real calendar files (cli.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from pytz.tzinfo import BaseTzInfo

from presenced.cli.configuration import ini_option, load_or_exit
from presenced.cli.endings import Failed
from presenced.cli.moment import instant_of, read_moment
from presenced.cli.timeline import Step, timeline
from presenced.config.rules import admission_of, mapping_of
from presenced.config.settings import Settings, UserSettings
from presenced.core.admission import admit
from presenced.core.appointment import Appointment
from presenced.core.decision import Rule
from presenced.core.window import Window
from presenced.core.zones import zone_of
from presenced.ics.expand import expand
from presenced.ics.model import IcsCalendar, IcsProblem
from presenced.ics.reader import read


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="ICS...", type=click.Path())
@ini_option
@click.option("--at", callback=read_moment, help="From this time on (now).")
@click.option("--until", callback=read_moment, help="To this time (the end of the window).")
@click.option("--user", "address", metavar="ADDRESS", help="Apply this user's section.")
@click.option("--json", "as_objects", is_flag=True, help="One JSON object a line.")
def preview(
    files: tuple[str, ...],
    ini: Path,
    *,
    at: datetime | None,
    until: datetime | None,
    address: str | None,
    as_objects: bool,
) -> None:
    """Print every presence these calendar files make, one line per change; several are one mailbox."""
    settings = load_or_exit(ini, secrets_looked_up=False)
    user = settings.for_user((address,) if address else ())
    zone = zone_of(user.timezone)
    start = instant_of(at, zone)
    end = start + settings.presence.window if until is None else instant_of(until, zone)
    if end <= start:
        raise click.BadParameter(
            f"{end.astimezone(zone).isoformat()} is not after --at.", param_hint="--until"
        )
    calendar = _calendar(files)
    if not user.sync:
        click.echo(_no_line(start, zone, as_objects=as_objects))
        return
    for step in _steps(calendar, settings, user, Window(start, end)):
        click.echo(json.dumps(as_json(step, zone), ensure_ascii=False) if as_objects else as_text(step, zone))


def as_text(step: Step, zone: BaseTzInfo) -> str:
    """`<ISO 8601 with offset>\\t<PBX activity or ->\\t<note>`."""
    presence = step.decision.presence
    return f"{_local(step.at, zone)}\t{presence.activity or '-'}\t{presence.note}"


def as_json(step: Step, zone: BaseTzInfo) -> dict[str, Any]:
    """The object of `--json` (cli.md)."""
    decision = step.decision
    because = decision.because
    return {
        "at": _local(step.at, zone),
        "activity": decision.presence.activity,
        "note": decision.presence.note,
        "until": None if decision.until is None else _local(decision.until, zone),
        "because": {
            "current": because.current,
            "rule": because.rule,
            "ignored": [{"id": ignored.id, "why": ignored.why} for ignored in because.ignored],
        },
    }


def _no_line(at: datetime, zone: BaseTzInfo, *, as_objects: bool) -> str:
    """A user whose calendar is not followed: nothing is written for him."""
    if not as_objects:
        return f"{_local(at, zone)}\t-\t"
    because: dict[str, Any] = {"current": None, "rule": Rule.NONE, "ignored": []}
    return json.dumps({"at": _local(at, zone), "activity": "", "note": "", "until": None, "because": because})


def _local(instant: datetime, zone: BaseTzInfo) -> str:
    return instant.astimezone(zone).isoformat()


def _calendar(files: Sequence[str]) -> IcsCalendar:
    try:
        return read([(name, _content(name)) for name in files])
    except IcsProblem as problem:
        raise Failed(str(problem)) from None


def _content(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Failed(f"{name}: the file can't be read ({reason}); check the path and its rights") from None


def _steps(calendar: IcsCalendar, settings: Settings, user: UserSettings, stretch: Window) -> Iterator[Step]:
    admission = admission_of(user, settings.presence)

    def read_window(window: Window) -> Sequence[Appointment]:
        return admit(expand(calendar, window, user.timezone), window, admission)

    mapping = mapping_of(user, settings.presence)
    return timeline(read_window, mapping, stretch.start, stretch.end, settings.presence.window)
