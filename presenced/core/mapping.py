"""The admin's mapping: from the way an appointment is shown to the presence it makes.

Source: presence.md section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

from presenced.core.activity import Mapped


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
