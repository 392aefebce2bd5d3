"""The steps of a check in their order: who is tried, who is not tried and why, how long it took.

A step that fails takes those with it that stand on it, and no others: one run is to show everything an admin
has to mend, not the first of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from presenced.calendars.carrier import CarrierProblem
from presenced.core.ports import Clock, DoorProblem, MailboxProblem, StoreProblem


class Verdict(StrEnum):
    """What became of a step."""

    OK = "ok"
    FAIL = "FAIL"
    NOTE = "note"
    """it works, or does no harm, but the admin should read it"""
    SKIP = "skip"
    """not tried"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a step found."""

    what: str
    remedy: str = ""
    verdict: Verdict = Verdict.OK


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the report."""

    name: str
    verdict: Verdict
    what: str
    remedy: str = ""
    took: timedelta | None = None
    """None where nothing was tried"""


class StepFailed(Exception):
    """A step did not work: what happened and what to do."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class Course:
    """Takes the steps and tells each as it ends."""

    def __init__(
        self, clock: Clock, tell: Callable[[Step], None], begin: Callable[[str], None] = lambda _: None
    ) -> None:
        self.clock = clock
        self._tell = tell
        self._begin = begin
        self._verdicts: dict[str, Verdict] = {}

    @property
    def failures(self) -> int:
        """Steps that failed."""
        return sum(verdict is Verdict.FAIL for verdict in self._verdicts.values())

    def passed(self, name: str) -> bool:
        """The step was tried and did not fail."""
        return self._verdicts.get(name) in {Verdict.OK, Verdict.NOTE}

    async def take(
        self,
        name: str,
        work: Callable[[], Awaitable[Finding]],
        *,
        after: Sequence[str] = (),
        harmless: str = "",
    ) -> bool:
        """Take a step, unless one it stands on was not passed; whether it went well.

        `harmless` says why a failure does no harm: then it is a note.
        """
        missing = next((other for other in after if not self.passed(other)), None)
        if missing is not None:
            word = "failed" if self._verdicts.get(missing) is Verdict.FAIL else "was not tried"
            self.skip(name, f"{missing} {word}")
            return False
        began = self.clock.now()
        self.begin(name)
        finding = await _find(work)
        failed = finding.verdict is Verdict.FAIL
        if failed and harmless:
            finding = replace(finding, what=f"{finding.what} ({harmless})", verdict=Verdict.NOTE)
        self.add(name, finding, self.clock.now() - began)
        return not failed

    def begin(self, name: str) -> None:
        """This step is under way; `add` tells what it finds."""
        self._begin(name)

    def add(self, name: str, finding: Finding, took: timedelta | None = None) -> None:
        """Tell what has been found already. Of steps of the same name the worst counts."""
        if self._verdicts.get(name) is not Verdict.FAIL:
            self._verdicts[name] = finding.verdict
        self._tell(Step(name, finding.verdict, finding.what, finding.remedy, took))

    def skip(self, name: str, because: str) -> None:
        """Tell that a step is not tried."""
        self._verdicts.setdefault(name, Verdict.SKIP)
        self._tell(Step(name, Verdict.SKIP, f"not tried: {because}"))


async def _find(work: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await work()
    except StepFailed as failed:
        return Finding(failed.what, failed.remedy, Verdict.FAIL)
    except (CarrierProblem, DoorProblem, MailboxProblem, StoreProblem) as problem:
        return Finding(problem.reason, problem.remedy, Verdict.FAIL)
