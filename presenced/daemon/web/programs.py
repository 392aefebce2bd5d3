"""What programs ask: the same JSON that the control socket gives, figures for Prometheus, the health."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from aiohttp import web

from presenced.core.ports import StoreProblem
from presenced.daemon.answers.metrics import CONTENT_TYPE
from presenced.daemon.answers.questions import Unanswerable
from presenced.daemon.web.site import Site


class Programs:
    """`/api/…`, `/metrics` and `/healthz`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def status(self, request: web.Request) -> web.StreamResponse:
        """`presenced status --json`, sent in pieces so that thousands of users don't hold up the loop."""
        response = web.StreamResponse()
        response.content_type, response.charset = "application/json", "utf-8"
        self._site.guard.dress(request, response)
        await response.prepare(request)
        for piece in self._site.questions.status_in_pieces():
            await response.write(piece.encode())
            await self._site.clock.sleep(timedelta())
        await response.write_eof()
        return response

    async def explain(self, request: web.Request) -> web.Response:
        """`presenced explain USER [--at T]`: query `user`, `at`."""
        try:
            return _json(await self._site.questions.explain(request.query))
        except Unanswerable as refused:
            return _json({"problem": refused.reason}, refused.status)

    async def requests(self, request: web.Request) -> web.Response:
        """The last requests of the doors: query `door`, `text`, `mailbox`, `outcome`, `limit`."""
        try:
            return _json(self._site.questions.requests(request.query))
        except Unanswerable as refused:
            return _json({"problem": refused.reason}, refused.status)

    async def writes(self, request: web.Request) -> web.Response:
        """The record of writes: query `guid`, `limit`."""
        limit = request.query.get("limit", "100")
        if not (limit.isascii() and limit.isdigit() and 0 < int(limit[:6]) <= 1000):
            return _json({"problem": "limit is a number from 1 to 1000"}, 400)
        try:
            writes = await self._site.store.fetch_writes(
                guid=request.query.get("guid") or None, limit=int(limit[:6])
            )
        except StoreProblem as problem:
            return _json({"problem": problem.reason}, 503)
        return _json({"writes": [self._write(self._site.write_line(write), write.rule) for write in writes]})

    @staticmethod
    def _write(line: Any, rule: str) -> dict[str, Any]:
        return {
            "at": line["at"].isoformat(),
            "guid": line["guid"] or None,
            "presence": line["shown"].kind,
            "text": line["shown"].text,
            "cause": line["cause"],
            "rule": rule,
            "error": line["error"],
        }

    async def metrics(self, _: web.Request) -> web.Response:
        """Figures for Prometheus."""
        return web.Response(body=self._site.questions.metrics(), headers={"Content-Type": CONTENT_TYPE})

    async def health(self, request: web.Request) -> web.Response:
        """200 only while both doors are well; why not is told to those who may see the page."""
        health = self._site.questions.health()
        told = health.as_json() if self._site.guard.is_let_in(request) else {"healthy": health.healthy}
        return _json(told, health.http_status)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        text=json.dumps(value, ensure_ascii=False) + "\n", status=status, content_type="application/json"
    )
