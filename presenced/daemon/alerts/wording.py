"""A notice in words: subject and text of a mail, members of a webhook's JSON.

Both say what, where, since when, what it means and what to do, in this order, for somebody who is woken
by it and has not read any manual.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from presenced.core.zones import zone_of
from presenced.daemon.alerts.cases import Kind, Notice

_LONGEST = 600
"""characters of one sentence; reasons may come from a server that talks a lot"""
_SUBJECT = 160


@dataclass(frozen=True, slots=True)
class Origin:
    """Who tells: there may be several daemons, and several PBXes."""

    host: str
    pbx: str
    settings: str
    """the ini file"""
    timezone: str = "UTC"


def subject_of(notice: Notice, origin: Origin) -> str:
    """One line."""
    over = "over: " if notice.kind is Kind.OVER else ""
    return _one_line(f"[presenced {origin.pbx}] {over}{notice.cause.summary}", _SUBJECT)


def text_of(notice: Notice, origin: Origin) -> str:
    """The text of a mail, its lines ending with a line feed."""
    cause = notice.cause
    first = _one_line(cause.summary)
    lines = [f"{first[:1].upper()}{first[1:]}{_when(notice, origin)}.", ""]
    if notice.kind is Kind.OVER:
        lines += [_entry("What it was", cause.reason), *_where(origin), "", "Nothing needs to be done."]
        return "\n".join(lines) + "\n"
    lines += [_entry("What", cause.reason), *_where(origin)]
    if cause.effect:
        lines.append(_entry("Effect", cause.effect))
    lines.append(_entry("What to do", cause.remedy))
    if cause.details:
        lines += ["", "Details:", *(f"  {_one_line(each)}" for each in cause.details)]
    lines += ["", "Another mail follows when this is over; until then there are no more about it."]
    if not cause.patient:
        lines[-1] = "Another mail follows as the day comes nearer, and one when this is over."
    return "\n".join(lines) + "\n"


def members_of(notice: Notice, origin: Origin) -> dict[str, Any]:
    """The JSON object of a webhook (docs/admin/alerts.md)."""
    cause = notice.cause
    return {
        "type": f"alert.{notice.kind}",
        "timestamp": _iso(notice.at),
        "data": {
            "id": notice.id,
            "case": notice.case,
            "cause": cause.key,
            "summary": _one_line(cause.summary),
            "reason": _one_line(cause.reason),
            "effect": _one_line(cause.effect),
            "remedy": _one_line(cause.remedy),
            "details": [_one_line(each) for each in cause.details],
            "since": _iso(notice.since),
            "until": _iso(notice.until) if notice.until else None,
            "on_and_off": notice.flapped,
            "host": origin.host,
            "pbx": origin.pbx,
            "settings": origin.settings,
        },
    }


def _when(notice: Notice, origin: Origin) -> str:
    since = _local(notice.since, origin)
    if notice.until is not None:
        return f": over since {_local(notice.until, origin)}, it began {since}"
    if not notice.cause.patient:
        return ""  # when it was noticed says nothing
    return f": on and off since {since}" if notice.flapped else f": since {since}"


def _where(origin: Origin) -> list[str]:
    return [
        _entry("Where", f"presenced on {origin.host} for the PBX {origin.pbx}, settings {origin.settings}")
    ]


def _entry(name: str, text: str) -> str:
    return f"{name + ':':<12} {_one_line(text)}"


def _one_line(text: str, longest: int = _LONGEST) -> str:
    """No line ends and no control characters, however the text came by them; cut where it is too long."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _local(at: datetime, origin: Origin) -> str:
    return at.astimezone(zone_of(origin.timezone)).strftime("%Y-%m-%d %H:%M %Z")


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
