"""People moved into an organisation: for everybody who has one, a mailbox with a generated calendar."""

from __future__ import annotations

from collections.abc import Iterable

from presenced.sim.exchange.organisation import Organisation, SimulatedMailbox
from presenced.sim.generator import office_calendar
from presenced.sim.people import Person

TEAM = 8
"""people to a team; those of them in one zone and language share their stand-up"""


def open_office(staff: Iterable[Person], *, seed: int = 0) -> Organisation:
    """An organisation of these people; `seed` makes their calendars."""
    organisation = Organisation()
    for person in staff:
        if person.mailbox:
            calendar = office_calendar(
                person.mailbox,
                seed=seed,
                zone=person.zone,
                language=person.language,
                team=person.number // TEAM,
            )
            organisation.add(
                SimulatedMailbox(
                    person.mailbox,
                    aliases=person.aliases,
                    name=person.cn,
                    zone=person.zone,
                    calendar=calendar,
                )
            )
    return organisation
