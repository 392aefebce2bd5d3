"""Subscriptions and the open streams that carry their notifications.

A change is rendered once and handed to the streams that are open at that moment; a subscription whose
stream is closed misses it for good, as on a real server ("nothing is replayed"). Pull subscriptions keep
a bounded queue instead. Time is an argument.
"""

from __future__ import annotations

import asyncio
import binascii
import secrets
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from presenced.sim.exchange.faults import Switch
from presenced.sim.exchange.ids import write_id
from presenced.sim.exchange.instants import write_instant
from presenced.sim.exchange.organisation import Event, Item, SimulatedMailbox
from presenced.sim.exchange.soap import escape

IDLE_LIFE = timedelta(minutes=30)
"""how long a streaming subscription lives without an open connection"""
SWEEP_INTERVAL = timedelta(minutes=1)
PULL_QUEUE = 500
"""notifications a pull subscription keeps; when it is full the oldest are lost"""


@dataclass(slots=True)
class Subscription:
    """A promise of notices about one mailbox."""

    id: str
    mailbox: str
    """primary address, casefolded"""
    kind: Literal["streaming", "pull"]
    events: frozenset[str]
    """`CreatedEvent`, `FreeBusyChangedEvent`, ..."""
    watches_calendar: bool
    """whether one of its folders is the calendar (nothing ever happens in the others)"""
    backend: str
    budget: str
    life: timedelta
    expires: datetime
    """when it dies unless a stream is open or it is asked before"""
    stream: Stream | None = None
    sequence: int = 0
    """number of the newest notification of a pull subscription"""
    queue: deque[tuple[int, str, str]] | None = None
    """of a pull subscription: number, name of the event, its content"""

    def is_dead(self, now: datetime) -> bool:
        """Whether its time ran out."""
        return self.stream is None and now >= self.expires


class Stream:
    """One open GetStreamingEvents: what waits to be written, and what is to go wrong with it."""

    __slots__ = ("anchor", "pending", "subscriptions", "trouble", "wake")

    def __init__(self, anchor: str, subscriptions: Iterable[Subscription]) -> None:
        self.anchor = anchor
        """budget it is charged to"""
        self.subscriptions = {subscription.id: subscription for subscription in subscriptions}
        self.pending: dict[str, list[str]] = {}
        """subscription id -> events, in order"""
        self.trouble: Switch | None = None
        self.wake = asyncio.Event()

    def notify(self, subscription: Subscription, events: list[str]) -> None:
        """Let these events be written with the next envelope."""
        self.pending.setdefault(subscription.id, []).extend(events)
        self.wake.set()

    def release(self, subscription: Subscription) -> None:
        """Carry this one no more; a stream without any has nothing left to say."""
        self.subscriptions.pop(subscription.id, None)
        self.pending.pop(subscription.id, None)
        if not self.subscriptions:
            self.wake.set()

    def interrupt(self, trouble: Switch) -> None:
        """Let this happen to it now."""
        self.trouble = trouble
        self.wake.set()

    def carries(self, mailbox: str) -> bool:
        """Whether a subscription of this mailbox (casefolded address) is on it."""
        return any(subscription.mailbox == mailbox for subscription in self.subscriptions.values())


class Subscriptions:
    """All subscriptions of an endpoint and its open streams."""

    def __init__(self) -> None:
        self._by_id: dict[str, Subscription] = {}
        self._by_mailbox: dict[str, list[Subscription]] = {}
        self._by_budget: dict[str, int] = {}
        self._charged: dict[str, int] = {}
        self._swept = datetime.min.replace(tzinfo=UTC)
        self.streams: set[Stream] = set()

    def __len__(self) -> int:
        return len(self._by_id)

    def add(
        self,
        mailbox: SimulatedMailbox,
        kind: Literal["streaming", "pull"],
        events: frozenset[str],
        *,
        watches_calendar: bool,
        backend: str,
        budget: str,
        now: datetime,
        life: timedelta = IDLE_LIFE,
    ) -> Subscription:
        """A new subscription."""
        id_ = binascii.b2a_base64(f"{backend}:".encode() + secrets.token_bytes(16), newline=False).decode()
        key = mailbox.address.casefold()
        subscription = Subscription(
            id_, key, kind, events, watches_calendar, backend, budget, life, now + life
        )
        if kind == "pull":
            subscription.queue = deque(maxlen=PULL_QUEUE)
        if now - self._swept >= SWEEP_INTERVAL:
            self.sweep(now)
        self._by_id[id_] = subscription
        self._by_mailbox.setdefault(key, []).append(subscription)
        self._by_budget[budget] = self._by_budget.get(budget, 0) + 1
        return subscription

    def find(self, id: str, backend: str, now: datetime) -> Subscription | None:  # noqa: A002
        """The living subscription of that id on that back end, None where there is none."""
        subscription = self._by_id.get(id)
        if subscription is None or subscription.backend != backend:
            return None
        if subscription.is_dead(now):
            self.drop(subscription)
            return None
        return subscription

    def count(self, budget: str) -> int:
        """How many subscriptions are charged to this budget, dead ones not yet swept away included."""
        return self._by_budget.get(budget, 0)

    def sweep(self, now: datetime) -> None:
        """Forget the dead ones."""
        self._swept = now
        for subscription in [each for each in self._by_id.values() if each.is_dead(now)]:
            self.drop(subscription)

    def drop(self, subscription: Subscription) -> None:
        """Forget it; a stream it is on goes on with the others."""
        if self._by_id.pop(subscription.id, None) is None:
            return
        siblings = self._by_mailbox[subscription.mailbox]
        siblings.remove(subscription)
        if not siblings:
            del self._by_mailbox[subscription.mailbox]
        _less(self._by_budget, subscription.budget)
        if subscription.stream is not None:
            subscription.stream.release(subscription)
            subscription.stream = None

    def drop_mailbox(self, address: str) -> None:
        """Forget every subscription of a mailbox, as when it moves or its server restarts."""
        for subscription in list(self._by_mailbox.get(address.casefold(), ())):
            self.drop(subscription)

    def drop_all(self) -> None:
        """Forget everything, as when the server restarts."""
        for subscription in list(self._by_id.values()):
            self.drop(subscription)

    def streams_of(self, budget: str) -> int:
        """How many open streams are charged to this budget."""
        return self._charged.get(budget, 0)

    def open(self, anchor: str, subscriptions: Iterable[Subscription]) -> Stream:
        """A new stream; a subscription that is on another one changes over."""
        stream = Stream(anchor, subscriptions)
        for subscription in stream.subscriptions.values():
            if subscription.stream is not None:
                subscription.stream.release(subscription)
            subscription.stream = stream
        self.streams.add(stream)
        self._charged[anchor] = self._charged.get(anchor, 0) + 1
        return stream

    def close(self, stream: Stream, now: datetime) -> None:
        """The stream is over; its subscriptions live on for a while."""
        if stream not in self.streams:
            return
        self.streams.discard(stream)
        _less(self._charged, stream.anchor)
        for subscription in stream.subscriptions.values():
            if subscription.stream is stream:
                subscription.stream = None
                subscription.expires = now + subscription.life

    def announce(self, mailbox: SimulatedMailbox, event: Event, item: Item, now: datetime) -> None:
        """Tell every subscription of the mailbox what happened in its calendar."""
        subscriptions = self._by_mailbox.get(mailbox.address.casefold())
        if not subscriptions:
            return
        notices = _notices(mailbox, event, item, write_instant(now))
        for subscription in subscriptions:
            wanted = [notice for notice in notices if notice[0] in subscription.events]
            if not wanted or not subscription.watches_calendar:
                continue
            if subscription.queue is not None:
                for name, content in wanted:
                    subscription.sequence += 1
                    subscription.queue.append((subscription.sequence, name, content))
            elif subscription.stream is not None:
                events = [f"<t:{name}>{content}</t:{name}>" for name, content in wanted]
                subscription.stream.notify(subscription, events)


def _less(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 1) - 1
    if counts[key] <= 0:
        del counts[key]


def _notices(mailbox: SimulatedMailbox, event: Event, item: Item, at: str) -> list[tuple[str, str]]:
    """Name and content of the events one change makes: the item's, its free/busy's and the folder's own."""
    address = mailbox.address
    folder = write_id("folder", address, "calendar")
    parent = f'<t:ParentFolderId Id="{folder}" ChangeKey="AQAAAA=="/>'
    change_key = escape(item.change_key) or "AQAAAA=="
    item_id = f'ItemId Id="{write_id("item", address, item.id)}" ChangeKey="{change_key}"/>'
    stamp = f"<t:TimeStamp>{at}</t:TimeStamp>"
    about = f"{stamp}<t:{item_id}{parent}"
    if event == "Moved":
        trash = write_id("folder", address, "deleteditems")
        first = (
            f'{stamp}<t:{item_id}<t:ParentFolderId Id="{trash}" ChangeKey="AQAAAA=="/>'
            f'<t:Old{item_id}<t:OldParentFolderId Id="{folder}" ChangeKey="AQAAAA=="/>'
        )
    else:
        first = about
    notices = [(f"{event}Event", first), ("FreeBusyChangedEvent", about)]
    if event != "Modified":
        root = write_id("folder", address, "msgfolderroot")
        above = f'<t:ParentFolderId Id="{root}" ChangeKey="AQAAAA=="/>'
        notices.append(
            ("ModifiedEvent", f'{stamp}<t:FolderId Id="{folder}" ChangeKey="{change_key}"/>{above}')
        )
    return notices
