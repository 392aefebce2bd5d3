"""What the PBX should show, worked out from the calendars themselves: no door, no store, no history."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from presenced.core.admission import Admission, admit
from presenced.core.appointment import Appointment, Response, Sensitivity, ShowAs
from presenced.core.decision import decide
from presenced.core.mapping import Mapping, MappingTable
from presenced.core.note import NoteStyle
from presenced.core.presence import Presence
from presenced.core.window import Window
from presenced.sim.exchange.organisation import Item, SimulatedMailbox

_MARGIN = timedelta(hours=26)
_SHOW_AS = {
    "Free": ShowAs.FREE,
    "Tentative": ShowAs.TENTATIVE,
    "Busy": ShowAs.BUSY,
    "OOF": ShowAs.OOF,
    "WorkingElsewhere": ShowAs.WORKING_ELSEWHERE,
    "NoData": ShowAs.NO_DATA,
}
_RESPONSE = {
    "Unknown": Response.UNKNOWN,
    "Organizer": Response.ORGANIZER,
    "Tentative": Response.TENTATIVE,
    "Accept": Response.ACCEPTED,
    "Decline": Response.DECLINED,
    "NoResponseReceived": Response.NOT_RECEIVED,
}


def presence_of(mailbox: SimulatedMailbox, window: Window, now: datetime, zone: str) -> Presence:
    """The presence of the mailbox's owner at `now`, as far as `window` lets one see."""
    items = mailbox.view(window.start - _MARGIN, window.end + _MARGIN)
    admitted = admit(_appointments(items), window, Admission(zone))
    return decide(admitted, Mapping(MappingTable(), NoteStyle("en", zone)), now).presence


def _appointments(items: Iterable[Item]) -> Iterable[Appointment]:
    for item in items:
        start, end = item.start, item.end
        if item.all_day:
            start, end = _dates(item, start), _dates(item, end)
        yield Appointment(
            item.id,
            start,
            end,
            _SHOW_AS[item.show_as],
            item.subject,
            all_day=item.all_day,
            sensitivity=Sensitivity(item.sensitivity.lower()),
            cancelled=item.cancelled,
            response=_RESPONSE[item.my_response],
        )


def _dates(item: Item, instant: datetime) -> datetime:
    """The date on which it stands in the zone it was made in, as a UTC midnight."""
    return datetime.combine(instant.astimezone(ZoneInfo(item.zone)).date(), time(), UTC)
