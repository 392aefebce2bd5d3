"""Where the delta of one mailbox's calendar stands, and what to ask next. Values only.

A round begins with a full answer for a stretch of time that is frozen in its token; from then on its link
brings what changed. The stretch wears out, so a new round begins each midnight. Between the last look at
the old round and the beginning of the new one something may change: so the old link is asked once more
when the new one stands. Source: Microsoft's "Get incremental changes to events in a calendar view".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from presenced.calendars.graph.wire import DeltaPage
from presenced.calendars.span import span_of
from presenced.core.window import Window
from presenced.core.zones import next_midnight, zone_of

SPREAD = timedelta(minutes=10)
"""new rounds begin within this time after midnight, not all at once"""
PAGES = 400
"""pages read in a row at most"""


class Outcome(StrEnum):
    """What a page meant."""

    MORE = "more"
    """ask again at once"""
    FRESH = "fresh"
    """a first round stands: whatever happened before is unknown"""
    UNCHANGED = "unchanged"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Round:
    """The stretch of time a round is about."""

    span: Window
    length: timedelta
    """of the windows it covers until it ends"""
    ends_at: datetime
    """when the next round begins"""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Links are as Graph wrote them, below the version's root."""

    round: Round | None = None
    link: str = ""
    """where the round goes on; "" until it stands"""
    page: str = ""
    """the next page of an answer that was not read to its end"""
    before: str = ""
    """the link of the round before, which must be asked once more"""
    changed: bool = False
    """an earlier page of this answer had changes"""
    pages: int = 0
    """pages since the last outcome"""


def plan_round(now: datetime, length: timedelta, zone: str, phase: float) -> Round:
    """A round that begins now: until midnight it covers every window of this length.

    `phase` in [0, 1) says when within `SPREAD` after midnight the next round begins.
    """
    ends_at = next_midnight(now, zone_of(zone)) + phase * SPREAD
    return Round(span_of(Window(now, ends_at + length)), length, ends_at)


def know_zone(cursor: Cursor, now: datetime, zone: str, phase: float) -> Cursor:
    """The zone of the presence turned out to be this: the round ends at its midnight if that comes first."""
    if cursor.round is None:
        return cursor
    ends_at = min(cursor.round.ends_at, plan_round(now, cursor.round.length, zone, phase).ends_at)
    return replace(cursor, round=replace(cursor.round, ends_at=ends_at))


def is_worn(cursor: Cursor, now: datetime, length: timedelta) -> bool:
    """Whether it is time for a new round (not in the middle of an answer)."""
    if cursor.page:
        return False
    if cursor.round is None or not cursor.link:
        return True
    return not cursor.before and (now >= cursor.round.ends_at or length > cursor.round.length)


def begin(cursor: Cursor, round_: Round) -> Cursor:
    """A new round; the old one is remembered until the new one stands."""
    return Cursor(round_, before=cursor.link or cursor.before)


def next_path(cursor: Cursor) -> str:
    """Where the next page is; "" where the round has to be asked for from its beginning."""
    return cursor.page or (cursor.before if cursor.link and cursor.before else cursor.link)


def turn_page(cursor: Cursor, page: DeltaPage) -> tuple[Cursor, Outcome]:
    """What a page means, and where it goes on. Its links are below the version's root."""
    standing = bool(cursor.link)
    changed = cursor.changed or (standing and page.changes > 0)
    if page.next_link:
        further = replace(cursor, page=page.next_link, changed=changed, pages=cursor.pages + 1)
        return further, Outcome.MORE
    if not standing:
        settled = Cursor(cursor.round, link=page.delta_link, before=cursor.before)
        return settled, Outcome.MORE if cursor.before else Outcome.FRESH
    link = cursor.link if cursor.before else page.delta_link
    return Cursor(cursor.round, link), Outcome.CHANGED if changed else Outcome.UNCHANGED


def lose_token(cursor: Cursor) -> tuple[Cursor, Outcome]:
    """Graph no longer knows a token (410): what it would have told is unknown."""
    if cursor.link and cursor.before:
        return Cursor(cursor.round, cursor.link), Outcome.CHANGED
    return Cursor(), Outcome.MORE
