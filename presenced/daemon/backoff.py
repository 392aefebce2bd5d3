"""How long to wait before the next try: exponential with jitter, tenacity's arithmetic."""

from __future__ import annotations

from datetime import timedelta

from tenacity import RetryCallState, wait_random_exponential


class Backoff:
    """Doubles from `first` to `longest`; the wait lies anywhere between half of that and the whole."""

    def __init__(self, first: timedelta, longest: timedelta) -> None:
        half = wait_random_exponential(multiplier=first.total_seconds() / 2, max=longest.total_seconds() / 2)
        self._wait = half
        self._first = first
        self._longest = longest

    def pause(self, failures: int) -> timedelta:
        """The pause after this many failures in a row (1: the first one)."""
        state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
        state.attempt_number = max(failures, 1)
        steady: timedelta = min(self._first * 2 ** min(max(failures, 1) - 1, 30), self._longest) / 2
        return steady + timedelta(seconds=float(self._wait(state)))
