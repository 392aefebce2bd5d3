"""The picture of two days: what was on record, what will be decided, what nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.core.appointment import Appointment, ShowAs
from presenced.core.ports import Write
from presenced.core.presence import CLEARED, Presence
from presenced.core.window import Window
from presenced.core.zones import zone_of
from presenced.daemon.web.picture import WIDTH, picture
from presenced.daemon.web.showing import show_for
from presenced.daemon.web.timeline import LANES, Day, Subject, two_days
from tests.core.appointments import admitted, all_day, at, mapping, timed

NOW = at("10:00")
WINDOW = Window(NOW, NOW + timedelta(hours=48))


def subject(
    *appointments: Appointment, window: Window | None = WINDOW, titles: bool = True, zone: str = "UTC"
) -> Subject:
    rules = mapping(timezone=zone)
    return Subject(appointments, rules, window, None, lambda one: show_for(one, rules, titles=titles), titles)


def told(day: Day) -> list[tuple[str, str, str]]:
    """When, what and how it is known, of each stretch."""
    return [
        (
            f"{stretch.start:%H:%M}",
            stretch.shown.title if stretch.shown else "?",
            "written" if stretch.written else "ahead" if stretch.shown else "",
        )
        for stretch in day.stretches
    ]


def write(when: str, presence: Presence, error: str = "") -> Write:
    return Write("guid", at(when), presence, "change", "only", error)


BUSY = Presence("busy", "Old until 09:30 #busy #len:3:3 #until:1")


def test_behind_from_the_record_ahead_from_deciding() -> None:
    writes = [write("09:30", Presence("", "Free")), write("09:10", BUSY, "refused"), write("09:00", BUSY)]
    today, tomorrow = two_days(subject(*admitted(timed("a", "12:00", "13:00"))), writes, NOW)
    assert told(today) == [
        ("00:00", "?", ""),
        ("09:00", "Old", "written"),
        ("09:30", "Free", "written"),
        ("10:00", "Free", "ahead"),
        ("12:00", "A", "ahead"),
        ("13:00", "Free", "ahead"),
    ]
    assert told(tomorrow) == [("00:00", "Free", "ahead")]


def test_a_write_of_yesterday_counts_from_midnight_on() -> None:
    write_before = Write("guid", at("20:00", -1), BUSY, "change", "only")
    today, _ = two_days(subject(), [write_before], NOW)
    assert told(today)[0] == ("00:00", "Old", "written")


def test_what_no_window_covers_is_not_known() -> None:
    today, tomorrow = two_days(subject(window=None), [write("08:00", CLEARED)], NOW)
    assert told(today) == [
        ("00:00", "?", ""),
        ("08:00", "No calendar presence", "written"),
        ("10:00", "?", ""),
    ]
    assert told(tomorrow) == [("00:00", "?", "")]
    short = Window(NOW, NOW + timedelta(hours=25))
    assert told(two_days(subject(window=short), [], NOW)[1]) == [
        ("00:00", "Free", "ahead"),
        ("11:00", "?", ""),
    ]


def test_bars_lie_above_each_other_only_where_they_overlap() -> None:
    appointments = admitted(
        timed("a", "11:00", "13:00"),
        timed("b", "12:00", "14:00"),
        timed("c", "13:00", "15:00"),
        all_day("d", 0, 1),
    )
    today, tomorrow = two_days(subject(*appointments), [], NOW)
    assert {bar.title: bar.lane for bar in today.bars} == {"D": 0, "A": 1, "B": 2, "C": 1}
    assert tomorrow.bars == ()


def test_many_at_once_are_counted() -> None:
    appointments = admitted(*(timed(f"a{number:02}", "11:00", "13:00") for number in range(20)))
    today, _ = two_days(subject(*appointments), [], NOW)
    assert len(today.bars) == LANES
    assert today.hidden == 20 - LANES


@pytest.mark.parametrize(("titles", "title"), [(True, "SECRET"), (False, "Private")])
def test_titles_only_where_they_may_be_shown(titles: bool, title: str) -> None:
    appointments = [
        timed("secret", "11:00", "13:00"),
        timed("s2", "9:00", "13:00", subject="SECRET", show_as=ShowAs.FREE),
    ]
    today, _ = two_days(subject(*appointments, titles=titles), [], NOW)
    assert {bar.title for bar in today.bars} == {title}


@pytest.mark.parametrize(("day", "hours"), [(25, 25), (24, 24)])
def test_days_are_as_long_as_they_are(day: int, hours: int) -> None:
    now = datetime(2026, 10, day, 12, tzinfo=UTC)
    today, _ = two_days(subject(zone="Europe/Berlin"), [], now)
    drawn = picture(today, zone_of("Europe/Berlin"), now, "Today")
    assert len(drawn.ticks) == hours + 1
    assert drawn.now_x is not None
    assert drawn.ticks[-1].x == WIDTH


@given(
    st.lists(
        st.tuples(st.integers(-60, 3000), st.integers(0, 2000), st.sampled_from(list(ShowAs))), max_size=8
    ),
    st.lists(st.integers(-2000, 599), max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_two_days_are_covered_without_gap_or_overlap(
    raw: list[tuple[int, int, ShowAs]], written: list[int]
) -> None:
    minute = timedelta(minutes=1)
    appointments = [
        Appointment(str(number), NOW + start * minute, NOW + (start + length) * minute, show_as)
        for number, (start, length, show_as) in enumerate(raw)
    ]
    writes = [
        Write("guid", at("00:00") + when * minute, BUSY, "change", "only")
        for when in sorted(written, reverse=True)
    ]
    for day in two_days(subject(*appointments), writes, NOW):
        assert [day.start, *(stretch.end for stretch in day.stretches)] == [
            *(stretch.start for stretch in day.stretches),
            day.end,
        ]
        drawn = picture(day, zone_of("UTC"), NOW, "")
        assert all(0 <= box.x <= WIDTH and box.width > 0 for box in (*drawn.band, *drawn.bars))
