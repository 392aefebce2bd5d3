"""The list of users and one user's own page, with what can be done for him."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web

from presenced.core.ports import StoreProblem, Write
from presenced.core.presence import Presence
from presenced.daemon.answers.explain import explain
from presenced.daemon.keeper import Keeper
from presenced.daemon.web.listing import SORTS, STATES, Query, count_states, select, state_of
from presenced.daemon.web.live import Regions
from presenced.daemon.web.picture import picture
from presenced.daemon.web.rendering import Times
from presenced.daemon.web.site import Site, name_of
from presenced.daemon.web.timeline import Subject, kind_of, title_of, two_days

_WRITES = 500
"""of one user, looked through for the picture of today"""
_SHOWN_WRITES = 12
_LONGEST_SEARCH = 200
DONE = {
    "read": "The calendar is being read.",
    "resolve": "The mailbox is being looked up again.",
    "write": "The presence is being written again.",
    "nothing": "There is nothing to do that with: this user has no mailbox.",
}


class People:
    """`/users` and `/users/GUID`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def show_list(self, request: web.Request) -> web.Response:
        """One page of the list, searched, filtered and sorted."""
        query = _query_of(request.query)
        keepers = self._site.engine.roster.keepers.values()
        listing = select(keepers, query)
        return self._site.page(
            request,
            "users.html",
            query=query,
            listing=listing,
            users=[self._site.user_line(keeper) for keeper in listing.keepers],
            by_state=count_states(keepers),
            link=lambda **changes: _link(query, changes),
        )

    async def get(self, request: web.Request) -> web.Response:
        """One user."""
        keeper = self._find(request)
        return self._site.page(
            request,
            "user.html",
            name=name_of(keeper),
            user=keeper.user,
            guid=keeper.user.guid,
            done=DONE.get(request.query.get("done", ""), ""),
            **await self._values(keeper),
        )

    async def regions(self, guid: str) -> Regions:
        """What changes while somebody looks at a user; nothing for one who is gone."""
        keeper = self._site.keeper(guid)
        if keeper is None:
            return {}
        return {"user": self._site.region("user-live.html", guid=guid, **await self._values(keeper))}

    async def read(self, request: web.Request) -> web.Response:
        """Read the calendar now."""
        keeper = self._find(request)
        if keeper.mailbox is None:
            return _back(keeper, "nothing")
        self._site.engine.watch.read_again([keeper.mailbox.address], "asked", spread=timedelta())
        return _back(keeper, "read")

    async def resolve(self, request: web.Request) -> web.Response:
        """Look up the mailbox again."""
        keeper = self._find(request)
        if not keeper.sync:
            return _back(keeper, "nothing")
        keeper.resolved_at = None
        self._site.engine.resolving.look_up(keeper.user.guid)
        return _back(keeper, "resolve")

    async def write(self, request: web.Request) -> web.Response:
        """Write the presence again, whatever the PBX is thought to have."""
        keeper = self._find(request)
        known, keeper.written = keeper.written, None
        if keeper.to_write() is None:
            keeper.written = known
            return _back(keeper, "nothing")
        keeper.cause = "asked"
        self._site.engine.writer.look(keeper.user.guid)
        return _back(keeper, "write")

    def _find(self, request: web.Request) -> Keeper:
        keeper = self._site.keeper(request.match_info["guid"])
        if keeper is None:
            raise web.HTTPNotFound(text="The PBX has no such user (any more).\n")
        return keeper

    async def _values(self, keeper: Keeper) -> dict[str, Any]:
        site, now = self._site, self._site.clock.now()
        writes, problem = await self._writes(keeper)
        told = await explain(site.engine, site.store, keeper, None, now)
        own_times = Times(keeper.mapping.style.zone, now)
        return {
            "told": told,
            "state": state_of(keeper),
            "shown": site.show(keeper.wanted, keeper),
            "has": site.show(keeper.written, keeper) if keeper.written is not None else None,
            "waits": keeper.to_write() is not None,
            "own_times": own_times,
            "pictures": self._pictures(keeper, writes, own_times),
            "appointments": self._appointments(keeper, told),
            "coming": [
                one
                | {
                    "at": datetime.fromisoformat(one["at"]),
                    "then": site.show(Presence(**one["then"]), keeper) if one.get("then") else None,
                }
                for one in told["next"]
            ],
            "writes": [site.write_line(write) for write in writes[:_SHOWN_WRITES]],
            "writes_problem": problem,
            "read_at": keeper.read_at,
            "resolved_at": keeper.resolved_at,
            "sign": site.engine.watch.signs.get(keeper.mailbox.address) if keeper.mailbox else None,
            "written_at": keeper.written_at,
        }

    async def _writes(self, keeper: Keeper) -> tuple[list[Write], str]:
        try:
            return list(await self._site.store.fetch_writes(guid=keeper.user.guid, limit=_WRITES)), ""
        except StoreProblem as problem:
            return [], problem.reason

    def _pictures(self, keeper: Keeper, writes: list[Write], times: Times) -> list[dict[str, Any]]:
        because = keeper.decision.because if keeper.decision else None
        subject = Subject(
            keeper.appointments,
            keeper.mapping,
            keeper.window if keeper.sync else None,
            because.current if because else None,
            lambda presence: self._site.show(presence, keeper),
            keeper.admission.subject_shown,
        )
        days = two_days(subject, writes, times.now)
        return [
            {
                "heading": f"{word}, {times.day(day.start)}",
                "picture": picture(
                    day, times.zone, times.now, f"Presence and appointments, {times.day(day.start)}"
                ),
            }
            for word, day in zip(("Today", "Tomorrow"), days, strict=True)
        ]

    def _appointments(self, keeper: Keeper, told: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Those of the window, each with what it makes and why."""
        decision = told["decision"]
        if decision is None:
            return []
        sentences = {one["id"]: one["sentence"] for one in decision["ignored"]}
        if decision["current"] is not None:
            sentences[decision["current"]["id"]] = decision["sentence"]
        current = decision["current"]["id"] if decision["current"] else None
        return [
            {
                "start": one.start,
                "end": one.end,
                "all_day": one.all_day,
                "title": title_of(one, keeper.mapping, titles=keeper.admission.subject_shown),
                "private": one.subject is None,
                "show_as": one.show_as.value.replace("_", " ").replace("oof", "out of office"),
                "kind": kind_of(one, keeper.mapping),
                "prioritized": one.prioritized,
                "current": one.id == current,
                "why": sentences.get(one.id, ""),
            }
            for one in keeper.appointments
        ]


def _query_of(values: Mapping[str, str]) -> Query:
    """What the address line asks for; nonsense is left out."""
    page = values.get("page", "1")
    state, sort = values.get("state", ""), values.get("sort", "name")
    return Query(
        text=values.get("text", "").strip()[:_LONGEST_SEARCH],
        state=state if state in STATES else "",
        sort=sort if sort in SORTS else "name",
        descending=values.get("order", "") == "descending",
        page=int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1,
    )


def _link(query: Query, changes: dict[str, Any]) -> str:
    """The address of the list with something changed; the first page of it unless said otherwise."""
    values = {
        "text": query.text,
        "state": query.state,
        "sort": query.sort if query.sort != "name" else "",
        "order": "descending" if query.descending else "",
        "page": "",
    } | changes
    given = {name: value for name, value in values.items() if value not in {"", 1}}
    return "/users" + (f"?{urlencode(given)}" if given else "")


def _back(keeper: Keeper, done: str) -> web.Response:
    raise web.HTTPSeeOther(f"/users/{quote(keeper.user.guid, safe='')}?done={done}")
