"""An item of a mailbox as Graph's resource `event`.

Source: Microsoft Graph reference, "event resource type" and "dateTimeTimeZone resource type". All-day events
are midnight to midnight in whatever zone is asked for: their dates are what counts.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from presenced.sim.exchange.organisation import Item, SimulatedMailbox
from presenced.sim.exchange.zones import find_zone, windows_name
from presenced.sim.graph.problems import bad_request

PROPERTIES = frozenset(
    {
        "id",
        "changeKey",
        "iCalUId",
        "isAllDay",
        "isCancelled",
        "location",
        "organizer",
        "originalStartTimeZone",
        "responseStatus",
        "sensitivity",
        "showAs",
        "start",
        "end",
        "subject",
        "type",
    }
)
_SHOW_AS = {
    "Free": "free",
    "Tentative": "tentative",
    "Busy": "busy",
    "OOF": "oof",
    "WorkingElsewhere": "workingElsewhere",
    "NoData": "unknown",
}
_RESPONSES = {
    "Unknown": "none",
    "Organizer": "organizer",
    "Tentative": "tentativelyAccepted",
    "Accept": "accepted",
    "Decline": "declined",
    "NoResponseReceived": "notResponded",
}
_TYPES = {"Single": "singleInstance", "Occurrence": "occurrence", "Exception": "exception"}
_NEVER = "0001-01-01T00:00:00Z"


def read_zone(name: str) -> ZoneInfo:
    """The zone of `Prefer: outlook.timezone`, by its Windows or IANA name."""
    zone = find_zone(name)
    if zone is None:
        raise bad_request(f"The time zone '{name}' is not supported.", "TimeZoneNotSupportedException")
    return zone


def id_of(mailbox: SimulatedMailbox, item: Item, *, immutable: bool) -> str:
    """The id clients see; an immutable one is another."""
    return f"{'AAkALgAAAAAAHYQ' if immutable else 'AAMkAGI2TG93AAA'}-{mailbox.address.casefold()}-{item.id}"


def key_of(mailbox: SimulatedMailbox, shown: str) -> str:
    """The id of the item behind an id that was shown."""
    _, _, key = shown.partition(f"-{mailbox.address.casefold()}-")
    return key


def show(
    mailbox: SimulatedMailbox,
    item: Item,
    *,
    zone: str,
    selected: frozenset[str] | None = None,
    immutable: bool,
) -> dict[str, Any]:
    """The event as JSON, times in `zone`."""
    start, end = _times(item, zone)
    address = item.organizer_address or ("" if item.organizer_name else mailbox.address)
    values: dict[str, Any] = {
        "id": id_of(mailbox, item, immutable=immutable),
        "changeKey": item.change_key,
        "iCalUId": item.uid or item.id,
        "isAllDay": item.all_day,
        "isCancelled": item.cancelled,
        "location": {"displayName": item.location},
        "organizer": {"emailAddress": {"name": item.organizer_name or mailbox.name, "address": address}},
        "originalStartTimeZone": windows_name(item.zone),
        "responseStatus": {"response": _RESPONSES[item.my_response], "time": _NEVER},
        "sensitivity": item.sensitivity.lower(),
        "showAs": _SHOW_AS[item.show_as],
        "start": start,
        "end": end,
        "subject": item.subject,
        "type": _TYPES[item.item_type],
    }
    kept = {name: value for name, value in values.items() if selected is None or name in selected | {"id"}}
    return {"@odata.etag": f'W/"{item.change_key}"', **kept}


def stub(mailbox: SimulatedMailbox, item: Item, *, zone: str, immutable: bool) -> dict[str, Any]:
    """An occurrence as a delta round may tell it: where it lies, and nothing of what it is."""
    start, end = _times(item, zone)
    return {
        "@odata.type": "#microsoft.graph.event",
        "id": id_of(mailbox, item, immutable=immutable),
        "type": "occurrence",
        "seriesMasterId": f"master-{item.uid or item.id}",
        "start": start,
        "end": end,
    }


def _times(item: Item, zone: str) -> tuple[dict[str, str], dict[str, str]]:
    place = ZoneInfo(item.zone) if item.all_day else read_zone(zone)

    def write(instant: datetime) -> dict[str, str]:
        return {"dateTime": f"{instant.astimezone(place):%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": zone}

    return write(item.start), write(item.end)
