"""How long to wait before the next try: tenacity's arithmetic, our own jitter, no sleeping.

The server's own wish may be zero, and everybody it sends away at once would come back at once: so there
is a floor, and a share of chance on top (exchange.md section 4).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tenacity import RetryCallState, Retrying, wait_exponential

FLOOR = timedelta(seconds=1)
"""the least back-off, whatever the server asks"""
CEILING = timedelta(hours=1)
"""the most"""
Chance = Callable[[], float]
"""a number in [0, 1), such as random.random"""


class Pace:
    """Growing pauses: `first`, twice that, and so on up to `longest`, each with ±25 % jitter."""

    __slots__ = ("_wait", "chance")

    def __init__(
        self,
        chance: Chance,
        first: timedelta = timedelta(seconds=1),
        longest: timedelta = timedelta(minutes=1),
    ) -> None:
        self.chance = chance
        self._wait = wait_exponential(multiplier=first.total_seconds(), max=longest)

    def pause(self, attempt: int) -> timedelta:
        """How long to wait after the `attempt`-th failure in a row (1, 2, ...)."""
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = attempt
        return timedelta(seconds=self._wait(state) * (0.75 + 0.5 * self.chance()))

    def obey(self, asked: timedelta | None, otherwise: timedelta) -> timedelta:
        """A server's back-off (`otherwise` where it named none): never less than asked, up to 25 % more."""
        least = max(FLOOR, otherwise if asked is None else asked)
        return min(least, CEILING) * (1 + 0.25 * self.chance())

    def spread(self, duration: timedelta) -> timedelta:
        """`duration` and up to a quarter more, so that those who left together don't return together."""
        return duration * (1 + 0.25 * self.chance())
