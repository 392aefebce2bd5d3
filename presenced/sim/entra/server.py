"""The identity provider on loopback, over TLS only: discovery, keys, device codes and tokens.

Every answer has the request ids that support asks for; every refusal is the JSON of `refusals`, whatever the
path. The host name in a request is what the endpoints told in its answer begin with.
"""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from presenced.core.ports import Clock
from presenced.sim.entra.faults import EntraFaults, Switch, Trouble
from presenced.sim.entra.grants import DEVICE_CODE, Form, Grants
from presenced.sim.entra.refusals import Refused
from presenced.sim.entra.tenants import Tenant

FORM = "application/x-www-form-urlencoded"
_PAGE = "<html><head><title>Sorry</title></head><body>We are having trouble.</body></html>"
_BODY_BYTES = 64 * 1024
_PATHS = {
    "discovery": ("GET", "/{tenant}/v2.0/.well-known/openid-configuration"),
    "instance": ("GET", "/common/discovery/instance"),
    "keys": ("GET", "/{tenant}/discovery/v2.0/keys"),
    "devicecode": ("POST", "/{tenant}/oauth2/v2.0/devicecode"),
    "token": ("POST", "/{tenant}/oauth2/v2.0/token"),
}

Members = dict[str, object]


class SimulatedEntra:
    """An identity provider with these tenants."""

    def __init__(self, *tenants: Tenant, clock: Clock, faults: EntraFaults | None = None) -> None:
        self.faults = faults or EntraFaults()
        self.grants = Grants(tenants, clock, self.faults)
        self.tokens = self.grants.tokens
        self.counters: Counter[str] = Counter()
        """requests by endpoint (`discovery`, `instance`, `keys`, `devicecode`, `token`), token requests also
        by grant (`client_credentials`, `refresh_token`, `device_code`), whatever became of them"""
        self.base_url = ""
        """`https://127.0.0.1:12345` once it runs"""
        self.port = 0
        self._clock = clock
        self._runner: web.AppRunner | None = None

    async def start(self, tls: ssl.SSLContext, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes any free one."""
        answers: dict[str, Callable[[web.Request, Form], Members]] = {
            "discovery": self._discovery,
            "instance": self._instance,
            "keys": self._keys,
            "devicecode": lambda request, form: self.grants.begin_device(_tenant(request), form),
            "token": lambda request, form: self.grants.answer(_tenant(request), form, _origin(request)),
        }
        app = web.Application(client_max_size=_BODY_BYTES)
        for endpoint, (method, path) in _PATHS.items():
            app.router.add_route("*", path, self._around(endpoint, method, answers[endpoint]))
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=tls).start()
        self.port = self._runner.addresses[0][1]
        self.base_url = f"https://{host}:{self.port}"

    async def stop(self) -> None:
        """Stop listening; tokens and sessions stay as they are."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def enter_code(self, user_code: str, upn: str) -> None:
        """A user opens the page, signs in and enters the code he was shown; KeyError where he can't."""
        self.grants.devices.approve(user_code, *self.grants.find_user(upn))

    def decline_code(self, user_code: str) -> None:
        """A user was shown the code and says no."""
        self.grants.devices.decline(user_code)

    def _around(
        self, endpoint: str, method: str, answer: Callable[[web.Request, Form], Members]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(request: web.Request) -> web.Response:
            self.counters[endpoint] += 1
            try:
                form = await _form(request)
                if endpoint == "token":
                    self.counters[_short(form.get("grant_type", ""))] += 1
                if (trouble := await self._trouble(request, endpoint, form)) is not None:
                    return trouble
                if request.method != method:
                    raise Refused(900561, method, request.method)
                return self._reply(request, 200, answer(request, form))
            except Refused as refusal:
                told = refusal.body(self.tokens.now, _correlation(request))
                if endpoint == "discovery":
                    told["error"] = "invalid_tenant"
                return self._reply(request, refusal.status, told)

        return serve

    async def _trouble(self, request: web.Request, endpoint: str, form: Form) -> web.Response | None:
        switch, delay = self.faults.meet(endpoint, form.get("grant_type", ""))
        if delay > timedelta():
            await self._clock.sleep(delay)
        if switch is None:
            return None
        match switch.trouble:
            case Trouble.THROTTLED | Trouble.OUTAGE:
                refusal = Refused(90055 if switch.trouble is Trouble.THROTTLED else 90033)
                told = refusal.body(self.tokens.now, _correlation(request))
                return self._reply(request, refusal.status, told, switch)
            case Trouble.BROKEN:
                return web.Response(status=500, text=_PAGE, content_type="text/html")
            case Trouble.RESET:
                if request.transport is not None:
                    request.transport.abort()
                raise asyncio.CancelledError
            case _:
                return web.Response(text=_PAGE, content_type="text/html")

    def _reply(
        self, request: web.Request, status: int, told: Members, switch: Switch | None = None
    ) -> web.Response:
        headers = {
            "Cache-Control": "no-store, no-cache",
            "Pragma": "no-cache",
            "x-ms-request-id": str(uuid.uuid4()),
        }
        if request.headers.get("return-client-request-id", "").casefold() == "true":
            headers["client-request-id"] = _correlation(request)
        if switch is not None and switch.back_off > timedelta():
            headers["Retry-After"] = str(int(switch.back_off.total_seconds()))
        return web.json_response(told, status=status, headers=headers)

    def _discovery(self, request: web.Request, form: Form) -> Members:
        tenant = self.grants.find_tenant(_tenant(request))
        origin, name = _origin(request), _tenant(request)
        issuer = tenant.tenant_id if tenant is not None else "{tenantid}"
        front = f"{origin}/{tenant.tenant_id if tenant is not None else name}"
        return {
            "issuer": f"{origin}/{issuer}/v2.0",
            "authorization_endpoint": f"{front}/oauth2/v2.0/authorize",
            "token_endpoint": f"{front}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{front}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{front}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "request_uri_parameter_supported": False,
            "tenant_region_scope": None,
            "cloud_instance_name": "microsoftonline.com",
        }

    def _instance(self, request: web.Request, form: Form) -> Members:
        """Source: "Authority validation" in Microsoft's authentication libraries."""
        asked = urlsplit(request.query.get("authorization_endpoint", ""))
        if not asked.hostname:
            raise Refused(900144, "authorization_endpoint")
        if asked.hostname != request.url.host:
            raise Refused(50049)
        place = asked.path.strip("/").partition("/")[0]
        found = f"{_origin(request)}/{place}/v2.0/.well-known/openid-configuration"
        names: Members = {"preferred_network": asked.hostname, "preferred_cache": asked.hostname}
        return {
            "tenant_discovery_endpoint": found,
            "api-version": request.query.get("api-version", "1.1"),
            "metadata": [{**names, "aliases": [asked.hostname]}],
        }

    def _keys(self, request: web.Request, form: Form) -> Members:
        self.grants.find_tenant(_tenant(request))
        return {"keys": self.tokens.key_records()}


async def _form(request: web.Request) -> Form:
    """The body's parameters; none where it is no form. Raises Refused for one given twice."""
    if request.content_type != FORM:
        return {}
    try:
        pairs = parse_qsl((await request.read()).decode(), keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise Refused(9002313, "The body is no form.") from None
    form: dict[str, str] = {}
    for name, value in pairs:
        if name in form:
            raise Refused(9000411, name)
        form[name] = value
    return form


def _short(grant: str) -> str:
    return "device_code" if grant == DEVICE_CODE else grant


def _tenant(request: web.Request) -> str:
    return request.match_info["tenant"]


def _origin(request: web.Request) -> str:
    return f"https://{request.host}"


def _correlation(request: web.Request) -> str:
    """The client's id for the request where it is a GUID, as the real service wants."""
    try:
        return str(uuid.UUID(request.headers.get("client-request-id", "")))
    except ValueError:
        return ""
