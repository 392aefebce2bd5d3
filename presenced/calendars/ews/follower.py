"""Keeps every followed mailbox in exactly one place: waiting, in a group, put aside, or polled.

Newcomers gather for a moment, so that a cold start makes full groups, and go where `grouping.place`
says. A mailbox that can't be followed is put aside with the reason told, and comes back by itself.
There is one task a group and none a mailbox, so that fifty thousand mailboxes are a few hundred tasks.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from presenced.calendars.alarm import Alarm
from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.ews import codec
from presenced.calendars.ews.calls import Caller, Request
from presenced.calendars.ews.envelope import Refused, Trouble, Unreadable
from presenced.calendars.ews.group import OUTAGE, Group, Surroundings
from presenced.calendars.ews.grouping import GroupKey, Phase, ServerTraits, absorbable, group_key, place
from presenced.calendars.ews.polling import Poller
from presenced.calendars.ews.recovery import Step, mailbox_problem, recovery_for
from presenced.calendars.ews.roster import Discarded, Member, Roster
from presenced.calendars.ews.wire import read_done
from presenced.calendars.pace import Pace
from presenced.config.settings import ExchangeSettings
from presenced.core.ports import CalendarListener, Clock, Mailbox, MailboxProblem, MailboxState, StreamStatus

log = logging.getLogger(__name__)

QUIET = timedelta(milliseconds=250)
"""newcomers are placed when nobody came for so long ..."""
LONGEST = timedelta(seconds=2)
"""... or when the first has waited so long; a full group never waits"""
GATE = 4
"""groups of one server that subscribe at a time, so that they open one after another, not all last"""
POLLED_FOR = timedelta(hours=1)
"""after so long a polled mailbox is subscribed again, if streaming is what was asked for"""
CHORES = 1000
"""subscriptions waiting to be ended; more are left to expire (half an hour)"""


class Follower:
    """The registry of followed mailboxes and the tasks of their groups."""

    def __init__(
        self,
        settings: ExchangeSettings,
        caller: Caller,
        listener: CalendarListener,
        clock: Clock,
        pace: Pace,
    ) -> None:
        self._streaming = settings.follow != "polling"
        self._limit = max(settings.max_subscriptions_per_connection, 1)
        self._caller, self._listener, self._clock, self._pace = caller, listener, clock, pace
        self._around = Surroundings(
            self, caller, listener, clock, pace, settings.connection_lifetime, settings.requests_in_flight
        )
        self._poller = Poller(
            caller,
            listener,
            clock,
            pace,
            interval=settings.poll_interval,
            width=settings.requests_in_flight,
        )
        self._alarm = Alarm(clock)
        self._members: dict[str, Member] = {}
        self._waiting: dict[GroupKey, dict[str, Member]] = {}
        self._first_came = self._last_came = clock.now()
        self._aside: list[tuple[datetime, int, Member]] = []
        self._numbers = itertools.count()
        self._groups: list[Group] = []
        self._traits: dict[str, ServerTraits] = {}
        self._gates: dict[str, asyncio.Semaphore] = {}
        self._chores: deque[Discarded] = deque(maxlen=CHORES)
        self._chore_alarm = Alarm(clock)

    # --- the port's words -----------------------------------------------------------------------

    def follow(self, mailboxes: Sequence[Mailbox]) -> None:
        """Follow these, too; one that is followed already stays as it is, unless it moved or failed."""
        for mailbox in mailboxes:
            member = self._members.get(mailbox.address)
            if member is None:
                member = self._members[mailbox.address] = Member(mailbox)
            elif member.mailbox == mailbox and member.due is None:
                continue
            self._take_out(member)
            member.mailbox = mailbox
            self._wait_for_place(member)

    def unfollow(self, addresses: Sequence[str]) -> None:
        """Forget these; a subscription on an open connection ends with it."""
        for address in addresses:
            member = self._members.pop(address, None)
            if member is not None:
                self._take_out(member)

    def streams(self) -> tuple[StreamStatus, ...]:
        """Every group, and the polled mailboxes as one."""
        polled = self._poller.status()
        return (*(group.status() for group in self._groups), *((polled,) if polled else ()))

    def sizes(self) -> dict[str, int]:
        """How many mailboxes are where."""
        waiting = sum(map(len, self._waiting.values()))
        aside = sum(member.due is not None for member in self._members.values())
        if self._streaming:
            aside -= self._poller.size
        return {
            "mailboxes_followed": len(self._members),
            "mailboxes_waiting": waiting,
            "mailboxes_put_aside": aside,
            "mailboxes_polled": self._poller.size,
            "groups": len(self._groups),
        }

    async def run(self) -> None:
        """Place newcomers and bring back who was put aside, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._poller.run())
            tasks.create_task(self._end_subscriptions())
            while True:
                self._bring_back()
                self._place_newcomers(tasks)
                await self._alarm.wait(self._next_due())

    # --- places ---------------------------------------------------------------------------------

    def _wait_for_place(self, member: Member) -> None:
        now = self._last_came = self._clock.now()
        if not self._waiting:
            self._first_came = now
        member.due = None
        self._waiting.setdefault(group_key(member.mailbox), {})[member.address] = member
        self._alarm.ring()

    def _take_out(self, member: Member) -> None:
        """Out of whatever place it is in."""
        member.due = None
        key = group_key(member.mailbox)
        waiting = self._waiting.get(key, {})
        if waiting.get(member.address) is member:
            del waiting[member.address]
            if not waiting:
                del self._waiting[key]
        self._poller.remove(member.address)
        if member.roster is not None:
            roster = member.roster
            roster.part(member)
            group = None if roster.members else self._group_of(roster)
            if group is not None:
                group.reopen()  # finds nobody left, and ends

    def _group_of(self, roster: Roster) -> Group | None:
        return next((group for group in self._groups if group.roster is roster), None)

    def _next_due(self) -> datetime | None:
        """When newcomers are placed, or the first one put aside comes back."""
        due = [self._aside[0][0]] if self._aside else []
        if self._waiting:
            due.append(min(self._last_came + QUIET, self._first_came + LONGEST))
        return min(due, default=None)

    def _bring_back(self) -> None:
        now = self._clock.now()
        while self._aside and self._aside[0][0] <= now:
            due, _, member = heapq.heappop(self._aside)
            if member.due == due and self._members.get(member.address) is member:
                self._poller.remove(member.address)
                self._wait_for_place(member)

    def _place_newcomers(self, tasks: asyncio.TaskGroup) -> None:
        now = self._clock.now()
        settled = now >= min(self._last_came + QUIET, self._first_came + LONGEST)
        for key, newcomers in list(self._waiting.items()):
            if not self._streaming:
                for member in self._waiting.pop(key).values():
                    self._poller.add(member.mailbox)
                continue
            limit = self._traits_of(key[0]).limit
            full = len(newcomers) - len(newcomers) % limit
            chosen = newcomers if settled else dict(itertools.islice(newcomers.items(), full))
            for placement in place(key, chosen, self._groups, limit):
                members = [newcomers.pop(address) for address in placement.addresses]
                group = self._new_group(key) if placement.into is None else self._groups[placement.into]
                group.join(members)
                if placement.into is None:
                    self._groups.append(group)
                    tasks.create_task(self._run_group(group))
            if not newcomers:
                del self._waiting[key]

    def _new_group(self, key: GroupKey) -> Group:
        gate = self._gates.setdefault(key[0], asyncio.Semaphore(GATE))
        return Group(key, self._around, self._traits_of(key[0]), gate)

    def _traits_of(self, endpoint: str) -> ServerTraits:
        return self._traits.setdefault(endpoint, ServerTraits(self._limit))

    async def _run_group(self, group: Group) -> None:
        try:
            while group.size:
                try:
                    await group.run()
                except Exception:  # a fault of ours in one group must not end the others
                    log.exception("group failed anchor=%s", group.roster.anchor)
                    self._caller.counters["faults"] += 1
                    await self._clock.sleep(self._pace.pause(OUTAGE))
        finally:
            self._groups.remove(group)

    # --- what the groups ask (roster.Home) ------------------------------------------------------

    def trouble(self, member: Member, trouble: Trouble) -> None:
        """It leaves its group, the admin is told, it is tried later."""
        recovery = recovery_for(trouble)
        member.tries += 1
        if recovery.step is Step.BACK_OFF:
            pause = self._pace.spread(trouble.backoff or self._caller.held_for(member.address))
        else:
            pause = self._pace.spread(min(recovery.pause * 2 ** min(member.tries - 1, 7), POLLED_FOR))
        self._put_aside(member, max(pause, trouble.backoff or timedelta()))
        if recovery.step is not Step.BACK_OFF or member.tries >= OUTAGE:
            self._listener.troubled(member.address, mailbox_problem(trouble, pause))

    def poll(self, member: Member, trouble: Trouble) -> None:
        """It leaves its group and is polled for a while; the admin is told why."""
        self._put_aside(member, self._pace.spread(POLLED_FOR))
        self._listener.troubled(member.address, mailbox_problem(trouble))
        self._poller.add(member.mailbox)

    def readmit(self, members: Iterable[Member], pause: timedelta) -> None:
        """They leave their group and look for another after the pause."""
        for member in members:
            self._put_aside(member, pause)

    def discard(self, subscriptions: Iterable[Discarded]) -> None:
        """Unsubscribe by and by."""
        self._chores.extend(subscriptions)
        if self._chores:
            self._chore_alarm.ring()

    def reconnecting(self, roster: Roster) -> None:
        """Smaller groups of the same key run together with one that reopens anyway."""
        group = self._group_of(roster)
        if group is None or not group.size:
            return
        others = list(self._groups)
        for number in absorbable(group, others, self._traits_of(roster.endpoint).limit):
            self._merge(others[number], group)

    def dissolve(self, roster: Roster) -> bool:
        """Move everybody into another group of the same key that streams and has room."""
        group = self._group_of(roster)
        if group is None:
            return False
        limit = self._traits_of(roster.endpoint).limit
        for other in self._groups:
            streams = other is not group and other.key == group.key and other.phase is Phase.STREAMING
            if streams and other.size + group.size <= limit:
                self._merge(group, other)
                return True
        return False

    def outage(self, roster: Roster, reason: str) -> None:
        """Told once for each mailbox; `followed` says when it is over."""
        for member in list(roster.members.values()):
            self._listener.troubled(
                member.address, MailboxProblem(MailboxState.FAILING, f"no change notices: {reason}")
            )

    def _merge(self, source: Group, target: Group) -> None:
        self._caller.counters["groups_merged"] += 1
        target.join(list(source.roster.members.values()))
        source.reopen()

    def _put_aside(self, member: Member, pause: timedelta) -> None:
        self._take_out(member)
        member.due = self._clock.now() + pause
        heapq.heappush(self._aside, (member.due, next(self._numbers), member))
        self._alarm.ring()

    # --- chores ---------------------------------------------------------------------------------

    async def _end_subscriptions(self) -> None:
        """Unsubscribe what nobody needs, one at a time; what can't be ended expires by itself."""
        while True:
            while self._chores:
                one = self._chores.popleft()
                request = Request(
                    "Unsubscribe",
                    one.endpoint,
                    codec.unsubscribe(one.address, one.subscription),
                    one.address,
                    anchor=one.anchor,
                    cookie=one.cookie,
                )
                try:
                    await self._caller.call(request, read_done)
                except (Refused, Unreadable, CarrierProblem) as problem:
                    log.debug("subscription left to expire mailbox=%s because=%s", one.address, problem)
            await self._chore_alarm.wait(None)
