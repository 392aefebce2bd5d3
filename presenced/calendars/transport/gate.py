"""Who is let in where: keeps a wrong password from locking the account.

A directory locks an account after a handful of wrong passwords, and a daemon with many mailboxes makes
a handful of requests before the first answer is back. So the first sign-in at a server goes alone, the
others wait for what becomes of it, and after a refusal nobody tries there again for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from presenced.calendars.carrier import CarrierProblem
from presenced.core.ports import Clock

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=15)
_MOST_ORIGINS = 256


@dataclass(slots=True)
class _Door:
    """How one server stands to our sign-in."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    proven: bool = False
    doubted: bool = False
    """it had been proven, then a 401 came"""
    asks: bool = False
    """it asked for a sign-in, so credentials may go along at once"""
    refusal: CarrierProblem | None = None
    pause: timedelta = timedelta()
    closed_until: datetime | None = None


class Gate:
    """Keeps for each origin (scheme, host, port) whether our sign-in works there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._doors: dict[str, _Door] = {}

    def is_proven(self, origin: str) -> bool:
        """The last sign-in there succeeded."""
        door = self._doors.get(origin)
        return door is not None and door.proven

    def is_doubted(self, origin: str) -> bool:
        """Sign-ins there succeeded until a 401 came in mid-life."""
        return self._door(origin).doubted

    def asks(self, origin: str) -> bool:
        """The server has asked for a sign-in before (or is configured): credentials may go along at once."""
        return self._door(origin).asks

    def expect(self, origin: str) -> None:
        """This server asks for a sign-in."""
        self._door(origin).asks = True

    @asynccontextmanager
    async def entrance(self, origin: str) -> AsyncIterator[None]:
        """One at a time; raises CarrierProblem("sign-in") while a refusal is fresh."""
        door = self._door(origin)
        async with door.lock:
            if door.refusal is not None and door.closed_until is not None:
                remaining = door.closed_until - self._clock.now()
                if remaining > timedelta():
                    raise _repeated(door.refusal, remaining)
            yield

    def accept(self, origin: str) -> None:
        """A sign-in succeeded."""
        door = self._door(origin)
        door.proven, door.doubted, door.refusal, door.pause = True, False, None, timedelta()

    def doubt(self, origin: str) -> None:
        """A 401 came where sign-ins had succeeded: the next try goes alone."""
        door = self._door(origin)
        door.proven, door.doubted = False, True

    def refuse(self, origin: str, problem: CarrierProblem) -> CarrierProblem:
        """A sign-in was refused; returns the problem to raise, with the time of the next try."""
        door = self._door(origin)
        door.proven, door.doubted = False, False
        door.pause = min(max(2 * door.pause, FIRST_PAUSE), LONGEST_PAUSE)
        door.closed_until = self._clock.now() + door.pause
        door.refusal = problem
        return _repeated(problem, door.pause)

    def _door(self, origin: str) -> _Door:
        door = self._doors.get(origin)
        if door is None:
            if len(self._doors) >= _MOST_ORIGINS:
                self._doors = {name: kept for name, kept in self._doors.items() if kept.lock.locked()}
            door = self._doors[origin] = _Door()
        return door


def _repeated(problem: CarrierProblem, remaining: timedelta) -> CarrierProblem:
    return CarrierProblem(problem.kind, problem.reason, remedy=problem.remedy, retry_after=remaining)
