"""The all-day matrix: whoever made the appointment wherever, its dates come back."""

from datetime import UTC, date, datetime, timedelta

import pytest
import pytz

from presenced.calendars.ews.dates import as_utc_midnights, find_dates

ZONES = [
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Australia/Adelaide",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Honolulu",
    "Pacific/Pago_Pago",
    "Antarctica/Troll",
    "Etc/GMT+12",
]
DAYS = {
    "winter": (date(2026, 1, 14), 1),
    "summer": (date(2026, 7, 14), 1),
    "European spring change": (date(2026, 3, 29), 1),
    "European autumn change": (date(2026, 10, 25), 1),
    "American spring change": (date(2026, 3, 8), 1),
    "American autumn change": (date(2026, 11, 1), 1),
    "southern changes": (date(2026, 4, 5), 1),
    "southern spring": (date(2026, 9, 27), 1),
    "Chilean midnight change": (date(2026, 9, 6), 1),
    "Egyptian midnight change": (date(2026, 4, 24), 1),
    "Lebanese midnight change": (date(2026, 3, 29), 2),
    "a week over a change": (date(2026, 3, 26), 7),
    "a fortnight over autumn": (date(2026, 10, 20), 14),
    "two days": (date(2026, 12, 24), 2),
}
OFFSET_MISSES = {"Pacific/Kiritimati", "Pacific/Pago_Pago", "Etc/GMT+12"}
"""where a bare offset stands for another, far more populous one a day away"""


def midnight(day: date, zone: str) -> datetime:
    """The first instant of a local day, as Exchange stores it."""
    place = pytz.timezone(zone)
    naive = datetime(day.year, day.month, day.day)  # noqa: DTZ001
    try:
        local = place.localize(naive, is_dst=None)
    except pytz.NonExistentTimeError:
        local = place.normalize(place.localize(naive, is_dst=False))
    except pytz.AmbiguousTimeError:
        local = place.localize(naive, is_dst=True)
    return local.astimezone(UTC)


def instants(day: date, length: int, zone: str) -> tuple[datetime, datetime]:
    return midnight(day, zone), midnight(day + timedelta(days=length), zone)


@pytest.mark.parametrize("days", DAYS.values(), ids=DAYS)
@pytest.mark.parametrize("presence", ["Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland"])
@pytest.mark.parametrize("maker", ZONES)
def test_with_its_own_zone_the_dates_come_back(maker: str, presence: str, days: tuple[date, int]) -> None:
    day, length = days
    zones = [pytz.timezone(maker), pytz.timezone(presence)]
    assert find_dates(*instants(day, length, maker), zones) == (day, day + timedelta(days=length))


@pytest.mark.parametrize("days", DAYS.values(), ids=DAYS)
@pytest.mark.parametrize("maker", ZONES)
def test_without_a_zone_one_of_the_presence_zone_needs_none(maker: str, days: tuple[date, int]) -> None:
    day, length = days
    zones = [pytz.timezone(maker)]
    assert find_dates(*instants(day, length, maker), zones) == (day, day + timedelta(days=length))


@pytest.mark.parametrize("days", DAYS.values(), ids=DAYS)
@pytest.mark.parametrize("maker", [zone for zone in ZONES if zone not in OFFSET_MISSES])
def test_without_a_zone_the_offset_tells(maker: str, days: tuple[date, int]) -> None:
    """Made elsewhere, no zone given: the presence zone's midnights don't fit, the offset does."""
    day, length = days
    start, end = instants(day, length, maker)
    presence = pytz.timezone("Asia/Yangon")  # +06:30, nobody else's midnight in the table
    assert find_dates(start, end, [presence]) == (day, day + timedelta(days=length))


@pytest.mark.parametrize("days", DAYS.values(), ids=DAYS)
@pytest.mark.parametrize("maker", ZONES)
def test_a_wrong_zone_of_its_own_is_not_believed(maker: str, days: tuple[date, int]) -> None:
    """The item names a zone in which the instants are no midnights: the presence zone is tried next."""
    day, length = days
    wrong = pytz.timezone("Asia/Yangon")
    zones = [wrong, pytz.timezone(maker)]
    assert find_dates(*instants(day, length, maker), zones) == (day, day + timedelta(days=length))


@pytest.mark.parametrize(
    ("start", "end", "dates"),
    [
        pytest.param("2026-11-15T23:00Z", "2026-11-16T22:59Z", ("2026-11-16", "2026-11-17"), id="ends 23:59"),
        pytest.param("2026-11-15T23:00Z", "2026-11-15T23:00Z", ("2026-11-16", "2026-11-16"), id="empty"),
        pytest.param(
            "2026-11-15T23:07Z", "2026-11-16T23:07Z", ("2026-11-16", "2026-11-17"), id="odd minutes"
        ),
        pytest.param(
            "2026-11-16T08:01Z", "2026-11-16T09:00Z", ("2026-11-16", "2026-11-17"), id="no day at all"
        ),
        pytest.param(
            "2026-11-15T23:00:00.5Z", "2026-11-16T23:00Z", ("2026-11-16", "2026-11-17"), id="fraction"
        ),
    ],
)
def test_instants_that_are_no_midnights_are_rounded(start: str, end: str, dates: tuple[str, str]) -> None:
    zones = [pytz.timezone("Europe/Berlin")]
    first, last = find_dates(datetime.fromisoformat(start), datetime.fromisoformat(end), zones)
    assert (first.isoformat(), last.isoformat()) == dates


def test_without_any_zone_the_offset_still_tells() -> None:
    start, end = instants(date(2026, 11, 16), 1, "Europe/Berlin")
    assert find_dates(start, end, []) == (date(2026, 11, 16), date(2026, 11, 17))


def test_raw_all_day_appointments_stand_at_utc_midnights() -> None:
    assert as_utc_midnights((date(2026, 12, 25), date(2026, 12, 27))) == (
        datetime(2026, 12, 25, tzinfo=UTC),
        datetime(2026, 12, 27, tzinfo=UTC),
    )
