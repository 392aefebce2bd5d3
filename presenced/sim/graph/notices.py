"""Sends notices to a client's address: the handshake, changes, turns of a subscription's life.

Source: Microsoft Graph documentation, "Receive change notifications through webhooks": the address must echo
the token as text within ten seconds; a notice must be answered with 2xx within three.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections import Counter
from typing import Any

import aiohttp

from presenced.core.ports import Clock
from presenced.sim.graph.faults import GraphFaults

HANDSHAKE = 10.0
"""seconds"""
ANSWER = 3.0
"""seconds; who takes longer is noted as slow"""


class Notices:
    """Posts to clients, in the background."""

    def __init__(self, clock: Clock, faults: GraphFaults, tls: ssl.SSLContext | None) -> None:
        self._clock = clock
        self._faults = faults
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self.counters: Counter[str] = Counter()
        """`sent`, `refused`, `lost`, `handshakes`, `failed_handshakes`"""

    async def open(self) -> None:
        """Ready to send."""
        self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        """Nothing more is sent."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def shake_hands(self, url: str) -> bool:
        """Whether the address echoes what it is sent, as plain text."""
        self.counters["handshakes"] += 1
        token = f"Validation: {secrets.token_urlsafe(24)} & more"
        try:
            async with self._post(url, {"validationToken": token}, None, HANDSHAKE) as response:
                echo: str = await response.text()
                right = (response.status, response.content_type, echo) == (200, "text/plain", token)
        except (aiohttp.ClientError, TimeoutError, OSError):
            right = False
        if not right:
            self.counters["failed_handshakes"] += 1
        return right

    def send(self, url: str, notice: dict[str, Any], *, change: bool) -> None:
        """One notice, at once or late, once or twice, or never, as the faults say."""
        if change and self._faults.lose_notices > 0:
            self._faults.lose_notices -= 1
            self.counters["lost"] += 1
            return
        for _ in range(2 if change and self._faults.double_notices else 1):
            task = asyncio.create_task(self._send(url, {"value": [notice]}, late=change))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, url: str, body: dict[str, Any], *, late: bool) -> None:
        if late and self._faults.late_notices:
            await self._clock.sleep(self._faults.late_notices)
        try:
            async with self._post(url, {}, body, ANSWER) as response:
                taken = 200 <= response.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError):
            taken = False
        self.counters["sent" if taken else "refused"] += 1

    def _post(
        self, url: str, query: dict[str, str], body: dict[str, Any] | None, within: float
    ) -> Any:  # aiohttp's request context manager
        if self._session is None:
            raise RuntimeError("not open")
        return self._session.post(
            url,
            params=query,
            json=body,
            ssl=self._tls or True,
            timeout=aiohttp.ClientTimeout(total=within),
            allow_redirects=False,
        )
