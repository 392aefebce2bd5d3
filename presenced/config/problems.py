"""What can be wrong with a configuration, and how it is said.

Every problem is gathered with its line and none stops the search for the next, so that an admin
mends a file in one go (settings.md). The text never repeats a value that may be secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

LONGEST_SHOWN = 60
"""how many characters of a value a problem repeats"""


@dataclass(frozen=True, slots=True)
class Problem:
    """One line for the admin: `FILE:LINE: what is wrong; what is allowed or meant`."""

    file: str
    line: int
    """counted from 1"""
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class ConfigProblems(Exception):
    """The configuration can't be used; holds every problem found, in order of their lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = in_order(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Unfit(Exception):
    """A value can't be used: what is wrong with it, and what is allowed or meant."""

    def __init__(self, wrong: str, meant: str) -> None:
        self.wrong = wrong
        self.meant = meant
        super().__init__(f"{wrong}; {meant}")


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each problem once, by line; those of one line stay as they were found."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.line))


def shown(value: str) -> str:
    """A value in quotes on one line: nothing unprintable, nothing endless."""
    cut = value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "…"
    return '"' + "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in cut) + '"'


def nearest(word: str, known: Sequence[str], *, likeness: float = 0.6) -> str:
    """The known word most like this one, "" when none is like it (1: the same, 0: not at all)."""
    return next(iter(get_close_matches(word, known, n=1, cutoff=likeness)), "")
