"""Dates and times as EWS writes and reads them.

Written as `…Z` without fractions, as real servers do; read in every shape xs:dateTime allows, for clients
send offsets, milliseconds, bare local times and sometimes a date alone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from presenced.sim.exchange.problems import Problem

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(Z|[+-]\d\d:\d\d|)")


def write_instant(instant: datetime) -> str:
    """An aware instant as `2026-11-16T08:00:00Z`."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return f"{instant.isoformat()[:19]}Z"


def read_instant(text: str | None, zone: tzinfo = UTC) -> datetime:
    """An xs:dateTime (or xs:date) as an aware instant in UTC; a bare local time is one of `zone`.

    Raises Problem("ErrorInvalidRequest").
    """
    text = (text or "").strip()
    try:
        date_alone = _DATE.fullmatch(text)
        moment = datetime.fromisoformat(f"{date_alone[1]}T00:00:00{date_alone[2]}" if date_alone else text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Problem("ErrorInvalidRequest", f"The request is invalid: {text!r} is not a dateTime.") from None


def write_duration(length: timedelta) -> str:
    """A length of whole minutes as xs:duration, hours and minutes apart."""
    minutes = int(length.total_seconds() // 60)
    sign, minutes = ("-", -minutes) if minutes < 0 else ("", minutes)
    return f"{sign}PT{minutes}M" if minutes % 60 else f"{sign}PT{minutes // 60}H"
