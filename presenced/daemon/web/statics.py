"""Style sheet, script and icon, from the package; their addresses change with what is in them."""

from __future__ import annotations

import hashlib
from importlib import resources

from aiohttp import web

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class Statics:
    """The files, in memory."""

    def __init__(self) -> None:
        folder = resources.files("presenced.daemon.web") / "static"
        self._files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
        self._marks = {name: hashlib.sha256(data).hexdigest()[:12] for name, data in self._files.items()}

    def url(self, name: str) -> str:
        """Where a page finds the file; a browser may keep it for ever under this address."""
        return f"/static/{name}?{self._marks[name]}"

    async def serve(self, request: web.Request) -> web.Response:
        """One file."""
        name = request.match_info["name"]
        data = self._files.get(name)
        if data is None:
            raise web.HTTPNotFound(text="There is no such file.\n")
        kept = request.query_string == self._marks[name]
        return web.Response(
            body=data,
            content_type=_TYPES[name.rpartition(".")[2]],
            charset="utf-8",
            headers={"Cache-Control": "public, max-age=31536000, immutable" if kept else "no-cache"},
        )
