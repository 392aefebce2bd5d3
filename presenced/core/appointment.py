"""One occurrence in a mailbox, as every door hands it over and as the store keeps it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class ShowAs(StrEnum):
    """Exchange's LegacyFreeBusyStatus (MS-OXWSCDATA 2.2.3.17), Graph's `showAs`."""

    FREE = "free"
    TENTATIVE = "tentative"
    BUSY = "busy"
    OOF = "oof"
    WORKING_ELSEWHERE = "working_elsewhere"
    NO_DATA = "no_data"


class Sensitivity(StrEnum):
    """MS-OXWSCDATA SensitivityChoicesType."""

    NORMAL = "normal"
    PERSONAL = "personal"
    PRIVATE = "private"
    CONFIDENTIAL = "confidential"

    @property
    def hides_title(self) -> bool:
        """Whether the word "Private" stands in place of the title (presence.md section 4)."""
        return self in _HIDING


_HIDING = frozenset({Sensitivity.PRIVATE, Sensitivity.CONFIDENTIAL})


class Response(StrEnum):
    """The mailbox owner's own answer to the invitation (MS-OXWSMTGS ResponseTypeType)."""

    UNKNOWN = "unknown"
    ORGANIZER = "organizer"
    TENTATIVE = "tentative"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    NOT_RECEIVED = "not_received"


class Appointment(NamedTuple):
    """One occurrence.

    As a door reads it (raw), an all-day appointment has the UTC midnights of its dates as start and
    (exclusive) end, whatever zone it was made in; `admit` anchors those dates to the presence zone,
    works out `prioritized` and `order`, and takes away a subject that may not be shown.
    """

    id: str
    start: datetime
    """aware, UTC"""
    end: datetime
    """aware, UTC, exclusive"""
    show_as: ShowAs = ShowAs.BUSY
    subject: str | None = ""
    """None where it may not be shown"""
    all_day: bool = False
    sensitivity: Sensitivity = Sensitivity.NORMAL
    organizer: str = ""
    """SMTP address, "" where the server did not say"""
    cancelled: bool = False
    response: Response = Response.UNKNOWN
    prioritized: bool = False
    """the full subject holds a priority word and no excluded one; set by `admit`"""
    order: int = 0
    """place by (cleaned full subject, id) among the appointments read together; set by `admit`"""
