"""One simulated mailbox at one instant: what somebody who is about to change his calendar sees and may do."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypedDict, Unpack

import pytz

from presenced.sim.exchange.organisation import Item, SimulatedMailbox
from presenced.sim.page import colleague
from presenced.sim.titles import Titles

_INSTANT = timedelta(seconds=1)
_AHEAD = timedelta(hours=4)
_MINUTE = timedelta(minutes=1)
_GRID = 300


class Facts(TypedDict, total=False):
    """What of a new Item may be other than usual."""

    all_day: bool
    show_as: str
    sensitivity: str
    cancelled: bool
    my_response: str
    organizer_name: str
    organizer_address: str


class Edit(Facts, total=False):
    """What of an Item may change."""

    subject: str
    start: datetime
    end: datetime


@dataclass(slots=True)
class Scene:
    """One mailbox at one instant, and the dice."""

    mailbox: SimulatedMailbox
    now: datetime
    """to the second, as Exchange stores instants"""
    rng: random.Random
    titles: Titles
    name: str
    """begins the ids of new items, unique in the mailbox"""
    made: list[Item] = field(default_factory=list)
    """the items this scene added"""

    @property
    def here(self) -> list[Item]:
        """What counts and is on now, the latest start last."""
        return [
            item
            for item in self.mailbox.view(self.now, self.now + _INSTANT)
            if counts(item) and item.start <= self.now < item.end
        ]

    @property
    def current(self) -> Item | None:
        """The timed appointment a phone shows as busy or away now."""
        timed = [item for item in self.here if not item.all_day and item.show_as in {"Busy", "OOF"}]
        return timed[-1] if timed else None

    @property
    def away(self) -> Item | None:
        """The absence that is on now, of hours or of days."""
        absences = [item for item in self.here if item.show_as == "OOF"]
        return absences[-1] if absences else None

    def soon(self, *show_as: str) -> Item | None:
        """The next timed appointment shown so that begins in the next hours."""
        return next(
            (
                item
                for item in self.mailbox.view(self.now, self.now + _AHEAD)
                if counts(item) and not item.all_day and item.start > self.now and item.show_as in show_as
            ),
            None,
        )

    def add(self, subject: str, start: datetime, end: datetime, **facts: Unpack[Facts]) -> Item:
        """A new appointment of the owner's, or of whom `facts` name."""
        item = Item(f"{self.name}.{len(self.made)}", "0", subject, start, end, zone=self.mailbox.zone)
        item = replace(item, uid=f"{item.id}-{self.mailbox.address}", **facts)
        self.made.append(item)
        self.mailbox.put(item)
        return item

    def change(self, item: Item, **edit: Unpack[Edit]) -> None:
        """Put a changed copy in the item's place; one of a series becomes an exception."""
        kind = "Exception" if item.item_type == "Occurrence" else item.item_type
        self.mailbox.put(replace(item, item_type=kind, **edit))

    def later(self, least: int, most: int) -> datetime:
        """A full five minutes, about `least` to `most` minutes from now and never now."""
        return round_up(self.now + self.rng.randint(least, most) * _MINUTE)

    def at(self, instant: datetime) -> str:
        """The owner's clock at an instant."""
        return f"{instant.astimezone(pytz.timezone(self.mailbox.zone)):%H:%M}"

    def somebody(self) -> Facts:
        """Facts that name a colleague as organizer."""
        name, address = colleague(self.rng, self.mailbox.address.rpartition("@")[2])
        return {"organizer_name": name, "organizer_address": address, "my_response": "Accept"}


def counts(item: Item) -> bool:
    """Whether it is more to a watcher than free time."""
    dropped = item.cancelled or item.my_response == "Decline" or item.start >= item.end
    return not dropped and item.show_as not in {"Free", "NoData"}


def round_down(instant: datetime) -> datetime:
    """The full five minutes at or before an instant."""
    return instant - timedelta(seconds=instant.timestamp() % _GRID)


def round_up(instant: datetime) -> datetime:
    """The full five minutes after an instant."""
    return round_down(instant) + timedelta(seconds=_GRID)
