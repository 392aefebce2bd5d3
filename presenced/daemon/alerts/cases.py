"""What is told when: causes seen now and cases open so far in, notices to send and a deadline out.

A case begins when its cause is seen first and is told when the cause was there for long enough, all
told: a door that goes up and down all day is one case and one notice, not a notice each time. It is over
when the cause stayed away as long again. Causes with stages (days left of a certificate) are told at
once, and again at each worse stage.

No I/O and no clock; ids are made of what they name, so that a notice sent twice for a crash in between
carries the same id twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

MOST_CASES = 40
"""open at once; one reason more is not told, there is enough to do"""


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is wrong now, for the person who must act; no appointment's title, no secret."""

    key: str
    """the same as long as it is the same trouble"""
    summary: str
    """a few words, for the subject of a mail"""
    reason: str
    """a sentence: what happened"""
    remedy: str
    """what to do"""
    effect: str = ""
    """what it means for the users"""
    details: tuple[str, ...] = ()
    stage: int = 0
    """a higher one is worse and is told again"""
    patient: bool = True
    """whether it may pass by itself, so that it is told only after a while"""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the daemon found."""

    causes: tuple[Cause, ...] = ()
    hidden: tuple[str, ...] = ()
    """beginnings of keys that can't be judged now: what is not seen of them is not over either"""


@dataclass(frozen=True, slots=True)
class Case:
    """A cause from first sight until it is over."""

    cause: Cause
    """as seen last"""
    opened_at: datetime
    lasted: timedelta = timedelta()
    """how long it was there, gaps left out"""
    present: bool = True
    """whether it was there at the last look"""
    gone_at: datetime | None = None
    flapped: bool = False
    """whether it went away for a while"""
    told: int | None = None
    """the stage told last; None: not told yet"""


class Kind(StrEnum):
    """What a notice says of its case."""

    BEGUN = "begun"
    WORSE = "worse"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell."""

    kind: Kind
    id: str
    """its own, the same however often it is sent"""
    case: str
    """id of the first notice of the same case"""
    at: datetime
    since: datetime
    cause: Cause
    until: datetime | None = None
    """when it was over"""
    flapped: bool = False


@dataclass(frozen=True, slots=True)
class Weighed:
    """What follows from a look."""

    cases: Mapping[str, Case]
    notices: tuple[Notice, ...]
    deadline: datetime | None
    """when the next notice is due if nothing changes"""


def weigh(
    cases: Mapping[str, Case], look: Look, now: datetime, *, last_look: datetime | None, after: timedelta
) -> Weighed:
    """The cases after this look, and what has to be told now.

    `last_look` is None after a restart: what happened while nobody looked counts neither way.
    """
    elapsed = max(now - last_look, timedelta()) if last_look is not None else timedelta()
    seen = {cause.key: cause for cause in look.causes}
    kept: dict[str, Case] = {}
    notices: list[Notice] = []
    for key, case in cases.items():
        lived = replace(case, lasted=case.lasted + elapsed) if case.present else case
        moved = _met(lived, seen[key]) if key in seen else _missed(lived, look, now)
        step = _tell(moved, now, after) if key in seen else _close(moved, now, after)
        notices.extend(step[1])
        if step[0] is not None:
            kept[key] = step[0]
    for key, cause in seen.items():
        if key not in cases and len(kept) < MOST_CASES:
            case, told = _tell(Case(cause, now), now, after)
            notices.extend(told)
            kept[key] = case
    due = [_due(case, now, after) for case in kept.values()]
    return Weighed(kept, tuple(notices), min((each for each in due if each is not None), default=None))


def _met(case: Case, cause: Cause) -> Case:
    """The cause is there (still, or again)."""
    told = None if case.told is None else min(case.told, cause.stage)
    return replace(case, cause=cause, present=True, gone_at=None, told=told)


def _missed(case: Case, look: Look, now: datetime) -> Case:
    """The cause is not there, or can't be seen."""
    if case.cause.key.startswith(look.hidden):
        return replace(case, present=False, gone_at=None)
    return replace(case, present=False, gone_at=case.gone_at or now, flapped=True)


def _tell(case: Case, now: datetime, after: timedelta) -> tuple[Case, list[Notice]]:
    cause = case.cause
    if case.lasted < _patience(cause, after) or (case.told is not None and cause.stage <= case.told):
        return case, []
    kind = Kind.BEGUN if case.told is None else Kind.WORSE
    return replace(case, told=cause.stage), [_notice(kind, case, now)]


def _close(case: Case, now: datetime, after: timedelta) -> tuple[Case | None, list[Notice]]:
    if case.gone_at is None or now - case.gone_at < _patience(case.cause, after):
        return case, []
    return None, [] if case.told is None else [_notice(Kind.OVER, case, now)]


def _due(case: Case, now: datetime, after: timedelta) -> datetime | None:
    patience = _patience(case.cause, after)
    if case.gone_at is not None:
        return case.gone_at + patience
    return now + patience - case.lasted if case.present and case.told is None else None


def _patience(cause: Cause, after: timedelta) -> timedelta:
    return after if cause.patient else timedelta()


def _notice(kind: Kind, case: Case, now: datetime) -> Notice:
    first = _id(case, "")
    return Notice(
        kind,
        first if kind is Kind.BEGUN else _id(case, f"{kind} {case.cause.stage} {now.isoformat()}"),
        first,
        now,
        case.opened_at,
        case.cause,
        case.gone_at,
        case.flapped,
    )


def _id(case: Case, more: str) -> str:
    text = f"{case.cause.key}\n{case.opened_at.isoformat()}\n{more}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
