"""The first page: how both links stand, everybody by state, and what was written last."""

from __future__ import annotations

from heapq import nsmallest
from typing import Any

from aiohttp import web

from presenced.core.ports import MailboxState, StoreProblem
from presenced.daemon.answers.health import examine
from presenced.daemon.web.listing import count_activities, count_states
from presenced.daemon.web.live import Regions
from presenced.daemon.web.site import Site, name_of

_LATEST = 15
_SHOWN_TROUBLED = 5
_TROUBLED = frozenset({MailboxState.BLOCKED, MailboxState.FAILING})
_BACKOFFS = 8
"""listed; the rest is counted"""
WORKS = {"lookups": "Looking up mailboxes", "reads": "Reading calendars"}


class Overview:
    """`/`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def get(self, request: web.Request) -> web.Response:
        return self._site.page(request, "overview.html", **self._figures(), **await self._latest())

    async def regions(self) -> Regions:
        """What changes while somebody looks."""
        return {
            "figures": self._site.region("overview-figures.html", **self._figures()),
            "latest": self._site.region("overview-latest.html", **await self._latest()),
        }

    def _figures(self) -> dict[str, Any]:
        engine = self._site.engine
        keepers = engine.roster.keepers.values()
        door = engine.watch.door.status() if engine.watch.door is not None else None
        master = next((link for link in engine.pbx.status() if link.role == "master"), None)
        backoffs = sorted(door.backoffs.items(), key=lambda held: held[1], reverse=True) if door else []
        return {
            "health": examine(engine),
            "pbx": engine.roster.pbx,
            "pbx_since": master.since if master else None,
            "calendars_wanted": engine.calendars_wanted,
            "followed": engine.watch.followed_count,
            "polled": engine.watch.polled_count,
            "sync_type": engine.settings.exchange.sync_type.value,
            "oldest_sign": engine.watch.oldest_sign(),
            "backoffs": backoffs[:_BACKOFFS],
            "more_backoffs": max(len(backoffs) - _BACKOFFS, 0),
            "by_state": count_states(keepers),
            "by_activity": count_activities(keepers),
            "users": len(engine.roster.keepers),
            **self._troubled(),
            "progress": {
                WORKS.get(name, name): work for name, work in engine.milestones.as_json().items() if work
            },
        }

    def _troubled(self) -> dict[str, Any]:
        """Those whose mailbox can't be read: the first few with what to do, the others as a number."""
        keepers = self._site.engine.roster.keepers.values()
        troubled = [keeper for keeper in keepers if keeper.sync and keeper.state in _TROUBLED]
        first = nsmallest(_SHOWN_TROUBLED, troubled, key=lambda keeper: (keeper.state.value, name_of(keeper)))
        return {
            "troubled": [self._site.user_line(keeper) for keeper in first],
            "more_troubled": len(troubled) - len(first),
        }

    async def _latest(self) -> dict[str, Any]:
        try:
            writes = await self._site.store.fetch_writes(limit=_LATEST)
        except StoreProblem as problem:
            return {"writes": [], "writes_problem": problem.reason}
        return {"writes": [self._site.write_line(write) for write in writes], "writes_problem": ""}
