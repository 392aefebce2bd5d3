"""Who works in the organisation that is measured: everybody with one mailbox and a full calendar.

Five appointments a day make ten in the default window of 48 hours. Fifty calendars are enough to be
unlike each other; sharing them keeps fifty thousand mailboxes small in the simulator, which is not what
is measured. Everything follows from a number, so that every process knows it without being told.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise

from presenced.sim.exchange.organisation import Item, Organisation, SimulatedMailbox, overlaps
from presenced.sim.pbx import SimulatedUser

DOMAIN = "example.com"
ZONE = "UTC"
KINDS = 50
A_DAY = 5
_TITLES = (
    "Jour fixe Vertrieb",
    "Übergabe Schicht Süd",
    "1:1 with Zoë",
    "Projektbesprechung Umbau Halle 3, Statik und Brandschutz",
    "Review",
    "Kundentermin Łódź",
    "Planning quarter",
)
_SHOWN = ("Busy", "Busy", "Tentative", "OOF", "WorkingElsewhere", "Busy", "Free")


def name_of(number: int) -> str:
    return f"person{number:05d}"


def address_of(number: int) -> str:
    return f"{name_of(number)}@{DOMAIN}"


def guid_of(number: int) -> str:
    return f"{number:032x}"


def users(count: int) -> list[SimulatedUser]:
    """Rows of the PBX."""
    return [
        SimulatedUser(
            guid_of(number),
            name_of(number),
            cn=f"Person {number}",
            dn=f"{number}, Person",
            emails=(address_of(number),),
            e164=f"{10_000 + number}",
        )
        for number in range(count)
    ]


def organisation(count: int) -> Organisation:
    """Mailboxes of the Exchange."""
    calendars = [FullCalendar(kind) for kind in range(KINDS)]
    everybody = Organisation()
    for number in range(count):
        everybody.add(SimulatedMailbox(address_of(number), zone=ZONE, calendar=calendars[number % KINDS]))
    return everybody


class FullCalendar:
    """The port `Calendar`: five appointments every day, one after another."""

    def __init__(self, kind: int) -> None:
        self._kind = kind

    def view(self, start: datetime, end: datetime) -> list[Item]:
        first, last = start.astimezone(UTC).toordinal() - 1, end.astimezone(UTC).toordinal()
        days = (_day(self._kind, ordinal) for ordinal in range(first, last + 1))
        return [item for day in days for item in day if overlaps(item, start, end)]


@lru_cache(maxsize=KINDS * 64)
def _day(kind: int, ordinal: int) -> tuple[Item, ...]:
    midnight = datetime.combine(datetime.fromordinal(ordinal), time(), UTC)
    hours = [7.5 + (kind % 5) * 0.25 + 2 * place for place in range(A_DAY + 1)]
    return tuple(
        Item(
            id=f"{ordinal}-{place}",
            change_key="1",
            subject=_TITLES[(kind + ordinal + place) % len(_TITLES)],
            start=midnight + timedelta(hours=since),
            end=midnight + timedelta(hours=until - 0.5 * (place % 2)),
            show_as=_SHOWN[(kind * 3 + ordinal + place) % len(_SHOWN)],
            organizer_name="Office",
            organizer_address=f"office{kind}@{DOMAIN}",
            my_response="Accept",
            zone="Europe/Berlin",
        )
        for place, (since, until) in enumerate(pairwise(hours))
    )
