"""Troubles as switches that a test turns while a simulator runs.

Which troubles there are and whose requests meet them is each simulator's own. How a switch is used up and
turned off is the same for all, so that a test need not ask which one it has in hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Protocol, TypeVar


class Turned(Protocol):
    """One trouble that is switched on."""

    @property
    def trouble(self) -> StrEnum: ...

    times: int | None
    """how many requests still meet it; None: until it is switched off"""


_Switch = TypeVar("_Switch", bound=Turned)


@dataclass(slots=True)
class Switchboard(Generic[_Switch]):
    """All troubles that are switched on, the first one first."""

    switches: list[_Switch] = field(default_factory=list)

    def off(self, what: _Switch | StrEnum | None = None) -> None:
        """Switch off this switch, all of this trouble, or everything."""
        self.switches = [
            switch
            for switch in self.switches
            if what is not None and what is not switch and what != switch.trouble
        ]

    def usable(self) -> Iterator[_Switch]:
        """The switches that are not used up."""
        return (switch for switch in self.switches if switch.times is None or switch.times > 0)

    @staticmethod
    def use(switch: _Switch) -> None:
        """A request has met it."""
        if switch.times is not None:
            switch.times -= 1
