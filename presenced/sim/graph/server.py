"""The endpoint of a simulated Microsoft Graph: sign-in, limits, troubles, single requests and batches."""

from __future__ import annotations

import asyncio
import json
import ssl
import uuid
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from presenced.core.ports import Clock
from presenced.sim.exchange.organisation import Organisation
from presenced.sim.graph.batch import Part, claims_header, read_parts, run
from presenced.sim.graph.faults import GraphFaults, Trouble
from presenced.sim.graph.notices import Notices
from presenced.sim.graph.ports import Caller, TokenRefused, TokenVerifier
from presenced.sim.graph.problems import GraphProblem, Reply, bad_request, error_body
from presenced.sim.graph.query import split
from presenced.sim.graph.resources import Resources

VERSION = "/v1.0"
REQUEST_BYTES = 4 << 20
PER_PERIOD = 10_000
PERIOD = timedelta(minutes=10)
"""requests of an app to one mailbox: Graph's limits for Outlook"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, single or part of a batch, for tests to look at."""

    method: str
    url: str
    headers: Mapping[str, str]
    batched: bool


class SimulatedGraph:
    """Graph over an organisation; `tokens` knows who may come in."""

    def __init__(
        self,
        organisation: Organisation,
        *,
        clock: Clock,
        tokens: TokenVerifier,
        faults: GraphFaults | None = None,
        tenant: str = "72f988bf-86f1-41af-91ab-2d7cd011db47",
        trust: ssl.SSLContext | None = None,
        log_size: int = 2000,
    ) -> None:
        """`trust` is what it believes when it sends notices."""
        self.faults = faults or GraphFaults()
        self.notices = Notices(clock, self.faults, trust)
        self.resources = Resources(organisation, clock, self.faults, self.notices, tenant)
        self.seen: deque[Seen] = deque(maxlen=log_size)
        self.client_bugs: deque[str] = deque(maxlen=log_size)
        """what clients did that no healthy server meets"""
        self.counters: Counter[str] = Counter()
        """requests by resource, `$batch` among them"""
        self.most_at_once: Counter[str] = Counter()
        """the most requests that ran at the same time, by user"""
        self._clock = clock
        self._tokens = tokens
        self._running: Counter[str] = Counter()
        self._periods: dict[str, tuple[datetime, int]] = {}
        self._runner: web.AppRunner | None = None
        self.base_url = ""
        """`https://127.0.0.1:12345/v1.0` once it runs"""

    async def start(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listen."""
        application = web.Application(client_max_size=REQUEST_BYTES)
        application.router.add_route("*", VERSION + "/{rest:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=tls)
        await site.start()
        bound = self._runner.addresses[0]
        self.base_url = f"{'https' if tls else 'http'}://{host}:{bound[1]}{VERSION}"
        self.resources.base_url = self.base_url
        await self.notices.open()

    async def stop(self) -> None:
        """Stop listening."""
        await self.notices.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        request_id = str(uuid.uuid4())
        client_id = request.headers.get("client-request-id", "")
        headers = {"request-id": request_id} | ({"client-request-id": client_id} if client_id else {})
        try:
            caller = await self._identify(request)
            whole = self.faults.meet("$batch", "", whole=True) if _is_batch(request) else None
            if whole is not None and whole.trouble is Trouble.RESET:
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()
            if whole is not None and whole.trouble is Trouble.NOT_JSON:
                return web.Response(text="<html>proxy</html>", content_type="text/html")
            if whole is not None:
                raise whole.problem()
            reply = await self._answer(request, caller)
        except GraphProblem as problem:
            reply = self._refusal(problem, request_id, client_id)
        reply.headers.pop("Content-Type", None)
        if reply.body is None:
            return web.Response(status=reply.status, headers=headers | reply.headers)
        return web.json_response(reply.body, status=reply.status, headers=headers | reply.headers)

    async def _answer(self, request: web.Request, caller: Caller) -> Reply:
        body = await _read_body(request)
        if _is_batch(request):
            self.counters["$batch"] += 1
            parts = read_parts(body)

            async def take(part: Part) -> Reply:
                try:
                    return await self._take(part, caller, batched=True)
                except GraphProblem as problem:
                    return self._refusal(problem, str(uuid.uuid4()), "")

            return Reply(200, await run(parts, take))
        url = request.raw_path.removeprefix(VERSION)
        headers = {name.lower(): value for name, value in request.headers.items()}
        if body is not None and not isinstance(body, dict):
            raise bad_request("The body must be an object.")
        return await self._take(Part(request.method, url, headers, body), caller, batched=False)

    async def _take(self, part: Part, caller: Caller, *, batched: bool) -> Reply:
        self.seen.append(Seen(part.method, part.url, part.headers, batched))
        path, options = split(part.url)
        resource = _resource(path)
        self.counters[resource] += 1
        mailbox = self.resources.directory.find(path[1]) if path[0] == "users" and len(path) > 1 else None
        address = mailbox.address if mailbox else ""
        switch = self.faults.meet(resource, address)
        if switch is not None:
            raise switch.problem()
        if not address:
            return await self.resources.answer(part, path, options, caller)
        self._count(address)
        self._running[address] += 1
        self.most_at_once[address] = max(self.most_at_once[address], self._running[address])
        try:
            if self._running[address] > self.faults.per_mailbox:
                self.client_bugs.append(f"more than {self.faults.per_mailbox} requests at once to {address}")
                raise GraphProblem(
                    429,
                    "ApplicationThrottled",
                    "Application is over its MailboxConcurrency limit.",
                    headers={"Retry-After": "1"},
                )
            await asyncio.sleep(0)  # a server does not answer before it has looked at what else comes in
            return await self.resources.answer(part, path, options, caller)
        finally:
            self._running[address] -= 1

    def _count(self, address: str) -> None:
        """10,000 requests in 10 minutes a mailbox."""
        now = self._clock.now()
        since, count = self._periods.get(address, (now, 0))
        if now - since >= PERIOD:
            since, count = now, 0
        self._periods[address] = (since, count + 1)
        if count >= PER_PERIOD:
            wait = (since + PERIOD - now) // timedelta(seconds=1) + 1
            raise GraphProblem(
                429, "ApplicationThrottled", "Too many requests.", headers={"Retry-After": str(wait)}
            )

    async def _identify(self, request: web.Request) -> Caller:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise GraphProblem(401, "InvalidAuthenticationToken", "Access token is empty.")
        try:
            return await self._tokens.identify(token.strip())
        except TokenRefused as refused:
            challenge = claims_header(refused.claims) if refused.claims else 'Bearer realm=""'
            raise GraphProblem(
                401,
                "InvalidAuthenticationToken",
                refused.reason,
                headers={"WWW-Authenticate": challenge},
            ) from None

    def _refusal(self, problem: GraphProblem, request_id: str, client_id: str) -> Reply:
        if problem.status == 400:
            self.client_bugs.append(problem.message)
        date = f"{self._clock.now():%Y-%m-%dT%H:%M:%S}"
        return Reply(problem.status, error_body(problem, request_id, client_id, date), dict(problem.headers))


def _is_batch(request: web.Request) -> bool:
    return request.method == "POST" and request.path == f"{VERSION}/$batch"


def _resource(path: tuple[str, ...]) -> str:
    if path[0] != "users" or len(path) <= 2:
        return path[0]
    return (
        path[3] if path[2] == "calendar" and len(path) == 4 else path[-1] if path[-1] == "delta" else path[2]
    )


async def _read_body(request: web.Request) -> Any:
    if not request.can_read_body:
        return None
    if request.content_type != "application/json":
        raise bad_request("Content-Type must be application/json.")
    try:
        return json.loads(await request.read())
    except ValueError:
        raise bad_request("Unable to read JSON request payload.") from None
