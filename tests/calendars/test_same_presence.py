"""The same calendars read through EWS and through Graph make the same presences, byte for byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from presenced.calendars.ews.client import EwsDoor
from presenced.calendars.graph.client import GraphDoor
from presenced.calendars.transport.http_carrier import HttpCarrier
from presenced.config.settings import ExchangeSettings, Secret, SyncType
from presenced.core.activity import Mapped
from presenced.core.admission import Admission, admit
from presenced.core.decision import decide
from presenced.core.mapping import Mapping, MappingTable
from presenced.core.note import NoteStyle
from presenced.core.ports import CalendarDoor, Mailbox
from presenced.core.priority import PriorityWords
from presenced.core.window import Window
from presenced.sim.exchange.organisation import Item, Organisation, SimulatedMailbox, whole_days
from presenced.sim.generator import office_calendar
from presenced.sim.graph.server import SimulatedGraph
from presenced.sim.stage import USER, Stage
from tests.calendars.ews.scripted import NoFinder
from tests.calendars.graph.stage import ROOT, DirectCarrier, Listener, NoTokens
from tests.clock import FakeClock

START = datetime(2026, 10, 24, 8, 0, tzinfo=UTC)
"""the Saturday before the end of daylight saving time in Europe"""
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
PEOPLE = [f"user{number:02}@example.com" for number in range(24)]
ODD = "odd@example.com"
TABLE = MappingTable(
    tentative=Mapped.BUSY,
    tentative_exception_organizers=("personnel@example.com",),
    working_elsewhere=Mapped.AVAILABLE,
    no_data=Mapped.AWAY,
)


def odd_items() -> list[Item]:
    """Everything a rule looks at, at once."""
    items = []
    for number, (zone, show_as) in enumerate(
        (zone, show_as)
        for zone in ZONES
        for show_as in ("Free", "Tentative", "Busy", "OOF", "WorkingElsewhere", "NoData")
    ):
        start, end = whole_days((START + timedelta(days=number % 3)).date(), 1 + number % 2, zone)
        items.append(Item(f"day{number}", "", f"Fäir {number} 🎪", start, end, True, show_as, zone=zone))
        begin = START + timedelta(minutes=37 * number)
        items.append(
            Item(
                f"call{number}",
                "",
                "Same title",
                begin,
                begin + timedelta(minutes=50),
                False,
                show_as,
                ("Normal", "Personal", "Private", "Confidential")[number % 4],
                organizer_name="P",
                organizer_address=("personnel@example.com", "eve@example.com")[number % 2],
                cancelled=number % 7 == 0,
                my_response=("Accept", "Decline", "Tentative", "NoResponseReceived", "Unknown")[number % 5],
            )
        )
    return items


@pytest.fixture
async def doors(
    tmp_path: Path,
) -> AsyncIterator[tuple[CalendarDoor, CalendarDoor, dict[str, tuple[Mailbox, Mailbox]]]]:
    """EWS, Graph, and everybody's mailbox in both."""
    clock, organisation = FakeClock(START), Organisation()
    for number, address in enumerate(PEOPLE):
        zone = ZONES[number % 4]
        calendar = office_calendar(address, seed=7, zone=zone)
        organisation.add(SimulatedMailbox(address, zone=zone, calendar=calendar))
    odd = organisation.add(SimulatedMailbox(ODD, zone="Europe/Berlin"))
    for one in odd_items():
        odd.put(one)
    stage = Stage(organisation, clock, tmp_path, password="secret")
    await stage.open()
    url = f"{stage.exchange.base_url}/EWS/Exchange.asmx"
    settings = ExchangeSettings(
        sync_type=SyncType.ON_PREMISES, user=USER, password=Secret("secret"), ews_url=url,
        authentication="basic", tls_ca=stage.certificates.authority,
    )  # fmt: skip
    graph = SimulatedGraph(organisation, clock=clock, tokens=NoTokens())
    graph.base_url = graph.resources.base_url = ROOT
    async with HttpCarrier(settings, clock) as carrier:
        listener = Listener()
        ews = EwsDoor(settings, carrier, NoFinder(), listener, clock)
        direct = DirectCarrier(graph, clock=clock)
        other = GraphDoor(replace(settings, sync_type=SyncType.GRAPH), direct, listener, clock, root=ROOT)
        found = await other.fetch_mailboxes([[address] for address in (*PEOPLE, ODD)])
        mailboxes = {
            one.mailbox.address: (Mailbox(one.mailbox.address, url), one.mailbox)
            for one in found
            if one.mailbox
        }
        yield ews, other, mailboxes
    await stage.close()


async def test_both_doors_make_the_same_presences(
    doors: tuple[CalendarDoor, CalendarDoor, dict[str, tuple[Mailbox, Mailbox]]],
) -> None:
    ews, graph, mailboxes = doors
    window = Window(START, START + timedelta(hours=72))
    told = set()
    assert len(mailboxes) == len(PEOPLE) + 1
    for number, (first, second) in enumerate(mailboxes.values()):
        zone = ZONES[number % 4]
        admission = Admission(zone, True, PriorityWords(("fäir",), ()))
        read = [
            admit(await door.fetch_appointments(box, window, zone, organizers=True), window, admission)
            for door, box in ((ews, first), (graph, second))
        ]
        alike = [sorted(repr(one._replace(id="", order=0)) for one in side) for side in read]
        assert alike[0] == alike[1]
        mapping = Mapping(TABLE, NoteStyle("de", zone))
        for step in range(72):
            now = START + timedelta(hours=step, minutes=13 * (step % 5))
            decisions = [decide(side, mapping, now) for side in read]
            assert decisions[0].presence == decisions[1].presence
            assert decisions[0].deadline == decisions[1].deadline
            told.add(decisions[0].presence)
    assert len(told) > 100
