"""Which users a page of the list shows: searched, filtered, sorted. Pure: keepers in, a page of them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from unicodedata import combining, normalize

from presenced.daemon.keeper import Keeper

PAGE = 50
STATES = ("resolved", "polled", "unresolved", "blocked", "failing", "disabled")
"""MailboxState, and `disabled` for users with sync = no"""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody wants to see of the list."""

    text: str = ""
    state: str = ""
    sort: str = "name"
    descending: bool = False
    page: int = 1


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of the list."""

    keepers: Sequence[Keeper]
    found: int
    page: int
    pages: int


def state_of(keeper: Keeper) -> str:
    """How the user's mailbox stands, as the status names it."""
    return keeper.state.value if keeper.sync else "disabled"


def count_states(keepers: Iterable[Keeper]) -> dict[str, int]:
    """Users by state, every state named."""
    counts = Counter(map(state_of, keepers))
    return {state: counts[state] for state in STATES}


def count_activities(keepers: Iterable[Keeper]) -> dict[str, int]:
    """Users by what the daemon wants the PBX to show; `none` for those without a calendar presence."""
    kinds = Counter(_activity(keeper) for keeper in keepers)
    return {kind: kinds[kind] for kind in ("available", "busy", "away", "dnd", "none")}


def _activity(keeper: Keeper) -> str:
    if keeper.decision is None:
        return "none"
    return keeper.decision.presence.activity or "available"


def _name(keeper: Keeper) -> tuple[str, str]:
    user = keeper.user
    return _folded(user.cn or user.sip), user.guid


@lru_cache(maxsize=20_000)
def _folded(name: str) -> str:
    """So that Ä stands with A, and not behind Z."""
    return "".join(letter for letter in normalize("NFKD", name) if not combining(letter)).casefold()


_KEYS: Mapping[str, Callable[[Keeper], Any]] = {
    "name": _name,
    "mailbox": lambda keeper: (keeper.mailbox.address if keeper.mailbox else "", *_name(keeper)),
    "state": lambda keeper: (-STATES.index(state_of(keeper)), *_name(keeper)),
    "presence": lambda keeper: (_activity(keeper), *_name(keeper)),
    "read": lambda keeper: (keeper.read_at or _NEVER, *_name(keeper)),
}
SORTS = tuple(_KEYS)


def select(keepers: Iterable[Keeper], query: Query) -> Listing:
    """The page of the list that is asked for; the nearest one where there is no such page."""
    wanted = query.text.casefold().split()
    found = [
        keeper
        for keeper in keepers
        if (not query.state or state_of(keeper) == query.state) and (not wanted or _fits(keeper, wanted))
    ]
    found.sort(key=_KEYS.get(query.sort, _name), reverse=query.descending)
    pages = max(1, -(-len(found) // PAGE))
    page = min(max(query.page, 1), pages)
    return Listing(found[(page - 1) * PAGE : page * PAGE], len(found), page, pages)


def _fits(keeper: Keeper, wanted: Sequence[str]) -> bool:
    """Every word stands somewhere in a name or an address."""
    user = keeper.user
    mailbox = keeper.mailbox.address if keeper.mailbox else ""
    text = "\n".join((user.cn, user.sip, mailbox, *user.addresses)).casefold()
    return all(word in text for word in wanted)
