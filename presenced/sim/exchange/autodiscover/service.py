"""The HTTP around autodiscover: paths, sign-in, content types and what may be switched off or broken.

Paths are compared without regard to case, as IIS does. The JSON dialect asks for no sign-in; the others do.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from urllib.parse import quote, unquote, urlsplit

from aiohttp import web

from presenced.core.ports import Clock
from presenced.sim.exchange.autodiscover import pox, soap
from presenced.sim.exchange.autodiscover.directory import Directory
from presenced.sim.exchange.ports import Authenticator

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
_XML = "text/xml"
_SVC_PAGE = (
    "<html><head><title>Autodiscover Service</title></head><body>You have created a service.</body></html>"
)


class Autodiscover:
    """Serves one directory; several hosts may share it, or have their own to send clients around."""

    def __init__(
        self, directory: Directory, authenticator: Authenticator, clock: Clock, *, max_users: int = 100
    ) -> None:
        self.directory = directory
        self.max_users = max_users
        """most users of one GetUserSettings"""
        self.statuses: dict[str, int] = {}
        """dialect -> HTTP status to answer with and nothing else: 404 for one that is absent, 503, 500 …"""
        self.gate: asyncio.Event | None = None
        """where there is one, answers wait until it is set"""
        self.counters: Counter[str] = Counter()
        """requests by dialect"""
        self.batches: deque[int] = deque(maxlen=1000)
        """how many users the latest GetUserSettings asked for"""
        self._authenticator = authenticator
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """The routes for an application of one's own, `app.add_routes(…)`."""
        return [
            web.route("*", "/{soap:(?i:autodiscover/autodiscover\\.svc)}", self._around("soap", self._soap)),
            web.route("*", "/{pox:(?i:autodiscover/autodiscover\\.xml)}", self._around("pox", self._pox)),
            web.route(
                "*",
                "/{json:(?i:autodiscover/autodiscover\\.json/v1\\.0)}/{address}",
                self._around("json", self._json, signed_in=False),
            ),
        ]

    def _around(self, dialect: str, answer: Answer, *, signed_in: bool = True) -> Answer:
        async def serve(request: web.Request) -> web.StreamResponse:
            self.counters[dialect] += 1
            if self.gate is not None:
                await self.gate.wait()
            if dialect in self.statuses:
                return web.Response(status=self.statuses[dialect])
            if signed_in:
                account = await self._authenticator.authenticate(request)
                if isinstance(account, web.StreamResponse):
                    return account
            return await answer(request)

        return serve

    async def _soap(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            return web.Response(text=_SVC_PAGE, content_type="text/html")
        if request.content_type != _XML:
            given = ascii(request.headers.get("Content-Type", ""))
            reason = f"Cannot process the message because the content type {given} was not the expected type."
            return web.Response(status=415, reason=reason)
        reply = soap.answer(
            await request.read(),
            self.directory,
            soap_action=request.headers.get("SOAPAction", ""),
            max_users=self.max_users,
        )
        if reply.users:
            self.batches.append(reply.users)
        return web.Response(status=reply.status, body=reply.body, content_type=_XML, charset="utf-8")

    async def _pox(self, request: web.Request) -> web.Response:
        now = self._clock.now()
        if request.method != "POST" or request.content_type != _XML:
            body = pox.invalid_request(now)
        else:
            body = pox.answer(await request.read(), self.directory, now)
        return web.Response(body=body, content_type=_XML, charset="utf-8")

    async def _json(self, request: web.Request) -> web.Response:
        protocol = request.query.get("Protocol", "")
        supported = {"autodiscoverv1": "AutodiscoverV1", "ews": "EWS"}
        if request.method != "GET":
            return web.Response(status=405, headers={"Allow": "GET"})
        if not protocol:
            return _problem(
                400,
                "MandatoryParameterMissing",
                "A valid value must be provided for the query parameter 'Protocol'",
            )
        if protocol.lower() not in supported:
            names = ",".join(supported.values())
            message = f"The given protocol value '{protocol}' is invalid. Supported values are '{names}'"
            return _problem(400, "InvalidProtocol", message)
        finding = self.directory.find(unquote(request.match_info["address"]))
        if finding.code == "RedirectAddress":
            path = f"/autodiscover/autodiscover.json/v1.0/{quote(finding.target)}"
            raise web.HTTPFound(
                str(request.url.origin().with_path(path, encoded=True).with_query(request.query))
            )
        if finding.code == "RedirectUrl":
            there = urlsplit(finding.target)
            raise web.HTTPFound(f"{there.scheme}://{there.netloc}{request.path_qs}")
        if finding.mailbox is None:
            return _problem(404, "UserNotFound", "The given user is not found")
        if supported[protocol.lower()] == "EWS":
            url = self.directory.ews_url(finding.mailbox)
        else:
            url = str(request.url.origin().with_path("/autodiscover/autodiscover.xml"))
        return web.json_response({"Protocol": supported[protocol.lower()], "Url": url})


def _problem(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"ErrorCode": code, "ErrorMessage": message}, status=status)


def redirections(origin: str) -> list[web.RouteDef]:
    """The routes of a host that only sends on: 302 to the same path at `origin` (`https://host:port`).

    So `http://autodiscover.<domain>` does; an origin of its own makes a loop.
    """

    async def send_on(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(origin + request.path_qs)

    return [web.route("*", "/{path:(?i:autodiscover/.*)}", send_on)]
