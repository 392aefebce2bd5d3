"""What other settings would make of everybody's presence now, before anything is saved.

The appointments kept are decided over with the new mapping beside the one in force, by the very `decide`
that the daemon uses. What only a new read could tell (titles that were not kept, organizers that were not
asked for) is said with the difference. The work is done in slices, the loop goes on between them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from presenced.config.rules import admission_of, mapping_of
from presenced.config.settings import Settings, SyncType, UserSettings
from presenced.core.admission import Admission
from presenced.core.appointment import Appointment, ShowAs
from presenced.core.decision import decide
from presenced.core.mapping import Mapping
from presenced.core.presence import Presence
from presenced.core.zones import first_instant, zone_of
from presenced.daemon.keeper import Keeper
from presenced.daemon.slices import in_slices

MOST_SHOWN = 300
"""differences listed; the rest is counted"""
_SLICE = 50
"""users compared between two turns of the loop: a few milliseconds"""

SWITCHED_OFF = "would have no calendar presence any more"
SWITCHED_ON = "would be looked up and read first"
READ_AGAIN = "the calendar would be read again, and may say more"


@dataclass(frozen=True, slots=True)
class Difference:
    """One user whose presence would be another."""

    keeper: Keeper
    before: Presence | None
    after: Presence | None
    mapping: Mapping
    """the one tried"""
    titles: bool
    """whether the new presence may show titles"""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a dry run."""

    users: int
    different: int
    listed: Sequence[Difference]
    to_read: int
    """users whose calendars would be read again"""


@dataclass(frozen=True, slots=True)
class _Rules:
    mapping: Mapping
    admission: Admission


async def compare(keepers: Collection[Keeper], settings: Settings, now: datetime) -> Outcome:
    """Everybody's presence now, with the settings in force and with these."""
    rules: dict[UserSettings, _Rules] = {}
    listed: list[Difference] = []
    different = to_read = 0
    by_name = sorted(keepers, key=lambda keeper: (keeper.user.sip, keeper.user.guid))
    async for keeper in in_slices(by_name, _SLICE):
        own = settings.for_user(keeper.user.addresses)
        if own not in rules:
            rules[own] = _Rules(mapping_of(own, settings.presence), admission_of(own, settings.presence))
        sync = own.sync and settings.exchange.sync_type is not SyncType.DISABLED
        difference, reads = foresee(keeper, rules[own].mapping, rules[own].admission, now, sync=sync)
        to_read += reads
        if difference is not None:
            different += 1
            if len(listed) < MOST_SHOWN:
                listed.append(difference)
    return Outcome(len(keepers), different, listed, to_read)


def foresee(
    keeper: Keeper, mapping: Mapping, admission: Admission, now: datetime, *, sync: bool
) -> tuple[Difference | None, bool]:
    """How this user's presence would differ, and whether his calendar would be read again."""
    titles = admission.subject_shown
    if not keeper.sync:
        switched_on = Difference(keeper, None, None, mapping, titles, SWITCHED_ON)
        return (switched_on, True) if sync else (None, False)
    if keeper.window is None or now >= keeper.window.end:
        return None, False
    before = decide(keeper.appointments, keeper.mapping, now).presence
    if not sync:
        return Difference(keeper, before, None, mapping, titles, SWITCHED_OFF), False
    appointments, exact = readmitted(keeper.appointments, keeper.admission, admission)
    asks_more = mapping.asks_more_than(keeper.mapping)
    if asks_more:
        exact = exact and not any(one.show_as is ShowAs.TENTATIVE for one in appointments)
    after = decide(appointments, mapping, now).presence
    reads = admission != keeper.admission or asks_more
    if after == before and exact:
        return None, reads
    if after == before:
        return None, True
    return Difference(keeper, before, after, mapping, titles, "" if exact else READ_AGAIN), reads


def readmitted(
    appointments: Sequence[Appointment], old: Admission, new: Admission
) -> tuple[tuple[Appointment, ...], bool]:
    """Kept appointments as the new settings would have admitted them, and whether that is the whole truth."""
    if old == new:
        return tuple(appointments), True
    exact = not (new.subject_shown and not old.subject_shown)
    changed: list[Appointment] = []
    for appointment in appointments:
        one = appointment
        if new.priority != old.priority:
            if one.subject is None:
                exact = False
            else:
                one = one._replace(prioritized=new.priority.prioritize(one.subject))
        if not new.subject_shown:
            one = one._replace(subject=None)
        if one.all_day and new.timezone != old.timezone:
            one = _anchored_anew(one, old.timezone, new.timezone)
        changed.append(one)
    return tuple(changed), exact


def _anchored_anew(appointment: Appointment, old: str, new: str) -> Appointment:
    """The same dates in another zone."""
    dates = (instant.astimezone(zone_of(old)).date() for instant in (appointment.start, appointment.end))
    start, end = (first_instant(day, zone_of(new)) for day in dates)
    return appointment._replace(start=start, end=end)
