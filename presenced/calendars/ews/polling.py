"""Asks mailboxes for changes that can't tell: SyncFolderItems, ids only, spread evenly.

The first answers establish the cursor; from then on a mailbox is asked once an interval, each at a
moment of its own, so that the server sees an even trickle. A few workers do the asking
(exchange.md section 4).
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from presenced.calendars.alarm import Alarm
from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.ews import codec
from presenced.calendars.ews.calls import Caller, Request
from presenced.calendars.ews.envelope import Refused, Trouble, Unreadable
from presenced.calendars.ews.recovery import (
    Step,
    mailbox_problem,
    recovery_for,
)
from presenced.calendars.ews.wire import read_sync
from presenced.calendars.pace import Pace
from presenced.calendars.problems import lasting_problem, unreadable_problem
from presenced.calendars.turns import Turns
from presenced.core.ports import (
    CalendarListener,
    Clock,
    DoorProblem,
    Mailbox,
    MailboxProblem,
    StreamStatus,
)

log = logging.getLogger(__name__)

PAGES = 200
"""SyncFolderItems answers read in a row at most: 512 changes each"""


class _Polled:
    """One mailbox and its cursor."""

    __slots__ = ("cursor", "failures", "mailbox", "told")

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.cursor = ""
        self.failures = 0
        self.told = False
        """the listener knows that this mailbox is followed"""


class Poller:
    """The polled mailboxes and the workers that ask them."""

    def __init__(
        self,
        caller: Caller,
        listener: CalendarListener,
        clock: Clock,
        pace: Pace,
        *,
        interval: timedelta,
        width: int,
    ) -> None:
        self._caller, self._listener, self._clock, self._pace = caller, listener, clock, pace
        self._interval = interval
        self._width = max(width, 1)
        self._polled: dict[str, _Polled] = {}
        self._turns = Turns(clock.now())
        self._ready: asyncio.Queue[_Polled] = asyncio.Queue(maxsize=self._width)
        self._alarm = Alarm(clock)
        self._epoch = clock.now()
        self._last_sign: datetime | None = None

    @property
    def size(self) -> int:
        """How many mailboxes are polled."""
        return len(self._polled)

    def add(self, mailbox: Mailbox) -> None:
        """Poll this one, too."""
        self._polled[mailbox.address] = _Polled(mailbox)
        self._turns.add(mailbox.address, self._clock.now())
        self._alarm.ring()

    def remove(self, address: str) -> None:
        """Poll it no longer."""
        self._polled.pop(address, None)
        self._turns.remove(address)

    def status(self) -> StreamStatus | None:
        """All of them as one line; None where there is none."""
        if not self._polled:
            return None
        detail = f"polled every {self._interval.total_seconds():.0f} s"
        return StreamStatus("", "", self.size, self._epoch, self._last_sign, detail)

    async def run(self) -> None:
        """Hand out what is due to the workers, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._width):
                tasks.create_task(self._work())
            while True:
                while due := self._turns.take(self._clock.now()):
                    await self._ready.put(self._polled[due[0]])
                await self._alarm.wait(self._turns.next_due())

    async def _work(self) -> None:
        while True:
            one = await self._ready.get()
            if not self._is_current(one):
                continue
            pause = await self._poll(one)
            if self._is_current(one):
                self._plan(one.mailbox.address, pause)

    def _is_current(self, one: _Polled) -> bool:
        return self._polled.get(one.mailbox.address) is one

    def _plan(self, address: str, pause: timedelta | None) -> None:
        now = self._clock.now()
        if pause is None:
            self._turns.plan_turn(address, now, self._interval)
        else:
            self._turns.plan(address, now + pause)
        self._alarm.ring()

    # --- one mailbox ----------------------------------------------------------------------------

    async def _poll(self, one: _Polled) -> timedelta | None:
        """Ask it; how long to wait where that is not its usual turn."""
        first = not one.cursor
        try:
            changed = await self._sync(one)
        except Refused as refusal:
            return self._refused(one, refusal.trouble)
        except CarrierProblem as problem:
            return self._failed(one, self._caller.carried(one.mailbox.endpoint, problem))
        except Unreadable as error:
            return self._failed(one, unreadable_problem(str(error)))
        if not self._is_current(one):
            return None
        address = one.mailbox.address
        self._last_sign = self._clock.now()
        if first or not one.told:
            one.told = True
            self._listener.followed([address], polled=True)
        elif changed:
            self._caller.counters["notices"] += 1
            self._listener.changed(address)
        self._listener.alive([address])
        one.failures = 0
        return None

    async def _sync(self, one: _Polled) -> bool:
        """All changes since the cursor; whether there were any."""
        mailbox, changed = one.mailbox, False
        for _ in range(PAGES):
            body = codec.sync_calendar(mailbox.address, one.cursor)
            request = Request("SyncFolderItems", mailbox.endpoint, body, mailbox.address)
            synced = (await self._caller.call(request, read_sync)).value
            one.cursor = synced.cursor
            changed |= synced.changes > 0
            if synced.complete:
                break
        return changed

    def _refused(self, one: _Polled, trouble: Trouble) -> timedelta | None:
        step = recovery_for(trouble).step
        if step is Step.BACK_OFF:
            held = self._caller.held_for(one.mailbox.address)
            return self._failed(one, mailbox_problem(trouble, held))
        if step is Step.RESUBSCRIBE:
            one.cursor, one.told = "", False
            one.failures += 1
            return timedelta() if one.failures == 1 else self._pace.pause(one.failures)
        return self._failed(one, mailbox_problem(trouble), at_once=step is not Step.FAIL)

    def _failed(
        self,
        one: _Polled,
        problem: MailboxProblem | DoorProblem,
        *,
        at_once: bool = False,
    ) -> timedelta | None:
        """Count it; tell the admin when it lasts, or at once where it won't pass by itself."""
        one.failures += 1
        asked = problem.retry_after or timedelta()
        lasting = lasting_problem(problem, one.failures, at_once=at_once)
        if lasting is not None:
            one.told = False
            self._listener.troubled(one.mailbox.address, lasting)
        return self._pace.spread(asked) if asked > self._interval else None
