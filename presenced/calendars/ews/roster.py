"""Who is in a group: its members, their subscriptions, its anchor and affinity cookie. Values only.

Apart from the tasks, so that one place decides who is charged and which subscriptions still count. A
member that leaves takes no live subscription along: ending one in the middle of a stream would end the
stream for everybody, so it waits in `parted` until the connection is closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from presenced.calendars.ews.envelope import Trouble
from presenced.calendars.ews.grouping import GroupKey, anchor_of
from presenced.core.ports import Mailbox


class Member:
    """A followed mailbox and its subscription."""

    __slots__ = ("deaths", "due", "fresh", "mailbox", "roster", "subscription", "tries")

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.subscription = ""
        self.fresh = False
        """subscribed, but not yet seen on an open stream"""
        self.deaths = 0
        """how often in a row the subscription died"""
        self.tries = 0
        """how often in a row it could not be followed"""
        self.roster: Roster | None = None
        self.due: datetime | None = None
        """put aside until then"""

    @property
    def address(self) -> str:
        return self.mailbox.address


@dataclass(frozen=True, slots=True)
class Discarded:
    """A subscription that nobody needs any more."""

    endpoint: str
    address: str
    subscription: str
    anchor: str
    cookie: str


@dataclass(slots=True, eq=False)
class Roster:
    """The members of one group."""

    key: GroupKey
    members: dict[str, Member] = field(default_factory=dict)
    anchor: str = ""
    cookie: str = ""
    """X-BackEndOverrideCookie that came with the anchor's subscription"""
    avoided: set[str] = field(default_factory=set)
    """anchors that have too many connections"""
    parted: list[Discarded] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        """EWS URL"""
        return self.key[0]

    def take(self, members: Iterable[Member]) -> None:
        """They come from wherever they were, without a subscription."""
        for member in members:
            if member.roster is not None:
                member.roster.part(member)
            member.roster, member.subscription, member.due = self, "", None
            self.members[member.address] = member

    def part(self, member: Member) -> None:
        """He leaves."""
        if self.members.get(member.address) is member:
            del self.members[member.address]
            self.drop_subscription(member)
            member.roster = None

    def drop_subscription(self, member: Member) -> None:
        """His subscription is no longer wanted, though it may live."""
        if member.subscription:
            self.discard(member.address, member.subscription)
        member.subscription = ""

    def discard(self, address: str, subscription: str) -> None:
        """Remember a subscription to end once the connection is closed."""
        self.parted.append(Discarded(self.endpoint, address, subscription, self.anchor, self.cookie))

    def choose_anchor(self) -> Member:
        """The anchor stays as long as it is here and will do: the cookie came with it."""
        if self.anchor not in self.members or self.anchor in self.avoided:
            self.anchor = anchor_of(self.members, self.avoided)
        return self.members[self.anchor]

    def missing(self) -> list[Member]:
        """Members without a subscription."""
        return [one for one in self.members.values() if not one.subscription]

    def named(self, subscriptions: Iterable[str]) -> list[Member]:
        """The members with these subscriptions."""
        dead = set(subscriptions)
        return [one for one in self.members.values() if one.subscription in dead]

    def beyond(self, limit: int) -> list[Member]:
        """Whom a connection of at most `limit` mailboxes leaves over, the last in the alphabet."""
        if len(self.members) <= limit:
            return []
        return sorted(self.members.values(), key=lambda one: one.address.casefold())[limit:]


class Home(Protocol):
    """What a group asks of the follower it belongs to."""

    def trouble(self, member: Member, trouble: Trouble) -> None:
        """This mailbox can't be followed now: it leaves its group, the admin is told, it is tried later."""

    def poll(self, member: Member, trouble: Trouble) -> None:
        """It leaves its group and is polled."""

    def readmit(self, members: Iterable[Member], pause: timedelta) -> None:
        """They leave their group and look for another after the pause."""

    def discard(self, subscriptions: Iterable[Discarded]) -> None:
        """These can be ended when there is time."""

    def reconnecting(self, roster: Roster) -> None:
        """The group is about to reopen: smaller ones may join."""

    def dissolve(self, roster: Roster) -> bool:
        """Move everybody into a group that has room; whether there was one."""

    def outage(self, roster: Roster, reason: str) -> None:
        """The group can't be followed for a while: the admin is told."""
