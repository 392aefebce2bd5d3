from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.calendars.graph.renewal import LONGEST, Lease, is_over, renew_at, wish

NOW = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)


@given(minutes=st.integers(1, 10_080), chance=st.floats(0, 0.999))
@settings(max_examples=100)
def test_a_lease_is_renewed_at_about_two_thirds_of_its_life(minutes: int, chance: float) -> None:
    lease = Lease("S", NOW, NOW + timedelta(minutes=minutes))
    due = renew_at(lease, chance)
    life = lease.expires_at - NOW
    assert life * 0.59 <= due - NOW <= life * 0.67
    assert not is_over(lease, due)
    assert is_over(lease, lease.expires_at)


def test_less_than_the_longest_life_is_asked_for() -> None:
    assert timedelta(days=6, hours=23) < wish(NOW) - NOW < LONGEST


def test_a_lease_that_has_ended_already_is_renewed_at_once() -> None:
    assert renew_at(Lease("S", NOW, NOW - timedelta(hours=1))) == NOW
