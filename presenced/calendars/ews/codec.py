"""Requests to Exchange as bytes: the one file that knows exchangelib.

exchangelib knows the order and spelling of every element, so it builds each kind of request; building
one costs half a millisecond, which is most of what a request may cost. So the requests that are sent
for every mailbox are built once with markers in place of the values, kept as templates, and filled in
(two microseconds). The rest is built as it is needed. exchangelib's sessions, retries and readers stay
unused (exchange.md section 2), and so does everything it does with `zoneinfo`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from types import SimpleNamespace
from typing import Any
from xml.sax.saxutils import escape

from exchangelib import UTC, CalendarItem, EWSDateTime, Identity
from exchangelib import Mailbox as Owner
from exchangelib.credentials import IMPERSONATION
from exchangelib.fields import FieldPath
from exchangelib.properties import CalendarView, DistinguishedFolderId, ItemId
from exchangelib.services import (
    FindItem,
    GetItem,
    GetStreamingEvents,
    SubscribeToStreaming,
    SyncFolderItems,
    Unsubscribe,
)
from exchangelib.version import EXCHANGE_2013, Version
from exchangelib.winzone import CLDR_TO_MS_TIMEZONE_MAP, MS_TIMEZONE_TO_IANA_MAP

from presenced.core.window import Window

SERVER_VERSION = "Exchange2013"
"""The oldest RequestServerVersion that knows WorkingElsewhere; every later server takes it."""
MAX_ITEMS = 1000
"""EwsFindCountLimit of the default throttling policy; a view may not ask for more"""
MAX_CHANGES = 512
"""MaxChangesReturned: the most SyncFolderItems gives at once"""
EVENT_TYPES = (
    "CopiedEvent",
    "CreatedEvent",
    "DeletedEvent",
    "ModifiedEvent",
    "MovedEvent",
    "FreeBusyChangedEvent",
)
FIELDS = (
    "subject",
    "start",
    "end",
    "is_all_day",
    "legacy_free_busy_status",
    "sensitivity",
    "is_cancelled",
    "my_response_type",
    "_start_timezone",
)
"""exchange.md section 5, in exchangelib's spelling; ItemId always comes with the shape IdOnly. The organizer,
a third of an answer, is asked for where a rule needs him."""

_ADDRESS = "marker-address@presenced.invalid"
_START = datetime(2001, 1, 1)  # noqa: DTZ001 - exchangelib's own type makes it aware
_END = datetime(2002, 2, 2)  # noqa: DTZ001
_CURSOR = "marker-cursor"
_MARKERS = {
    _ADDRESS: "address",
    "2001-01-01T00:00:00Z": "start",
    "2002-02-02T00:00:00Z": "end",
    _CURSOR: "cursor",
}
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Template:
    """A built request with holes."""

    __slots__ = ("_pieces",)

    def __init__(self, built: bytes) -> None:
        pattern = "(" + "|".join(map(re.escape, _MARKERS)) + ")"
        parts = re.split(pattern, built.decode())
        self._pieces = [_MARKERS.get(part, part) if odd % 2 else part for odd, part in enumerate(parts)]

    def fill(self, **values: str) -> bytes:
        fitted = {name: _fit(value) for name, value in values.items()}
        return "".join(
            [fitted[piece] if odd % 2 else piece for odd, piece in enumerate(self._pieces)]
        ).encode()


def _fit(value: str) -> str:
    """A value as XML text or attribute; a character XML can't carry is an error, not a broken request."""
    if _UNFIT.search(value):
        raise ValueError(f"{value!r} holds a character that XML can't carry")
    return escape(value, {'"': "&quot;"})


# --- what exchangelib wants to see of an account ------------------------------------------------


class _Protocol(SimpleNamespace):
    """As much of exchangelib's Protocol as building a request touches."""


def _account(address: str) -> SimpleNamespace:
    version = Version(build=EXCHANGE_2013)
    protocol = _Protocol(version=version, credentials=None, config=SimpleNamespace(version=version))
    return SimpleNamespace(
        version=version,
        identity=Identity(primary_smtp_address=address),
        access_type=IMPERSONATION,
        default_timezone=None,
        protocol=protocol,
    )


def _calendar(address: str) -> DistinguishedFolderId:
    return DistinguishedFolderId(id="calendar", mailbox=Owner(email_address=address))


def _paths(*names: str) -> list[FieldPath]:
    return [FieldPath(field=CalendarItem.get_field_by_fieldname(name)) for name in names]


def _build(service: type[Any], address: str, **values: object) -> bytes:
    asking = service(account=_account(address))
    built: bytes = asking.wrap(asking.get_payload(**values), api_version=SERVER_VERSION)
    return built


# --- the templates ------------------------------------------------------------------------------


@cache
def _find_template(*, organizers: bool) -> _Template:
    return _Template(
        _build(
            FindItem,
            _ADDRESS,
            folders=[_calendar(_ADDRESS)],
            additional_fields=_paths(*FIELDS, *(["organizer"] if organizers else [])),
            restriction=None,
            order_fields=None,
            query_string=None,
            shape="IdOnly",
            depth="Shallow",
            calendar_view=CalendarView(
                start=EWSDateTime.from_datetime(_START.replace(tzinfo=UTC)),
                end=EWSDateTime.from_datetime(_END.replace(tzinfo=UTC)),
                max_items=MAX_ITEMS,
            ),
            page_size=None,
        )
    )


@cache
def _subscribe_template() -> _Template:
    return _Template(
        _build(SubscribeToStreaming, _ADDRESS, folders=[_calendar(_ADDRESS)], event_types=EVENT_TYPES)
    )


@cache
def _sync_template(*, first: bool) -> _Template:
    return _Template(
        _build(
            SyncFolderItems,
            _ADDRESS,
            folder=_calendar(_ADDRESS),
            shape="IdOnly",
            additional_fields=None,
            sync_state=None if first else _CURSOR,
            ignore=None,
            max_changes_returned=MAX_CHANGES,
            sync_scope=None,
        )
    )


# --- the requests -------------------------------------------------------------------------------


def find_appointments(address: str, window: Window, *, organizers: bool) -> bytes:
    """FindItem with a CalendarView of the window, whole seconds, as the mailbox itself."""
    start, end = _instant(window.start), _instant(window.end)
    return _find_template(organizers=organizers).fill(address=address, start=start, end=end)


def get_organizers(address: str, ids: Sequence[str]) -> bytes:
    """GetItem for the organizers of these items of one mailbox, in one request."""
    return _build(
        GetItem,
        address,
        items=[ItemId(id=one) for one in ids],
        additional_fields=_paths("organizer"),
        shape="IdOnly",
    )


def subscribe(address: str) -> bytes:
    """Subscribe to the mailbox's calendar with a streaming subscription."""
    return _subscribe_template().fill(address=address)


def get_stream(anchor: str, subscriptions: Sequence[str], minutes: int) -> bytes:
    """GetStreamingEvents for these subscriptions, as the anchor mailbox, open for `minutes` (1 to 30)."""
    return _build(
        GetStreamingEvents, anchor, subscription_ids=list(subscriptions), connection_timeout=minutes
    )


def unsubscribe(address: str, subscription: str) -> bytes:
    """Unsubscribe one subscription, as its mailbox."""
    return _build(Unsubscribe, address, subscription_id=subscription)


def sync_calendar(address: str, cursor: str) -> bytes:
    """SyncFolderItems on the calendar, ids only, from `cursor` on ("": from the beginning)."""
    if cursor:
        return _sync_template(first=False).fill(address=address, cursor=cursor)
    return _sync_template(first=True).fill(address=address)


def _instant(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


# --- what exchangelib knows ---------------------------------------------------------------------


def iana_zone(name: str) -> str | None:
    """The IANA name of a Windows (or IANA) zone id as it stands in StartTimeZone; None where unknown."""
    known: str | None = MS_TIMEZONE_TO_IANA_MAP.get(name)
    if known is None and name in CLDR_TO_MS_TIMEZONE_MAP:
        return name
    return known
