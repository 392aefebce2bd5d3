"""The local socket: what the commands `explain` and `status` ask, answered in JSON over HTTP.

It carries questions and nothing else; who may ask is settled by the rights of the socket's file. The daemon
does without it where it can't be had, because presences matter more than answers.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from presenced.core.ports import DoorProblem
from presenced.daemon.answers.meeting_place import bind, unbind
from presenced.daemon.answers.metrics import CONTENT_TYPE
from presenced.daemon.answers.questions import Questions, Unanswerable

log = logging.getLogger(__name__)

STORE_HEADER = "Presenced-Store"
"""tells a command whether the daemon that answers is the one it means"""
_MOST_BODY = 4096
_LONGEST_LINE = 8190
_CLOSING_SECONDS = 1.0
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """Answers on a unix socket."""

    def __init__(self, path: Path, questions: Questions, *, store: Path, group: bool = False) -> None:
        """`group`: the socket is for the group of its folder, too."""
        self._path = path
        self._questions = questions
        self._store = str(store)
        self._group = group

    async def run(self) -> None:
        """Answer until cancelled; where the socket can't be had, say so and leave it at that."""
        try:
            listener = bind(self._path, group=self._group)
            inode = self._path.stat().st_ino
        except (OSError, DoorProblem) as problem:
            _complain(self._path, problem)
            return
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            shutdown_timeout=_CLOSING_SECONDS,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
        )
        try:
            await runner.setup()
            await web.SockSite(runner, listener).start()
            log.info("answering questions socket=%s", self._path)
            await asyncio.get_running_loop().create_future()
        finally:
            unbind(self._path, inode)
            await runner.cleanup()
            listener.close()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=_MOST_BODY, middlewares=[self._tell_problems])
        application.router.add_get("/status", self._status)
        application.router.add_get("/explain", self._explain)
        application.router.add_get("/requests", self._requests)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_post("/reload", self._reload)
        application.on_response_prepare.append(self._sign)
        return application

    async def _sign(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers[STORE_HEADER] = self._store

    @web.middleware
    async def _tell_problems(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Unanswerable as problem:
            return _json({"problem": problem.reason}, status=problem.status)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception:
            log.exception("a question failed unexpectedly path=%s", request.path)
            return _json({"problem": "this could not be answered; the daemon's log says why"}, status=500)

    async def _status(self, request: web.Request) -> web.StreamResponse:
        """In pieces, so that everything else goes on in between."""
        response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
        await response.prepare(request)
        for piece in self._questions.status_in_pieces():
            await response.write(piece.encode())
            await asyncio.sleep(0)
        await response.write_eof()
        return response

    async def _explain(self, request: web.Request) -> web.StreamResponse:
        return _json(await self._questions.explain(request.query))

    async def _requests(self, request: web.Request) -> web.StreamResponse:
        return _json(self._questions.requests(request.query))

    async def _healthz(self, _: web.Request) -> web.StreamResponse:
        health = self._questions.health()
        return _json(health.as_json(), status=health.http_status)

    async def _metrics(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=self._questions.metrics(), headers={"Content-Type": CONTENT_TYPE})

    async def _reload(self, _: web.Request) -> web.StreamResponse:
        self._questions.reload()
        return _json({"reload": "asked for; the log tells what became of it"}, status=202)


def _complain(path: Path, problem: OSError | DoorProblem) -> None:
    if isinstance(problem, DoorProblem):
        because, remedy = problem.reason, problem.remedy
    else:
        because = problem.strerror or str(problem)
        remedy = "see that the folder exists and is this user's to write, then restart the daemon"
    log.error("explain and status won't be answered socket=%s because=%s remedy=%s", path, because, remedy)


def _json(answer: dict[str, Any], *, status: int = 200) -> web.Response:
    return web.json_response(text=json.dumps(answer, ensure_ascii=False), status=status)
