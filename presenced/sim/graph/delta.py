"""calendarView/delta: what changed in a window since a token was given.

Source: Microsoft Graph reference, "event: delta". The window is frozen in the token; a change that takes an
event out of it is told as removed. Tokens end, and a client that brings an old one must begin anew.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta

from presenced.sim.exchange.organisation import Item, SimulatedMailbox, overlaps
from presenced.sim.graph.problems import GraphProblem, bad_request

TOKEN_LIFE = timedelta(days=7)
"""how long a delta token of a calendar is good here"""


@dataclass(slots=True)
class Round:
    """One round under way or done: what is still to be told, and what comes next."""

    address: str
    start: datetime
    end: datetime
    version: int
    """of the mailbox when the round began"""
    shown: frozenset[str]
    """ids the client knows of after this round"""
    entries: list[Item | str]
    """to be told: events, or the ids of removed ones"""
    made_at: datetime


class Rounds:
    """Every token given out; a token is used as often as a client likes, until its end."""

    def __init__(self) -> None:
        self._rounds: dict[str, tuple[Round, int]] = {}
        self._numbers = itertools.count(1)

    def forget(self) -> None:
        """All tokens are gone: whoever brings one must begin anew."""
        self._rounds.clear()

    def begin(self, mailbox: SimulatedMailbox, start: datetime, end: datetime, now: datetime) -> Round:
        """A full round."""
        items = mailbox.view(start, end)
        ids = frozenset(item.id for item in items)
        return Round(mailbox.address, start, end, mailbox.version, ids, list(items), now)

    def go_on(self, mailbox: SimulatedMailbox, last: Round, now: datetime) -> Round:
        """What changed since that round."""
        changes = mailbox.changes_since(last.version)
        if changes is None:
            raise gone()
        changed = dict.fromkeys(id_ for _, _, id_ in changes)
        items = mailbox.pick(changed)
        entries: list[Item | str] = []
        shown = set(last.shown)
        for id_ in changed:
            item = items.get(id_)
            if item is not None and overlaps(item, last.start, last.end):
                entries.append(item)
                shown.add(id_)
            elif id_ in last.shown:
                entries.append(id_)
                shown.discard(id_)
        return Round(mailbox.address, last.start, last.end, mailbox.version, frozenset(shown), entries, now)

    def keep(self, made: Round, told: int) -> str:
        """A token for going on after `told` entries of this round."""
        token = f"R{next(self._numbers):010d}"
        self._rounds[token] = (made, told)
        return token

    def find(self, token: str, mailbox: SimulatedMailbox, now: datetime) -> tuple[Round, int]:
        """The round of a token, and how many of its entries were told."""
        found = self._rounds.get(token)
        if found is None or now - found[0].made_at > TOKEN_LIFE:
            raise gone()
        if found[0].address != mailbox.address:
            raise bad_request("The token belongs to another mailbox.", "ErrorInvalidSyncStateData")
        return found


def gone() -> GraphProblem:
    """HTTP 410: begin anew."""
    return GraphProblem(
        410, "syncStateNotFound", "The sync state generation is not found; start a full sync."
    )
