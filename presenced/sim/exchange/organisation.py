"""The mailboxes of a simulated Exchange organisation, their calendars and who watches them.

A calendar may be generated lazily (50,000 mailboxes must not hold a million items), so a mailbox keeps
only what was put or removed on top of it, a version that counts these changes, and a short record of
them. Watchers are told at once, synchronously; the EWS endpoint turns that into notifications.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

Event = Literal["Created", "Modified", "Deleted", "Moved"]
Watcher = Callable[["SimulatedMailbox", Event, "Item"], None]

NOTHING: set[str] = set()
CHANGES_KEPT = 1000
"""how many changes a mailbox remembers; an older sync state is refused"""


@dataclass(slots=True)
class Item:
    """One calendar item or occurrence, with the words of the EWS schema as values."""

    id: str
    """unique in its mailbox; what clients see is wrapped around it"""
    change_key: str
    """set anew by every `put`"""
    subject: str
    start: datetime
    """aware, UTC; of an all-day item: midnight in `zone`, as an instant"""
    end: datetime
    """aware, UTC, exclusive"""
    all_day: bool = False
    show_as: str = "Busy"
    """Free, Tentative, Busy, OOF, WorkingElsewhere or NoData (LegacyFreeBusyType)"""
    sensitivity: str = "Normal"
    """Normal, Personal, Private or Confidential (SensitivityChoicesType)"""
    organizer_name: str = ""
    organizer_address: str = ""
    """both empty: the owner of the mailbox"""
    cancelled: bool = False
    my_response: str = "Organizer"
    """Unknown, Organizer, Tentative, Accept, Decline or NoResponseReceived (ResponseTypeType)"""
    zone: str = "UTC"
    """IANA name of the zone it was made in"""
    location: str = ""
    body: str = ""
    uid: str = ""
    item_type: str = "Single"
    """Single, Occurrence or Exception (CalendarItemTypeType)"""
    extras: dict[str, str] | None = None
    """other properties a client wrote: name -> the element as written, schema prefix `t`"""


class Calendar(Protocol):
    """Where the items of a mailbox come from before anybody changes them."""

    def view(self, start: datetime, end: datetime) -> list[Item]:
        """The items that overlap `[start, end)`, by start; the same ids every time.

        The list belongs to the caller, the items do not: who changes one puts a copy.
        """


class EmptyCalendar:
    """A calendar with nothing in it."""

    def view(self, start: datetime, end: datetime) -> list[Item]:
        """Nothing."""
        return []


EMPTY = EmptyCalendar()


def whole_days(first: date, days: int, zone: str) -> tuple[datetime, datetime]:
    """Start and end of an all-day item made in `zone`: its local midnights as UTC instants."""
    place = ZoneInfo(zone)
    start = datetime.combine(first, time(), place)
    end = datetime.combine(first + timedelta(days=days), time(), place)
    return start.astimezone(UTC), end.astimezone(UTC)


def overlaps(item: Item, start: datetime, end: datetime) -> bool:
    """Whether a view of `[start, end)` shows this item; one without length is shown where it starts."""
    return item.start < end and (item.end > start or item.start >= start)


class SimulatedMailbox:
    """One mailbox: who it belongs to and the one calendar in it."""

    __slots__ = (
        "_changes",
        "_overlay",
        "_own",
        "_removed",
        "_seen",
        "_watchers",
        "address",
        "aliases",
        "calendar",
        "home",
        "name",
        "version",
        "zone",
    )

    def __init__(
        self,
        address: str,
        *,
        aliases: tuple[str, ...] = (),
        name: str = "",
        zone: str = "UTC",
        calendar: Calendar = EMPTY,
        home: str = "",
    ) -> None:
        self.address = address
        """primary SMTP address, spelled as the server spells it"""
        self.aliases = aliases
        """further SMTP addresses that lead here"""
        self.name = name or address.partition("@")[0]
        self.zone = zone
        """IANA name"""
        self.calendar = calendar
        self.home = home
        """name of the endpoint that serves it; "" where every endpoint does"""
        self.version = 0
        """counts the changes; what SyncFolderItems calls a sync state"""
        self._overlay: dict[str, Item] | None = None
        """None until the first change, like the sets beside it: most mailboxes are never changed"""
        self._own: set[str] = NOTHING
        """ids in the overlay the calendar beneath knows nothing of"""
        self._removed: set[str] = NOTHING
        """ids of the calendar beneath that are gone"""
        self._changes: deque[tuple[int, Event, str]] | None = None
        self._watchers: list[Watcher] = []
        self._seen: tuple[datetime, datetime] | None = None

    def __repr__(self) -> str:
        return f"SimulatedMailbox({self.address!r})"

    def view(self, start: datetime, end: datetime) -> list[Item]:
        """The items that overlap `[start, end)`, by start."""
        seen = self._seen
        if seen is None:
            self._seen = (start, end)
        elif start < seen[0] or end > seen[1]:
            self._seen = (min(start, seen[0]), max(end, seen[1]))
        items = self.calendar.view(start, end)
        overlay, removed = self._overlay, self._removed
        if not overlay and not removed:
            return items
        overlay = overlay or {}
        kept = [item for item in items if item.id not in overlay and item.id not in removed]
        kept += [item for item in overlay.values() if overlaps(item, start, end)]
        kept.sort(key=lambda item: (item.start, item.id))
        return kept

    def get(self, id: str) -> Item | None:  # noqa: A002
        """The item of that id; one of a generated calendar only after a view has shown it."""
        return self.pick({id}).get(id)

    def pick(self, ids: Collection[str]) -> dict[str, Item]:
        """Those of the items that are there, by id; looks through a generated calendar only once."""
        overlay = self._overlay or {}
        found = {id_: overlay[id_] for id_ in ids if id_ in overlay}
        missing = {id_ for id_ in ids if id_ not in found and id_ not in self._removed}
        if missing and self._seen is not None:
            items = self.calendar.view(*self._seen)
            found.update((item.id, item) for item in items if item.id in missing)
        return found

    def put(self, item: Item) -> Event:
        """Add the item, or put it in place of the one with its id; it gets a new change key."""
        event: Event = "Created" if self._find(item) is None else "Modified"
        if self._overlay is None:
            self._overlay, self._own, self._removed = {}, set(), set()
        if event == "Created" and item.id not in self._removed:
            self._own.add(item.id)
        self._overlay[item.id] = item
        self._removed.discard(item.id)
        self._changed(event, item)
        return event

    def remove(self, id: str, *, moved: bool = False) -> Item:  # noqa: A002
        """Take the item away, for good or (`moved`) into the deleted items; KeyError where there is none."""
        item = self.get(id)
        if item is None:
            raise KeyError(id)
        if self._overlay is None:
            self._overlay, self._own, self._removed = {}, set(), set()
        self._overlay.pop(id, None)
        if id in self._own:
            self._own.discard(id)
        else:
            self._removed.add(id)
        self._changed("Moved" if moved else "Deleted", item)
        return item

    def changes_since(self, version: int) -> list[tuple[int, Event, str]] | None:
        """Number, event and item id of every change after `version`, in order; None: too long ago."""
        if not 0 <= version <= self.version or self.version - version > CHANGES_KEPT:
            return None
        return [change for change in self._changes or () if change[0] > version]

    def _find(self, item: Item) -> Item | None:
        known = self.get(item.id)
        if known is not None or item.id in self._removed:
            return known
        nearby = self.calendar.view(item.start, max(item.end, item.start + timedelta(seconds=1)))
        return next((other for other in nearby if other.id == item.id), None)

    def _changed(self, event: Event, item: Item) -> None:
        self.version += 1
        item.change_key = f"{self.version:08d}"
        if self._changes is None:
            self._changes = deque(maxlen=CHANGES_KEPT)
        self._changes.append((self.version, event, item.id))
        for watcher in tuple(self._watchers):
            watcher(self, event, item)


class Organisation:
    """All mailboxes, by any of their addresses, and the accounts that may act for them."""

    def __init__(self) -> None:
        self._mailboxes: dict[str, SimulatedMailbox] = {}
        self._addresses: dict[str, SimulatedMailbox] = {}
        self.watchers: list[Watcher] = []
        """told of every change, at once and in order"""
        self.service_accounts: set[str] = set()
        """names of the accounts that may impersonate everybody, casefolded"""
        self.endpoints: dict[str, str] = {}
        """name of an endpoint (`SimulatedMailbox.home`) -> its EWS URL; filled in as they start"""

    def add(self, mailbox: SimulatedMailbox) -> SimulatedMailbox:
        """Take the mailbox in; ValueError where one of its addresses is taken."""
        addresses = {address.casefold() for address in (mailbox.address, *mailbox.aliases)}
        for address in addresses:
            if address in self._addresses:
                raise ValueError(f"address {address} already belongs to {self._addresses[address].address}")
        self._mailboxes[mailbox.address.casefold()] = mailbox
        self._addresses.update(dict.fromkeys(addresses, mailbox))
        mailbox._watchers = self.watchers
        return mailbox

    def find(self, address: str) -> SimulatedMailbox | None:
        """The mailbox that address leads to, primary or alias, in any case."""
        return self._addresses.get(address.casefold())

    def __len__(self) -> int:
        return len(self._mailboxes)

    @property
    def mailboxes(self) -> Iterator[SimulatedMailbox]:
        """Every mailbox once, in the order they came."""
        return iter(self._mailboxes.values())

    def put(self, address: str, item: Item) -> Event:
        """Put the item into the mailbox of that address; KeyError where there is none."""
        return self._mailbox(address).put(item)

    def remove(self, address: str, id: str, *, moved: bool = False) -> Item:  # noqa: A002
        """Remove the item from the mailbox of that address; KeyError where either is missing."""
        return self._mailbox(address).remove(id, moved=moved)

    def _mailbox(self, address: str) -> SimulatedMailbox:
        mailbox = self.find(address)
        if mailbox is None:
            raise KeyError(address)
        return mailbox
