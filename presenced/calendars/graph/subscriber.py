"""Keeps one subscription to change notices a mailbox alive: made, renewed, made again.

Each mailbox is polled as well, only more seldom while its notices flow, so whatever goes wrong here costs
minutes and no changes. That is why nothing here is told to the admin as a mailbox's trouble: it is one
sentence in the status. Source: graph.md section Follow; Microsoft's "Reduce missing change notifications".
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from presenced.calendars.alarm import Alarm
from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.graph import questions
from presenced.calendars.graph.batch import MOST
from presenced.calendars.graph.calls import Caller, Reading
from presenced.calendars.graph.notices import Registry
from presenced.calendars.graph.recovery import Refused, Step, Trouble, in_words, recovery_for
from presenced.calendars.graph.renewal import Lease, is_over, renew_at, wish
from presenced.calendars.graph.wire import Notice, Unreadable, read_subscribed, read_subscriptions
from presenced.calendars.pace import Pace
from presenced.calendars.problems import HOURLY, MINUTES
from presenced.calendars.turns import Turns
from presenced.core.ports import Clock, Mailbox

log = logging.getLogger(__name__)

GATHER = timedelta(seconds=1)
WIDTH = 2
"""batches at a time: Graph shakes hands with us for each subscription it makes"""
UNREACHABLE = "ValidationError"
"""the code for a notification URL that did not answer as it should"""
YOUNG = timedelta(minutes=2)
"""a subscription is not doubted so soon after it was made or renewed: notices may be late"""
_CHORES = 20_000
"""subscriptions waiting to be ended; more are left to expire"""
_PAGES = 500

Settled = Callable[[Mailbox, bool], None]
"""told after the first try of a mailbox, and whenever its notices begin, cease or go on to flow"""


class _Wish(StrEnum):
    CREATE = "create"
    RENEW = "renew"
    REAUTHORIZE = "reauthorize"


class _Subscribed:
    """One mailbox and its subscription."""

    __slots__ = ("chance", "failures", "lease", "live", "mailbox", "secret", "suspended", "user")

    def __init__(self, mailbox: Mailbox, user: str, chance: float) -> None:
        self.mailbox = mailbox
        self.user = user
        self.chance = chance
        self.secret = secrets.token_urlsafe(48)
        self.lease: Lease | None = None
        self.suspended = False
        """Graph wants to see a fresh token before it goes on"""
        self.live: bool | None = None
        """as last told; None before the first try"""
        self.failures = 0

    @property
    def address(self) -> str:
        return self.mailbox.address

    @property
    def wish(self) -> _Wish:
        if self.lease is None:
            return _Wish.CREATE
        return _Wish.REAUTHORIZE if self.suspended else _Wish.RENEW


class Subscriber:
    """The mailboxes that should send notices, and the workers that see to it."""

    def __init__(self, url: str, caller: Caller, clock: Clock, pace: Pace, settled: Settled) -> None:
        self._url = url
        self._caller, self._clock, self._pace, self._settled = caller, clock, pace, settled
        self._registry = Registry(caller.counters)
        self._wanted: dict[str, _Subscribed] = {}
        self._turns = Turns(clock.now())
        self._alarm = Alarm(clock)
        self._ready: asyncio.Queue[list[_Subscribed]] = asyncio.Queue(maxsize=1)
        self._chores: deque[str] = deque(maxlen=_CHORES)
        self._chore_alarm = Alarm(clock)
        self._closed_until: datetime | None = None
        self.trouble = ""
        """why no subscription can be made at the moment, in words"""

    def add(self, mailbox: Mailbox, user: str) -> None:
        """Subscribe to this one, too; `user` is its path."""
        self._wanted[mailbox.address] = _Subscribed(mailbox, user, self._pace.chance())
        self._turns.add(mailbox.address, self._clock.now())
        self._alarm.ring()

    def remove(self, address: str) -> None:
        """Notices of this mailbox are not wanted any more."""
        one = self._wanted.pop(address, None)
        self._turns.remove(address)
        if one is not None and one.lease is not None:
            self._registry.remove(one.lease.subscription)
            self._discard([one.lease.subscription])

    @property
    def live(self) -> int:
        """How many mailboxes' notices flow."""
        return sum(one.live is True for one in self._wanted.values())

    def take(self, notice: Notice) -> str:
        """The mailbox that must be asked for changes because of a notice; "" where none must."""
        address = self._registry.identify(notice)
        one = self._wanted.get(address)
        if one is None:
            return ""
        self._caller.counters["notices"] += 1
        if notice.lifecycle:
            self._caller.counters[f"notices_{notice.lifecycle[:40]}"] += 1
        if notice.lifecycle == "reauthorizationRequired":
            one.suspended = True
            self._plan_at_once(one)
        elif notice.lifecycle == "subscriptionRemoved":
            self._lose(one)
            self._plan_at_once(one)
        return address

    def doubt(self, address: str) -> None:
        """A notice of this mailbox did not come: its subscription may be gone, and renewing it tells."""
        one = self._wanted.get(address)
        if one is None or one.lease is None or self._clock.now() - one.lease.granted_at < YOUNG:
            return
        self._plan_at_once(one)

    async def run(self) -> None:
        """Make and renew, until cancelled."""
        await self._find_leftovers()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._end_subscriptions())
            for _ in range(WIDTH):
                tasks.create_task(self._work())
            while True:
                while due := self._turns.take(self._clock.now(), MOST, gathered=GATHER):
                    await self._ready.put([self._wanted[address] for address in due])
                first = self._turns.next_due()
                await self._alarm.wait(None if first is None else first + GATHER)

    # --- turns ----------------------------------------------------------------------------------

    def _is_current(self, one: _Subscribed) -> bool:
        return self._wanted.get(one.address) is one

    def _plan(self, one: _Subscribed, due: datetime) -> None:
        self._turns.plan(one.address, due)
        self._alarm.ring()

    def _plan_at_once(self, one: _Subscribed) -> None:
        if self._turns.due_at(one.address) is not None:
            self._plan(one, self._clock.now() - GATHER)

    async def _work(self) -> None:
        while True:
            batch = [one for one in await self._ready.get() if self._is_current(one)]
            if not batch:
                continue
            await self._serve(batch)

    async def _serve(self, batch: Sequence[_Subscribed]) -> None:
        now = self._clock.now()
        if self._closed_until is not None and now < self._closed_until:
            for one in batch:
                if one.lease is None:
                    self._put_off(one, self._closed_until - now)
            batch = [one for one in batch if one.lease is not None]  # renewing takes no handshake
        if not batch:
            return
        wishes = [one.wish for one in batch]
        asked = [self._question(one, now) for one in batch]
        try:
            readings: Sequence[Reading] = await self._caller.ask_batch(asked)
        except Refused as refusal:
            readings = [refusal.trouble] * len(batch)
        except (Unreadable, CarrierProblem) as failure:
            readings = [Trouble(0, "Lost", str(failure))] * len(batch)
        for one, wanted, reading in zip(batch, wishes, readings, strict=True):
            self._take_in(one, wanted, reading)

    def _question(self, one: _Subscribed, now: datetime) -> questions.Question:
        if one.lease is None:
            return questions.subscribe(one.user, one.address, self._url, wish(now), one.secret)
        if one.suspended:
            return questions.reauthorize(one.lease.subscription, one.address)
        return questions.renew(one.lease.subscription, one.address, wish(now))

    # --- what came of it ------------------------------------------------------------------------

    def _take_in(self, one: _Subscribed, wanted: _Wish, reading: Reading) -> None:
        if isinstance(reading, Trouble):
            if self._is_current(one):
                self._refused(one, wanted, reading)
            return
        if wanted is _Wish.REAUTHORIZE:
            one.suspended = False
            if self._is_current(one):
                self._settled(one.mailbox, True)  # what happened meanwhile came to nobody's ears
        else:
            try:
                granted = read_subscribed(reading)
            except Unreadable as error:
                self._refused(one, wanted, Trouble(0, "Unreadable", str(error)))
                return
            if not self._is_current(one):
                self._discard([granted.id])
                return
            one.lease = Lease(granted.id, self._clock.now(), granted.expires_at)
            self._registry.add(granted.id, one.address, one.secret)
        one.failures = 0
        self._closed_until, self.trouble = None, ""
        if one.lease is not None and self._is_current(one):
            due = renew_at(one.lease, one.chance)
            self._plan(one, self._clock.now() if one.suspended else due)
            self._tell(one, live=True)

    def _refused(self, one: _Subscribed, wanted: _Wish, trouble: Trouble) -> None:
        step = recovery_for(trouble).step
        one.failures += 1
        if wanted is not _Wish.CREATE and trouble.status in {404, 410}:
            self._lose(one)
            self._put_off(one, timedelta() if one.failures == 1 else self._pace.pause(one.failures))
            return
        if one.lease is not None and is_over(one.lease, self._clock.now()):
            self._lose(one)
        pause = min(self._pace.pause(one.failures) * 2 ** min(one.failures, 8), HOURLY)
        if step is Step.BACK_OFF:
            pause = self._pace.spread(self._caller.held_for(one.address) or pause)
        elif trouble.code == UNREACHABLE:
            pause = MINUTES
            self._close(pause, f"{trouble.text or 'the notification URL did not answer'}")
        elif step in {Step.BLOCK, Step.REDISCOVER}:
            pause = self._pace.spread(HOURLY)
        log.log(
            logging.INFO if one.failures == 1 else logging.DEBUG,
            "no notices of a mailbox mailbox=%s because=%s retry_in=%ds",
            one.address,
            in_words(trouble),
            pause.total_seconds(),
        )
        self._put_off(one, pause)

    def _close(self, pause: timedelta, reason: str) -> None:
        """The URL can't be reached: that is so for everybody."""
        if not self.trouble:
            log.error(
                "Graph can't reach notification_url because=%s remedy=%s",
                reason,
                "lead the URL from the internet to the listener of [web]; until then mailboxes are polled",
            )
        self.trouble = f"Graph can't reach notification_url: {reason}"
        self._closed_until = self._clock.now() + pause

    def _put_off(self, one: _Subscribed, pause: timedelta) -> None:
        due = self._clock.now() + pause
        if one.lease is not None:
            due = min(due, max(one.lease.expires_at, self._clock.now()))
        self._plan(one, due)
        self._tell(one, live=one.lease is not None and not one.suspended)

    def _lose(self, one: _Subscribed) -> None:
        """Graph has ended it."""
        if one.lease is not None:
            self._registry.remove(one.lease.subscription)
        one.lease, one.suspended = None, False
        self._tell(one, live=False)

    def _tell(self, one: _Subscribed, *, live: bool) -> None:
        if one.live is not live:
            one.live = live
            self._settled(one.mailbox, live)

    # --- chores ---------------------------------------------------------------------------------

    async def _find_leftovers(self) -> None:
        """Subscriptions an earlier run left behind would send notices nobody believes: they are ended."""
        question = questions.subscriptions()
        try:
            for _ in range(_PAGES):
                found, link = read_subscriptions(await self._caller.ask_patiently(question))
                self._discard(one.id for one in found if one.notification_url == self._url)
                if not link:
                    return
                question = questions.Question(question.operation, self._caller.below_root(link))
        except (Refused, Unreadable, CarrierProblem) as problem:
            log.info("earlier subscriptions are left to expire because=%s", problem)

    def _discard(self, subscriptions: Iterable[str]) -> None:
        self._chores.extend(subscriptions)
        if self._chores:
            self._chore_alarm.ring()

    async def _end_subscriptions(self) -> None:
        """End what nobody needs; what can't be ended expires by itself."""
        while True:
            while self._chores:
                some = [self._chores.popleft() for _ in range(min(MOST, len(self._chores)))]
                try:
                    await self._caller.ask_batch([questions.unsubscribe(one) for one in some])
                except (Refused, Unreadable, CarrierProblem) as problem:
                    log.debug("subscriptions left to expire count=%d because=%s", len(some), problem)
            await self._chore_alarm.wait(None)
