"""Times an admin types: ISO 8601, with an offset or in the zone at hand."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from pytz.tzinfo import BaseTzInfo

from presenced.core.zones import from_wall

_EARLIEST, _LATEST = 1900, 9000


def read_moment(_context: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    """Callback of an option: a date or time as typed, naive where no offset was given; whole seconds."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no time such as 2026-11-16T09:00 or 2026-11-16T09:00+01:00."
        ) from None
    if not _EARLIEST <= moment.year <= _LATEST:
        raise click.BadParameter(f"{value!r} is too far from today.")
    return moment.replace(microsecond=0)


def instant_of(moment: datetime | None, zone: BaseTzInfo) -> datetime:
    """The instant (UTC) meant: without an offset in `zone`, without a time now."""
    if moment is None:
        return datetime.now(UTC).replace(microsecond=0)
    return from_wall(moment, zone) if moment.tzinfo is None else moment.astimezone(UTC)
