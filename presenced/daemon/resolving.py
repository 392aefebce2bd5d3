"""Finds every user's mailbox: in batches, again when his row changes, and hourly where there is none."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from presenced.core.ports import CalendarDoor, Clock, DoorProblem, MailboxState, Resolution
from presenced.daemon.agenda import Agenda
from presenced.daemon.backoff import Backoff
from presenced.daemon.progress import LongWork
from presenced.daemon.roster import Roster
from presenced.daemon.watch import Watch, place_of

log = logging.getLogger(__name__)

_MOST = 1000
"""users handed to the door at once; it makes its own batches of them"""
_COLLECT = timedelta(milliseconds=200)
"""rows come one by one: a batch waits this long for more of them"""
_UNRESOLVED_AGAIN = timedelta(hours=1)
_RESOLVED_AGAIN = timedelta(days=1)
"""at the latest, spread over the day so that never everybody is asked at once"""
_RETRY = Backoff(first=timedelta(seconds=10), longest=timedelta(minutes=10))


class Resolving:
    """Asks the calendar door for mailboxes and hands what it finds to the watch."""

    def __init__(self, roster: Roster, watch: Watch, clock: Clock) -> None:
        self._roster = roster
        self._watch = watch
        self._clock = clock
        self._agenda: Agenda[str] = Agenda(clock)
        self._failures = 0
        self._held_until = clock.now()
        """nobody could be asked: nobody is asked again before"""
        self.work = LongWork()
        self.counters: Counter[str] = Counter()

    def look_up(self, guid: str) -> None:
        """Find this user's mailbox soon."""
        now = self._clock.now()
        self.work.expect(guid, now)
        self._agenda.wish(guid, max(now + _COLLECT, self._held_until))

    def look_up_everybody(self) -> None:
        """A new door: everybody without a mailbox may have one now, and what was kept grows old."""
        self._held_until = self._clock.now()
        for keeper in self._roster.keepers.values():
            guid = keeper.user.guid
            if keeper.sync and (keeper.mailbox is None or keeper.resolved_at is None):
                self.look_up(guid)
            elif keeper.sync and keeper.resolved_at is not None:
                self._agenda.wish(guid, max(keeper.resolved_at + _again(guid), self._held_until))

    @property
    def waiting(self) -> int:
        """Users whose look-up is due."""
        return self._agenda.overdue(self._clock.now())

    def due_at(self, guid: str) -> datetime | None:
        """When this user's mailbox is looked up (again); None where nothing is planned."""
        return self._agenda.due_at(guid)

    async def run(self, beat: Callable[[], None]) -> None:
        """Look up who is due, until cancelled."""
        while True:
            guids = await self._agenda.wait(_MOST)
            if guids:  # those who came after the first need not wait by themselves
                guids += self._agenda.pop(self._clock.now() + _COLLECT, _MOST - len(guids))
            known = [guid for guid in guids if guid in self._roster.keepers]
            for gone in set(guids).difference(known):
                self.work.drop(gone)
            if known and self._watch.door is not None:
                await self._resolve(self._watch.door, known)
            elif known:
                self._wait_for_door(known)
            beat()

    def _wait_for_door(self, guids: Sequence[str]) -> None:
        """Nobody can be asked: a door that opens looks everybody up who has no mailbox."""
        for guid in guids:
            self.work.drop(guid)

    async def _resolve(self, door: CalendarDoor, guids: Sequence[str]) -> None:
        keepers = self._roster.keepers
        asked = [keepers[guid].user.addresses for guid in guids]
        self.counters["asked"] += len(asked)
        try:
            resolutions = await door.fetch_mailboxes(asked)
        except DoorProblem as problem:
            self._put_off(guids, problem)
            return
        except Exception:
            log.exception("looking up mailboxes failed unexpectedly users=%d", len(guids))
            self._put_off(guids, DoorProblem("looking up mailboxes failed unexpectedly; the log says how"))
            return
        self._failures = 0
        self._watch.standing.works("lookups")
        now = self._clock.now()
        found = []
        for guid, resolution in zip(guids, resolutions, strict=True):
            mailbox = self._roster.resolved(guid, self._weighed(guid, resolution))
            self.work.finish(guid, now)
            if mailbox is not None:
                found.append(mailbox)
            self._agenda.wish(guid, now + (_UNRESOLVED_AGAIN if mailbox is None else _again(guid)))
        self.counters["found"] += len(found)
        self._watch.follow(found)

    def _weighed(self, guid: str, resolution: Resolution) -> Resolution:
        """A mailbox that still answers, or of which no server said anything, is not given up."""
        keeper = self._roster.keepers.get(guid)
        if (
            resolution.mailbox is None
            and keeper is not None
            and keeper.mailbox is not None
            and keeper.resolved_at is not None
            and (keeper.failures == 0 or not all(answer.definite for answer in resolution.answers))
        ):
            return Resolution(keeper.mailbox, resolution.answers)
        return resolution

    def _put_off(self, guids: Sequence[str], problem: DoorProblem) -> None:
        self._failures += 1
        self._watch.standing.fails("lookups", problem.told)
        pause = problem.retry_after or _RETRY.pause(self._failures)
        log.error(
            "mailboxes can't be looked up because=%s remedy=%s retry_in=%ds",
            problem.reason,
            problem.remedy,
            pause.total_seconds(),
        )
        self._held_until = self._clock.now() + pause
        for guid in guids:
            keeper = self._roster.keepers.get(guid)
            if keeper is not None and keeper.mailbox is None:
                self._roster.judge(keeper, MailboxState.UNRESOLVED, problem.reason, problem.remedy)
            self._agenda.wish(guid, self._held_until)


def _again(guid: str) -> timedelta:
    """How long what was found is good for."""
    return max(_RESOLVED_AGAIN * place_of(guid), _UNRESOLVED_AGAIN)
