"""Cases and undelivered notices as bytes for the store, so that a restart neither repeats nor forgets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from presenced.daemon.alerts.cases import Case, Cause, Kind, Notice

VERSION = 1


@dataclass(slots=True)
class Kept:
    """Everything that outlives a restart."""

    cases: dict[str, Case] = field(default_factory=dict)
    undelivered: dict[str, list[Notice]] = field(default_factory=dict)
    """channel -> notices in order"""


def to_bytes(cases: Mapping[str, Case], undelivered: Mapping[str, Sequence[Notice]]) -> bytes:
    """The state as JSON text; no secret is in it."""
    state = {
        "version": VERSION,
        "cases": [asdict(case) for case in cases.values()],
        "undelivered": {name: [asdict(notice) for notice in some] for name, some in undelivered.items()},
    }
    return json.dumps(state, default=_plain, ensure_ascii=False).encode()


def from_bytes(data: bytes) -> Kept:
    """The state as it was kept; raises ValueError for anything else."""
    try:
        state = json.loads(data)
        if state["version"] != VERSION:
            raise ValueError(f"version {state['version']!r} is not known")
        cases = [_case(each) for each in state["cases"]]
        undelivered = {name: [_notice(each) for each in some] for name, some in state["undelivered"].items()}
    except (KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise ValueError(f"it is not what was kept ({problem!r})") from problem
    return Kept({case.cause.key: case for case in cases}, undelivered)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(type(value).__name__)


def _case(state: dict[str, Any]) -> Case:
    return Case(
        **state
        | {
            "cause": _cause(state["cause"]),
            "opened_at": datetime.fromisoformat(state["opened_at"]),
            "lasted": timedelta(seconds=state["lasted"]),
            "gone_at": _instant(state["gone_at"]),
        }
    )


def _notice(state: dict[str, Any]) -> Notice:
    return Notice(
        **state
        | {
            "kind": Kind(state["kind"]),
            "cause": _cause(state["cause"]),
            "at": datetime.fromisoformat(state["at"]),
            "since": datetime.fromisoformat(state["since"]),
            "until": _instant(state["until"]),
        }
    )


def _cause(state: dict[str, Any]) -> Cause:
    return Cause(**state | {"details": tuple(state["details"])})


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
