"""The admin's mapping: from the way an appointment is shown to the presence it makes.

Source: presence.md section 2. A mapping holds the table of the ini file and the note style beside it,
so that a decision needs nothing but appointments, a mapping and an instant.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from presenced.core.activity import Mapped
from presenced.core.appointment import Appointment, Response, ShowAs
from presenced.core.note import NoteStyle


@dataclass(frozen=True, slots=True)
class MappingTable:
    """The `[mapping]` section, or a user's own version of it."""

    busy: Mapped = Mapped.BUSY
    tentative: Mapped = Mapped.IGNORE
    tentative_exception_organizers: tuple[str, ...] = ()
    tentative_exception: Mapped = Mapped.AWAY
    out_of_office: Mapped = Mapped.AWAY
    working_elsewhere: Mapped = Mapped.AVAILABLE
    no_data: Mapped = Mapped.IGNORE


class Ignored(StrEnum):
    """Why an appointment does not exist for presence, or is not the one shown (cli.md, `preview`)."""

    FREE = "free"
    MAPPED_IGNORE = "mapped-ignore"
    CANCELLED = "cancelled"
    DECLINED = "declined"
    EMPTY = "empty"
    OUTRANKED = "outranked"
    LATER = "later"


_KEYS = {
    ShowAs.BUSY: "busy",
    ShowAs.TENTATIVE: "tentative",
    ShowAs.OOF: "out_of_office",
    ShowAs.WORKING_ELSEWHERE: "working_elsewhere",
    ShowAs.NO_DATA: "no_data",
}


_TENTATIVE, _DECLINED = ShowAs.TENTATIVE, Response.DECLINED
"""asked for at every appointment of every decision, where an enumeration's own look-up would show"""


class Mapping:
    """A table made ready for deciding, and how the outcome is worded."""

    __slots__ = ("_exception", "_exceptions", "_shown", "style", "table")

    def __init__(self, table: MappingTable, style: NoteStyle) -> None:
        self.table = table
        self.style = style
        self._exception = table.tentative_exception
        self._exceptions = frozenset(
            address.strip().casefold() for address in table.tentative_exception_organizers
        )
        self._shown = {
            show_as: mapped
            for show_as, mapped in (
                (ShowAs.BUSY, table.busy),
                (ShowAs.TENTATIVE, table.tentative),
                (ShowAs.OOF, table.out_of_office),
                (ShowAs.WORKING_ELSEWHERE, table.working_elsewhere),
                (ShowAs.NO_DATA, table.no_data),
            )
            if mapped is not Mapped.IGNORE
        }

    @property
    def needs_organizers(self) -> bool:
        """Whether it matters who organizes a tentative appointment."""
        return bool(self._exceptions)

    def asks_more_than(self, other: Mapping) -> bool:
        """Whether a calendar read for the other lacks what this one looks at."""
        return self.needs_organizers and not other.needs_organizers

    def presence_of(self, appointment: Appointment) -> Mapped | None:
        """The mapped presence, None where the appointment does not count."""
        mapped = self._shown.get(appointment.show_as)
        if appointment.show_as is _TENTATIVE and self._is_exception(appointment):
            mapped = None if self._exception is Mapped.IGNORE else self._exception
        if (
            mapped is None
            or appointment.cancelled
            or appointment.response is _DECLINED
            or appointment.start >= appointment.end
        ):
            return None
        return mapped

    def key_of(self, appointment: Appointment) -> str:
        """The key of the table that says what this appointment is mapped to; "" for free, which has none."""
        if appointment.show_as is ShowAs.TENTATIVE and self._is_exception(appointment):
            return "tentative_exception"
        return _KEYS.get(appointment.show_as, "")

    def _is_exception(self, appointment: Appointment) -> bool:
        return appointment.organizer.casefold() in self._exceptions

    def why_ignored(self, appointment: Appointment) -> Ignored | None:
        """Why `presence_of` is None; None where the appointment counts."""
        if appointment.cancelled:
            return Ignored.CANCELLED
        if appointment.response is Response.DECLINED:
            return Ignored.DECLINED
        if appointment.start >= appointment.end:
            return Ignored.EMPTY
        if appointment.show_as is ShowAs.FREE:
            return Ignored.FREE
        return Ignored.MAPPED_IGNORE if self.presence_of(appointment) is None else None
