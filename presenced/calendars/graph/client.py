"""The Graph door: finds, reads and follows mailboxes of Exchange Online.

It puts the parts together behind the port and has no logic of its own.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta

from presenced.calendars.carrier import Carrier
from presenced.calendars.graph.calls import Caller
from presenced.calendars.graph.directory import Directory
from presenced.calendars.graph.poller import Poller
from presenced.calendars.graph.windows import WindowReader
from presenced.calendars.pace import Chance, Pace
from presenced.config.settings import ExchangeSettings
from presenced.core.appointment import Appointment
from presenced.core.ports import CalendarDoorStatus, CalendarListener, Clock, Mailbox, Resolution
from presenced.core.window import Window

LONGEST_PAUSE = timedelta(minutes=1)
"""between two tries to reach a server that is away"""
VERSION = "v1.0"


class GraphDoor:
    """The port `core.ports.CalendarDoor` for Graph; `root` is its URL with the version."""

    def __init__(
        self,
        settings: ExchangeSettings,
        carrier: Carrier,
        listener: CalendarListener,
        clock: Clock,
        *,
        root: str,
        chance: Chance = random.random,
    ) -> None:
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
        )

    async def run(self) -> None:
        """Keep every followed mailbox's changes flowing until cancelled."""
        await self._poller.run()

    async def fetch_mailboxes(self, users: Sequence[Sequence[str]]) -> Sequence[Resolution]:
        """Resolve each user's candidate addresses, in the same order."""
        return await self._directory.fetch_mailboxes(users)

    async def fetch_appointments(
        self, mailbox: Mailbox, window: Window, zone: str, *, organizers: bool
    ) -> tuple[Appointment, ...]:
        """The raw appointments overlapping the window. Raises MailboxProblem or DoorProblem."""
        del organizers  # they always come along
        self._poller.expect(mailbox.address, window, zone)
        return await self._reader.fetch(mailbox, window)

    def follow(self, mailboxes: Sequence[Mailbox]) -> None:
        """Follow these mailboxes too."""
        for mailbox in mailboxes:
            self._poller.add(mailbox)

    def unfollow(self, addresses: Sequence[str]) -> None:
        """Stop following these."""
        for address in addresses:
            self._poller.remove(address)

    def status(self) -> CalendarDoorStatus:
        """How the door stands now."""
        trouble = self._caller.trouble
        polled = self._poller.status()
        return CalendarDoorStatus(
            kind=self._kind,
            healthy=trouble is None,
            reason="" if trouble is None else trouble.reason,
            streams=() if polled is None else (polled,),
            backoffs=self._caller.backoffs(),
        )

    def counters(self) -> Mapping[str, int]:
        """Named counts since start, and how many mailboxes are followed."""
        return {**self._caller.counters, "mailboxes_followed": self._poller.size}
