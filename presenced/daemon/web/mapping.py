"""The mapping in force and where each value comes from, users' own wishes, the dry run of another one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField

from presenced.config.loading import MOST_BYTES
from presenced.config.schema import Key, keys_of
from presenced.config.settings import Settings
from presenced.core.activity import Mapped
from presenced.daemon.slices import in_slices
from presenced.daemon.web.drafting import (
    Draft,
    deciding_text,
    mapping_text,
    mapping_values,
    read_draft,
    setting_text,
    user_lines,
)
from presenced.daemon.web.dryrun import Difference, compare
from presenced.daemon.web.showing import NOTHING, show_for
from presenced.daemon.web.site import Site, name_of

CHOICES = tuple(mapped.value for mapped in Mapped)
_ASKS_FOR_TEXT = "tentative_exception_organizers"
_SHARED_KEYS = ("timezone", "language", "subject", "priority_words", "priority_exclude_words", "window_hours")


class MappingPage:
    """`/mapping`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def get(self, request: web.Request) -> web.Response:
        """The table in force, the forms to try another one."""
        settings = self._site.settings
        return await self._page(request, mapping_values(settings.mapping), deciding_text(settings))

    async def try_table(self, request: web.Request) -> web.Response:
        """A dry run of the table as the form has it."""
        form = await request.post()
        values = mapping_values(self._site.settings.mapping)
        values |= {name: value for name, value in form.items() if name in values and isinstance(value, str)}
        text = mapping_text(values)
        return await self._answer(request, text, values, deciding_text(self._site.settings))

    async def try_text(self, request: web.Request) -> web.Response:
        """A dry run of a text, or of a file."""
        form = await request.post()
        text, file = form.get("text", ""), form.get("file")
        if isinstance(file, FileField) and file.filename:
            data = file.file.read(MOST_BYTES + 1)
            text = data.decode("utf-8-sig", "replace")
        if not isinstance(text, str) or len(text) > MOST_BYTES:
            raise web.HTTPRequestEntityTooLarge(MOST_BYTES, MOST_BYTES + 1, text="The text is too long.\n")
        return await self._answer(request, text, mapping_values(self._site.settings.mapping), text)

    async def reload(self, request: web.Request) -> web.Response:
        """Read the ini file again, as a signal would have it."""
        self._site.questions.reload()
        raise web.HTTPSeeOther("/mapping?done=reload")

    # --- inside ---

    async def _answer(
        self, request: web.Request, text: str, table: Mapping[str, str], shown_text: str
    ) -> web.Response:
        """The outcome: alone where a script asked for it, else on the whole page."""
        draft = await asyncio.to_thread(read_draft, text, self._site.settings)
        values = await self._outcome(draft, text)
        if request.headers.get("X-Requested-With") == "fetch":
            return web.Response(
                text=self._site.region("mapping-outcome.html", **values), content_type="text/html"
            )
        return await self._page(request, table, "" if draft.whole else shown_text, **values)

    async def _page(
        self, request: web.Request, table: Mapping[str, str], text: str, **outcome: Any
    ) -> web.Response:
        settings = self._site.settings
        return self._site.page(
            request,
            "mapping.html",
            rows=[_row(settings, "mapping", key) for key in keys_of("mapping").values()],
            shared=[_row(settings, "presence", keys_of("presence")[name]) for name in _SHARED_KEYS],
            table=table,
            choices=CHOICES,
            asks_for_text=_ASKS_FOR_TEXT,
            text=text,
            wishes=await self._wishes(),
            reloading=request.query.get("done") == "reload",
            **({"draft": None} | outcome),
        )

    async def _outcome(self, draft: Draft, text: str) -> dict[str, Any]:
        outcome = None
        if draft.settings is not None:
            keepers = list(self._site.engine.roster.keepers.values())
            outcome = await compare(keepers, draft.settings, self._site.clock.now())
        return {
            "draft": draft,
            "lines": "" if draft.whole else text.strip(),
            "outcome": outcome,
            "differences": [self._difference(one) for one in outcome.listed] if outcome else [],
        }

    def _difference(self, one: Difference) -> dict[str, Any]:
        keeper = one.keeper
        return {
            "guid": keeper.user.guid,
            "name": name_of(keeper),
            "before": self._site.show(one.before, keeper),
            "after": show_for(one.after, one.mapping, titles=one.titles) if one.after else NOTHING,
            "remark": one.remark,
        }

    async def _wishes(self) -> list[dict[str, Any]]:
        """The `[user …]` sections, each with how many users it applies to."""
        settings = self._site.settings
        counts: Counter[str] = Counter()
        if settings.users:
            async for keeper in in_slices(list(self._site.engine.roster.keepers.values())):
                counts[settings.for_user(keeper.user.addresses).section] += 1
        return [
            {
                "pattern": user.pattern,
                "place": f"{PurePath(settings.path).name}:{user.line}",
                "lines": user_lines(user),
                "users": counts[user.pattern],
            }
            for user in settings.users
        ]


def _row(settings: Settings, section: str, key: Key) -> dict[str, Any]:
    """One key: what it says and where."""
    line = settings.lines.get((section, key.name))
    return {
        "key": key.name,
        "known_as": "" if key.known_as.lower().replace(" ", "_") == key.name else key.known_as,
        "value": setting_text(getattr(getattr(settings, section), key.target), key.name),
        "where": f"{PurePath(settings.path).name}:{line}" if line else "default",
        "full": f"{settings.path}, line {line}" if line else "not set in the file",
    }
