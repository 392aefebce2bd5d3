"""One group of mailboxes on one connection: subscribe, open, listen, recover, until nobody is left.

The order is gap-safe: Subscribe, open, and only then tell the listener, who reads; nothing is replayed
between two connections, so after every reopening all are told again. What a failure means stands in
`recovery`; this task carries it out (exchange.md section 4).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from presenced.calendars.carrier import CarrierProblem, Stream
from presenced.calendars.ews import codec
from presenced.calendars.ews.calls import Caller, Request
from presenced.calendars.ews.envelope import DYING, Refused, Trouble, Unreadable
from presenced.calendars.ews.grouping import GroupKey, Phase, ServerTraits
from presenced.calendars.ews.recovery import Step, in_words, recovery_for
from presenced.calendars.ews.roster import Home, Member, Roster
from presenced.calendars.ews.stream import (
    Connection,
    Failed,
    KeepAlive,
    Notice,
    Notified,
    StreamReader,
    Vigil,
)
from presenced.calendars.ews.subscribing import Subscriber
from presenced.calendars.pace import Pace
from presenced.core.ports import CalendarListener, Clock, StreamStatus

log = logging.getLogger(__name__)

ALIVE_EVERY = timedelta(seconds=10)
"""proofs of life are passed on at most so often: a keep-alive may come once a subscription"""
DEATHS = 3
"""so often in a row a subscription may die before its mailbox is polled instead"""
ANCHORS = 3
"""anchors tried in a row before the group looks for another to join"""
OUTAGE = 4
"""failures in a row before the admin is told"""
PROBING = timedelta(seconds=10)
"""how long those left over wait while it is found out how many a connection carries"""


class StreamLost(Exception):
    """The connection ended or fell silent without saying Closed."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every group of a door shares."""

    home: Home
    caller: Caller
    listener: CalendarListener
    clock: Clock
    pace: Pace
    lifetime: timedelta
    """how long a connection is asked to stay open"""
    width: int
    """Subscribe requests under way at most"""


class Group:
    """The task of one roster, and where it stands."""

    def __init__(
        self, key: GroupKey, around: Surroundings, traits: ServerTraits, gate: asyncio.Semaphore
    ) -> None:
        self.roster = Roster(key)
        self.phase = Phase.STARTING
        self._around = around
        self._traits = traits
        self._gate = gate
        self._subscriber = Subscriber(self.roster, around.home, around.caller, around.width)
        self._since: datetime | None = None
        self._last_sign: datetime | None = None
        self._detail = ""
        self._attempt = 0
        """failures in a row"""
        self._steady = False
        """the last connection lived long enough to count as a success"""
        self._strikes = 0
        """how often in a row fresh subscriptions came back as dead"""
        self._reopening = False
        self._scope: asyncio.Timeout | None = None

    # --- what the follower sees of it -----------------------------------------------------------

    @property
    def key(self) -> GroupKey:
        return self.roster.key

    @property
    def size(self) -> int:
        return len(self.roster.members)

    def join(self, members: Iterable[Member]) -> None:
        """Take members in; a connection that is open is reopened."""
        self.roster.take(members)
        if self.phase is Phase.STREAMING:
            self.reopen()

    def reopen(self) -> None:
        """End the connection (or don't open it) and begin another."""
        self._reopening = True
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    def status(self) -> StreamStatus:
        """The port's view of it."""
        roster = self.roster
        return StreamStatus(
            roster.anchor, roster.endpoint, self.size, self._since, self._last_sign, self._detail
        )

    # --- the task -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow until nobody is left."""
        while self.size:
            self.phase, self._steady = Phase.STARTING, False
            pause = await self._round()
            self._release()
            if pause and self.size:
                self.phase = Phase.RESTING
                await self._around.clock.sleep(pause)

    async def _round(self) -> timedelta:
        """Subscribe, open, listen to the end; how long to rest after it."""
        try:
            self._keep_to_limit()
            async with self._gate:
                await self._subscriber.subscribe_all()
            self._release()
            if self.size:
                await self._stream()
        except Refused as refusal:
            return self._recover(refusal.trouble)
        except CarrierProblem as problem:
            return max(self._rest(problem.reason), problem.retry_after or timedelta())
        except (StreamLost, Unreadable) as problem:
            return self._rest(str(problem))
        return self._after_closed()

    def _release(self) -> None:
        """No connection is open: the subscriptions of those who left can be ended."""
        self._around.home.discard(self.roster.parted)
        self.roster.parted = []

    async def _stream(self) -> None:
        """One connection from opening to Closed, or until it is to be reopened."""
        self.phase, self._reopening = Phase.STREAMING, False
        roster, clock = self.roster, self._around.clock
        minutes = min(max(int(self._around.lifetime.total_seconds() // 60), 1), 30)
        anchor = roster.choose_anchor().address
        by_id = {one.subscription: one for one in roster.members.values()}
        body = codec.get_stream(anchor, list(by_id), minutes)
        request = Request("GetStreamingEvents", roster.endpoint, body, anchor, anchor, roster.cookie)
        async with self._around.caller.open(request) as stream:
            vigil = Vigil(clock.now(), timedelta(minutes=minutes), self._traits.patience)
            try:
                async with asyncio.timeout(None) as self._scope:
                    if not self._reopening:
                        await self._listen(stream, vigil, by_id)
            except TimeoutError:
                if not self._reopening:
                    raise
            finally:
                self._scope = self._since = None
                self._steady = vigil.is_steady(clock.now())
                self._traits.heard(vigil.learned)

    async def _listen(self, stream: Stream, vigil: Vigil, by_id: dict[str, Member]) -> None:
        chunks = stream.chunks()
        try:
            await self._listen_to(chunks, vigil, by_id)
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()

    async def _listen_to(self, chunks: AsyncIterator[bytes], vigil: Vigil, by_id: dict[str, Member]) -> None:
        around = self._around
        reader = StreamReader()
        told: datetime | None = None
        while True:
            try:
                async with around.clock.timeout(vigil.deadline - around.clock.now()):
                    piece = await anext(chunks)
            except StopAsyncIteration:
                raise StreamLost("the server ended the connection without saying so") from None
            except TimeoutError:
                raise self._silence(vigil) from None
            notices = reader.feed(piece)
            if not notices:
                continue
            now = self._last_sign = around.clock.now()
            vigil.hear(now, keep_alive=any(isinstance(one, KeepAlive) for one in notices))
            if told is None and not isinstance(notices[0], Failed):
                self._opened(by_id)
            ended = self._deliver(notices, by_id)
            if told is None or now - told >= ALIVE_EVERY:
                told = now
                around.listener.alive(self._present(by_id))
            if ended:
                return

    def _silence(self, vigil: Vigil) -> StreamLost:
        if self._around.clock.now() >= vigil.overdue:
            return StreamLost("the server did not close the connection when its time was over")
        self._traits.stalled(vigil.learned)
        self._around.caller.counters["stalls"] += 1
        return StreamLost(f"the connection was silent for {vigil.patience.total_seconds():.0f} s")

    def _deliver(self, notices: list[Notice], by_id: dict[str, Member]) -> bool:
        """Pass the notices on; whether the server said Closed."""
        around = self._around
        for notice in notices:
            if isinstance(notice, Notified):
                around.caller.counters["notices"] += 1
                member = by_id.get(notice.subscription)
                if member is not None and member.roster is self.roster:
                    around.listener.changed(member.address)
            elif isinstance(notice, Failed):
                raise Refused(notice.trouble)
            elif isinstance(notice, Connection) and not notice.open:
                return True
        return False

    def _opened(self, by_id: dict[str, Member]) -> None:
        """The first good notice proves the connection: change notices flow from now on."""
        self._since, self._detail, self._strikes = self._around.clock.now(), "", 0
        self._traits.carried = max(self._traits.carried, len(by_id))
        self._around.caller.counters["streams_opened"] += 1
        for member in by_id.values():
            member.fresh, member.tries = False, 0
        self._around.listener.followed(self._present(by_id), polled=False)

    def _present(self, by_id: dict[str, Member]) -> list[str]:
        return [one.address for one in by_id.values() if one.roster is self.roster]

    # --- recovering -----------------------------------------------------------------------------

    def _after_closed(self) -> timedelta:
        """The server said Closed (or we did): reopen at once, unless it does so all the time."""
        self._around.caller.counters["reopened"] += 1
        if self._reopening:
            return timedelta()
        self._around.home.reconnecting(self.roster)
        if self._steady:
            self._attempt = 0
            self._forgive()
            return timedelta()
        self._fail("the server closes the connection at once")
        return self._around.pace.pause(self._attempt)

    def _recover(self, trouble: Trouble) -> timedelta:
        """Carry out what the table says; how long to rest."""
        self._fail(in_words(trouble))
        step = recovery_for(trouble).step
        log.info("stream ended anchor=%s because=%s step=%s", self.roster.anchor, self._detail, step)
        named = self.roster.named(trouble.subscriptions)
        if step is Step.RESUBSCRIBE:
            return self._renew(trouble, named or list(self.roster.members.values()))
        if step is Step.OTHER_ANCHOR:
            return self._change_anchor()
        if step is Step.BACK_OFF:
            return max(self._around.caller.held_for(self.roster.anchor), self._pause())
        if step in {Step.REDISCOVER, Step.BLOCK, Step.POLL}:
            anchor = self.roster.members.get(self.roster.anchor)
            for member in named or ([] if anchor is None else [anchor]):
                self._subscriber.send_away(member, trouble)
            return self._soon()
        return self._pause()

    def _renew(self, trouble: Trouble, lost: list[Member]) -> timedelta:
        """Dead ids: new subscriptions at once; for a server that can't carry so many, fewer."""
        many = self.size > 1 and 2 * len(lost) >= self.size
        if many and all(one.fresh for one in lost) and self.size > self._traits.carried:
            self._strikes += 1
            if self._strikes > 1 or self._traits.halvings:
                return self._split()
        for member in lost:
            member.subscription = ""
            member.deaths += not many
            if member.deaths >= DEATHS:
                self._around.home.poll(member, Trouble(DYING, trouble.code))
        self._around.caller.counters["resubscribed"] += len(lost)
        return self._soon()

    def _split(self) -> timedelta:
        """Half as many from now on, on every connection to this server, all with new subscriptions."""
        before, limit = self._traits.limit, self._traits.halve(self.size)
        self._around.caller.counters["groups_halved"] += 1
        if limit < before:
            log.warning("server carries fewer mailboxes endpoint=%s limit=%d", self.roster.endpoint, limit)
        for member in self.roster.members.values():
            self.roster.drop_subscription(member)
        self._attempt = self._strikes = 0
        return timedelta()

    def _keep_to_limit(self) -> None:
        """Those left over go elsewhere; once it is known how many belong together, not all at once."""
        known = self._traits.carried >= self._traits.limit
        leftover = self.roster.beyond(self._traits.limit)
        self._around.home.readmit(leftover, timedelta() if known else PROBING)

    def _change_anchor(self) -> timedelta:
        """Too many connections are charged to the anchor: another pays, or the group joins another."""
        avoided = self.roster.avoided
        avoided.add(self.roster.anchor)
        self._around.caller.counters["anchors_changed"] += 1
        if len(avoided) < min(self.size, ANCHORS):
            return self._soon()
        avoided.clear()
        return timedelta() if self._around.home.dissolve(self.roster) else self._pause()

    def _rest(self, reason: str) -> timedelta:
        """Nothing to do but to try again."""
        self._fail(reason)
        log.info("stream rests anchor=%s attempt=%d because=%s", self.roster.anchor, self._attempt, reason)
        return self._pause()

    def _fail(self, reason: str) -> None:
        """Count a failure; once it lasts, the admin is told."""
        if self._steady:
            self._attempt = 0
            self._forgive()
        self._attempt += 1
        self._detail = reason
        self._around.caller.counters["reconnects"] += 1
        if self._attempt == OUTAGE:
            self._around.home.outage(self.roster, reason)

    def _forgive(self) -> None:
        for member in self.roster.members.values():
            member.deaths = 0

    def _pause(self) -> timedelta:
        return self._around.pace.pause(self._attempt)

    def _soon(self) -> timedelta:
        """At once the first time, then slower and slower."""
        return timedelta() if self._attempt <= 1 else self._around.pace.pause(self._attempt - 1)
