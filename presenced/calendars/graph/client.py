"""The Graph door: finds, reads and follows mailboxes of Exchange Online.

It puts the parts together behind the port: the poller asks every mailbox for changes, the subscriber, where
there is a notification URL, sees to it that most questions come when something changed. A mailbox is
polled after its subscription was tried, so that it need not be told as followed twice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from presenced.calendars.carrier import Carrier
from presenced.calendars.graph.calls import Caller
from presenced.calendars.graph.directory import Directory
from presenced.calendars.graph.notices import NoticeDesk
from presenced.calendars.graph.poller import Poller
from presenced.calendars.graph.subscriber import Subscriber
from presenced.calendars.graph.windows import WindowReader, find_user
from presenced.calendars.graph.wire import Notice
from presenced.calendars.pace import Chance, Pace
from presenced.calendars.problems import why_unwell
from presenced.calendars.signin.clouds import CLOUDS
from presenced.config.settings import ExchangeSettings
from presenced.core.appointment import Appointment
from presenced.core.ports import (
    CalendarDoorStatus,
    CalendarListener,
    Clock,
    Mailbox,
    MailboxProblem,
    Resolution,
    SignInStatus,
)
from presenced.core.window import Window

LONGEST_PAUSE = timedelta(minutes=1)
"""between two tries to reach a server that is away"""
VERSION = "v1.0"


def root_of(cloud: str) -> str:
    """Graph's URL with the version, in this cloud (settings.md, key `cloud`)."""
    return f"https://{CLOUDS[cloud].graph}/{VERSION}"


class GraphDoor:
    """The port `core.ports.CalendarDoor` for Graph; `root` is its URL with the version.

    `desk` hands over what is posted to `notification_url`; without it there are no notices. `sign_in`
    tells how the OAuth2 sign-in stands.
    """

    def __init__(
        self,
        settings: ExchangeSettings,
        carrier: Carrier,
        listener: CalendarListener,
        clock: Clock,
        *,
        root: str,
        desk: NoticeDesk | None = None,
        sign_in: Callable[[], SignInStatus] | None = None,
        chance: Chance = random.random,
    ) -> None:
        self._sign_in = sign_in
        self._listener = listener
        pace = Pace(chance, longest=LONGEST_PAUSE)
        self._kind = settings.sync_type.value
        self._caller = Caller(carrier, clock, pace, root.rstrip("/"))
        self._directory = Directory(self._caller, clock, width=settings.requests_in_flight)
        self._reader = WindowReader(self._caller)
        self._poller = Poller(
            self._caller,
            listener,
            clock,
            pace,
            interval=settings.poll_interval,
            width=settings.requests_in_flight,
            missed=self._missed,
        )

        self._desk = desk
        self._subscriber: Subscriber | None = None
        if desk is not None and settings.notification_url and settings.graph_access == "application":
            self._subscriber = Subscriber(settings.notification_url, self._caller, clock, pace, self._settled)

    async def run(self) -> None:
        """Keep every followed mailbox's changes flowing until cancelled."""
        if self._subscriber is None or self._desk is None:
            await self._poller.run()
            return
        with self._desk.attend(self._notice):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._poller.run())
                tasks.create_task(self._subscriber.run())

    async def fetch_mailboxes(self, users: Sequence[Sequence[str]]) -> Sequence[Resolution]:
        """Resolve each user's candidate addresses, in the same order."""
        return await self._directory.fetch_mailboxes(users)

    async def fetch_appointments(
        self, mailbox: Mailbox, window: Window, zone: str, *, organizers: bool
    ) -> tuple[Appointment, ...]:
        """The raw appointments overlapping the window. Raises MailboxProblem or DoorProblem."""
        del organizers  # they always come along
        self._poller.expect(mailbox.address, window, zone)
        return await self._reader.fetch(mailbox, window, zone)

    def follow(self, mailboxes: Sequence[Mailbox]) -> None:
        """Follow these mailboxes too."""
        for mailbox in mailboxes:
            try:
                user = find_user(mailbox, self._caller.root)
            except MailboxProblem as problem:
                self._listener.troubled(mailbox.address, problem)
                continue
            if self._subscriber is None:
                self._poller.add(mailbox, user)
            else:
                self._subscriber.add(mailbox, user)

    def unfollow(self, addresses: Sequence[str]) -> None:
        """Stop following these."""
        for address in addresses:
            if self._subscriber is not None:
                self._subscriber.remove(address)
            self._poller.remove(address)

    def _settled(self, mailbox: Mailbox, live: bool) -> None:
        if mailbox.address in self._poller:
            self._poller.set_live(mailbox.address, live=live)
        else:
            self._poller.add(mailbox, find_user(mailbox, self._caller.root), live=live)

    def _missed(self, address: str) -> None:
        if self._subscriber is not None:
            self._subscriber.doubt(address)

    def _notice(self, notice: Notice) -> None:
        address = self._subscriber.take(notice) if self._subscriber is not None else ""
        if address:
            self._poller.hint(address)

    def status(self) -> CalendarDoorStatus:
        """How the door stands now."""
        sign_in = self._sign_in() if self._sign_in is not None else None
        reason = why_unwell(self._caller.trouble, sign_in)
        trouble_of_notices = "" if self._subscriber is None else self._subscriber.trouble
        polled = self._poller.status(trouble_of_notices)
        return CalendarDoorStatus(
            kind=self._kind,
            healthy=not reason,
            reason=reason,
            streams=() if polled is None else (polled,),
            backoffs=self._caller.backoffs(),
            sign_in=sign_in,
        )

    def counters(self) -> Mapping[str, int]:
        """Named counts since start, how many mailboxes are followed, and whose notices flow."""
        live = {} if self._subscriber is None else {"mailboxes_subscribed": self._subscriber.live}
        return {**self._caller.counters, "mailboxes_followed": self._poller.size, **live}
