"""The floor: the same requests by clients that do nothing else.

`BareClient` is aiohttp as it comes; it drains each answer (else the connection could not be used again)
and looks at nothing but the status. `measure_server` goes below that: bytes made beforehand, written to
bare sockets, so that its rate is the simulator's and not a client's.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import aiohttp

from presenced.calendars.discovery import wire
from presenced.calendars.ews import codec
from presenced.calendars.span import span_of
from presenced.core.window import Window
from tests.bench import staff

AT_A_TIME = 16
"""`requests_in_flight`, as the daemon has it"""
WINDOW = timedelta(hours=48)
BATCH = 100
Asked = tuple[str, bytes, str]
"""URL, body, X-AnchorMailbox"""


def lookups(url: str, count: int) -> Iterator[Asked]:
    """Autodiscover for everybody, a hundred a request."""
    address = f"{url}/autodiscover/autodiscover.svc"
    everybody = [staff.address_of(number) for number in range(count)]
    for start in range(0, count, BATCH):
        yield address, wire.render_user_settings(everybody[start : start + BATCH], address), ""


def subscribes(ews: str, count: int) -> Iterator[Asked]:
    """A Subscribe for everybody."""
    for address in map(staff.address_of, range(count)):
        yield ews, codec.subscribe(address), address


def reads(ews: str, count: int, now: datetime) -> Iterator[Asked]:
    """A FindItem for everybody, over the window the daemon asks for."""
    start = now.replace(microsecond=0)
    window = span_of(Window(start, start + WINDOW), staff.ZONE)
    for address in map(staff.address_of, range(count)):
        yield ews, codec.find_appointments(address, window, organizers=False), address


class BareClient:
    """aiohttp, a password, and as many requests at a time as the daemon has."""

    def __init__(self, user: str, password: str, authority: str) -> None:
        self._headers = {
            "Content-Type": "text/xml; charset=utf-8",
            "Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode(),
        }
        self.context = ssl.create_default_context(cafile=authority)

    async def run(self, requests: Iterable[Asked]) -> float:
        """Send them all; seconds. Raises RuntimeError where an answer is not 200."""
        waiting = iter(requests)
        connector = aiohttp.TCPConnector(limit=AT_A_TIME, ssl=self.context)
        async with aiohttp.ClientSession(connector=connector, headers=self._headers) as session:
            began = time.monotonic()
            async with asyncio.TaskGroup() as workers:
                for _ in range(AT_A_TIME):
                    workers.create_task(self._work(session, waiting))
            return time.monotonic() - began

    async def _work(self, session: aiohttp.ClientSession, waiting: Iterator[Asked]) -> None:
        for url, body, anchor in waiting:
            headers = {"X-AnchorMailbox": anchor} if anchor else {}
            async with session.post(url, data=body, headers=headers) as answer:
                if answer.status != 200:
                    raise RuntimeError(f"the floor was answered {answer.status}")
                await answer.read()

    async def measure_server(self, requests: Sequence[Asked]) -> float:
        """Requests a second the simulator serves to bare sockets."""
        made = [self._bytes_of(*asked) for asked in requests]
        waiting = iter(made)
        place = urlsplit(requests[0][0])
        began = time.monotonic()
        async with asyncio.TaskGroup() as workers:
            for _ in range(AT_A_TIME):
                workers.create_task(self._shoot(place.hostname or "", place.port or 0, waiting))
        return len(made) / (time.monotonic() - began)

    async def _shoot(self, host: str, port: int, waiting: Iterator[bytes]) -> None:
        reader, writer = await asyncio.open_connection(host, port, ssl=self.context)
        for request in waiting:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"bare sockets were answered {head[:40]!r}")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()
        await writer.wait_closed()

    def _bytes_of(self, url: str, body: bytes, anchor: str) -> bytes:
        place = urlsplit(url)
        headers = {**self._headers, "Host": place.netloc, "X-AnchorMailbox": anchor}
        lines = [f"POST {place.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
