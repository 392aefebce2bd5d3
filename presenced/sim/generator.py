"""Plausible office calendars, made of a seed and worked out only where somebody looks.

Each day of each mailbox has dice of its own, thrown from (seed, address, day) alone: fifty thousand calendars
cost a few hundred bytes each until they are read, and any day is the same in whatever order days are read and
in whatever process. What lasts several days is thrown by the week in which it begins.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from presenced.sim.exchange.organisation import Item, overlaps
from presenced.sim.localtime import clock_time, day_of
from presenced.sim.page import Habits, Owner, Page, dice, habits_of
from presenced.sim.titles import titles
from presenced.sim.workday import write_page

TEAMS = 40
"""teams to a zone and language, where nobody says who belongs to which"""
_INSTANT = timedelta(microseconds=1)


def office_calendar(
    address: str, *, seed: int = 0, zone: str = "Europe/Berlin", language: str = "de", team: int | None = None
) -> OfficeCalendar:
    """The calendar of a mailbox: stand-ups, one-to-ones, lunches, absences and the rest, in that language.

    `zone` is where its owner sits (IANA name); owners of equal team, zone and language share their stand-up
    and weekly. Public holidays are those of the language's country.
    """
    key = _key(f"{seed}|{address.casefold()}")
    team_key = _key(f"{seed}|{zone}|{language}|{key % TEAMS if team is None else team}")
    return OfficeCalendar(Owner(key, address, zone, titles(language), team_key))


class OfficeCalendar:
    """The port `Calendar` of sim.exchange.organisation: nothing is kept between two views."""

    __slots__ = ("owner",)

    def __init__(self, owner: Owner) -> None:
        self.owner = owner

    def view(self, start: datetime, end: datetime) -> list[Item]:
        """The items that overlap `[start, end)`, by start."""
        zone = self.owner.zone
        first, last = day_of(zone, start), day_of(zone, end - _INSTANT)
        habits = habits_of(self.owner)
        absences = _absences(self.owner, first - 1, last)
        items = [item for _, _, item in absences]
        for ordinal in range(first - 1, last + 1):
            away = any(since <= ordinal < until for since, until, _ in absences)
            items += self._page(ordinal, habits, away=away)
        shown = [item for item in items if overlaps(item, start, end)]
        shown.sort(key=lambda item: (item.start, item.id))
        return shown

    def _page(self, ordinal: int, habits: Habits, *, away: bool) -> list[Item]:
        page = Page(self.owner, ordinal, dice(self.owner.key, 2, ordinal))
        write_page(page, habits, away=away)
        return page.items


def _absences(owner: Owner, first: int, last: int) -> list[tuple[int, int, Item]]:
    """Absences that may reach into the days `first`…`last`: first day, day after the last, item.

    They begin Monday to Friday and last ten days at most, so they end by the Monday after next.
    """
    found = []
    for week in range((first - 1) // 7 - 1, (last - 1) // 7 + 1):
        throw = dice(owner.key, 3, week)
        draw = throw.random()
        if draw >= 0.12:
            continue
        since = week * 7 + 1 + (0 if draw < 0.05 else throw.randrange(5))
        page = Page(owner, since, throw)
        until = since + _absence(page, draw)
        [item] = page.items
        item.id = f"w{week}"
        found.append((since, until, item))
    return found


def _absence(page: Page, draw: float) -> int:
    """Write one absence on the page of its first day; how many days it takes."""
    owner, throw = page.owner, page.throw
    if draw < 0.05:
        days = throw.choice((5, 5, 5, 10, 10, 3))
        page.whole(days, owner.titles.vacation, show_as="OOF")
    elif draw < 0.07:
        days = throw.randint(1, 3)
        personnel = ("Personnel", f"personnel@{owner.domain}")
        page.whole(days, owner.titles.sick, personnel, show_as="Tentative", my_response="NoResponseReceived")
    elif draw < 0.09:
        days = throw.randint(1, 3)
        page.whole(days, owner.titles.training, show_as="OOF")
    else:
        days = throw.randint(2, 4)
        home = clock_time(owner.zone, page.ordinal + days - 1, 18 * 60)
        start = clock_time(owner.zone, page.ordinal, 8 * 60)
        page.timed(8 * 60, round((home - start) / timedelta(minutes=1)), owner.titles.trip, show_as="OOF")
    return days


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
