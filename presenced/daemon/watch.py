"""Keeps every calendar read: at first, on every change, at midnight, and whenever in doubt.

The calendar door says what changed and what it follows; the watch gathers, spreads and retries the
window reads. Only one thing is ever waited for a mailbox: its next read.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from presenced.core.ports import (
    CalendarDoor,
    Clock,
    DoorProblem,
    Mailbox,
    MailboxProblem,
    MailboxState,
)
from presenced.core.window import Window
from presenced.core.zones import next_midnight
from presenced.daemon.agenda import Agenda
from presenced.daemon.backoff import Backoff
from presenced.daemon.keeper import Keeper
from presenced.daemon.progress import LongWork
from presenced.daemon.roster import Roster
from presenced.daemon.standing import Standing

log = logging.getLogger(__name__)

GATHER = timedelta(seconds=1)
"""one user action makes several notices: the read waits this long after the first of them"""
MIDNIGHT_SPREAD = timedelta(minutes=10)
"""exchange.md section 5, `midnight_spread`"""
REOPEN_SPREAD = timedelta(seconds=60)
"""after a reconnect the mailboxes of a group are read again within this time, not all at once"""
PATIENCE = timedelta(seconds=30)
"""a mailbox is read without change notices when following it takes longer than this"""
SILENCE = timedelta(minutes=6)
"""no proof of life for this long (the doors watch their own more closely): read to be sure. Longer than the
five minutes after which Graph is asked for changes where its notices flow."""
_RETRY = Backoff(first=timedelta(seconds=15), longest=timedelta(minutes=15))
_LOOK_AGAIN = timedelta(hours=1)
_MOVED_AFTER = timedelta(minutes=10)
"""a server out of reach may have moved: its mailboxes are looked up again if this long ago they were last"""
_DOUBT_EVERY = timedelta(seconds=10)
"""looking at everybody's signs of life takes a while where there are thousands"""


class Watch:
    """Implements `core.ports.CalendarListener`; reads windows through the door."""

    def __init__(self, roster: Roster, clock: Clock, *, window: timedelta, in_flight: int) -> None:
        self._roster = roster
        self._clock = clock
        self.window = window
        self.door: CalendarDoor | None = None
        self._slots = asyncio.Semaphore(in_flight)
        self._reads: Agenda[str] = Agenda(clock)
        self._cause: dict[str, str] = {}
        self._noticed: dict[str, datetime] = {}
        self._reading: set[str] = set()
        self._followed: dict[str, bool] = {}
        """address -> whether it is polled, while its change notices flow"""
        self._asked: dict[str, Mailbox] = {}
        """what the door was asked to follow"""
        self.signs: dict[str, datetime] = {}
        """the last proof of life of a mailbox's change notices"""
        self._doubted: dict[str, datetime] = {}
        """when a mailbox without a sign was read last to be sure"""
        self._doubt_next = clock.now()
        self.work = LongWork()
        """the first read of every mailbox through a new door"""
        self.counters: Counter[str] = Counter()
        self.standing = Standing()
        self.on_lost: Callable[[str], None] = lambda _guid: None
        """told the guid whose mailbox must be looked up again"""

    # --- what the door says ---

    def changed(self, address: str) -> None:
        now = self._clock.now()
        self.counters["notices"] += 1
        self.signs[address] = now
        self._noticed.setdefault(address, now)
        self._plan_read(address, now + GATHER, "change")

    def followed(self, addresses: Sequence[str], *, polled: bool) -> None:
        now = self._clock.now()
        for address in addresses:
            self.signs[address] = now
            self._followed[address] = polled
            keepers = self._roster.sharing(address)
            for keeper in keepers:
                self._roster.judge(
                    keeper,
                    MailboxState.POLLED if polled else MailboxState.RESOLVED,
                    "asked for changes now and then" if polled else "",
                )
            fresh = any(keeper.read_at is None for keeper in keepers)
            pause = timedelta() if fresh else REOPEN_SPREAD * place_of(address)
            self._plan_read(address, now + pause, "start" if fresh else "reconnect")

    def alive(self, addresses: Sequence[str]) -> None:
        now = self._clock.now()
        for address in addresses:
            self.signs[address] = now

    def troubled(self, address: str, problem: MailboxProblem) -> None:
        self._followed.pop(address, None)
        self.counters["troubled"] += 1
        self._mark(address, problem)

    # --- what the daemon asks for ---

    def follow(self, mailboxes: Sequence[Mailbox]) -> None:
        """Follow these, and read them even if that should take long."""
        if self.door is None or not mailboxes:
            return
        now = self._clock.now()
        new = [mailbox for mailbox in mailboxes if self._asked.get(mailbox.address) != mailbox]
        self.door.unfollow([mailbox.address for mailbox in new if mailbox.address in self._asked])
        self._asked.update((mailbox.address, mailbox) for mailbox in new)
        for mailbox in new:
            self.work.expect(mailbox.address, now)
        self.door.follow(new)
        for mailbox in new:
            self._plan_read(mailbox.address, now + PATIENCE, "start")

    def unfollow(self, address: str) -> None:
        """Nobody is interested in this mailbox any more."""
        self._reads.drop(address)
        self.work.drop(address)
        for known in (self._cause, self._noticed, self._followed, self._asked, self.signs, self._doubted):
            known.pop(address, None)
        if self.door is not None:
            self.door.unfollow([address])

    def read_again(self, addresses: Sequence[str], cause: str, *, spread: timedelta = REOPEN_SPREAD) -> None:
        """Read these mailboxes within `spread`."""
        now = self._clock.now()
        for address in addresses:
            self._plan_read(address, now + spread * place_of(address), cause)

    def use(self, door: CalendarDoor | None) -> None:
        """From now on this is the door; everything known is followed through it."""
        self.door = door
        self._followed.clear()
        self._asked.clear()
        self.signs.clear()
        self._doubted.clear()
        self.standing.close()
        self.work.clear()
        if door is not None:
            self.follow(list(self._roster.mailboxes().values()))

    @property
    def waiting(self) -> int:
        """Reads that are due or under way."""
        return len(self._reading) + self._reads.overdue(self._clock.now())

    @property
    def followed_count(self) -> int:
        """Mailboxes whose change notices flow."""
        return len(self._followed)

    @property
    def polled_count(self) -> int:
        """Those of them that are asked for changes now and then."""
        return sum(self._followed.values())

    def health(self) -> tuple[bool, str]:
        """Whether the door works, and why not."""
        if self.door is None:
            return False, self.standing.reason
        status = self.door.status()
        healthy = status.healthy and self.standing.healthy
        return healthy, "" if healthy else status.reason or self.standing.reason

    def is_polled(self, address: str) -> bool | None:
        """How this mailbox is followed; None where it is not (yet)."""
        return self._followed.get(address)

    def oldest_sign(self) -> datetime | None:
        """The oldest of the last proofs of life of the mailboxes followed; None where there are none."""
        return min((self.signs[address] for address in self._followed), default=None)

    def next_read(self, address: str) -> tuple[datetime, str] | None:
        """When this mailbox is read next, and why; None where nothing is planned."""
        due = self._reads.due_at(address)
        return None if due is None else (due, self._cause.get(address, "change"))

    # --- reading ---

    async def run(self, beat: Callable[[], None]) -> None:
        """Read what is due, until cancelled."""
        async with asyncio.TaskGroup() as reads:
            while True:
                for address in await self._reads.wait(100):
                    if address in self._reading:
                        self._reads.wish(address, self._clock.now() + GATHER / 4)
                        continue
                    await self._slots.acquire()
                    self._reading.add(address)
                    reads.create_task(self._serve(address))
                self._doubt()
                beat()

    async def _serve(self, address: str) -> None:
        try:
            await self._read(address)
        except Exception:
            log.exception("reading failed unexpectedly mailbox=%s", address)
            self._reads.wish(address, self._clock.now() + _RETRY.pause(5))
        finally:
            self._reading.discard(address)
            self._slots.release()

    async def _read(self, address: str) -> None:
        keepers = self._roster.sharing(address)
        mailbox = keepers[0].mailbox if keepers else None
        if self.door is None or mailbox is None:
            return
        cause = self._cause.pop(address, "change")
        noticed = self._noticed.pop(address, None)
        started = self._clock.now()
        window = Window(started, started + self.window)
        self.counters["reads"] += 1
        try:
            raw = await self.door.fetch_appointments(
                mailbox,
                window,
                keepers[0].admission.timezone,
                organizers=any(keeper.mapping.needs_organizers for keeper in keepers),
            )
        except MailboxProblem as problem:
            self._mark(address, problem)
            return
        except DoorProblem as problem:
            self._door_fails(problem)
            for keeper in keepers:
                keeper.failures += 1
                self._roster.judge(keeper, MailboxState.FAILING, problem.reason, problem.remedy)
                if keeper.resolved_at is None or self._clock.now() - keeper.resolved_at >= _MOVED_AFTER:
                    self.on_lost(keeper.user.guid)
            pause = problem.retry_after or _RETRY.pause(keepers[0].failures)
            self._plan_read(address, self._clock.now() + pause, cause)
            return
        self.standing.works("reads")
        self.work.finish(address, self._clock.now())
        for keeper in keepers:
            keeper.noticed_at = noticed
        await self._roster.take(address, raw, window, cause)
        for keeper in keepers:
            if keeper.to_write() is None:
                keeper.noticed_at = None
        self._plan_read(address, self._midnight_read(address, keepers[0]), "midnight")

    def _midnight_read(self, address: str, keeper: Keeper) -> datetime:
        midnight = next_midnight(self._clock.now(), keeper.mapping.style.zone)
        return midnight + MIDNIGHT_SPREAD * place_of(address)

    def _plan_read(self, address: str, due: datetime, cause: str) -> None:
        known = self._reads.due_at(address)
        if known is None or due < known:
            self._cause[address] = cause
            self._reads.put(address, due)

    def _mark(self, address: str, problem: MailboxProblem) -> None:
        """A mailbox in trouble: its users show why, and it is tried again; nothing else waits for it."""
        self.work.finish(address, self._clock.now())
        for keeper in self._roster.sharing(address):
            keeper.failures += 1
            self._roster.judge(keeper, problem.state, problem.reason, problem.remedy)
            pause = problem.retry_after or (
                _LOOK_AGAIN if problem.state is MailboxState.BLOCKED else _RETRY.pause(keeper.failures)
            )
            if problem.rediscover:
                self.on_lost(keeper.user.guid)
            self._plan_read(address, self._clock.now() + pause, "retry")
        log.warning(
            "mailbox in trouble mailbox=%s state=%s because=%s", address, problem.state, problem.reason
        )

    def _door_fails(self, problem: DoorProblem) -> None:
        self.counters["failed"] += 1
        if self.standing.fails("reads", problem.told):
            log.error("exchange fails because=%s remedy=%s", problem.reason, problem.remedy)

    def _doubt(self) -> None:
        """A mailbox that is followed but gives no sign is read to be sure, again and again."""
        now = self._clock.now()
        if now < self._doubt_next:
            return
        self._doubt_next = now + _DOUBT_EVERY
        for address, polled in self._followed.items():
            sign = self.signs[address]
            if not polled and now - max(sign, self._doubted.get(address, sign)) > SILENCE:
                self._doubted[address] = now
                self._plan_read(address, now + REOPEN_SPREAD * place_of(address), "doubt")


def place_of(address: str) -> float:
    """A fixed place in [0, 1) for every mailbox, to spread work by."""
    return zlib.crc32(address.casefold().encode()) / 2**32
