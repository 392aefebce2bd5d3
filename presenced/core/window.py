"""A half-open stretch of time `[start, end)` between two aware instants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open stretch of time; both ends are aware, UTC inside the program."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window needs aware instants")

    def overlaps(self, start: datetime, end: datetime) -> bool:
        """Whether `[start, end)` has an instant in common with this window."""
        return start < self.end and end > self.start

    def widened(self, margin: timedelta) -> Window:
        """The same window with `margin` more on both sides."""
        return Window(self.start - margin, self.end + margin)
