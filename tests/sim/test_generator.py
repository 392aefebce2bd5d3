"""Generated calendars: the same however they are read, plausible, and free until somebody reads them."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
import pytz
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.sim.exchange.organisation import Item, Organisation, SimulatedMailbox, overlaps
from presenced.sim.generator import OfficeCalendar, office_calendar
from presenced.sim.localtime import clock_time, day_of, midnight
from presenced.sim.office import open_office
from presenced.sim.people import people
from presenced.sim.titles import ODD

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
DAY = timedelta(days=1)
ZONES = ["Europe/Berlin", "America/New_York", "Pacific/Auckland", "Asia/Kolkata", "America/Sao_Paulo", "UTC"]

instants = st.integers(0, 6 * 366 * 24 * 60).map(
    lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
calendars = st.builds(
    office_calendar,
    st.integers(0, 10**9).map(lambda number: f"user{number}@example.com"),
    seed=st.integers(0, 5),
    zone=st.sampled_from(ZONES),
    language=st.sampled_from(["de", "en", "fr", "it", "es", "pl", "sv"]),
)


def many(count: int = 400) -> list[OfficeCalendar]:
    house = open_office(people(count), seed=1)
    return [mailbox.calendar for mailbox in house.mailboxes if isinstance(mailbox.calendar, OfficeCalendar)]


@settings(max_examples=100, deadline=None)
@given(calendars, instants, st.integers(1, 24 * 9), st.integers(0, 20), st.integers(0, 20))
def test_a_view_is_what_a_wider_one_shows_there(
    calendar: OfficeCalendar, start: datetime, hours: int, before: int, after: int
) -> None:
    end = start + timedelta(hours=hours)
    wider = calendar.view(start - before * DAY, end + after * DAY)
    assert calendar.view(start, end) == [item for item in wider if overlaps(item, start, end)]


def test_days_read_one_by_one_are_the_days_read_at_once() -> None:
    for calendar in many(60):
        whole = calendar.view(MONDAY, MONDAY + 60 * DAY)
        days = (midnight(calendar.owner.zone, MONDAY.toordinal() + number) for number in range(1, 59))
        for start, end in pairwise(days):
            assert calendar.view(start, end) == [item for item in whole if overlaps(item, start, end)]


@settings(max_examples=60, deadline=None)
@given(calendars, instants)
def test_items_are_well_formed(calendar: OfficeCalendar, start: datetime) -> None:
    items = calendar.view(start, start + 30 * DAY)
    assert len({item.id for item in items}) == len(items)
    for item in items:
        assert item.start.utcoffset() == item.end.utcoffset() == timedelta()
        assert item.start <= item.end
        assert item.show_as in {"Free", "Tentative", "Busy", "OOF", "WorkingElsewhere", "NoData"}
        assert item.sensitivity in {"Normal", "Personal", "Private", "Confidential"}
        assert bool(item.organizer_address) == (item.my_response not in {"Organizer", "Unknown"})
        if item.all_day:
            zone = pytz.timezone(item.zone)
            for instant in (item.start, item.end):
                day = day_of(item.zone, instant)
                assert instant == midnight(item.zone, day)
                assert instant.astimezone(zone).date() == date.fromordinal(day)


def test_offices_look_like_offices() -> None:
    shown: Counter[str] = Counter()
    hours: Counter[bool] = Counter()
    weekend = 0
    for calendar in many():
        for item in calendar.view(MONDAY, MONDAY + 28 * DAY):
            local = item.start.astimezone(pytz.timezone(calendar.owner.zone))
            weekend += local.weekday() >= 5
            shown["all"] += 1
            shown[item.show_as] += 1
            shown[item.item_type] += 1
            shown[item.my_response] += 1
            shown[item.sensitivity] += 1
            shown["cancelled"] += item.cancelled
            shown["personnel"] += item.organizer_address == "personnel@example.com"
            shown["abroad"] += item.zone != calendar.owner.zone
            shown["days on end"] += item.end - item.start > 2 * DAY
            shown["no length"] += item.start == item.end
            shown["odd title"] += item.subject in ODD
            if not item.all_day:
                hours[time(7) <= local.time() <= time(18)] += 1
    everything = shown["all"]
    assert hours[True] > 0.97 * hours.total()
    assert weekend < 0.03 * everything
    assert shown["Busy"] > 0.5 * everything
    for kind in ("Tentative", "OOF", "WorkingElsewhere", "Free", "Occurrence", "Private"):
        assert 0.02 * everything < shown[kind] < 0.5 * everything, kind
    for kind in ("NoData", "Exception", "Decline", "NoResponseReceived", "Confidential", "cancelled"):
        assert 10 < shown[kind] < 0.1 * everything, kind
    for kind in ("personnel", "abroad", "days on end", "no length", "odd title"):
        assert 5 < shown[kind] < 0.05 * everything, kind


def test_appointments_of_one_person_overlap() -> None:
    def collides(items: list[Item]) -> bool:
        timed = [item for item in items if not item.all_day and item.show_as == "Busy"]
        return any(first.end > second.start for first, second in pairwise(timed))

    assert sum(collides(calendar.view(MONDAY, MONDAY + 5 * DAY)) for calendar in many(100)) > 20


def test_a_team_shares_its_series() -> None:
    pair = [office_calendar(f"{name}@example.com", team=4, language="en") for name in ("a", "b")]
    other = office_calendar("c@example.com", team=5, language="en")

    def series(calendar: OfficeCalendar) -> set[tuple[str, datetime, str]]:
        items = calendar.view(MONDAY, MONDAY + 90 * DAY)
        return {(item.uid, item.start, item.subject) for item in items if "Stand-up" in item.subject}

    first, second = map(series, pair)
    assert first == second
    assert len({uid for uid, _, _ in first}) == 1
    assert len(first) >= 20
    assert not first & series(other)
    assert any("Canceled" in subject for _, _, subject in first)


def test_colleagues_meet_in_an_office() -> None:
    house = open_office(people(100), seed=1)
    items = (item for mailbox in house.mailboxes for item in mailbox.view(MONDAY, MONDAY + 7 * DAY))
    attendance = Counter(
        item.uid for item in items if item.item_type == "Occurrence" and item.start.hour < 12
    )
    assert max(attendance.values()) > 10
    assert len(house) == sum(bool(one.mailbox) for one in people(100))


def test_a_stand_up_keeps_its_local_time_when_the_clocks_change() -> None:
    calendar = office_calendar("a@example.com", zone="Europe/Berlin")
    items = calendar.view(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC))
    zone = pytz.timezone("Europe/Berlin")
    regular = [item for item in items if "Stand-up" in item.subject and item.item_type == "Occurrence"]
    assert len({item.start.astimezone(zone).time() for item in regular}) == 1
    assert len({item.start.time() for item in regular}) == 2


def test_holidays_are_whole_local_days() -> None:
    calendar = office_calendar("a@example.com", zone="Europe/Berlin", language="de")
    christmas = datetime(2026, 12, 25, 10, tzinfo=UTC)
    [item] = calendar.view(christmas, christmas + timedelta(hours=1))
    assert (item.subject, item.all_day, item.show_as) == ("1. Weihnachtstag", True, "OOF")
    assert item.start == datetime(2026, 12, 24, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "instant"),
    [
        ("Europe/Berlin", date(2026, 3, 29), datetime(2026, 3, 28, 23, tzinfo=UTC)),
        ("Africa/Cairo", date(2026, 4, 24), datetime(2026, 4, 23, 22, tzinfo=UTC)),
        ("America/Havana", date(2026, 11, 1), datetime(2026, 11, 1, 4, tzinfo=UTC)),
        ("America/Sao_Paulo", date(2018, 11, 4), datetime(2018, 11, 4, 3, tzinfo=UTC)),
    ],
)
def test_a_day_begins_at_its_first_instant(zone: str, day: date, instant: datetime) -> None:
    assert midnight(zone, day.toordinal()) == instant
    assert day_of(zone, instant) == day.toordinal()
    assert day_of(zone, instant - timedelta(microseconds=1)) == day.toordinal() - 1
    assert clock_time(zone, day.toordinal(), 17 * 60).astimezone(pytz.timezone(zone)).hour == 17


def test_unread_calendars_cost_next_to_nothing() -> None:
    organisation = Organisation()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(2000):
            address = f"user{number}@example.com"
            organisation.add(SimulatedMailbox(address, calendar=office_calendar(address)))
        after, _ = tracemalloc.get_traced_memory()
        for mailbox in organisation.mailboxes:
            mailbox.view(MONDAY, MONDAY + 2 * DAY)
        read, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / 2000 < 1500, "bytes a mailbox, the mailbox itself included"
    assert (read - after) / 2000 < 500, "reading leaves nothing behind but the window read"
