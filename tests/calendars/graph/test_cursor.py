from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.calendars.graph.cursor import (
    Cursor,
    Outcome,
    begin,
    is_worn,
    lose_token,
    next_path,
    plan_round,
    turn_page,
)
from presenced.calendars.graph.wire import DeltaPage
from presenced.core.window import Window

NOW = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
TWO_DAYS = timedelta(hours=48)


@pytest.mark.parametrize(
    ("zone", "phase", "ends"),
    [
        ("UTC", 0.0, datetime(2026, 11, 17, 0, 0, tzinfo=UTC)),
        ("UTC", 0.5, datetime(2026, 11, 17, 0, 5, tzinfo=UTC)),
        ("Europe/Berlin", 0.0, datetime(2026, 11, 16, 23, 0, tzinfo=UTC)),
        ("Pacific/Auckland", 0.0, datetime(2026, 11, 16, 11, 0, tzinfo=UTC)),
    ],
)
def test_a_round_ends_after_its_zones_midnight(zone: str, phase: float, ends: datetime) -> None:
    assert plan_round(NOW, TWO_DAYS, zone, phase).ends_at == ends


@given(
    hours=st.integers(25, 168),
    seconds=st.integers(0, 86_400),
    later=st.integers(0, 86_400),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati"]),
    phase=st.floats(0, 0.99),
)
@settings(max_examples=60)
def test_until_it_is_worn_a_round_covers_every_window(
    hours: int, seconds: int, later: int, zone: str, phase: float
) -> None:
    begun, length = NOW + timedelta(seconds=seconds), timedelta(hours=hours)
    cursor = Cursor(plan_round(begun, length, zone, phase), link="/x")
    assert cursor.round is not None
    at = begun + timedelta(seconds=later)
    window = Window(at, at + length)
    if not is_worn(cursor, at, length):
        assert cursor.round.span.start <= window.start
        assert cursor.round.span.end >= window.end
    assert is_worn(cursor, at, length + timedelta(seconds=1))


@dataclass
class Feed:
    """A calendar whose changes are numbered, and Graph's links into them."""

    version: int = 0
    pages: int = 1
    lost: set[str] = field(default_factory=set)

    def answer(self, path: str) -> DeltaPage | None:
        """A path is `` (from the beginning), `since N` or `since N to M page K of P`."""
        if path in self.lost:
            self.lost.discard(path)  # tokens made later may look alike
            return None
        words = path.split()
        since = int(words[1]) if words else -1
        to, page, pages = map(int, words[3::2]) if len(words) > 2 else (self.version, 0, self.pages)
        count = to - max(since, 0) if page == pages // 2 else 0
        if page < pages - 1:
            return DeltaPage(count, next_link=f"since {since} to {to} page {page + 1} of {pages}")
        return DeltaPage(count, delta_link=f"since {to}")


@given(
    steps=st.lists(
        st.sampled_from(["ask", "ask", "ask", "change", "midnight", "lose", "paged", "fail"]), max_size=60
    )
)
@settings(max_examples=200)
def test_no_change_is_ever_missed(steps: list[str]) -> None:
    """Whatever happens between the questions, what changed is told, or everything is unknown."""
    feed, cursor, now = Feed(), Cursor(), NOW
    known = -1
    """the version the daemon has read"""
    for step in [*steps, "ask", *["ask"] * 30]:
        if step == "change":
            feed.version += 1
        elif step == "midnight":
            now += timedelta(days=1)
        elif step == "lose":
            feed.lost |= {cursor.link, cursor.page, cursor.before} - {""}
        elif step == "paged":
            feed.pages = 3 if feed.pages == 1 else 1
        else:
            if is_worn(cursor, now, TWO_DAYS):
                cursor = begin(cursor, plan_round(now, TWO_DAYS, "UTC", 0.0))
            page = feed.answer(next_path(cursor))
            if step == "fail":
                continue
            cursor, outcome = lose_token(cursor) if page is None else turn_page(cursor, page)
            if outcome in {Outcome.FRESH, Outcome.CHANGED}:
                known = feed.version  # the window is read after it was told
    assert known == feed.version


def test_a_quiet_calendar_is_never_told_to_have_changed() -> None:
    feed, cursor, now = Feed(version=5), Cursor(), NOW
    outcomes = []
    for _ in range(30):
        now += timedelta(hours=6)
        if is_worn(cursor, now, TWO_DAYS):
            cursor = begin(cursor, plan_round(now, TWO_DAYS, "UTC", 0.0))
        page = feed.answer(next_path(cursor))
        assert page is not None
        cursor, outcome = turn_page(cursor, page)
        outcomes.append(outcome)
    assert outcomes.count(Outcome.FRESH) == 1
    assert Outcome.CHANGED not in outcomes
