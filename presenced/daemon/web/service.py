"""The status page as the supervisor knows it: listens where `[web]` says until it is cancelled."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus

from aiohttp import web

from presenced.config.loading import MOST_BYTES
from presenced.config.settings import WebSettings
from presenced.core.ports import Clock, DoorProblem, Store
from presenced.daemon.answers.questions import Questions
from presenced.daemon.engine import Engine
from presenced.daemon.web.doors import Doors
from presenced.daemon.web.guard import Guard, Handler
from presenced.daemon.web.live import Live, Regions
from presenced.daemon.web.mapping import MappingPage
from presenced.daemon.web.notices import NoticeBox
from presenced.daemon.web.overview import Overview
from presenced.daemon.web.people import People
from presenced.daemon.web.programs import Programs
from presenced.daemon.web.records import Records
from presenced.daemon.web.signpages import SignPages
from presenced.daemon.web.site import Site

log = logging.getLogger(__name__)

_BODY = 2 * MOST_BYTES
"""a form with an ini file in it"""
_END_WITHIN_SECONDS = 1.0
_FOR_PROGRAMS = ("/api/", "/metrics", "/healthz", "/static/", "/live")


class Web:
    """One status page; a new one is made when `[web]` changes."""

    def __init__(
        self,
        settings: WebSettings,
        engine: Engine,
        store: Store,
        clock: Clock,
        questions: Questions,
        *,
        notices: NoticeBox | None = None,
    ) -> None:
        self._settings = settings
        self._notices = notices
        self._guard = Guard(settings, clock)
        self._site = Site(engine, store, clock, self._guard, questions)
        self._overview = Overview(self._site)
        self._people = People(self._site)
        self._doors = Doors(self._site)
        self._live = Live(clock, self._regions)
        self.listening = asyncio.Event()
        """set when the page can be asked for"""
        self.port = 0
        """the port bound, once `listening` is set"""

    @property
    def watching(self) -> int:
        """How many pages are live now."""
        return self._live.watching

    async def run(self) -> None:
        """Serve until cancelled; raises DoorProblem where the port can't be had. Nothing where it is off."""
        listen = self._settings.listen
        if listen is None:
            return
        await self._guard.prepare()
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_END_WITHIN_SECONDS,
        )
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, listen.host, listen.port).start()
            except OSError as error:
                raise DoorProblem(
                    f"the status page can't listen on {listen.host}:{listen.port} ({error.strerror})",
                    remedy="choose another [web] listen, or end what listens there",
                ) from error
            self.port = runner.addresses[0][1]
            log.info("status page listening", extra={"host": listen.host, "port": self.port})
            self.listening.set()
            await self._live.run()
        finally:
            self.listening.clear()
            await runner.cleanup()

    def _application(self) -> web.Application:
        first = [self._notices.take] if self._notices is not None else []
        application = web.Application(
            middlewares=[*first, self._explain_refusals, self._guard.dress_all, self._guard.let_in],
            client_max_size=_BODY,
        )
        mapping, records = MappingPage(self._site), Records(self._site)
        programs, signing = Programs(self._site), SignPages(self._site)
        people, get, post = self._people, web.get, web.post
        application.add_routes(
            [
                get("/", self._overview.get),
                get("/users", people.show_list),
                get("/users/{guid}", people.get),
                post("/users/{guid}/read", people.read),
                post("/users/{guid}/resolve", people.resolve),
                post("/users/{guid}/write", people.write),
                get("/mapping", mapping.get),
                post("/mapping/table", mapping.try_table),
                post("/mapping/text", mapping.try_text),
                post("/reload", mapping.reload),
                get("/writes", records.writes),
                get("/requests", records.requests),
                get("/doors", self._doors.get),
                get("/live", self._watch),
                get("/static/{name}", self._site.statics.serve),
                get("/sign-in", signing.ask),
                post("/sign-in", signing.sign_in),
                post("/sign-out", signing.sign_out),
                get("/api/status", programs.status),
                get("/api/explain", programs.explain),
                get("/api/requests", programs.requests),
                get("/api/writes", programs.writes),
                get("/metrics", programs.metrics),
                get("/healthz", programs.health),
            ]
        )
        return application

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        """What changes on a page, as it changes."""
        topic = request.query.get("page", "")
        if topic not in {"overview", "doors"} and self._site.keeper(topic.removeprefix("user:")) is None:
            raise web.HTTPNotFound(text="Nothing changes there.\n")
        return await self._live.serve(
            request,
            topic,
            lambda: self._guard.is_let_in(request),
            lambda response: self._guard.dress(request, response),
        )

    async def _regions(self, topic: str) -> Regions:
        if topic == "overview":
            return await self._overview.regions()
        if topic == "doors":
            return await self._doors.regions()
        return await self._people.regions(topic.removeprefix("user:"))

    @web.middleware
    async def _explain_refusals(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """People get a page that says what is wrong, programs a line."""
        try:
            return await handler(request)
        except web.HTTPRedirection:
            raise
        except web.HTTPException as refused:
            for_programs = request.path.startswith(_FOR_PROGRAMS) or "X-Requested-With" in request.headers
            if for_programs or refused.status == HTTPStatus.MISDIRECTED_REQUEST:
                raise
            status, sentence = refused.status, refused.text or ""
            if sentence == f"{refused.status}: {refused.reason}":
                sentence = "There is no such page." if status == HTTPStatus.NOT_FOUND else refused.reason
        except Exception:
            log.exception("a page failed unexpectedly path=%s", request.path)
            status, sentence = 500, "This page failed unexpectedly; the log says how."
        response = self._site.page(request, "refusal.html", status=status, sentence=sentence.strip())
        self._guard.dress(request, response)
        return response
