"""The record of writes and the log of requests, both searchable and both bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from presenced.core.ports import StoreProblem, Write
from presenced.daemon.answers.sentences import CAUSES
from presenced.daemon.requests_log import KEPT, Search
from presenced.daemon.slices import in_slices
from presenced.daemon.web.showing import NAMES
from presenced.daemon.web.site import Site, name_of

SEARCHED = 5000
"""the newest writes, looked through for what is asked"""
SHOWN = 200
_LONGEST_SEARCH = 200


@dataclass(frozen=True, slots=True)
class WriteSearch:
    """Which writes to show; "" is for any."""

    text: str = ""
    cause: str = ""
    refused: bool = False


class Records:
    """`/writes` and `/requests`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def writes(self, request: web.Request) -> web.Response:
        """What was written, newest first, with why."""
        search = WriteSearch(
            request.query.get("text", "").strip()[:_LONGEST_SEARCH],
            request.query.get("cause", "") if request.query.get("cause", "") in CAUSES else "",
            request.query.get("refused", "") == "yes",
        )
        found, shown, problem = await self._find(search)
        return self._site.page(
            request,
            "writes.html",
            search=search,
            writes=shown,
            found=found,
            searched=SEARCHED,
            most=SHOWN,
            all_causes=list(CAUSES),
            kept=self._site.settings.store.history,
            writes_problem=problem,
        )

    async def _find(self, search: WriteSearch) -> tuple[int, list[Mapping[str, Any]], str]:
        try:
            writes = await self._site.store.fetch_writes(limit=SEARCHED)
        except StoreProblem as problem:
            return 0, [], problem.reason
        words = search.text.casefold().split()
        found = 0
        shown: list[Mapping[str, Any]] = []
        async for write in in_slices(writes):
            if (
                (search.cause and write.cause != search.cause)
                or (search.refused and not write.error)
                or (words and not self._fits(write, words))
            ):
                continue
            found += 1
            if len(shown) < SHOWN:
                shown.append(self._site.write_line(write))
        return found, shown, ""

    def _fits(self, write: Write, words: list[str]) -> bool:
        """Every word stands in a name, an address or in what may be shown of the presence."""
        keeper = self._site.keeper(write.guid)
        names = (name_of(keeper), keeper.user.sip, *keeper.user.addresses) if keeper else ()
        shown = self._site.show(write.presence, keeper)
        text = "\n".join((*names, shown.text, NAMES[shown.kind], write.error)).casefold()
        return all(word in text for word in words)

    async def requests(self, request: web.Request) -> web.Response:
        """What the doors asked and what came back."""
        search = Search(
            door=request.query.get("door", "")
            if request.query.get("door", "") in {"pbx", "exchange"}
            else "",
            text=request.query.get("text", "").strip()[:_LONGEST_SEARCH],
            outcome="failed" if request.query.get("outcome", "") == "failed" else "",
            limit=SHOWN,
        )
        return self._site.page(
            request,
            "requests.html",
            search=search,
            requests=self._site.engine.requests.search(search),
            most=SHOWN,
            kept=KEPT,
        )
