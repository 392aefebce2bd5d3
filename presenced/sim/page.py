"""A page of a simulated office calendar (one mailbox, one local day) and whose calendar it is.

Teams and habits are thrown with dice of their own, so that what they decide is the same on every page.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TypedDict, Unpack

from presenced.sim.exchange.organisation import Item
from presenced.sim.localtime import clock_time, midnight
from presenced.sim.people import FAMILY, GIVEN, folded
from presenced.sim.titles import Titles

TEAM_NAMES = ("Ahorn", "Birke", "Cèdre", "Dąb", "Elm", "Föhre", "Ginkgo", "Hazel", "Ilex", "Jasmin")


@dataclass(frozen=True, slots=True)
class Team:
    """People with a common stand-up and a common weekly."""

    key: int
    name: str
    lead: tuple[str, str]
    """display name and address"""
    stand_up: int
    """minutes past midnight"""
    stand_up_days: tuple[int, ...]
    """weekdays, Monday is 0"""
    weekly: int
    weekly_day: int


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose calendar it is."""

    key: int
    """64 bits made of seed and address"""
    address: str
    zone: str
    titles: Titles
    team_key: int

    @property
    def domain(self) -> str:
        """Where the owner's colleagues are."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Habits:
    """What stays the same in a person's weeks."""

    busy: int
    """most appointments of an ordinary day"""
    home_days: tuple[int, ...]
    off_day: int | None
    """weekday a part-timer doesn't work"""
    lunch: int
    """minutes past midnight"""
    one_to_one: int
    one_to_one_day: int
    partner: tuple[str, str]
    """display name and address"""


class Facts(TypedDict, total=False):
    """What of an Item is seldom anything but the default."""

    all_day: bool
    show_as: str
    sensitivity: str
    cancelled: bool
    my_response: str
    zone: str
    location: str
    uid: str
    item_type: str


def dice(key: int, kind: int, number: int = 0) -> random.Random:
    """The dice for one matter of one key: the same throws whenever and in whatever order."""
    return random.Random(key << 40 | kind << 36 | number)  # noqa: S311 - plausible, not secret


def colleague(throw: random.Random, domain: str) -> tuple[str, str]:
    """Somebody's display name and address; sim.people's first few thousand have these very addresses."""
    given, family = throw.choice(GIVEN), throw.choice(FAMILY)
    return f"{given} {family}", f"{folded(given)}.{folded(family)}@{domain}"


@lru_cache(maxsize=4096)
def team_of(key: int, domain: str) -> Team:
    """The team of a key."""
    throw = dice(key, 0)
    return Team(
        key=key,
        name=throw.choice(TEAM_NAMES),
        lead=colleague(throw, domain),
        stand_up=throw.choice((510, 525, 540, 555, 570, 600)),
        stand_up_days=throw.choice(((0, 1, 2, 3, 4), (0, 1, 2, 3, 4), (0, 2, 4), (1, 3))),
        weekly=throw.choice((660, 780, 840)),
        weekly_day=throw.randrange(5),
    )


def habits_of(owner: Owner) -> Habits:
    """The owner's habits."""
    throw = dice(owner.key, 1)
    return Habits(
        busy=throw.choice((1, 2, 2, 3, 3, 4, 6)),
        home_days=throw.choice(((), (), (0,), (4,), (0, 4), (1, 2, 3))),
        off_day=throw.choice((None, None, None, None, 2, 4)),
        lunch=throw.choice((690, 705, 720, 735, 750, 780)),
        one_to_one=throw.choice((570, 630, 810, 870, 930)),
        one_to_one_day=throw.randrange(5),
        partner=colleague(throw, owner.domain),
    )


def series_uid(key: int, number: int) -> str:
    """A GlobalObjectId (MS-OXOCAL 2.2.1.27): a fixed head, then what tells series apart."""
    return f"040000008200E00074C5B7101A82E008{0:032X}{16:08X}{key:016X}{number:016X}"


@dataclass(slots=True)
class Page:
    """A page while it is being written."""

    owner: Owner
    ordinal: int
    """of the page's date"""
    throw: random.Random
    items: list[Item] = field(default_factory=list)

    def timed(
        self,
        minute: int,
        length: int,
        subject: str,
        by: tuple[str, str] | None = None,
        **facts: Unpack[Facts],
    ) -> None:
        """An appointment at `minute` past midnight, `length` minutes long, `by` the owner or a colleague."""
        start = clock_time(self.owner.zone, self.ordinal, minute)
        self._add(start, start + timedelta(minutes=length), subject, by, facts)

    def whole(
        self,
        days: int,
        subject: str,
        by: tuple[str, str] | None = None,
        later: int = 0,
        **facts: Unpack[Facts],
    ) -> None:
        """An all-day appointment of `days` days that begins `later` days after the page's.

        Its days are those of `zone`, the owner's where none is named.
        """
        zone = facts.get("zone", self.owner.zone)
        first = self.ordinal + later
        facts["all_day"] = True
        self._add(midnight(zone, first), midnight(zone, first + days), subject, by, facts)

    def _add(
        self, start: datetime, end: datetime, subject: str, by: tuple[str, str] | None, facts: Facts
    ) -> None:
        facts.setdefault("zone", self.owner.zone)
        name = address = ""
        if by is not None:
            name, address = by
            facts.setdefault("my_response", "Accept")
        place = f"{self.ordinal}.{len(self.items)}"
        self.items.append(
            Item(place, "0", subject, start, end, organizer_name=name, organizer_address=address, **facts)
        )
