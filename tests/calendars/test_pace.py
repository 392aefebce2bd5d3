from datetime import timedelta

import pytest

from presenced.calendars.pace import CEILING, FLOOR, Pace

SECOND = timedelta(seconds=1)


def test_pauses_double_up_to_the_longest() -> None:
    pace = Pace(lambda: 0.5, first=2 * SECOND, longest=60 * SECOND)
    assert [pace.pause(n) / SECOND for n in (1, 2, 3, 4, 5, 6, 1000)] == [2, 4, 8, 16, 32, 60, 60]


def test_jitter_is_a_quarter_either_way() -> None:
    low, high = Pace(lambda: 0.0), Pace(lambda: 1.0)
    assert low.pause(3) == 3 * SECOND
    assert high.pause(3) == 5 * SECOND
    assert low.spread(8 * SECOND) == 8 * SECOND
    assert high.spread(8 * SECOND) == 10 * SECOND


@pytest.mark.parametrize(
    ("asked", "least"),
    [
        (timedelta(), FLOOR),
        (timedelta(milliseconds=5), FLOOR),
        (297749 * timedelta(milliseconds=1), timedelta(seconds=297.749)),
        (None, 4 * SECOND),
        (timedelta(days=3), CEILING),
    ],
)
def test_a_servers_wish_is_never_undercut(asked: timedelta | None, least: timedelta) -> None:
    assert Pace(lambda: 0.0).obey(asked, 4 * SECOND) == least
    assert Pace(lambda: 1.0).obey(asked, 4 * SECOND) == least * 1.25
