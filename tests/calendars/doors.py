"""What the tests of both doors need: a listener that remembers, a door that runs, a connection that breaks."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from presenced.calendars.carrier import CarrierProblem
from presenced.core.ports import MailboxProblem


@dataclass
class Remembering:
    """A CalendarListener but for `followed`: how mailboxes are told as followed is each door's own."""

    changes: list[str] = field(default_factory=list)
    signs: Counter[str] = field(default_factory=Counter)
    troubles: dict[str, list[MailboxProblem]] = field(default_factory=lambda: defaultdict(list))

    def changed(self, address: str) -> None:
        self.changes.append(address)

    def alive(self, addresses: Sequence[str]) -> None:
        self.signs.update(addresses)

    def troubled(self, address: str, problem: MailboxProblem) -> None:
        self.troubles[address].append(problem)


@asynccontextmanager
async def under_way(run: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs beside the test, and must not have ended when the test does."""
    task = asyncio.create_task(run)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled(), task.exception()


def broken(kind: str = "broken") -> CarrierProblem:
    return CarrierProblem(kind, f"the connection is {kind}")


def people(count: int) -> list[str]:
    return [f"user{number:05}@example.com" for number in range(count)]
