"""Which mailboxes share a connection, and which of them it is charged to.

A connection carries the subscriptions of mailboxes that live behind the same EWS URL and have the same
GroupingInformation; the alphabetically first is its anchor, whose budget pays for it. A group that
exists keeps its members: a stream can't be extended, and whoever is moved must be read again. So the
few that come later share small groups, and small groups run together when one reconnects anyway
(exchange.md section 4).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol, TypeAlias

from presenced.calendars.ews.stream import MOST_PATIENCE, PATIENCE
from presenced.core.ports import Mailbox

GroupKey: TypeAlias = tuple[str, str]
"""EWS URL, GroupingInformation"""
SMALL = 10
"""A streaming group of at most this many is reopened to take in a newcomer: so many reads it costs."""


def group_key(mailbox: Mailbox) -> GroupKey:
    """What mailboxes must have in common to share a connection."""
    return mailbox.endpoint, mailbox.group


def anchor_of(addresses: Iterable[str], avoided: Collection[str] = ()) -> str:
    """The alphabetically first address, passing over the avoided ones while there are others."""
    ordered = sorted(addresses, key=lambda address: (address.casefold(), address))
    return next((address for address in ordered if address not in avoided), ordered[0])


class Phase(StrEnum):
    """How far a group is."""

    STARTING = "starting"
    """it subscribes: who comes now costs nothing extra"""
    STREAMING = "streaming"
    """its connection is open: taking somebody in means reopening it"""
    RESTING = "resting"
    """it failed and waits before the next try"""


class Grouped(Protocol):
    """What placing needs to know of a group that exists."""

    @property
    def key(self) -> GroupKey: ...
    @property
    def size(self) -> int: ...
    @property
    def phase(self) -> Phase: ...


@dataclass(frozen=True, slots=True)
class Placement:
    """Newcomers that go together: into an existing group (its place in the list), or a new one."""

    addresses: tuple[str, ...]
    into: int | None = None


def place(
    key: GroupKey, newcomers: Collection[str], groups: Sequence[Grouped], limit: int
) -> list[Placement]:
    """Where the newcomers of one key go.

    First into groups that are still starting and have room; a few then into a small streaming group;
    the rest make groups of their own, at most `limit` each.
    """
    waiting = sorted(newcomers, key=str.casefold)
    placements: list[Placement] = []
    for number, group in enumerate(groups):
        if waiting and group.key == key and group.phase is Phase.STARTING and group.size < limit:
            room = limit - group.size
            placements.append(Placement(tuple(waiting[:room]), number))
            waiting = waiting[room:]
    if 0 < len(waiting) <= SMALL:
        for number, group in enumerate(groups):
            fits = group.size <= SMALL and group.size + len(waiting) <= limit
            if group.key == key and group.phase is Phase.STREAMING and fits:
                return [*placements, Placement(tuple(waiting), number)]
    placements += [Placement(tuple(waiting[at : at + limit])) for at in range(0, len(waiting), limit)]
    return placements


def absorbable(group: Grouped, others: Sequence[Grouped], limit: int) -> list[int]:
    """Which others, by their place in the list, a reconnecting group takes in.

    Smaller ones of the same key, the smallest first, as long as there is room. What it has itself is
    read again in any case, so only the newcomers cost something.
    """
    room = limit - group.size
    taken: list[int] = []
    ordered = sorted(enumerate(others), key=lambda numbered: numbered[1].size)
    for number, other in ordered:
        if other is group or other.key != group.key or other.phase is not Phase.STREAMING:
            continue
        if other.size > room or other.size > group.size:
            break
        taken.append(number)
        room -= other.size
    return taken


@dataclass(slots=True)
class ServerTraits:
    """What was learned about one EWS URL."""

    limit: int
    """mailboxes a connection"""
    patience: timedelta = PATIENCE
    """silence to bear before the keep-alive interval is known"""
    carried: int = 1
    """the most mailboxes that were seen on one open connection"""
    halvings: int = 0

    def halve(self, size: int) -> int:
        """The server did not carry `size` mailboxes on one connection: the new limit."""
        self.limit = max(self.carried, min(self.limit, (size + 1) // 2))
        self.halvings += 1
        return self.limit

    def stalled(self, learned: timedelta | None) -> None:
        """A stream fell silent: if it never showed a keep-alive, the next gets more time."""
        if learned is None:
            self.patience = min(2 * self.patience, MOST_PATIENCE)

    def heard(self, learned: timedelta | None) -> None:
        """A stream showed its keep-alive interval."""
        if learned is not None:
            self.patience = min(max(2 * learned, PATIENCE), MOST_PATIENCE)
