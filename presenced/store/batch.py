"""Puts the changes of many callers into few statements.

Callers change one user each, at midnight thousands at once; SQLite is quick when one run of a statement
takes many rows, and slow when every row is a run of its own: between two runs its thread waits for its turn
at the interpreter, which the loop may hold. Changes of different users may swap places inside one
transaction, changes of the same user may not: `merge` keeps to that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TypeAlias

Value: TypeAlias = str | int | bytes | None
Row: TypeAlias = tuple[Value, ...]
_SIZES = (64, 32, 16, 8, 4, 2, 1)
"""rows in one run: few different ones, so that every statement is prepared once"""


@dataclass(frozen=True, slots=True)
class Change:
    """What one call changes: statements run in order, each over its rows."""

    statements: tuple[str, ...]
    rows: tuple[Sequence[Row], ...]
    """for each statement the rows it runs over"""
    concerns: tuple[str, ...] = ()
    """guids or value names; changes that share one keep their order, one without any keeps it with all"""


@dataclass(slots=True)
class Group:
    """Changes of one kind that run together."""

    statements: tuple[str, ...]
    rows: tuple[list[Row], ...]
    members: list[int]
    """places of the changes in what `merge` was given"""


def merge(changes: Sequence[Change]) -> list[Group]:
    """The same outcome in fewer, larger groups; each change goes as early as its order allows."""
    groups: list[Group] = []
    last: dict[str, int] = {}
    """concern -> the last group that touches it"""
    floor = 0
    """no later change may go into a group before this one"""
    for number, change in enumerate(changes):
        earliest = max((last[name] + 1 for name in change.concerns if name in last), default=0)
        place = len(groups) if not change.concerns else _place(groups, change, max(floor, earliest))
        if place == len(groups):
            groups.append(Group(change.statements, tuple([] for _ in change.statements), []))
        group = groups[place]
        for rows, more in zip(group.rows, change.rows, strict=True):
            rows.extend(more)
        group.members.append(number)
        for name in change.concerns:
            last[name] = place
        if not change.concerns:
            floor = len(groups)
    return groups


def _place(groups: Sequence[Group], change: Change, earliest: int) -> int:
    """The first group from `earliest` on that runs the same statements, or the end."""
    for place in range(earliest, len(groups)):
        if groups[place].statements == change.statements:
            return place
    return len(groups)


def runs(statement: str, rows: Sequence[Row]) -> Iterator[tuple[str, list[Value]]]:
    """The fewest runs that take all rows in order: SQL for so many of them, and their parameters."""
    place = 0
    for size in _SIZES:
        while len(rows) - place >= size:
            some = rows[place : place + size]
            yield _for_rows(statement, size, len(some[0])), list(chain.from_iterable(some))
            place += size


@cache
def _for_rows(statement: str, rows: int, width: int) -> str:
    row = f"({', '.join('?' * width)})"
    return statement.format(rows=", ".join([row] * rows))
