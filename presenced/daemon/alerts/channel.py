"""What the ways to tell somebody have in common."""

from __future__ import annotations

from typing import Protocol

from presenced.daemon.alerts.cases import Notice
from presenced.daemon.alerts.wording import Origin


class Undelivered(Exception):
    """A notice did not get through: why and what to do, in words; no secret, no URL."""

    def __init__(self, reason: str, *, remedy: str, lasting: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.lasting = lasting
        """whether another try soon would hardly fare better"""


class Channel(Protocol):
    """One way to tell somebody."""

    async def deliver(self, notice: Notice, origin: Origin) -> None:
        """Return when the other side has taken it; raises Undelivered."""
