"""The EWS endpoint of a simulated Exchange: POST /EWS/Exchange.asmx.

One request goes through here: sign-in, parsing, impersonation, the back end it lands on, whatever is
switched to go wrong, the operation. What a real server would reject is rejected and kept in
`client_bugs`; the operations themselves are plain functions elsewhere.
"""

from __future__ import annotations

import itertools
import logging
import ssl
import uuid
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from presenced.core.ports import Clock
from presenced.sim.exchange import (
    availability,
    folder_operations,
    notifications,
    people,
    reading,
    syncing,
    writing,
)
from presenced.sim.exchange.call import Call, impersonate
from presenced.sim.exchange.disruption import answer_in_trouble, truncate
from presenced.sim.exchange.faults import STREAM_TROUBLES, ExchangeFaults, Switch, Trouble
from presenced.sim.exchange.organisation import Event, Item, Organisation, SimulatedMailbox
from presenced.sim.exchange.ports import ANONYMOUS, Account, Announcer, Authenticator
from presenced.sim.exchange.problems import CLIENT_MISTAKES, Problem, Refusal
from presenced.sim.exchange.schema import SchemaCheck
from presenced.sim.exchange.soap import Request, envelope, failure, fault, parse, response
from presenced.sim.exchange.streaming import XML, Pace, Surroundings, ignore, reset_connection, serve_stream
from presenced.sim.exchange.subscriptions import Subscriptions

log = logging.getLogger(__name__)

PATH = "/EWS/Exchange.asmx"
ANY_CASE = r"/{ews:(?i:ews)}/{page:(?i:exchange\.asmx)}"
AFFINITY_COOKIE = "X-BackEndOverrideCookie"
REQUEST_BYTES = 4 * 1024 * 1024
OPERATIONS: Mapping[str, Callable[[Call], str]] = {
    "ConvertId": people.convert_ids,
    "CreateItem": writing.create_items,
    "DeleteItem": writing.delete_items,
    "FindFolder": folder_operations.list_folders,
    "FindItem": reading.find_items,
    "GetEvents": notifications.get_events,
    "GetFolder": folder_operations.get_folder,
    "GetItem": reading.get_items,
    "GetServerTimeZones": availability.get_server_time_zones,
    "GetUserAvailability": availability.get_user_availability,
    "ResolveNames": people.resolve_names,
    "Subscribe": notifications.subscribe,
    "SyncFolderHierarchy": folder_operations.sync_folder_hierarchy,
    "SyncFolderItems": syncing.sync_folder_items,
    "Unsubscribe": notifications.unsubscribe,
    "UpdateItem": writing.update_items,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, for tests to look at."""

    operation: str
    mailbox: str
    """primary address of the mailbox acted for, "" for none"""
    account: str
    headers: Mapping[str, str]
    body: bytes


class SimulatedExchange:
    """One EWS endpoint over an organisation; several may share it, each with the mailboxes at home there."""

    def __init__(
        self,
        organisation: Organisation,
        *,
        clock: Clock,
        faults: ExchangeFaults | None = None,
        authenticator: Authenticator | None = None,
        name: str = "",
        backends: tuple[str, ...] = ("EX01", "EX02"),
        pace: Pace | None = None,
        schema: SchemaCheck | None = None,
        log_size: int = 1000,
    ) -> None:
        self.organisation = organisation
        self.clock = clock
        self.faults = faults or ExchangeFaults()
        self.authenticator = authenticator
        self.name = name
        """what `SimulatedMailbox.home` calls this endpoint"""
        self.subscriptions = Subscriptions()
        self.counters: Counter[str] = Counter()
        """requests by operation"""
        self.seen: deque[Seen] = deque(maxlen=log_size)
        self.client_bugs: deque[str] = deque(maxlen=log_size)
        """what clients did that a real server rejects"""
        self.server_bugs: deque[str] = deque(maxlen=log_size)
        """answers of ours the schema does not allow"""
        self._backends = backends
        self._turns = itertools.cycle(backends)
        self._schema = schema
        self._around = Surroundings(
            clock, pace or Pace(), self._check_answer if schema is not None else ignore
        )
        self._routes: list[web.AbstractRouteDef] = []
        self._runner: web.AppRunner | None = None
        self.base_url = ""
        """`http://127.0.0.1:12345` once it runs"""
        self.port = 0

    def add_routes(self, routes: Iterable[web.AbstractRouteDef]) -> None:
        """Serve these on the same address too (autodiscover); before `start`."""
        self._routes.extend(routes)

    @property
    def ews_url(self) -> str:
        """Where clients send their requests."""
        return f"{self.base_url}{PATH}"

    def ews_url_of(self, mailbox: SimulatedMailbox) -> str:
        """The EWS URL of the endpoint this mailbox lives at."""
        return self.organisation.endpoints.get(mailbox.home, self.ews_url)

    async def start(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listen; port 0 takes any free one."""
        app = web.Application(client_max_size=REQUEST_BYTES)
        app.router.add_post(PATH, self._serve)
        app.router.add_post(ANY_CASE, self._serve)
        app.router.add_routes(self._routes)
        authenticator: object = self.authenticator
        if isinstance(authenticator, Announcer):
            app.on_response_prepare.append(authenticator.announce)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=tls).start()
        self.port = self._runner.addresses[0][1]
        self.base_url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self.organisation.watchers.append(self._announce)
        self.organisation.endpoints[self.name] = self.ews_url

    async def stop(self) -> None:
        """End all streams and stop listening; subscriptions are forgotten, as on a restart."""
        if self._runner is None:
            return
        self.organisation.watchers.remove(self._announce)
        self.interrupt_streams(Trouble.EOF)
        self.subscriptions.drop_all()
        await self._runner.cleanup()
        self._runner = None

    def interrupt_streams(
        self, trouble: Trouble, *, mailbox: str = "", code: str = "ErrorReadEventsFailed"
    ) -> int:
        """Let this happen now to the open streams that carry the mailbox (to all without); how many."""
        key = mailbox.casefold()
        streams = [stream for stream in self.subscriptions.streams if not key or stream.carries(key)]
        for stream in streams:
            stream.interrupt(Switch(trouble, mailbox=mailbox, code=code))
        return len(streams)

    def begin_move(self, address: str) -> None:
        """The mailbox is on its way: its requests are refused, its stream ends."""
        mailbox = self.organisation.find(address)
        if mailbox is None:
            raise KeyError(address)
        self.faults.on(Trouble.MOVING, mailbox=mailbox.address)
        self.interrupt_streams(Trouble.ERROR, mailbox=mailbox.address, code="ErrorMailboxMoveInProgress")

    def finish_move(self, address: str, home: str) -> None:
        """The mailbox has arrived at the endpoint called `home`; this one knows it no more."""
        mailbox = self.organisation.find(address)
        if mailbox is None:
            raise KeyError(address)
        self.faults.switches = [
            switch
            for switch in self.faults.switches
            if (switch.trouble, switch.mailbox) != (Trouble.MOVING, mailbox.address)
        ]
        self.subscriptions.drop_mailbox(mailbox.address)
        mailbox.home = home

    def _announce(self, mailbox: SimulatedMailbox, event: Event, item: Item) -> None:
        self.subscriptions.announce(mailbox, event, item, self.clock.now())

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        account = ANONYMOUS
        if self.authenticator is not None:
            signed_in = await self.authenticator.authenticate(request)
            if isinstance(signed_in, web.StreamResponse):
                return signed_in
            account = signed_in
        body = await request.read()
        if not _is_xml(request.headers.get("Content-Type", "")):
            self.client_bugs.append(f"Content-Type {request.headers['Content-Type']}")
            return web.Response(status=415)
        operation = "?"
        try:
            asked = self._parse(body)
            operation = asked.operation
            principal = impersonate(asked, account, self.organisation)
            call = self._call(asked, account, principal, request)
            self._note(call, request, body)
            answer = await self._answer(call, request)
        except Problem as problem:
            answer = self._problem(operation, problem)
        return answer

    def _parse(self, body: bytes) -> Request:
        asked = parse(body)
        self.counters[asked.operation] += 1
        if self._schema is not None and (problems := self._schema.problems(body)):
            raise Refusal("ErrorSchemaValidation", f"The request failed schema validation: {problems[0]}")
        if asked.operation not in OPERATIONS and asked.operation != "GetStreamingEvents":
            raise Refusal("ErrorSchemaValidation", f"No operation {asked.operation} is known here.")
        return asked

    def _call(
        self, asked: Request, account: Account, impersonated: SimulatedMailbox | None, request: web.Request
    ) -> Call:
        principal = impersonated
        if principal is None and account.address:
            principal = self.organisation.find(account.address)
        return Call(
            asked,
            account,
            principal,
            self.organisation,
            self.faults,
            self.clock.now(),
            self._backend(request, principal, account),
            self.subscriptions,
            self.name,
            impersonated is not None,
        )

    def _backend(self, request: web.Request, principal: SimulatedMailbox | None, account: Account) -> str:
        """The back end a request lands on: the one its cookie names, else the one its anchor leads to."""
        cookie = request.cookies.get(AFFINITY_COOKIE) if "Cookie" in request.headers else None
        if cookie is not None:
            named = cookie.partition("~")[0]
            if named in self._backends:
                return named
        if self.faults.scatter:
            return next(self._turns)
        anchor = request.headers.get("X-AnchorMailbox") or (principal.address if principal else account.name)
        place = zlib.crc32(anchor.casefold().encode()) + (cookie is not None)
        return self._backends[place % len(self._backends)]

    def _note(self, call: Call, request: web.Request, body: bytes) -> None:
        mailbox = call.principal.address if call.principal else ""
        self.seen.append(Seen(call.request.operation, mailbox, call.account.name, request.headers, body))

    async def _answer(self, call: Call, request: web.Request) -> web.StreamResponse:
        operation = call.request.operation
        mailbox = call.principal.address if call.principal else request.headers.get("X-AnchorMailbox", "")
        switch, delay = self.faults.meet(operation, mailbox)
        if delay > timedelta():
            await self.clock.sleep(delay)
            call.now = self.clock.now()
        streams = operation == "GetStreamingEvents"
        if switch is not None:
            if switch.trouble is Trouble.RESET and not streams:
                reset_connection(request.transport)
                return web.Response(status=500)
            instead = answer_in_trouble(switch, call)
            if instead is not None:
                return instead
        if call.principal is not None and call.principal.home not in {"", self.name}:
            raise Refusal("ErrorProxyRequestNotAllowed", "The mailbox lives at another site.")
        if streams:
            later = switch if switch and switch.trouble in {*STREAM_TROUBLES, Trouble.RESET} else None
            return await serve_stream(call, request, self._around, later)
        body = envelope(OPERATIONS[operation](call))
        for problem in call.problems:
            self._blame(operation, problem)
        self._around.check(body)
        answer = self._reply(request, call, body)
        return truncate(answer) if switch is not None and switch.trouble is Trouble.TRUNCATED else answer

    def _reply(self, request: web.Request, call: Call, body: bytes) -> web.Response:
        headers = {"Content-Type": XML, "Cache-Control": "private", "request-id": str(uuid.uuid4())}
        if request.headers.get("return-client-request-id", "").casefold() == "true":
            headers["client-request-id"] = request.headers.get("client-request-id", "")
        answer = web.Response(body=body, headers=headers)
        if request.headers.get("X-PreferServerAffinity", "").casefold() == "true":
            answer.set_cookie(AFFINITY_COOKIE, f"{call.backend}~{zlib.crc32(call.backend.encode())}")
        return answer

    def _blame(self, operation: str, problem: Problem) -> None:
        if problem.code in CLIENT_MISTAKES:
            self.client_bugs.append(f"{operation}: {problem}")
        log.debug("refused operation=%s because=%s", operation, problem.code)

    def _problem(self, operation: str, problem: Problem) -> web.Response:
        self._blame(operation, problem)
        if isinstance(problem, Refusal) or operation == "GetUserAvailability":
            return web.Response(status=500, body=fault(problem), headers={"Content-Type": XML})
        body = envelope(response(operation, failure(operation, problem)))
        self._around.check(body)
        return web.Response(body=body, headers={"Content-Type": XML})

    def _check_answer(self, body: bytes) -> None:
        if self._schema is not None:
            self.server_bugs.extend(self._schema.problems(body))


def _is_xml(content_type: str) -> bool:
    return not content_type or content_type.partition(";")[0].strip().casefold() == "text/xml"
