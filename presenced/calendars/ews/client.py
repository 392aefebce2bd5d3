"""The EWS door: finds, reads and follows mailboxes of Exchange Server and Exchange Online.

It puts the parts together behind the port and has no logic of its own: `windows` reads, `follower`
follows, and who finds mailboxes is handed in, because autodiscover serves more than EWS.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from presenced.calendars.carrier import Carrier
from presenced.calendars.ews.calls import Caller
from presenced.calendars.ews.follower import Follower
from presenced.calendars.ews.windows import WindowReader
from presenced.calendars.pace import Chance, Pace
from presenced.calendars.problems import why_unwell
from presenced.config.settings import ExchangeSettings
from presenced.core.appointment import Appointment
from presenced.core.ports import (
    CalendarDoorStatus,
    CalendarListener,
    Clock,
    Mailbox,
    Resolution,
    SignInStatus,
)
from presenced.core.window import Window

LONGEST_PAUSE = timedelta(minutes=1)
"""between two tries to reach a server that is away"""


class Finder(Protocol):
    """Resolves users to mailboxes."""

    async def fetch_mailboxes(self, users: Sequence[Sequence[str]]) -> Sequence[Resolution]:
        """The port's `fetch_mailboxes`."""


class EwsDoor:
    """The port `core.ports.CalendarDoor` for EWS. `sign_in` tells how its OAuth2 sign-in stands."""

    def __init__(
        self,
        settings: ExchangeSettings,
        carrier: Carrier,
        finder: Finder,
        listener: CalendarListener,
        clock: Clock,
        *,
        sign_in: Callable[[], SignInStatus] | None = None,
        chance: Chance = random.random,
    ) -> None:
        self._sign_in = sign_in
        pace = Pace(chance, longest=LONGEST_PAUSE)
        self._kind = settings.sync_type.value
        self._finder = finder
        self._caller = Caller(carrier, clock, pace)
        self._reader = WindowReader(self._caller)
        self._follower = Follower(settings, self._caller, listener, clock, pace)

    async def run(self) -> None:
        """Keep every followed mailbox's change notices flowing until cancelled."""
        await self._follower.run()

    async def fetch_mailboxes(self, users: Sequence[Sequence[str]]) -> Sequence[Resolution]:
        """Resolve each user's candidate addresses, in the same order."""
        return await self._finder.fetch_mailboxes(users)

    async def fetch_appointments(
        self, mailbox: Mailbox, window: Window, zone: str, *, organizers: bool
    ) -> tuple[Appointment, ...]:
        """The raw appointments overlapping the window. Raises MailboxProblem or DoorProblem."""
        return await self._reader.fetch(mailbox, window, zone, organizers=organizers)

    def follow(self, mailboxes: Sequence[Mailbox]) -> None:
        """Follow these mailboxes too."""
        self._follower.follow(mailboxes)

    def unfollow(self, addresses: Sequence[str]) -> None:
        """Stop following these."""
        self._follower.unfollow(addresses)

    def status(self) -> CalendarDoorStatus:
        """How the door stands now."""
        sign_in = self._sign_in() if self._sign_in is not None else None
        reason = why_unwell(self._caller.trouble, sign_in)
        return CalendarDoorStatus(
            kind=self._kind,
            healthy=not reason,
            reason=reason,
            streams=self._follower.streams(),
            backoffs=self._caller.backoffs(),
            sign_in=sign_in,
        )

    def counters(self) -> Mapping[str, int]:
        """Named counts since start, and how many mailboxes are where."""
        return {**self._caller.counters, **self._follower.sizes()}
