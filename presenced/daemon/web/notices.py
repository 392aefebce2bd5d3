"""Where Graph posts its notices: the one address of the listener that needs no signing in.

Graph comes from the internet without a password, so this stands before the guard of the page, and hands
on a bounded body and nothing else; whether it is believed is decided behind `core.ports.Notices`. Source:
Microsoft's "Receive change notifications through webhooks": echo the token within ten seconds, answer
within three and work later.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from aiohttp import web

from presenced.core.ports import Notices
from presenced.daemon.web.guard import Handler

MOST_BYTES = 1024 * 1024
_LONGEST_TOKEN = 4096


class NoticeBox:
    """Takes what is posted to the path of `notification_url`, as a middleware before all others."""

    def __init__(self, url: str, notices: Notices) -> None:
        self._path = unquote(urlsplit(url).path) or "/"
        self._notices = notices

    @web.middleware
    async def take(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Everything else goes on to the page."""
        if request.method != "POST" or request.path != self._path:
            return await handler(request)
        token = request.query.get("validationToken")
        if token is not None:
            return self._echo(token)
        if not self._notices.is_open:
            return web.Response(status=503, headers={"Retry-After": "60"})
        body = await self._read(request)
        if body is None:
            return web.Response(status=413)
        return web.Response(status=202 if self._notices.take(body) else 400)

    def _echo(self, token: str) -> web.Response:
        """The handshake: the token comes back as it is, and as nothing a browser would run."""
        if len(token) > _LONGEST_TOKEN:
            return web.Response(status=400)
        return web.Response(
            text=token, content_type="text/plain", headers={"X-Content-Type-Options": "nosniff"}
        )

    async def _read(self, request: web.Request) -> bytes | None:
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > MOST_BYTES:
                return None
        return bytes(body)
