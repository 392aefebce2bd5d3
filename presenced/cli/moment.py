"""Times an admin types: ISO 8601, with an offset or in the zone at hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
from pytz.tzinfo import BaseTzInfo

from presenced.core.zones import from_wall

_EARLIEST, _LATEST = 1900, 9000


class Moment(click.ParamType):
    """A date and time as typed: naive where no offset was given; whole seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """An ISO 8601 date or time; anything else is a wrong argument."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(str(value).strip())
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-11-16T09:00 or 2026-11-16T09:00+01:00.", param, ctx)
        if not _EARLIEST <= moment.year <= _LATEST:
            self.fail(f"{value!r} is too far from today.", param, ctx)
        return moment.replace(microsecond=0)


def instant_of(moment: datetime | None, zone: BaseTzInfo) -> datetime:
    """The instant (UTC) meant: without an offset in `zone`, without a time now."""
    if moment is None:
        return datetime.now(UTC).replace(microsecond=0)
    return from_wall(moment, zone) if moment.tzinfo is None else moment.astimezone(UTC)
