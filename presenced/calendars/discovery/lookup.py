"""Asks one server about many users, as its dialect and its patience allow.

SOAP takes batches: as large as the server lets them be, halved where it refuses, one by one where users
are asked about in their own right. A busy or broken exchange is repeated after a pause; when a server
is out of reach, those still waiting fail with it at once instead of one time-out after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.discovery import wire
from presenced.calendars.discovery.asking import Asking, NotSpoken, SentOn, Voice
from presenced.calendars.discovery.order import Dialect
from presenced.calendars.discovery.servers import Server
from presenced.calendars.discovery.wire import SettingsAnswer, UserAnswer
from presenced.core.ports import Clock

T = TypeVar("T")

REFUSED = "Refused"
"""the code of an answer that is none"""
TRIES = 3
_PASSING = frozenset({"timeout", "broken", "held"})
_FIRST_PAUSE = timedelta(seconds=2)
_LONGEST_PAUSE = timedelta(seconds=30)


class ServerLost(Exception):
    """The server does not answer as it should; `problem`: it could not be asked at all."""

    def __init__(self, words: str, problem: CarrierProblem | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.problem = problem

    @property
    def is_held(self) -> bool:
        """It is there, and wants us to wait."""
        return self.problem is not None and self.problem.kind == "held"


@dataclass(frozen=True, slots=True)
class _Batch:
    answers: list[UserAnswer]
    sound: bool
    """no address in it was refused for itself, so a refusal of the whole was for its size"""


async def each(items: Iterable[T], limit: int, work: Callable[[T], Awaitable[None]]) -> None:
    """Work on every item, at most `limit` at a time."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(limit):
            group.create_task(worker())


class Lookup:
    """Asks about addresses; `own`: each in its own right, else as the service account (`anchor`)."""

    def __init__(self, asking: Asking, clock: Clock, limit: int, anchor: str, *, own: bool) -> None:
        self._asking = asking
        self._clock = clock
        self._limit = limit
        self._anchor = anchor
        self._own = own

    async def ask(self, server: Server, addresses: Sequence[str]) -> list[UserAnswer | ServerLost]:
        """What autodiscover says of each address (no two alike), in their order."""
        if server.dialect is not Dialect.SOAP:
            said = await self._ask_all(addresses, 1, lambda batch: self._ask_one(server, batch[0]))
            if all(isinstance(one, UserAnswer) and one.code == REFUSED for one in said):
                return [ServerLost("it answers nobody any more")] * len(said)
            return said
        if self._own:
            return await self._ask_all(addresses, 1, lambda batch: self._ask_batch(server, batch))
        first: list[UserAnswer | ServerLost] = []
        if not server.proven:  # the first batch goes alone, to learn how much the server takes
            first = await self._ask_all(
                addresses[: server.batch], server.batch, lambda batch: self._ask_batch(server, batch)
            )
            addresses = addresses[len(first) :]
        rest = await self._ask_all(addresses, server.batch, lambda batch: self._ask_batch(server, batch))
        return first + rest

    async def resolve(self, url: str, addresses: Sequence[str]) -> list[UserAnswer | ServerLost]:
        """What ResolveNames says of each address, in their order."""

        async def ask_one(batch: Sequence[str]) -> list[UserAnswer]:
            voice = self._voice(batch[0])
            return [await self._patiently(lambda: self._asking.resolve(url, batch[0], voice))]

        return await self._ask_all(addresses, 1, ask_one)

    async def _ask_all(
        self,
        addresses: Sequence[str],
        size: int,
        ask: Callable[[Sequence[str]], Awaitable[list[UserAnswer]]],
    ) -> list[UserAnswer | ServerLost]:
        said: dict[str, UserAnswer | ServerLost] = {}
        lost: list[ServerLost] = []

        async def work(batch: Sequence[str]) -> None:
            try:
                if lost:
                    raise lost[0]
                said.update(zip(batch, await ask(batch), strict=True))
            except CarrierProblem as problem:  # too large
                said.update(dict.fromkeys(batch, UserAnswer(REFUSED, problem.reason)))
            except (ServerLost, SentOn, NotSpoken) as failure:
                loss = failure if isinstance(failure, ServerLost) else ServerLost(str(failure))
                said.update(dict.fromkeys(batch, loss))
                if not (self._own and loss.is_held):  # his own budget says nothing of the others'
                    lost.append(loss)

        batches = (addresses[start : start + size] for start in range(0, len(addresses), size))
        await each(batches, min(self._limit, len(addresses)), work)
        return [said[address] for address in addresses]

    async def _ask_batch(self, server: Server, addresses: Sequence[str]) -> list[UserAnswer]:
        return (await self._ask_soap(server, addresses)).answers

    async def _ask_soap(self, server: Server, addresses: Sequence[str]) -> _Batch:
        voice = self._voice(addresses[0])
        try:
            answer = await self._patiently(lambda: self._asking.ask_soap(server.place, addresses, voice))
        except CarrierProblem as problem:  # too large
            answer = SettingsAnswer(wire.INVALID_REQUEST, problem.reason)
        if answer.code == wire.INVALID_REQUEST and len(addresses) > 1:
            return await self._ask_halves(server, addresses)
        if answer.code == wire.FAULT:
            raise ServerLost(f"fault, {answer.message}")
        if answer.code != wire.NO_ERROR:
            return _Batch([UserAnswer(answer.code, answer.message)] * len(addresses), sound=False)
        if len(answer.users) != len(addresses):
            raise ServerLost(f"it said something of {len(answer.users)} users when asked of {len(addresses)}")
        server.proven = True
        return _Batch(list(answer.users), sound=True)

    async def _ask_halves(self, server: Server, addresses: Sequence[str]) -> _Batch:
        half = (len(addresses) + 1) // 2
        parts = [await self._ask_soap(server, part) for part in (addresses[:half], addresses[half:])]
        sound = all(part.sound for part in parts)
        if sound:
            server.batch = min(server.batch, half)
        return _Batch([answer for part in parts for answer in part.answers], sound)

    async def _ask_one(self, server: Server, address: str) -> list[UserAnswer]:
        """POX and JSON say by refusing or redirecting that they do not know an address, too."""
        voice = self._voice(address)
        try:
            answer = await self._patiently(
                lambda: self._asking.ask_one(server.place, server.dialect, address, voice)
            )
        except SentOn as sent:
            return [UserAnswer(wire.REDIRECT_URL, target=sent.location)]
        except NotSpoken as refusal:
            return [UserAnswer(REFUSED, str(refusal))]
        return [answer]

    def _voice(self, address: str) -> Voice:
        return Voice(address, address, impersonated=True) if self._own else Voice(anchor=self._anchor)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask, again after a pause where that may help. Raises what `ask` raises, or ServerLost."""
        pause = _FIRST_PAUSE
        for left in reversed(range(TRIES)):
            try:
                return await ask()
            except CarrierProblem as problem:
                if problem.kind == "too-large":
                    raise
                wait = max(pause, problem.retry_after or pause)
                if not left or problem.kind not in _PASSING or wait > _LONGEST_PAUSE:
                    raise ServerLost(problem.reason, problem) from problem
            await self._clock.sleep(wait)
            pause *= 2
        raise AssertionError("the last try returns or raises")
