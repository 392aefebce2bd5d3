"""Office life on a clock that a test turns: the stage at the start, and what people do then."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
import pytz
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.sim import doings
from presenced.sim.doings import DOINGS, do_something
from presenced.sim.exchange.organisation import EMPTY, Calendar, Item, Organisation, SimulatedMailbox
from presenced.sim.office import open_office
from presenced.sim.people import people
from presenced.sim.scenario import Change, OfficeLife, times_of_a_day
from presenced.sim.scene import Scene, counts, round_down, round_up
from presenced.sim.titles import titles
from tests.clock import FakeClock

NOON = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def office(count: int = 20, seed: int = 1) -> Organisation:
    """So many people with mailboxes and generated calendars."""
    with_mailbox = (one for one in people(2 * count + 20, seed=seed) if one.mailbox)
    return open_office(islice(with_mailbox, count), seed=seed)


def shown(mailbox: SimulatedMailbox, now: datetime, zone: str = "Europe/Berlin") -> str:
    """What a phone shows under the default mapping: whole days go by their dates, there."""
    today = now.astimezone(pytz.timezone(zone)).date()

    def on(item: Item) -> bool:
        if not item.all_day:
            return item.start <= now < item.end
        dates = [edge.astimezone(pytz.timezone(item.zone)).date() for edge in (item.start, item.end)]
        return dates[0] <= today < dates[1]

    states = {"Busy": "busy", "OOF": "away", "WorkingElsewhere": "elsewhere"}
    items = [item for item in mailbox.view(now - 2 * DAY, now + 2 * DAY) if counts(item) and on(item)]
    current = [item for item in items if item.show_as in states]
    return states[current[-1].show_as] if current else "free"


@asynccontextmanager
async def going_on(work: Any) -> Any:
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


# --- the stage -------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3 * 366 * 24 * 60), st.integers(0, 10**6))
def test_every_kind_of_presence_is_on_stage_whenever_the_curtain_rises(minutes: int, seed: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + minutes * MINUTE
    house = office(10)
    OfficeLife(house, FakeClock(now), random.Random(seed)).arrange()
    states = [shown(mailbox, now) for mailbox in house.mailboxes]
    assert states == ["busy", "away", "elsewhere", "free", "busy", "free", "free", "busy", "away", "free"]
    for mailbox in house.mailboxes:
        for item in mailbox.view(now, now + timedelta(seconds=1)):
            assert item.end > now, "nothing ends the moment it is looked at"


def test_the_stage_has_its_limit() -> None:
    house = office(20)
    OfficeLife(house, FakeClock(NOON), random.Random(1)).arrange(limit=5)
    assert sum(mailbox.version > 0 for mailbox in house.mailboxes) == 5


def test_who_takes_part_may_be_chosen() -> None:
    house = office(10)
    chosen = [mailbox.address for mailbox in house.mailboxes][:2]
    life = OfficeLife(house, FakeClock(NOON), random.Random(1), addresses=[*chosen, "nobody@example.com"])
    changes = [life.step() for _ in range(30)]
    assert {change.address for change in changes if change} == set(chosen)
    assert OfficeLife(house, FakeClock(NOON), random.Random(1), addresses=[]).step() is None


# --- doings ----------------------------------------------------------------------------------------


class Written:
    """A calendar with these items."""

    def __init__(self, *items: Item) -> None:
        self.items = items

    def view(self, start: datetime, end: datetime) -> list[Item]:
        return [item for item in self.items if item.start < end and item.end > start]


def scene(calendar: Calendar = EMPTY, seed: int = 1) -> Scene:
    mailbox = SimulatedMailbox("a@example.com", zone="Europe/Berlin", calendar=calendar)
    return Scene(mailbox, NOON, random.Random(seed), titles("en"), "life")


def item(name: str, start: timedelta, length: timedelta, **facts: Any) -> Item:
    return replace(Item(name, "0", name, NOON + start, NOON + start + length), **facts)


MEETING = item("meeting", -10 * MINUTE, HOUR)
OCCURRENCE = item("occurrence", -10 * MINUTE, HOUR, item_type="Occurrence")
INVITED = item("invited", -5 * MINUTE, HOUR, show_as="Tentative", my_response="NoResponseReceived")
LATER = item("later", HOUR, HOUR)
OUT = item("out", -HOUR, 4 * HOUR, show_as="OOF")
VACATION = item("vacation", -DAY, 3 * DAY, show_as="OOF", all_day=True)
HOME = item("home", -HOUR, 4 * HOUR, show_as="WorkingElsewhere")
CALLED_OFF = item("off", -10 * MINUTE, HOUR, cancelled=True)


@pytest.mark.parametrize(
    ("doing", "before", "after"),
    [
        (doings.is_called, [], "Busy"),
        (doings.is_called, [CALLED_OFF], "Busy"),
        (doings.takes_a_call, [OUT], "Busy"),
        (doings.is_invited, [], "Tentative"),
        (doings.accepts, [INVITED], "Busy"),
        (doings.declines, [INVITED], ""),
        (doings.cancels, [MEETING], ""),
        (doings.deletes, [MEETING], ""),
        (doings.moves, [MEETING], ""),
        (doings.pulls_forward, [LATER], "Busy"),
        (doings.extends, [MEETING], "Busy"),
        (doings.ends_early, [MEETING], ""),
        (doings.ends_early, [OCCURRENCE], ""),
        (doings.steps_out, [MEETING], "OOF"),
        (doings.comes_back, [OUT], ""),
        (doings.comes_back, [VACATION], ""),
        (doings.goes_home, [MEETING], "OOF"),
        (doings.works_elsewhere, [], "WorkingElsewhere"),
        (doings.renames, [MEETING], "Busy"),
        (doings.hides, [MEETING], "Busy"),
    ],
)
def test_doings(doing: Callable[[Scene], str | None], before: list[Item], after: str) -> None:
    here = scene(Written(*before))
    version = here.mailbox.version
    happened = doing(here)
    assert happened
    assert here.mailbox.version > version
    assert (here.here[-1].show_as if here.here else "") == after
    for one in here.mailbox.view(NOON - DAY, NOON + 2 * DAY):
        assert one.start <= one.end
        assert one.subject not in happened


@pytest.mark.parametrize(
    ("doing", "before"),
    [
        (doings.is_called, [MEETING]),
        (doings.accepts, [MEETING]),
        (doings.declines, []),
        (doings.cancels, []),
        (doings.cancels, [CALLED_OFF]),
        (doings.deletes, []),
        (doings.moves, [LATER]),
        (doings.pulls_forward, [MEETING, LATER]),
        (doings.pulls_forward, []),
        (doings.extends, []),
        (doings.ends_early, []),
        (doings.steps_out, [OUT]),
        (doings.comes_back, [MEETING]),
        (doings.goes_home, [VACATION]),
        (doings.works_elsewhere, [HOME]),
        (doings.renames, []),
        (doings.hides, []),
    ],
)
def test_nobody_does_what_makes_no_sense(doing: Callable[[Scene], str | None], before: list[Item]) -> None:
    here = scene(Written(*before))
    assert doing(here) is None
    assert here.mailbox.version == 0


def test_details_of_a_change() -> None:
    here = scene(Written(OCCURRENCE))
    assert doings.moves(here)
    [moved] = here.mailbox.view(NOON, NOON + DAY)
    assert moved.item_type == "Exception"
    assert moved.end - moved.start == HOUR
    here = scene(Written(INVITED))
    assert doings.accepts(here) == "accepts the invitation for 12:55"
    assert here.here[0].my_response == "Accept"
    here = scene(Written(MEETING))
    assert doings.cancels(here)
    [gone] = here.mailbox.view(NOON, NOON + HOUR)
    assert (gone.cancelled, gone.show_as, gone.subject) == (True, "Free", "Canceled: meeting")
    here = scene()
    assert doings.goes_home(here)
    assert here.here[0].end == datetime(2026, 11, 19, 7, tzinfo=UTC)
    assert MEETING.subject == "meeting", "items of the calendar beneath stay as they were"


@given(st.integers(0, 10**9))
def test_full_five_minutes(seconds: int) -> None:
    instant = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    assert round_down(instant) <= instant < round_up(instant)
    assert round_up(instant) - round_down(instant) == 5 * MINUTE
    assert round_down(instant).minute % 5 == round_down(instant).second == 0


async def test_everything_is_done_sooner_or_later() -> None:
    clock, house = FakeClock(NOON), office(8)
    life = OfficeLife(house, clock, random.Random(5))
    life.arrange()
    done: Counter[str] = Counter()
    states: Counter[str] = Counter()
    for _ in range(600):
        await clock.advance(MINUTE, turns=1)
        change = life.step()
        assert change is not None
        done[change.kind] += 1
        states.update(shown(mailbox, clock.now()) for mailbox in house.mailboxes)
    assert set(done) >= {doing.__name__ for _, doing in DOINGS}
    assert all(states[state] > 0.05 * states.total() for state in ("busy", "away", "elsewhere", "free"))


def test_there_is_always_something_to_do() -> None:
    for seed in range(200):
        kind, what = do_something(scene(seed=seed))
        assert kind
        assert what


# --- time ------------------------------------------------------------------------------------------


async def test_life_goes_on_at_its_pace_and_tells() -> None:
    clock, house = FakeClock(NOON), office(10)
    noticed: list[tuple[str, str, datetime]] = []
    house.watchers.append(lambda mailbox, event, item: noticed.append((mailbox.address, event, item.end)))
    life = OfficeLife(house, clock, random.Random(2), pace=timedelta(seconds=2))
    told: list[Change] = []
    life.watchers.append(told.append)
    async with going_on(life.run()):
        await clock.advance(4 * MINUTE)
    assert 80 < len(told) < 200
    assert list(life.changes) == told
    assert {change.address for change in told} <= {address for address, _, _ in noticed}
    assert {event for _, event, _ in noticed} >= {"Created", "Modified", "Deleted"}
    assert all(NOON <= change.at <= clock.now() for change in told)
    assert [change.at for change in told] == sorted(change.at for change in told)


async def test_the_same_dice_make_the_same_life() -> None:
    lives = []
    for _ in range(2):
        clock, house = FakeClock(NOON), office(10)
        life = OfficeLife(house, clock, random.Random(9))
        life.arrange()
        async with going_on(life.run()):
            await clock.advance(MINUTE)
        lives.append(
            [(change, shown(house.find(change.address) or MISSING, NOON)) for change in life.changes]
        )
    assert lives[0] == lives[1]
    assert len(lives[0]) > 30


MISSING = SimulatedMailbox("missing@example.com")


async def test_a_day_has_its_changes_most_of_them_at_work() -> None:
    start = datetime(2026, 11, 18, 17, 30, tzinfo=UTC)
    clock, house = FakeClock(start), office(10)
    life = OfficeLife(house, clock, random.Random(3))
    async with going_on(life.day_of_changes(200)) as task:
        await clock.advance(DAY - timedelta(seconds=1))
        assert not task.done()
        await clock.advance(timedelta(seconds=1))
        assert task.done()
    assert len(life.changes) == 200
    hours = [change.at.astimezone(pytz.timezone("Europe/Berlin")).hour for change in life.changes]
    assert sum(7 <= hour < 19 for hour in hours) > 160


@settings(max_examples=30)
@given(
    st.integers(0, 400 * 24 * 60), st.integers(0, 50), st.sampled_from(["Europe/Berlin", "Pacific/Auckland"])
)
def test_times_of_a_day_lie_in_it(minutes: int, count: int, zone: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC) + minutes * MINUTE
    times = times_of_a_day(random.Random(minutes), start, count, zone)
    assert len(times) == count
    assert times == sorted(times)
    assert all(start <= instant < start + DAY for instant in times)


async def test_what_is_long_over_does_not_pile_up() -> None:
    clock, house = FakeClock(NOON), office(3)
    life = OfficeLife(house, clock, random.Random(4), most=30)
    for _ in range(3000):
        await clock.advance(4 * MINUTE, turns=1)
        life.step()
    made = [one for mailbox in house.mailboxes for one in mailbox.view(NOON - DAY, clock.now() + 3 * DAY)]
    kept = [one for one in made if one.id.startswith("life")]
    assert len(kept) < 600
    assert min(one.end for one in kept) > clock.now() - 2 * DAY
