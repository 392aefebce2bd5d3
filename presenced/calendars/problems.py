"""What a request that failed means for a mailbox or for everybody, whatever the language spoken.

Both doors turn the transport's problems into the daemon's with the same sentences, so that an admin who
changes from EWS to Graph meets no new ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from presenced.calendars.carrier import CarrierProblem
from presenced.core.ports import DoorProblem, MailboxProblem, MailboxState, SignInStatus

HOURLY = timedelta(hours=1)
MINUTES = timedelta(minutes=5)
SOON = timedelta(seconds=30)

SERVER_AWAY = frozenset({"dns", "connect", "tls", "sign-in"})
"""kinds of CarrierProblem that don't depend on the mailbox"""
LASTING = 3
"""failures in a row before the admin is told"""

_Step = TypeVar("_Step", bound=StrEnum)
"""what a door can do next"""


@dataclass(frozen=True, slots=True)
class Recovery(Generic[_Step]):
    """What a door does about one way the server says no, and what the admin reads: a line of its table."""

    step: _Step
    reason: str
    remedy: str = ""
    pause: timedelta = SOON
    state: MailboxState = MailboxState.FAILING

    def in_words(self, code: str, own: str) -> str:
        """Reason and the server's own words, in one line."""
        return f"{self.reason} ({code}: {own})" if own else f"{self.reason} ({code})"

    def mailbox_problem(self, words: str, pause: timedelta | None, *, rediscover: bool) -> MailboxProblem:
        """The refusal as the state of one mailbox."""
        return MailboxProblem(
            self.state,
            words,
            remedy=self.remedy,
            retry_after=pause or self.pause,
            rediscover=rediscover,
        )


def lasting_problem(
    problem: MailboxProblem | DoorProblem, failures: int, *, at_once: bool
) -> MailboxProblem | None:
    """What the admin is told of a polled mailbox that fails; None while it may pass by itself.

    `failures` in a row, this one included; `at_once`: it won't pass by itself.
    """
    if not at_once and failures != LASTING:
        return None
    if isinstance(problem, MailboxProblem):
        return problem
    return MailboxProblem(MailboxState.FAILING, problem.reason, remedy=problem.remedy)


def unreadable_problem(reason: str) -> MailboxProblem:
    """An answer that can't be read, as the state of one mailbox."""
    return MailboxProblem(
        MailboxState.FAILING,
        f"the server's answer can't be read: {reason}",
        remedy="check what stands between this program and Exchange (debug_protocol = yes shows it)",
        retry_after=MINUTES,
    )


def carried_problem(problem: CarrierProblem, *, alone: bool) -> MailboxProblem | DoorProblem:
    """A request that could not be carried: everybody's problem if the server is away.

    `alone`: other servers still answer, so it is this mailbox's problem, and it may have moved.
    """
    if problem.kind in SERVER_AWAY and not (alone and problem.kind != "sign-in"):
        return DoorProblem(problem.reason, remedy=problem.remedy, retry_after=problem.retry_after or SOON)
    return MailboxProblem(
        MailboxState.FAILING,
        problem.reason,
        remedy=problem.remedy,
        retry_after=problem.retry_after or SOON,
        rediscover=problem.kind in SERVER_AWAY,
    )


def why_unwell(trouble: DoorProblem | None, sign_in: SignInStatus | None) -> str:
    """Why nobody can be served, in words; "" while that is not so."""
    if trouble is not None:
        return trouble.told
    if sign_in is not None and sign_in.reason and sign_in.expires_at is None:
        return f"{sign_in.reason}; {sign_in.remedy}"  # nothing was asked yet, and nothing can be
    return ""
