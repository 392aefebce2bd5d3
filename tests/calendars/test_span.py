"""Asked wide enough: no all-day appointment of the window is missed, wherever it was made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytz
from hypothesis import given
from hypothesis import strategies as st

from presenced.calendars.span import FARTHEST, span_of
from presenced.core.window import Window
from presenced.core.zones import first_instant, zone_of

zones = st.sampled_from(pytz.common_timezones)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
hours = st.integers(1, 96)


@given(moments, hours, st.integers(-6, 6), st.integers(1, 3), zones, zones)
def test_what_overlaps_here_is_asked_for(
    now: datetime, length: int, distance: int, days: int, ours: str, theirs: str
) -> None:
    window = Window(now, now + timedelta(hours=length))
    first = now.date() + timedelta(days=distance)
    dates = first, first + timedelta(days=days)
    here = [first_instant(day, zone_of(ours)) for day in dates]
    made = [first_instant(day, zone_of(theirs)) for day in dates]
    if window.overlaps(*here):
        assert span_of(window, ours).overlaps(*made)
        assert span_of(window).overlaps(*made)


@given(moments, hours, zones)
def test_whole_seconds_and_no_wider_than_need_be(now: datetime, length: int, ours: str) -> None:
    window = Window(now, now + timedelta(hours=length))
    span = span_of(window, ours)
    wider = (span.end - span.start) - (window.end - window.start)
    assert FARTHEST <= wider <= FARTHEST + timedelta(hours=25), "a zone may skip a day"
    assert (span.start.microsecond, span.end.microsecond) == (0, 0)


def test_berlin_in_winter() -> None:
    now = datetime(2026, 11, 16, 8, tzinfo=UTC)
    span = span_of(Window(now, now + timedelta(hours=48)), "Europe/Berlin")
    assert (now - span.start, span.end - now - timedelta(hours=48)) == (
        timedelta(hours=13),
        timedelta(hours=13),
    )
