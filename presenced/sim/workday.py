"""What stands on one page of a simulated office calendar.

Every appointment of a page starts within the page's day and ends by the end of the next one, so that a reader
of a window turns back one page and no more. Absences of several days are not on pages: see sim.generator.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from itertools import accumulate

from presenced.sim.page import Habits, Page, Team, colleague, series_uid, team_of
from presenced.sim.people import GIVEN
from presenced.sim.titles import ODD

LENGTHS = (15, 30, 30, 30, 45, 60, 60, 60, 90, 120)
ROOMS = ("", "", "", "Raum Ägypten", "Room 2.17", "https://meet.example.com/j/8157#7", "Küche, 1. OG")
# an all-day appointment made in another zone: one made in the east is of the page's next date
_ABROAD = (("America/New_York", 0), ("America/Los_Angeles", 0), ("Asia/Tokyo", 1), ("Pacific/Auckland", 1))


def write_page(page: Page, habits: Habits, *, away: bool) -> None:
    """Everything of one day; `away` leaves only what runs on without its owner."""
    owner = page.owner
    day = date.fromordinal(page.ordinal)
    holiday = next(
        (name for month, of, name in owner.titles.holidays if (month, of) == (day.month, day.day)), ""
    )
    weekday = day.weekday()
    if holiday:
        page.whole(1, holiday, show_as="OOF")
    elif weekday >= 5:
        _weekend(page)
    else:
        _series(page, habits, weekday)
        if not away and weekday != habits.off_day:
            _whole_day(page, habits, weekday)
            _ordinary_day(page, habits)


def _series(page: Page, habits: Habits, weekday: int) -> None:
    """Stand-up, weekly and one-to-one."""
    owner = page.owner
    team = team_of(owner.team_key, owner.domain)
    if weekday in team.stand_up_days:
        _stand_up(page, team)
    if weekday == team.weekly_day:
        subject = f"{owner.titles.weekly} {team.name}"
        page.timed(
            team.weekly,
            60,
            subject,
            team.lead,
            uid=series_uid(team.key, 2),
            item_type="Occurrence",
            location=ROOMS[3],
        )
    if weekday == habits.one_to_one_day:
        subject = owner.titles.one_to_one.replace("{name}", habits.partner[0].partition(" ")[0])
        page.timed(
            habits.one_to_one,
            30,
            subject,
            habits.partner,
            uid=series_uid(owner.key, 3),
            item_type="Occurrence",
        )


def _stand_up(page: Page, team: Team) -> None:
    """What befalls a team's series befalls it for the whole team."""
    titles = page.owner.titles
    subject, uid = f"{titles.stand_up} {team.name}", series_uid(team.key, 1)
    fate = (page.ordinal * 31 + team.key) % 41
    if fate == 0:
        subject = titles.cancelled + subject
        page.timed(
            team.stand_up,
            15,
            subject,
            team.lead,
            uid=uid,
            cancelled=True,
            show_as="Free",
            item_type="Exception",
        )
    elif fate == 1:
        page.timed(team.stand_up + 30, 30, subject, team.lead, uid=uid, item_type="Exception")
    else:
        page.timed(team.stand_up, 15, subject, team.lead, uid=uid, item_type="Occurrence")


def _whole_day(page: Page, habits: Habits, weekday: int) -> None:
    titles, draw = page.owner.titles, page.throw.random()
    if weekday in habits.home_days and draw < 0.8:
        page.whole(1, titles.home_office, show_as="WorkingElsewhere")
    elif draw > 0.97:
        page.whole(1, titles.birthday.replace("{name}", page.throw.choice(GIVEN)), show_as="Free")
    elif draw > 0.955:
        page.whole(1, titles.trip, show_as="OOF")
    elif draw > 0.945:
        zone, later = page.throw.choice(_ABROAD)
        page.whole(1, page.throw.choice(titles.visits), _somebody(page), later, zone=zone)
    elif draw > 0.935:
        page.whole(
            1,
            page.throw.choice(titles.invitations),
            _somebody(page),
            show_as="Tentative",
            my_response="NoResponseReceived",
        )


def _ordinary_day(page: Page, habits: Habits) -> None:
    throw = page.throw
    if throw.random() < 0.7:
        page.timed(habits.lunch, 45, page.owner.titles.lunch, show_as="Free")
    for write in throw.choices(_WRITERS, cum_weights=_WEIGHTS, k=throw.randint(0, habits.busy)):
        write(page, 480 + 15 * throw.randrange(38), throw.choice(LENGTHS))
    if throw.random() < 0.01:
        page.timed(22 * 60, 240, page.owner.titles.night, show_as="WorkingElsewhere")


def _weekend(page: Page) -> None:
    titles, draw = page.owner.titles, page.throw.random()
    if draw < 0.06:
        page.timed(
            600 + 30 * page.throw.randrange(16), 90, page.throw.choice(titles.private), sensitivity="Private"
        )
    elif draw < 0.09:
        page.whole(1, titles.on_call, show_as="WorkingElsewhere")
    elif draw < 0.1:
        page.whole(1, titles.birthday.replace("{name}", page.throw.choice(GIVEN)), show_as="Free")


def _somebody(page: Page) -> tuple[str, str]:
    return colleague(page.throw, page.owner.domain)


def _meeting(page: Page, minute: int, length: int) -> None:
    by = _somebody(page) if page.throw.random() < 0.6 else None
    subject = page.throw.choice(page.owner.titles.meetings)
    page.timed(minute, length, subject, by, location=page.throw.choice(ROOMS))


def _review(page: Page, minute: int, length: int) -> None:
    page.timed(minute, max(length, 60), page.throw.choice(page.owner.titles.reviews), _somebody(page))


def _invitation(page: Page, minute: int, length: int) -> None:
    answer = page.throw.choice(("NoResponseReceived", "Tentative"))
    subject = page.throw.choice(page.owner.titles.invitations)
    page.timed(minute, length, subject, _somebody(page), show_as="Tentative", my_response=answer)


def _private(page: Page, minute: int, length: int) -> None:
    sensitivity = page.throw.choice(("Private", "Private", "Personal", "Confidential"))
    show_as = page.throw.choice(("Busy", "OOF"))
    page.timed(
        minute, length, page.throw.choice(page.owner.titles.private), sensitivity=sensitivity, show_as=show_as
    )


def _focus(page: Page, minute: int, length: int) -> None:
    page.timed(minute, length, page.throw.choice(page.owner.titles.focus))


def _visit(page: Page, minute: int, length: int) -> None:
    page.timed(minute, 120 + length, page.throw.choice(page.owner.titles.visits), show_as="OOF")


def _declined(page: Page, minute: int, length: int) -> None:
    show_as = page.throw.choice(("Free", "Busy"))
    subject = page.throw.choice(page.owner.titles.meetings)
    page.timed(minute, length, subject, _somebody(page), show_as=show_as, my_response="Decline")


def _cancelled(page: Page, minute: int, length: int) -> None:
    subject = page.owner.titles.cancelled + page.throw.choice(page.owner.titles.meetings)
    show_as = page.throw.choice(("Free", "Busy"))
    page.timed(minute, length, subject, _somebody(page), show_as=show_as, cancelled=True)


def _elsewhere(page: Page, minute: int, length: int) -> None:
    page.timed(minute, 60 + length, page.owner.titles.home_office, show_as="WorkingElsewhere")


def _odd(page: Page, minute: int, length: int) -> None:
    page.timed(minute, length, page.throw.choice(ODD), _somebody(page))


def _reminder(page: Page, minute: int, length: int) -> None:
    page.timed(minute, 0, page.owner.titles.reminder, show_as="Busy" if length > 30 else "Free")


def _no_data(page: Page, minute: int, length: int) -> None:
    page.timed(
        minute, length, page.throw.choice(page.owner.titles.meetings), show_as="NoData", my_response="Unknown"
    )


_KINDS: tuple[tuple[int, Callable[[Page, int, int], None]], ...] = (
    (42, _meeting),
    (8, _review),
    (12, _invitation),
    (9, _private),
    (8, _focus),
    (6, _visit),
    (4, _declined),
    (3, _cancelled),
    (3, _elsewhere),
    (3, _odd),
    (1, _reminder),
    (1, _no_data),
)
_WRITERS = tuple(write for _, write in _KINDS)
_WEIGHTS = tuple(accumulate(weight for weight, _ in _KINDS))
