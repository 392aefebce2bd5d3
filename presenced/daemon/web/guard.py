"""What every request passes: whose page it is (Host), who asks, whether the form is ours; and safe headers.

On loopback without a password the page trusts whoever sits at the machine, but not the pages of other
sites: a name that was made to point here (DNS rebinding) is refused by its Host, a forged form by its
token. With a password there is a session besides, or HTTP Basic for programs that read figures.
"""

from __future__ import annotations

import asyncio
import binascii
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from aiohttp import BasicAuth, web

from presenced.config.kinds import is_loopback
from presenced.config.settings import WebSettings
from presenced.core.ports import Clock
from presenced.daemon.web.signing import FormTokens, PasswordHash, Patience, Sessions

log = logging.getLogger(__name__)

SESSION_COOKIE = "presenced_session"
FORM_COOKIE = "presenced_form"
FORM_TOKEN = "form_token"  # noqa: S105 - a field's name
SIGN_IN = "/sign-in"
_PUBLIC = ("/static/", SIGN_IN, "/healthz")
_FOR_PROGRAMS = ("/api/", "/metrics")
_METHODS = frozenset({"GET", "HEAD", "POST"})
_HASHES_AT_ONCE = 2
_MADE = web.RequestKey("made", str)
"""the form cookie made while answering"""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Server": "presenced",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SignInRefused(Exception):
    """The password was not taken; `wait` is how long to wait before the next try, zero for not at all."""

    def __init__(self, wait: timedelta = timedelta()) -> None:
        super().__init__("sign-in refused")
        self.wait = wait


class Guard:
    """The door-keeper of one page."""

    def __init__(self, settings: WebSettings, clock: Clock) -> None:
        self._host = settings.listen.host if settings.listen else ""
        self._password = settings.password
        self._clock = clock
        self._hash: PasswordHash | None = None
        self._hashing = asyncio.Semaphore(_HASHES_AT_ONCE)
        self._seen_fit = secrets.token_bytes(32), b""
        """a key, and what the credentials of HTTP Basic that fitted last come to with it"""
        self._sessions = Sessions()
        self._tokens = FormTokens()
        self._patience = Patience()

    @property
    def asks_password(self) -> bool:
        """Whether there is a password at all."""
        return bool(self._password)

    async def prepare(self) -> None:
        """Make the password's hash, where the settings have the password itself."""
        if self._password:
            text = self._password.reveal()
            self._hash = PasswordHash.read(text) or await asyncio.to_thread(PasswordHash.of, text)

    # --- for the pages ---

    async def sign_in(self, request: web.Request, password: str) -> str:
        """Open a session for whoever knows the password; raises SignInRefused."""
        await self._check(request, password)
        log.info("signed in to the status page", extra={"peer": request.remote})
        return self._sessions.open(self._clock.now())

    def sign_out(self, request: web.Request) -> None:
        """End the session."""
        self._sessions.close(request.cookies.get(SESSION_COOKIE, ""))

    def is_let_in(self, request: web.Request) -> bool:
        """Whether the one who sent this request may still see the page; for answers that last."""
        return not self._password or self._sessions.is_open(
            request.cookies.get(SESSION_COOKIE, ""), self._clock.now()
        )

    def token(self, request: web.Request) -> str:
        """The token that a form on the page answering this request must carry."""
        cookie = request.cookies.get(FORM_COOKIE) or request.get(_MADE)
        if not cookie:
            cookie = request[_MADE] = secrets.token_urlsafe(32)
        return self._tokens.of(cookie)

    def keep_session(self, request: web.Request, response: web.StreamResponse, session: str) -> None:
        """Hand the session to the browser ("" takes it back)."""
        _set_cookie(request, response, SESSION_COOKIE, session)

    # --- middlewares ---

    @web.middleware
    async def dress_all(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Safe headers on every answer, and the cookie that forms are bound to."""
        try:
            response = await handler(request)
        except web.HTTPException as refused:
            self.dress(request, refused)
            raise
        if not response.prepared:
            self.dress(request, response)
        return response

    def dress(self, request: web.Request, response: web.StreamResponse) -> None:
        """The headers alone; whoever prepares a response himself calls this before."""
        response.headers.update(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        if made := request.get(_MADE):
            _set_cookie(request, response, FORM_COOKIE, made)

    @web.middleware
    async def let_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Only those who may, from where they may, with forms of ours; raises the refusal otherwise."""
        if request.method not in _METHODS:
            raise web.HTTPMethodNotAllowed(request.method, sorted(_METHODS))
        if not self._password and not self._is_our_name(request):
            raise web.HTTPMisdirectedRequest(
                text="This page answers to localhost alone unless [web] password is set.\n"
            )
        if self._password and not request.path.startswith(_PUBLIC):
            await self._require_sign_in(request)
        if request.method == "POST":
            await self._check_form(request)
        return await handler(request)

    def _is_our_name(self, request: web.Request) -> bool:
        """Whether the Host is this machine's own, or the one listened on."""
        try:
            host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
        except ValueError:
            return False
        return is_loopback(host) or host == self._host.lower()

    async def _require_sign_in(self, request: web.Request) -> None:
        session = request.cookies.get(SESSION_COOKIE, "")
        if session and self._sessions.holds(session, self._clock.now()):
            return
        if request.method != "POST" and request.path.startswith(_FOR_PROGRAMS):
            await self._check_basic(request)
            return
        if request.method == "POST" or request.path == "/live":
            raise web.HTTPUnauthorized(text="Your session is over. Sign in again.\n")
        raise web.HTTPSeeOther(f"{SIGN_IN}?to={quote(request.path_qs, safe='')}")

    async def _check_basic(self, request: web.Request) -> None:
        """HTTP Basic, any name and the page's password (RFC 7617)."""
        challenge = {"WWW-Authenticate": 'Basic realm="presenced", charset="UTF-8"'}
        given = request.headers.get("Authorization", "")
        try:
            password = BasicAuth.decode(given, encoding="utf-8").password
        except (ValueError, binascii.Error):
            raise web.HTTPUnauthorized(text="Sign in, or send the password.\n", headers=challenge) from None
        key, fitted = self._seen_fit
        mark = hmac.digest(key, given.encode("utf-8", "replace"), "sha256")
        if secrets.compare_digest(mark, fitted):
            return
        try:
            await self._check(request, password)
        except SignInRefused as refused:
            if refused.wait:
                raise _too_many(refused.wait) from None
            raise web.HTTPUnauthorized(text="The password is wrong.\n", headers=challenge) from None
        self._seen_fit = key, mark

    async def _check(self, request: web.Request, password: str) -> None:
        """Raises SignInRefused unless this is the password and the address has not guessed too often."""
        address = request.remote or "?"
        wait = self._patience.wait(address, self._clock.now())
        if wait or self._hash is None:
            raise SignInRefused(wait)
        self._patience.tried(self._clock.now())
        async with self._hashing:
            fits = await asyncio.to_thread(self._hash.fits, password)
        if not fits:
            self._patience.failed(address, self._clock.now())
            log.warning("wrong password for the status page", extra={"peer": address})
            raise SignInRefused(self._patience.wait(address, self._clock.now()))
        self._patience.succeeded(address)

    async def _check_form(self, request: web.Request) -> None:
        """Every form carries the token of the page it came from."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            raise web.HTTPForbidden(text="This form came from another site.\n")
        form = await request.post()
        token = form.get(FORM_TOKEN, "")
        if not isinstance(token, str) or not self._tokens.fits(token, request.cookies.get(FORM_COOKIE, "")):
            raise web.HTTPForbidden(
                text="This form is out of date. Go back, load the page again and retry.\n"
            )


def _too_many(wait: timedelta) -> web.HTTPException:
    seconds = max(1, round(wait.total_seconds()))
    return web.HTTPTooManyRequests(
        text=f"{HTTPStatus.TOO_MANY_REQUESTS.phrase}; try again in {seconds} s.\n",
        headers={"Retry-After": str(seconds)},
    )


def _set_cookie(request: web.Request, response: web.StreamResponse, name: str, value: str) -> None:
    if not value:
        response.del_cookie(name, path="/")
        return
    encrypted = request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"
    response.set_cookie(name, value, path="/", httponly=True, samesite="Strict", secure=encrypted)
