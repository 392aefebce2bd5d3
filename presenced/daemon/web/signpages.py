"""Signing in and out."""

from __future__ import annotations

from aiohttp import web

from presenced.daemon.web.guard import SIGN_IN, SignInRefused
from presenced.daemon.web.site import Site


class SignPages:
    """`/sign-in` and `/sign-out`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def ask(self, request: web.Request) -> web.Response:
        """The form; those who need not sign in are sent on."""
        to = _own_path(request.query.get("to", "/"))
        if self._site.guard.is_let_in(request):
            raise web.HTTPSeeOther(to)
        return self._site.page(request, "sign-in.html", to=to, wrong="")

    async def sign_in(self, request: web.Request) -> web.Response:
        """A session for whoever knows the password."""
        form = await request.post()
        password, to = form.get("password", ""), _own_path(str(form.get("to", "/")))
        try:
            session = await self._site.guard.sign_in(request, password if isinstance(password, str) else "")
        except SignInRefused as refused:
            seconds = round(refused.wait.total_seconds())
            wrong = f"Too many tries. Wait {max(seconds, 1)} s." if refused.wait else "The password is wrong."
            response = self._site.page(
                request, "sign-in.html", to=to, wrong=wrong, status=429 if refused.wait else 403
            )
            if refused.wait:
                response.headers["Retry-After"] = str(max(seconds, 1))
            return response
        response = web.Response(status=303, headers={"Location": to})
        self._site.guard.keep_session(request, response, session)
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        """End the session."""
        self._site.guard.sign_out(request)
        response = web.Response(status=303, headers={"Location": SIGN_IN})
        self._site.guard.keep_session(request, response, "")
        return response


def _own_path(path: str) -> str:
    """Only to pages of this site: no other host, no scheme, no line end."""
    own = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if own and not path.startswith(SIGN_IN) else "/"
