"""The status page over a real socket, between scripted doors and a clock that stands still."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any

import aiohttp

from presenced.config.settings import Address, Secret, WebSettings
from presenced.daemon.answers.questions import Questions
from presenced.daemon.web.service import Web
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.doors import Running

_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    headers: Any


class Browser:
    """Keeps cookies as a browser does, follows no redirect by itself, and sends forms with their token."""

    def __init__(self, running: Running, store: MemoryStore, clock: FakeClock, password: str = "") -> None:
        self.running = running
        self.reloads = 0
        questions = Questions(running.engine, store, clock, self._reload)
        settings = WebSettings(Address("127.0.0.1", 0), Secret(password))
        self.web = Web(settings, running.engine, store, clock, questions)

    def _reload(self) -> None:
        self.reloads += 1

    async def __aenter__(self) -> Browser:
        self._task = asyncio.create_task(self.web.run())
        await asyncio.wait(
            {self._task, asyncio.ensure_future(self.web.listening.wait())}, return_when="FIRST_COMPLETED"
        )
        self.url = f"http://127.0.0.1:{self.web.port}"
        self.session = self.new_session()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def new_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def get(self, path: str, **headers: str) -> Answer:
        async with self.session.get(self.url + path, headers=headers, allow_redirects=False) as got:
            return Answer(got.status, await got.text(), got.headers)

    async def post(
        self, path: str, fields: Any = None, *, token: str | None = None, **headers: str
    ) -> Answer:
        """`token` None: that of a page just loaded."""
        if token is None:
            page = await self.get("/sign-in")
            page = page if page.status == 200 else await self.get("/mapping")
            found = _TOKEN.search(page.text)
            token = found[1] if found else ""
        form = aiohttp.FormData({"form_token": token})
        for name, value in (fields or {}).items():
            if isinstance(value, bytes):
                form.add_field(name, value, filename="changed.ini", content_type="text/plain")
            else:
                form.add_field(name, value)
        posting = self.session.post(self.url + path, data=form, headers=headers, allow_redirects=False)
        async with posting as got:
            return Answer(got.status, await got.text(), got.headers)
