"""Which budgets are held back because the server asked for it: each by itself, never all at once.

A budget is a mailbox's address, or "" for the account (exchange.md section 4). The carrier keeps the
requests of a held budget waiting; here stands what the status shows and how a back-off grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from presenced.calendars.carrier import Carrier
from presenced.calendars.pace import Pace
from presenced.core.ports import Clock


class Budgets:
    """Holds budgets back, and knows until when."""

    def __init__(self, carrier: Carrier, clock: Clock, pace: Pace) -> None:
        self._carrier, self._clock, self._pace = carrier, clock, pace
        self._holds: dict[str, datetime] = {}
        self._strikes: dict[str, int] = {}

    def back_off(self, budget: str, asked: timedelta | None) -> timedelta:
        """Hold this budget, and no other, as long as the server asks; how long that is."""
        strikes = self._strikes[budget] = self._strikes.get(budget, 0) + 1
        pause = self._pace.obey(asked or None, self._pace.pause(strikes))
        now = self._clock.now()
        self._holds[budget] = max(now + pause, self._holds.get(budget, now))
        self._carrier.hold(budget, pause)
        return pause

    def forgive(self, budget: str) -> None:
        """It was served: the next back-off begins small again."""
        self._strikes.pop(budget, None)

    def holds(self) -> Mapping[str, datetime]:
        """Budget -> held until."""
        now = self._clock.now()
        self._holds = {budget: until for budget, until in self._holds.items() if until > now}
        return dict(self._holds)

    def held_for(self, budget: str) -> timedelta:
        """How long this budget is still held."""
        now = self._clock.now()
        return max(self._holds.get(budget, now) - now, timedelta())
