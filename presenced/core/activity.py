"""The words for a person's state: what an admin maps to, what a client reads, what the PBX stores."""

from __future__ import annotations

from enum import StrEnum


class Tag(StrEnum):
    """What a client reads behind `#` (presence.md section 5)."""

    FREE = "free"
    BUSY = "busy"
    AWAY = "away"


class Mapped(StrEnum):
    """The mapped presence: what the admin chooses for each way an appointment is shown."""

    AVAILABLE = "available"
    BUSY = "busy"
    AWAY = "away"
    DND = "dnd"
    IGNORE = "ignore"

    @property
    def tag(self) -> Tag:
        """The activity tag; there is no `#dnd`, no known client reads one."""
        return _TAGS[self]

    @property
    def activity(self) -> str:
        """The PBX's own word beside the note; "" is the PBX's word for available."""
        return _ACTIVITIES[self]

    @property
    def strength(self) -> int:
        """dnd > away > busy > available (presence.md section 3, rule 3)."""
        return _STRENGTHS[self]


_TAGS = {
    Mapped.AVAILABLE: Tag.FREE,
    Mapped.BUSY: Tag.BUSY,
    Mapped.AWAY: Tag.AWAY,
    Mapped.DND: Tag.BUSY,
    Mapped.IGNORE: Tag.FREE,
}
_ACTIVITIES = {
    Mapped.AVAILABLE: "",
    Mapped.BUSY: "busy",
    Mapped.AWAY: "away",
    Mapped.DND: "dnd",
    Mapped.IGNORE: "",
}
_STRENGTHS = {
    Mapped.IGNORE: 0,
    Mapped.AVAILABLE: 1,
    Mapped.BUSY: 2,
    Mapped.AWAY: 3,
    Mapped.DND: 4,
}
