"""The only file that knows dateutil: from a recurrence rule to naive wall-clock starts.

dateutil has the arithmetic of RFC 5545 section 3.3.10. Everything is naive: what the wall clock's times
are as instants is decided by `expand`, with the rules for gaps of its own contract. recurring-ical-events
sits on the same dateutil, but exchanges an end before the start, ends an UNTIL date at its midnight and
forgets the original start of occurrences moved by THISANDFUTURE, all of which the contract needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from dateutil.rrule import rrulestr

from presenced.ics.model import Rule, Stamp

_STEPS = {
    "SECONDLY": timedelta(seconds=1),
    "MINUTELY": timedelta(minutes=1),
    "HOURLY": timedelta(hours=1),
    "DAILY": timedelta(days=1),
    "WEEKLY": timedelta(weeks=1),
}
_LIMITS = {"BYHOUR": 23, "BYMINUTE": 59, "BYSECOND": 59}
_LONGEST_INTERVAL = 1_000_000


def parse_rule(value: str, start: datetime, read_until: Callable[[str], Stamp]) -> Rule:
    """One RRULE of an item that starts at the naive `start`; raises ValueError.

    A negative COUNT, which some programs write for "no end", is left out, as are X- parts.
    """
    parts = dict(_parts(value))
    until = parts.pop("UNTIL", None)
    if parts.get("COUNT", "").startswith("-"):
        del parts["COUNT"]
    interval = int(parts.get("INTERVAL", "1"))
    if not 0 < interval <= _LONGEST_INTERVAL:
        raise ValueError(f"INTERVAL={interval}")
    if int(parts.get("COUNT", "1")) < 1:
        raise ValueError("COUNT=0")
    for name, most in _LIMITS.items():
        if any(int(number) > most for number in parts.get(name, "0").split(",")):
            raise ValueError(f"{name}={parts[name]}")
    rule = Rule(
        text=";".join(f"{name}={content}" for name, content in parts.items()),
        frequency=parts.get("FREQ", ""),
        interval=interval,
        counted="COUNT" in parts,
        until=read_until(until) if until else None,
    )
    rrulestr(rule.text, dtstart=start)
    return rule


def starts(rule: Rule, start: datetime, low: datetime, high: datetime) -> Iterator[datetime]:
    """The naive starts in [low, high] of a rule whose item starts at `start`; UNTIL is not looked at.

    A rule without an end is entered close before `low`: whole intervals of fixed length may be skipped
    without changing what comes after.
    """
    step = _STEPS.get(rule.frequency)
    if step is not None and not rule.counted and low > start:
        intervals = (low - start) // (step * rule.interval)
        start += max(intervals - 1, 0) * step * rule.interval
    for wall in rrulestr(rule.text, dtstart=start).xafter(low, inc=True):
        if wall > high:
            return
        yield wall


def _parts(value: str) -> Iterator[tuple[str, str]]:
    for part in value.upper().split(";"):
        name, _, content = part.strip().partition("=")
        if name and not name.startswith("X-"):
            yield name.strip(), content.strip()
