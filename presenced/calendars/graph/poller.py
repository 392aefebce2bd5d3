"""Asks every mailbox for changes: delta in batches of twenty, spread evenly over the interval.

Delta is the truth about what changed; a notice only makes its mailbox be asked at once. With live notices
a mailbox is asked seldom, as a safety net, but never not at all (graph.md section Follow).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from presenced.calendars.alarm import Alarm
from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.graph import cursor as delta
from presenced.calendars.graph import questions
from presenced.calendars.graph.batch import MOST
from presenced.calendars.graph.calls import Caller, Reading
from presenced.calendars.graph.cursor import Cursor, Outcome
from presenced.calendars.graph.recovery import (
    Refused,
    Step,
    Trouble,
    door_problem,
    mailbox_problem,
    recovery_for,
)
from presenced.calendars.graph.wire import DeltaPage, Unreadable, read_delta
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
from presenced.core.window import Window

log = logging.getLogger(__name__)

GATHER = timedelta(seconds=1)
"""a batch that is not full leaves when its first mailbox has waited so long"""
AT_ONCE = -GATHER
"""the pause of one that does not wait for company"""
SAFETY_NET = timedelta(minutes=5)
"""the interval of a mailbox whose notices flow"""
DOUBT = timedelta(seconds=10)
"""a notice came but delta has nothing yet: it is asked once more after this time"""
LENGTH = timedelta(hours=48)
"""of the windows, until the first is read"""


class _Polled:
    """One mailbox, where its delta stands, and how asking it went."""

    __slots__ = ("cursor", "failures", "hinted", "live", "mailbox", "phase", "rung", "told", "user", "zone")

    def __init__(self, mailbox: Mailbox, user: str, phase: float, *, live: bool) -> None:
        self.mailbox = mailbox
        self.user = user
        self.phase = phase
        self.live = live
        """its notices flow"""
        self.cursor = Cursor()
        self.zone = "UTC"
        """of its presence"""
        self.hinted = 0
        """how many more times it is asked because of a notice"""
        self.rung = False
        """a notice came while it was being asked"""
        self.failures = 0
        self.told = False
        """the listener knows that this mailbox is followed"""

    @property
    def address(self) -> str:
        return self.mailbox.address


class Poller:
    """The followed mailboxes and the workers that ask them."""

    def __init__(
        self,
        caller: Caller,
        listener: CalendarListener,
        clock: Clock,
        pace: Pace,
        *,
        interval: timedelta,
        width: int,
        missed: Callable[[str], None] = lambda _address: None,
    ) -> None:
        """`missed` is told of a mailbox that changed without the notice it should have sent."""
        self._caller, self._listener, self._clock, self._pace = caller, listener, clock, pace
        self._missed = missed
        self._interval = interval
        self._width = max(width, 1)
        self._length = LENGTH
        self._polled: dict[str, _Polled] = {}
        self._turns = Turns(clock.now())
        self._ready: asyncio.Queue[list[_Polled]] = asyncio.Queue(maxsize=1)
        self._alarm = Alarm(clock)
        self._since = clock.now()
        self._last_sign: datetime | None = None

    @property
    def size(self) -> int:
        """How many mailboxes are asked."""
        return len(self._polled)

    def __contains__(self, address: object) -> bool:
        return address in self._polled

    def add(self, mailbox: Mailbox, user: str, *, live: bool = False) -> None:
        """Ask this one, too; `user` is its path, `live`: its notices flow."""
        self._turns.add(mailbox.address, self._clock.now())
        self._polled[mailbox.address] = _Polled(mailbox, user, self._pace.chance(), live=live)
        self._alarm.ring()

    def remove(self, address: str) -> None:
        """Ask it no longer."""
        self._polled.pop(address, None)
        self._turns.remove(address)

    def set_live(self, address: str, *, live: bool) -> None:
        """Its notices flow, or don't (any more); the listener is told where that is new."""
        one = self._polled.get(address)
        if one is None:
            return
        if one.live is not live and one.told:
            self._listener.followed([address], polled=not live)
        one.live = live
        self.hint(address)

    def hint(self, address: str) -> None:
        """Something may have changed: ask at once, and once more soon if delta knows nothing yet."""
        one = self._polled.get(address)
        if one is None:
            return
        one.hinted = 2
        if self._turns.due_at(address) is None:
            one.rung = True
        else:
            self._plan_at_once(address)

    def expect(self, address: str, window: Window, zone: str) -> None:
        """Windows of this length are read, in this zone: what rounds must cover, and when they end."""
        self._length = max(self._length, window.end - window.start)
        one = self._polled.get(address)
        if one is not None and one.zone != zone:
            one.zone = zone
            one.cursor = delta.know_zone(one.cursor, self._clock.now(), zone, one.phase)

    def status(self, trouble: str = "") -> StreamStatus | None:
        """All of them as one line, with what is wrong with their notices; None where there is none."""
        if not self._polled:
            return None
        live = sum(one.live for one in self._polled.values())
        detail = f"delta every {self._interval.total_seconds():.0f} s"
        if live:
            detail += f", {live} with notices every {self._net.total_seconds():.0f} s"
        if trouble:
            detail += f"; {trouble}"
        return StreamStatus("", self._caller.root, self.size, self._since, self._last_sign, detail)

    async def run(self) -> None:
        """Hand out what is due to the workers, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._width):
                tasks.create_task(self._work())
            while True:
                while due := self._turns.take(self._clock.now(), MOST, gathered=GATHER):
                    await self._ready.put([self._polled[address] for address in due])
                first = self._turns.next_due()
                await self._alarm.wait(None if first is None else first + GATHER)

    # --- turns ----------------------------------------------------------------------------------

    @property
    def _net(self) -> timedelta:
        return max(self._interval, SAFETY_NET)

    def _is_current(self, one: _Polled) -> bool:
        return self._polled.get(one.address) is one

    def _plan_at_once(self, address: str) -> None:
        """Without waiting for company."""
        self._turns.plan(address, self._clock.now() + AT_ONCE)
        self._alarm.ring()

    def _plan(self, one: _Polled, pause: timedelta | None) -> None:
        """The next turn of one that has just been asked; None: its usual one."""
        now = self._clock.now()
        if pause is None:
            self._turns.plan_turn(one.address, now, self._net if one.live else self._interval)
        else:
            self._turns.plan(one.address, now + pause)
        self._alarm.ring()

    async def _work(self) -> None:
        while True:
            batch = await self._ready.get()
            for one, pause in await self._serve([one for one in batch if self._is_current(one)]):
                if self._is_current(one):
                    self._plan(one, pause)

    # --- a batch --------------------------------------------------------------------------------

    async def _serve(self, batch: Sequence[_Polled]) -> list[tuple[_Polled, timedelta | None]]:
        """Ask them; how long each waits where that is not until its usual turn."""
        held = [(one, self._caller.held_for(one.address)) for one in batch]
        due = [one for one, pause in held if pause <= timedelta()]
        plans: list[tuple[_Polled, timedelta | None]] = [
            (one, self._pace.spread(pause)) for one, pause in held if pause > timedelta()
        ]
        if not due:
            return plans
        return plans + list(zip(due, await self._ask(due), strict=True))

    async def _ask(self, batch: Sequence[_Polled]) -> list[timedelta | None]:
        now = self._clock.now()
        for one in batch:
            if delta.is_worn(one.cursor, now, self._length):
                one.cursor = delta.begin(one.cursor, delta.plan_round(now, self._length, one.zone, one.phase))
        try:
            readings = await self._caller.ask_batch([self._question(one) for one in batch])
        except CarrierProblem as problem:
            if problem.kind == "too-large" and len(batch) > 1:
                half = len(batch) // 2
                return [*await self._ask(batch[:half]), *await self._ask(batch[half:])]
            return [self._failed(one, self._caller.carried(problem)) for one in batch]
        except Refused as refusal:
            return [self._refused(one, refusal.trouble) for one in batch]
        except Unreadable as error:
            return [self._failed(one, unreadable_problem(str(error))) for one in batch]
        return self._take_in(batch, readings)

    def _question(self, one: _Polled) -> questions.Question:
        path = delta.next_path(one.cursor)
        if not path and one.cursor.round is not None:
            path = questions.delta_start(one.user, one.cursor.round.span)
        return questions.delta(path, one.address)

    def _take_in(self, batch: Sequence[_Polled], readings: Sequence[Reading]) -> list[timedelta | None]:
        """What the parts mean; the listener is told in as few words as will do."""
        pauses: list[timedelta | None] = []
        told: dict[Outcome, list[_Polled]] = {}
        for one, reading in zip(batch, readings, strict=True):
            outcome, pause = self._judge(one, reading)
            if outcome is not None and self._is_current(one):
                told.setdefault(outcome, []).append(one)
            pauses.append(pause)
        if told:
            self._last_sign = self._clock.now()
        fresh = told.get(Outcome.FRESH, [])
        for live in (True, False):
            begun = [one.address for one in fresh if one.live is live]
            if begun:
                self._listener.followed(begun, polled=not live)
        for one in told.get(Outcome.CHANGED, ()):
            self._caller.counters["changes"] += 1
            self._listener.changed(one.address)
        settled = [
            one.address for outcome, ones in told.items() if outcome is not Outcome.MORE for one in ones
        ]
        if settled:
            self._listener.alive(settled)
        return pauses

    def _judge(self, one: _Polled, reading: Reading) -> tuple[Outcome | None, timedelta | None]:
        """What one part means (None: it failed), and how long the mailbox waits."""
        if isinstance(reading, Trouble):
            if recovery_for(reading).step is Step.RESYNC:
                return self._lost(one)
            return None, self._refused(one, reading)
        try:
            outcome = self._turn(one, read_delta(reading))
        except Unreadable as error:
            one.cursor = Cursor()
            return None, self._failed(one, unreadable_problem(str(error)))
        if outcome is Outcome.MORE:
            return outcome, AT_ONCE
        if not one.told:
            outcome = Outcome.FRESH
        if outcome is Outcome.CHANGED and one.live and not one.hinted:
            self._caller.counters["changes_without_notice"] += 1
            self._missed(one.address)
        one.told, one.failures = True, 0
        return outcome, self._after_hint(one, outcome)

    def _turn(self, one: _Polled, page: DeltaPage) -> Outcome:
        """The cursor goes on. Raises Unreadable."""
        if one.cursor.pages >= delta.PAGES:
            raise Unreadable(f"a delta answer of more than {delta.PAGES} pages")
        next_link = self._caller.below_root(page.next_link) if page.next_link else ""
        delta_link = self._caller.below_root(page.delta_link) if page.delta_link else ""
        one.cursor, outcome = delta.turn_page(one.cursor, DeltaPage(page.changes, next_link, delta_link))
        return outcome

    def _lost(self, one: _Polled) -> tuple[Outcome | None, timedelta | None]:
        """A full round, and then the window is read."""
        self._caller.counters["rounds_lost"] += 1
        one.cursor, outcome = delta.lose_token(one.cursor)
        if outcome is not Outcome.MORE:
            return outcome, None
        one.told = False
        one.failures += 1
        return None, AT_ONCE if one.failures == 1 else self._pace.pause(one.failures)

    def _after_hint(self, one: _Polled, outcome: Outcome) -> timedelta | None:
        if one.rung:
            one.rung = False
            return AT_ONCE
        one.hinted = 0 if outcome is not Outcome.UNCHANGED else max(one.hinted - 1, 0)
        return DOUBT if one.hinted else None

    # --- failures -------------------------------------------------------------------------------

    def _refused(self, one: _Polled, trouble: Trouble) -> timedelta | None:
        step = recovery_for(trouble).step
        if step is Step.BACK_OFF:
            held = self._caller.held_for(one.address)
            return self._failed(one, mailbox_problem(trouble, held), least=held)
        if step is Step.SIGN_IN:
            return self._failed(one, door_problem(trouble))
        return self._failed(one, mailbox_problem(trouble), at_once=step is not Step.FAIL)

    def _failed(
        self,
        one: _Polled,
        problem: MailboxProblem | DoorProblem,
        *,
        at_once: bool = False,
        least: timedelta = timedelta(),
    ) -> timedelta | None:
        """Count it; tell the admin when it lasts, or at once where it won't pass by itself."""
        if not self._is_current(one):
            return None
        one.failures += 1
        asked = max(problem.retry_after or timedelta(), least)
        lasting = lasting_problem(problem, one.failures, at_once=at_once)
        if lasting is not None:
            one.told = False
            self._listener.troubled(one.address, lasting)
        return self._pace.spread(asked) if asked > self._interval else None
