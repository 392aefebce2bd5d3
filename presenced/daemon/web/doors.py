"""Both doors: connections with their ages, the sign-in, subscriptions by group, back-offs, and counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aiohttp import web

from presenced.core.ports import CalendarDoorStatus
from presenced.daemon.answers.health import examine
from presenced.daemon.web.live import Regions
from presenced.daemon.web.site import Site

_MOST_STREAMS = 300
_MOST_BACKOFFS = 100
_QUEUES = {"lookups": "look-ups", "chores": "store"}
_REQUESTS, _ERRORS = "requests_", "errors_"


class Doors:
    """`/doors`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def get(self, request: web.Request) -> web.Response:
        return self._site.page(request, "doors.html", **self._values())

    async def regions(self) -> Regions:
        """What changes while somebody looks."""
        return {"doors": self._site.region("doors-live.html", **self._values())}

    def _values(self) -> dict[str, Any]:
        engine = self._site.engine
        door = engine.watch.door.status() if engine.watch.door is not None else None
        streams = door.streams if door else ()
        return {
            "health": examine(engine),
            "links": engine.pbx.status(),
            "pbx_counts": _named(engine.pbx.counters()),
            "calendars_wanted": engine.calendars_wanted,
            "sync_type": engine.settings.exchange.sync_type.value,
            "streams": streams[:_MOST_STREAMS],
            "more_streams": max(len(streams) - _MOST_STREAMS, 0),
            "followed": engine.watch.followed_count,
            "polled": engine.watch.polled_count,
            "oldest_sign": engine.watch.oldest_sign(),
            "sign_in": door.sign_in if door else None,
            **_backoffs(door),
            **_counts(engine.watch.door.counters() if engine.watch.door is not None else {}),
            "queues": {_QUEUES.get(work, work): waiting for work, waiting in engine.queues().items()},
            "loop_lag": engine.pulse.loop_lag,
            "latency": engine.writer.latencies.total / max(engine.writer.latencies.count, 1),
            "latencies": engine.writer.latencies.count,
            "no_time": timedelta(),
        }


def _backoffs(door: CalendarDoorStatus | None) -> dict[str, Any]:
    held = sorted(door.backoffs.items(), key=lambda one: one[1], reverse=True) if door else []
    return {"backoffs": held[:_MOST_BACKOFFS], "more_backoffs": max(len(held) - _MOST_BACKOFFS, 0)}


def _counts(counts: Mapping[str, int]) -> dict[str, Any]:
    """Requests by operation, errors by code, and the rest."""
    requests = {name.removeprefix(_REQUESTS): n for name, n in counts.items() if name.startswith(_REQUESTS)}
    errors = {name.removeprefix(_ERRORS): n for name, n in counts.items() if name.startswith(_ERRORS)}
    rest = {name: n for name, n in counts.items() if not name.startswith((_REQUESTS, _ERRORS))}
    return {
        "request_counts": dict(sorted(requests.items(), key=lambda one: -one[1])),
        "error_counts": dict(sorted(errors.items(), key=lambda one: -one[1])),
        "other_counts": _named(rest),
    }


def _named(counts: Mapping[str, int]) -> dict[str, int]:
    """Names as words, in order."""
    return {name.replace("_", " "): count for name, count in sorted(counts.items())}
