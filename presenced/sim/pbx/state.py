"""What the simulated PBX is and keeps, whoever is connected: users, presences, complaints."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from presenced.core.ports import Clock
from presenced.sim.pbx.faults import LossPoint, PbxFaults
from presenced.sim.pbx.users import SimulatedUser

Message: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PresenceWritten:
    """One SetPresence that was stored."""

    t: datetime
    guid: str
    sip: str
    contact: str
    activity: str
    note: str


class PbxState:
    """Shared by all connections of one PBX."""

    def __init__(
        self,
        users: Iterable[SimulatedUser],
        *,
        clock: Clock,
        name: str,
        domain: str,
        app: str,
        password: str,
        faults: PbxFaults,
        on_presence: Callable[[PresenceWritten], None] | None,
    ) -> None:
        self.users = {user.guid: user for user in users}
        self.former: set[str] = set()
        """guids of users removed"""
        self.clock = clock
        self.name = name
        self.domain = domain
        self.app = app
        self.password = password
        self.faults = faults
        self.on_presence = on_presence
        self.presences: dict[str, dict[str, tuple[str, str]]] = {}
        """guid -> contact -> (activity, note); the contact written last is last"""
        self.writes: deque[PresenceWritten] = deque()
        self.client_bugs: list[str] = []
        self.counters: Counter[str] = Counter()
        self.first_challenge = ""
        self.challenges: set[str] = set()
        """all that the daemon ever gave: each is for one use"""
        self.watchers: set[Callable[[str], None]] = set()
        """told the guid of everybody whose presence is stored"""

    def report(self, bug: str) -> None:
        """Note what a real client would not do."""
        self.client_bugs.append(bug)

    def loses(self, point: LossPoint) -> bool:
        """Whether the socket is to be lost here; says so once."""
        if self.faults.lose_at is not point:
            return False
        self.faults.lose_at = None
        return True

    def store_presence(self, guid: str, contact: str, activity: str, note: str) -> bool:
        """Store one contact's presence as the newest item; whether anything changed."""
        items = self.presences.setdefault(guid, {})
        changed = items.pop(contact, ("", "")) != (activity, note)
        items[contact] = (activity, note)
        for tell in self.watchers:
            tell(guid)
        return changed

    def write_presence(self, guid: str, contact: str, activity: str, note: str) -> None:
        """Store what a client wrote, and tell about it."""
        if not self.store_presence(guid, contact, activity, note):
            self.counters["needless writes"] += 1
        written = PresenceWritten(self.clock.now(), guid, self.users[guid].h323, contact, activity, note)
        self.writes.append(written)
        if self.on_presence is not None:
            self.on_presence(written)
