"""Whether the calendar door works, as far as the daemon has seen for itself.

Reads and look-ups may go to different servers, so each keeps its own trouble: an autodiscover that
answers says nothing about an Exchange that does not.
"""

from __future__ import annotations


class Standing:
    """What was tried through the door, and how the last try of each kind ended."""

    def __init__(self) -> None:
        self._closed = "not connected yet"
        self._troubles: dict[str, str] = {}

    def close(self, reason: str = "not connected yet") -> None:
        """There is no door, or a new one that nothing was asked of."""
        self._closed = reason
        self._troubles.clear()

    def works(self, what: str) -> None:
        """`what` (`reads` or `lookups`) got an answer."""
        self._closed = ""
        self._troubles.pop(what, None)

    def fails(self, what: str, reason: str) -> bool:
        """Nobody could be served; whether that is news."""
        news = self._troubles.get(what) != reason
        self._troubles[what] = reason
        return news

    @property
    def healthy(self) -> bool:
        """Whether something was answered and nothing fails."""
        return not self._closed and not self._troubles

    @property
    def reason(self) -> str:
        """Why not, in words; "" where all is well."""
        return "; ".join(dict.fromkeys(self._troubles.values())) or self._closed
