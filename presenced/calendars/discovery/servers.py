"""Which server answers for a domain: looked for once, remembered for a day.

Many users share a domain and many batches run at a time, so a search is made by whoever comes first
while the others wait for it; a search that failed is not repeated for a minute.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.discovery.asking import Asking, NotSpoken, SentOn
from presenced.calendars.discovery.order import (
    Dialect,
    Place,
    Search,
    Trust,
    find_place,
    is_this_machine,
    search_domain,
    search_place,
)
from presenced.core.ports import Clock

_log = logging.getLogger(__name__)

GOOD_FOR = timedelta(days=1)
BAD_FOR = timedelta(minutes=1)
FIRST_BATCH = 100
_MOST = 1000


class NoServer(Exception):
    """No server was found; `words` tell what was tried, `problem` what stood in the way of asking."""

    def __init__(self, words: str, problem: CarrierProblem | None) -> None:
        super().__init__(words)
        self.words = words
        self.problem = problem
        """None: everybody was asked, and nobody speaks autodiscover"""


@dataclass(slots=True)
class Server:
    """A server that speaks autodiscover."""

    place: Place
    dialect: Dialect
    batch: int = FIRST_BATCH
    """addresses it takes in one request"""
    proven: bool = False
    """it has answered a batch of that size"""


@dataclass(slots=True)
class _Known:
    """What a search came to."""

    until: datetime
    server: Server | None = None
    failure: NoServer | None = None


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    present: int = 0


class Servers:
    """Finds servers and remembers them. `configured` is `autodiscover_url`, "" for the published order."""

    def __init__(self, asking: Asking, clock: Clock, configured: str, anchor: str) -> None:
        self._asking = asking
        self._clock = clock
        self._anchor = anchor
        self._configured = find_place(configured) if configured else None
        self._plain_loopback = self._configured is not None and is_this_machine(self._configured[0].host)
        self._known: dict[str, _Known] = {}
        self._hosts: dict[str, Server] = {}
        self._turns: dict[str, _Turn] = {}
        self._ever: set[str] = set()

    def trust(self, domain: str) -> Trust:
        """Whom credentials may go to on behalf of the domain."""
        return Trust(domain, plain_loopback=self._plain_loopback)

    def is_hopeful(self, key: str) -> bool:
        """A failure there means more than a strange address: it had a server before, or nothing ever had."""
        return not self._ever or self.key(key) in self._ever

    async def find(self, domain: str, sample: str) -> Server:
        """The server for a domain (the configured one for all). Raises NoServer."""
        key = self.key(domain)
        if self._configured is None:
            return await self._find_once(
                key, lambda dialects: search_domain(domain, self.trust(domain), dialects), sample
            )
        place, dialect = self._configured
        trust = self.trust(place.host.partition(".")[2] or place.host)
        return await self._find_once(
            key, lambda dialects: search_place(place, dialect, trust, dialects), sample
        )

    async def find_at(self, place: Place, domain: str, sample: str) -> Server:
        """The server a redirect named. Raises NoServer."""
        return await self._find_once(
            place.base, lambda dialects: search_place(place, None, self.trust(domain), dialects), sample
        )

    def forget(self, server: Server) -> None:
        """It does not answer (any more) as it did: look for it again."""
        self._hosts.pop(server.place.base, None)
        self._known = {key: known for key, known in self._known.items() if known.server is not server}

    def key(self, domain: str) -> str:
        """What the domain's server is remembered by: domains of the same key share it."""
        return domain if self._configured is None else ""

    def _look_up(self, key: str) -> _Known | None:
        known = self._known.get(key)
        if known is None or known.until <= self._clock.now():
            return None
        return known

    async def _find_once(
        self, key: str, start: Callable[[Mapping[str, Dialect]], Search], sample: str
    ) -> Server:
        async with self._turn(key):
            known = self._look_up(key)
            if known is None:
                known = self._known[key] = await self._search(key, start, sample)
            if known.server is None:
                raise known.failure or NoServer("", None)
            return known.server

    async def _search(
        self, key: str, start: Callable[[Mapping[str, Dialect]], Search], sample: str
    ) -> _Known:
        search = start({base: server.dialect for base, server in self._hosts.items()})
        problem: CarrierProblem | None = None
        while (probe := search.probe) is not None:
            try:
                await self._asking.probe(probe, sample, self._anchor)
            except SentOn as sent:
                search.redirected(sent.location)
            except NotSpoken as refusal:
                search.refused(str(refusal))
            except CarrierProblem as failure:
                problem = _graver(problem, failure)
                search.gave_up(failure.reason)
            else:
                search.answered()
        self._prune()
        now = self._clock.now()
        if search.found is None:
            words = "; ".join(search.words)
            _log.warning("no autodiscover server for=%s because=%s", key or "everybody", words)
            return _Known(now + BAD_FOR, failure=NoServer(words, problem))
        place, dialect = search.found.place, search.found.dialect
        server = self._hosts.get(place.base)
        if server is None or server.dialect is not dialect:
            server = self._hosts[place.base] = Server(place, dialect)
        self._ever.add(key)
        _log.info("autodiscover for=%s at=%s dialect=%s", key or "everybody", place.base, dialect.value)
        return _Known(now + GOOD_FOR, server=server)

    def _prune(self) -> None:
        """Domains come from whatever stands in the PBX: keep what is remembered of them within bounds."""
        if len(self._known) >= _MOST:
            now = self._clock.now()
            self._known = {key: known for key, known in self._known.items() if known.until > now}
        for memory in (self._known, self._hosts):
            if len(memory) >= _MOST:
                memory.clear()
        if len(self._ever) >= _MOST:
            self._ever.clear()

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[None]:
        turn = self._turns.setdefault(key, _Turn())
        turn.present += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.present -= 1
            if not turn.present:
                del self._turns[key]


def _graver(one: CarrierProblem | None, other: CarrierProblem) -> CarrierProblem | None:
    """Which of two failures says more of why nobody was found; an unknown name says nothing."""
    if other.kind == "dns" and other.retry_after is None:
        return one
    return other if one is None or (other.kind == "sign-in" and one.kind != "sign-in") else one
