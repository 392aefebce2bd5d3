"""Mailboxes over a generated calendar, and who is told of changes."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from presenced.sim.exchange.organisation import CHANGES_KEPT, Item, Organisation, SimulatedMailbox
from tests.sim.exchange.raw import at, item


class Hourly:
    """A calendar without end: an item at every full hour, made on demand."""

    def view(self, start: datetime, end: datetime) -> list[Item]:
        hour = start.replace(minute=0, second=0, microsecond=0)
        items = []
        while hour < end:
            name = f"{hour:%m-%dT%H}"
            items.append(Item(name, "", name, hour, hour + timedelta(minutes=30)))
            hour += timedelta(hours=1)
        return [item for item in items if item.end > start]


@pytest.fixture
def mailbox() -> SimulatedMailbox:
    return SimulatedMailbox("x@example.com", calendar=Hourly())


def names(mailbox: SimulatedMailbox, start: str, end: str) -> list[str]:
    return [item.id for item in mailbox.view(at(start), at(end))]


def test_what_is_put_lies_over_what_is_generated(mailbox: SimulatedMailbox) -> None:
    assert names(mailbox, "2026-11-16 08:00", "2026-11-16 10:00") == ["11-16T08", "11-16T09"]
    assert mailbox.put(item("mine", "2026-11-16 08:15", "2026-11-16 08:20")) == "Created"
    assert mailbox.put(item("11-16T09", "2026-11-16 08:10", "2026-11-16 08:20")) == "Modified"
    assert names(mailbox, "2026-11-16 08:00", "2026-11-16 10:00") == ["11-16T08", "11-16T09", "mine"]
    assert names(mailbox, "2026-11-16 09:00", "2026-11-16 10:00") == []


def test_what_is_removed_stays_away_and_may_come_back(mailbox: SimulatedMailbox) -> None:
    assert names(mailbox, "2026-11-16 08:00", "2026-11-16 10:00") == ["11-16T08", "11-16T09"]
    assert mailbox.remove("11-16T08").subject == "11-16T08"
    mailbox.put(item("mine", "2026-11-16 09:15", "2026-11-16 09:20"))
    mailbox.remove("mine")
    assert names(mailbox, "2026-11-16 08:00", "2026-11-16 10:00") == ["11-16T09"]
    for gone in ("11-16T08", "mine", "never"):
        with pytest.raises(KeyError):
            mailbox.remove(gone)
    assert mailbox.put(item("11-16T08", "2026-11-16 08:00", "2026-11-16 08:30")) == "Created"
    mailbox.remove("11-16T08")
    assert names(mailbox, "2026-11-16 08:00", "2026-11-16 10:00") == ["11-16T09"]


def test_an_item_without_length_is_shown_where_it_starts(mailbox: SimulatedMailbox) -> None:
    mailbox.put(item("instant", "2026-11-16 08:45", "2026-11-16 08:45"))
    assert names(mailbox, "2026-11-16 08:45", "2026-11-16 09:00") == ["instant"]
    assert names(mailbox, "2026-11-16 08:30", "2026-11-16 08:45") == []


def test_every_change_has_a_number_and_a_new_key(mailbox: SimulatedMailbox) -> None:
    one = item("a", "2026-11-16 08:00", "2026-11-16 09:00")
    mailbox.put(one)
    first_key = one.change_key
    mailbox.put(one)
    assert one.change_key != first_key
    mailbox.remove("a")
    assert mailbox.version == 3
    assert mailbox.changes_since(1) == [(2, "Modified", "a"), (3, "Deleted", "a")]
    assert mailbox.changes_since(3) == []
    assert mailbox.changes_since(4) is None


def test_changes_are_not_kept_for_ever(mailbox: SimulatedMailbox) -> None:
    for number in range(CHANGES_KEPT + 1):
        mailbox.put(item(f"n{number}", "2026-11-16 08:00", "2026-11-16 09:00"))
    assert mailbox.changes_since(0) is None
    assert len(mailbox.changes_since(1) or ()) == CHANGES_KEPT


def test_an_organisation_knows_every_address_once(mailbox: SimulatedMailbox) -> None:
    organisation = Organisation()
    organisation.add(SimulatedMailbox("Alice@Example.com", aliases=("al@example.com",)))
    assert organisation.find("ALICE@example.com") is organisation.find("Al@Example.COM")
    assert organisation.find("bob@example.com") is None
    with pytest.raises(ValueError, match="belongs to Alice"):
        organisation.add(SimulatedMailbox("b@example.com", aliases=("AL@example.com",)))
    assert len(organisation) == len(list(organisation.mailboxes)) == 1


def test_watchers_are_told_whichever_way_it_changes(mailbox: SimulatedMailbox) -> None:
    organisation = Organisation()
    organisation.add(mailbox)
    told: list[tuple[str, str, str]] = []
    organisation.watchers.append(lambda box, event, item: told.append((box.address, event, item.id)))
    organisation.put("X@example.com", item("a", "2026-11-16 08:00", "2026-11-16 09:00"))
    mailbox.put(item("a", "2026-11-16 08:00", "2026-11-16 09:00"))
    organisation.remove("x@example.com", "a", moved=True)
    assert told == [
        ("x@example.com", "Created", "a"),
        ("x@example.com", "Modified", "a"),
        ("x@example.com", "Moved", "a"),
    ]
    with pytest.raises(KeyError):
        organisation.put("nobody@example.com", item("a", "2026-11-16 08:00", "2026-11-16 09:00"))
