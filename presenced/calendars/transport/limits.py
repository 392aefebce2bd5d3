"""How much may be under way at a time, and who must wait: slots, budgets and holds.

Exchange charges work to a budget (a mailbox, or the account), so one busy mailbox must wait alone:
holds and the one-request-a-mailbox rule are kept for each budget, the number of slots for the account
(exchange.md section 6). Whoever waits for his budget or for the end of a hold occupies no slot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from presenced.calendars.carrier import CarrierProblem
from presenced.core.ports import Clock

LONGEST_WAIT = timedelta(minutes=1)
"""a hold longer than this refuses requests instead of letting them wait"""


@dataclass(slots=True)
class _Turn:
    """The queue of one mailbox; lives only while somebody is in it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    present: int = 0


class _Stay:
    """A request from its turn to the end of its slot."""

    __slots__ = ("_budget", "_limits")

    def __init__(self, limits: Limits, budget: str) -> None:
        self._limits, self._budget = limits, budget

    async def __aenter__(self) -> None:
        await self._limits.enter(self._budget)

    async def __aexit__(self, *_: object) -> None:
        self._limits.leave(self._budget)


class Limits:
    """Admits requests: in order, one a mailbox, so many an account, none while its budget is held."""

    def __init__(self, clock: Clock, slots: int) -> None:
        self._clock = clock
        self._slots = asyncio.Semaphore(slots)
        self._turns: dict[str, _Turn] = {}
        self._holds: dict[str, datetime] = {}
        self._sweep_at = 1024
        self.waits = 0
        """requests that had to wait for their mailbox, for a hold or for a slot"""

    def admit(self, budget: str) -> AbstractAsyncContextManager[None]:
        """Inside, the request has its slot. Entering raises CarrierProblem("held")."""
        return _Stay(self, budget)

    async def enter(self, budget: str) -> None:
        """What `admit` does at its beginning; `leave` must follow, unless this raises."""
        if budget:
            await self._take_turn(budget)
        try:
            await self._take_slot(budget)
        except BaseException:
            self._end_turn(budget)
            raise

    def leave(self, budget: str) -> None:
        """Give slot and turn to the next."""
        self._slots.release()
        self._end_turn(budget)

    async def _take_turn(self, budget: str) -> None:
        turn = self._turns.setdefault(budget, _Turn())
        turn.present += 1
        self.waits += turn.lock.locked()
        try:
            await turn.lock.acquire()
        except BaseException:
            self._drop_out(budget, turn)
            raise

    def _end_turn(self, budget: str) -> None:
        if budget:
            turn = self._turns[budget]
            turn.lock.release()
            self._drop_out(budget, turn)

    def _drop_out(self, budget: str, turn: _Turn) -> None:
        turn.present -= 1
        if not turn.present:
            del self._turns[budget]

    async def _take_slot(self, budget: str) -> None:
        while True:
            await self.wait_out(budget)
            self.waits += self._slots.locked()
            await self._slots.acquire()
            if self._remaining(budget) <= timedelta():
                return
            self._slots.release()  # held while it stood in the queue

    async def wait_out(self, budget: str) -> None:
        """Return when the budget is not held (any more); CarrierProblem("held") when that takes long."""
        remaining = self._remaining(budget)
        self.waits += remaining > timedelta()
        while remaining > timedelta():
            if remaining > LONGEST_WAIT:
                raise CarrierProblem(
                    "held",
                    f"{budget or 'the account'} is held back for another {remaining.total_seconds():.0f} s "
                    "because the server asked for it",
                    retry_after=remaining,
                )
            await self._clock.sleep(remaining)
            remaining = self._remaining(budget)

    def hold(self, budget: str, duration: timedelta) -> None:
        """No request of this budget until `duration` has passed; a longer hold stays."""
        if duration <= timedelta():
            return
        until = self._clock.now() + duration
        self._holds[budget] = max(until, self._holds.get(budget, until))
        if len(self._holds) >= self._sweep_at:
            self._holds = dict(self.holds())
            self._sweep_at = 2 * len(self._holds) + 1024

    def holds(self) -> Mapping[str, datetime]:
        """Budget -> held until, of the holds in force."""
        now = self._clock.now()
        return {budget: until for budget, until in self._holds.items() if until > now}

    @property
    def queues(self) -> int:
        """Mailboxes with a request under way or waiting."""
        return len(self._turns)

    def _remaining(self, budget: str) -> timedelta:
        until = self._holds.get(budget)
        if until is None:
            return timedelta()
        remaining = until - self._clock.now()
        if remaining <= timedelta():
            del self._holds[budget]
        return remaining
