"""Office life: calendars that change while one watches, whatever the hour and the day of the week.

`arrange` sets the stage around the present moment (some busy, some away, some working elsewhere, some free),
`run` lets people take calls, accept, move, cancel and go home from then on. Everything follows from the clock
and the dice it is given, so that a test sees the same life again.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from presenced.core.ports import Clock
from presenced.sim.doings import do_something
from presenced.sim.exchange.organisation import Organisation, SimulatedMailbox, overlaps
from presenced.sim.generator import OfficeCalendar
from presenced.sim.localtime import clock_time, day_of, midnight
from presenced.sim.scene import Scene, round_down
from presenced.sim.titles import Titles, titles

_INSTANT = timedelta(seconds=1)
_DAY = timedelta(days=1)
CHANGES_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Change:
    """One thing somebody did to his calendar."""

    at: datetime
    address: str
    kind: str
    """name of the doing: `accepts`, `goes_home` …"""
    what: str
    """a predicate in English for the live view, without a title: "accepts the invitation for 10:30" """


class OfficeLife:
    """Changes the calendars of an organisation.

    `pace` is the mean time between two changes, `addresses` who takes part (all, where it is None), `most`
    how many appointments made here may pile up before the ended ones are cleared away.
    """

    def __init__(
        self,
        organisation: Organisation,
        clock: Clock,
        rng: random.Random,
        *,
        pace: timedelta = timedelta(seconds=1),
        addresses: Sequence[str] | None = None,
        language: str = "en",
        most: int = 5000,
    ) -> None:
        self.pace = pace
        self.changes: deque[Change] = deque(maxlen=CHANGES_KEPT)
        self.watchers: list[Callable[[Change], None]] = []
        """told of every change after it has happened"""
        self._clock = clock
        self._rng = rng
        self._language = language
        self._most = most
        self._made: deque[tuple[SimulatedMailbox, str, datetime]] = deque()
        self._scenes = 0
        self._name = f"life-{rng.getrandbits(32):08x}"
        every = organisation.mailboxes if addresses is None else map(organisation.find, addresses)
        self._mailboxes = [mailbox for mailbox in every if mailbox is not None]

    def arrange(self, limit: int = 200) -> None:
        """Set the stage for the first `limit` people: busy, away, elsewhere, free, and so on in turn.

        Whole days go by their dates, so those of yesterday and tomorrow leave the stage too: in another zone
        they may be today.
        """
        for number, mailbox in enumerate(self._mailboxes[:limit]):
            scene = self._scene(mailbox)
            for item in mailbox.view(scene.now - _DAY, scene.now + _DAY):
                if item.all_day or overlaps(item, scene.now, scene.now + _INSTANT):
                    mailbox.remove(item.id)
            ROLES[number % len(ROLES)](scene)
            self._keep(scene)

    def step(self) -> Change | None:
        """Let somebody do something now; None where there is nobody."""
        if not self._mailboxes:
            return None
        scene = self._scene(self._rng.choice(self._mailboxes))
        kind, what = do_something(scene)
        self._keep(scene)
        change = Change(scene.now, scene.mailbox.address, kind, what)
        self.changes.append(change)
        for watcher in self.watchers:
            watcher(change)
        return change

    async def run(self) -> None:
        """Go on until cancelled: a change every `pace` on average, as irregular as calls come in."""
        while True:
            pause = min(self._rng.expovariate(1.0), 4.0) * self.pace
            await self._clock.sleep(max(pause, timedelta(milliseconds=10)))
            self.step()

    async def day_of_changes(self, changes: int, zone: str = "Europe/Berlin") -> None:
        """Live through the next 24 hours with so many changes, most of them in the office hours of `zone`."""
        start = self._clock.now()
        for instant in times_of_a_day(self._rng, start, changes, zone):
            await self._clock.sleep(instant - self._clock.now())
            self.step()
        await self._clock.sleep(start + _DAY - self._clock.now())

    def _scene(self, mailbox: SimulatedMailbox) -> Scene:
        self._scenes += 1
        now = self._clock.now().replace(microsecond=0)
        return Scene(mailbox, now, self._rng, self._titles(mailbox), f"{self._name}.{self._scenes}")

    def _titles(self, mailbox: SimulatedMailbox) -> Titles:
        if isinstance(mailbox.calendar, OfficeCalendar):
            return mailbox.calendar.owner.titles
        return titles(self._language)

    def _keep(self, scene: Scene) -> None:
        """Remember what was made, and clear away the oldest of it that is over."""
        self._made.extend((scene.mailbox, item.id, item.end) for item in scene.made)
        while len(self._made) > self._most and self._made[0][2] < scene.now - _DAY:
            mailbox, made, _ = self._made.popleft()
            if mailbox.get(made) is not None:
                mailbox.remove(made)


def times_of_a_day(rng: random.Random, start: datetime, count: int, zone: str) -> list[datetime]:
    """`count` instants of the 24 hours from `start` on, in order: crowded mid-morning and after lunch."""
    today = day_of(zone, start)
    instants = []
    for _ in range(count):
        draw = rng.random()
        if draw < 0.45:
            minute = rng.gauss(10 * 60 + 15, 60)
        elif draw < 0.85:
            minute = rng.gauss(14 * 60 + 30, 80)
        else:
            minute = rng.uniform(0, 24 * 60)
        if rng.random() < 0.3:
            minute = round(minute / 30) * 30
        instant = clock_time(zone, today, 0) + timedelta(minutes=minute)
        instants.append(start + (instant - start) % _DAY)
    return sorted(instants)


def _busy(scene: Scene) -> None:
    scene.add(scene.rng.choice(scene.titles.meetings), _since(scene), scene.later(10, 50), **scene.somebody())


def _out(scene: Scene) -> None:
    scene.add(scene.rng.choice(scene.titles.visits), _since(scene), scene.later(20, 90), show_as="OOF")


def _on_vacation(scene: Scene) -> None:
    zone = scene.mailbox.zone
    today = day_of(zone, scene.now)
    first, end = midnight(zone, today - 1), midnight(zone, today + 3)
    scene.add(scene.titles.vacation, first, end, all_day=True, show_as="OOF")


def _at_home(scene: Scene) -> None:
    scene.add(scene.titles.home_office, _since(scene), scene.later(60, 300), show_as="WorkingElsewhere")


def _free_for_now(scene: Scene) -> None:
    start = scene.later(2, 20)
    scene.add(scene.rng.choice(scene.titles.reviews), start, start + timedelta(minutes=30))


def _free(scene: Scene) -> None:
    start = scene.later(60, 200)
    scene.add(scene.rng.choice(scene.titles.meetings), start, start + timedelta(minutes=60))


def _undecided(scene: Scene) -> None:
    scene.add(
        scene.rng.choice(scene.titles.invitations),
        _since(scene),
        scene.later(20, 60),
        **scene.somebody() | {"show_as": "Tentative", "my_response": "NoResponseReceived"},
    )


def _private(scene: Scene) -> None:
    scene.add(
        scene.rng.choice(scene.titles.private), _since(scene), scene.later(20, 60), sensitivity="Private"
    )


def _since(scene: Scene) -> datetime:
    return round_down(scene.now - timedelta(minutes=scene.rng.randint(5, 30)))


ROLES: tuple[Callable[[Scene], None], ...] = (
    _busy,
    _out,
    _at_home,
    _free,
    _busy,
    _free_for_now,
    _undecided,
    _private,
    _on_vacation,
    _free,
)
"""who is what when the curtain rises, in turn"""
