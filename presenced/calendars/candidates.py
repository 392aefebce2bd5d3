"""Resolving users by their candidate addresses, in rounds, whoever is asked about an address.

Everybody's first candidate goes in one round, so that it can be asked in batches, then the second ones of
those still without a mailbox, and so on. An address several users have is asked about once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from presenced.calendars.carrier import CarrierProblem
from presenced.core.ports import Answer, DoorProblem, Mailbox, Resolution


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a candidate."""

    words: str
    mailbox: Mailbox | None = None
    problem: CarrierProblem | None = None
    """nobody could be asked about it, and that is no peculiarity of the address"""
    answered: bool = True
    """a server said something of it"""


Settle: TypeAlias = Callable[[Mapping[str, str], dict[str, Outcome]], Awaitable[None]]
"""casefolded address -> address, to be asked about; the outcomes are added to the second argument"""


async def resolve(users: Sequence[Sequence[str]], settle: Settle) -> Sequence[Resolution]:
    """Resolve each user's candidates in order of preference; see ports.CalendarDoor.

    Raises DoorProblem where nobody in the call could be asked about at all.
    """
    outcomes: dict[str, Outcome] = {}
    everybody = [tuple(address.strip() for address in user if address.strip()) for user in users]
    for place in range(max(map(len, everybody), default=0)):
        due: dict[str, str] = {}
        for addresses in everybody:
            if place < len(addresses) and _find_mailbox(addresses[:place], outcomes) is None:
                due.setdefault(addresses[place].casefold(), addresses[place])
        fresh = {key: address for key, address in due.items() if key not in outcomes}
        await settle(fresh, outcomes)
    resolutions = [_conclude(addresses, outcomes) for addresses in everybody]
    _raise_if_nobody_answered(outcomes.values())
    return resolutions


def _find_mailbox(addresses: Sequence[str], outcomes: Mapping[str, Outcome]) -> Mailbox | None:
    found = (outcomes[address.casefold()].mailbox for address in addresses)
    return next((mailbox for mailbox in found if mailbox is not None), None)


def _conclude(addresses: Sequence[str], outcomes: Mapping[str, Outcome]) -> Resolution:
    """One user's resolution: the first mailbox, and what was said up to it."""
    answers: list[Answer] = []
    for address in addresses:
        outcome = outcomes[address.casefold()]
        answers.append(Answer(address, outcome.words, definite=outcome.answered))
        if outcome.mailbox is not None:
            return Resolution(outcome.mailbox, tuple(answers))
    return Resolution(None, tuple(answers))


def _raise_if_nobody_answered(outcomes: Iterable[Outcome]) -> None:
    """Raise DoorProblem where no server said anything of anybody, and that is no peculiarity of addresses."""
    concluded = list(outcomes)
    problems = [outcome.problem for outcome in concluded if outcome.problem is not None]
    if not problems or any(outcome.answered for outcome in concluded):
        return
    telling = next((problem for problem in problems if problem.kind == "sign-in"), problems[0])
    raise DoorProblem(telling.reason, remedy=telling.remedy, retry_after=telling.retry_after)
