"""Finds the mailboxes of PBX users in the directory: twenty addresses in one request.

An address is looked for among all of a user's (`proxyAddresses`), because the PBX may know another than
the primary one, and neither of them has to be the principal name. Where the app may not read the
directory, the owner of the calendar at that address is asked for instead: that needs no permission
beyond the one for calendars, but finds primary addresses and principal names only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from presenced.calendars.candidates import Outcome, resolve
from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.graph import questions
from presenced.calendars.graph.batch import MOST
from presenced.calendars.graph.calls import TRIES, Caller, Reading
from presenced.calendars.graph.questions import Question
from presenced.calendars.graph.recovery import Refused, Step, Trouble, in_words, recovery_for
from presenced.calendars.graph.wire import Answer, Unreadable, read_owner, read_people
from presenced.calendars.problems import HOURLY, SOON
from presenced.core.ports import Clock, Mailbox, Resolution

log = logging.getLogger(__name__)

_LONGEST_ADDRESS = 320


class Directory:
    """Resolves addresses; `width` batches at a time."""

    def __init__(self, caller: Caller, clock: Clock, *, width: int) -> None:
        self._caller, self._clock = caller, clock
        self._slots = asyncio.Semaphore(width)
        self._host = urlsplit(caller.root).hostname or caller.root
        self._closed_until: datetime | None = None
        """the directory may not be read: owners are asked for until then"""

    async def fetch_mailboxes(self, users: Sequence[Sequence[str]]) -> Sequence[Resolution]:
        """The port's `fetch_mailboxes`."""
        return await resolve(users, self._settle)

    async def _settle(self, fresh: Mapping[str, str], outcomes: dict[str, Outcome]) -> None:
        askable: dict[str, str] = {}
        for key, address in fresh.items():
            if "@" in address.strip("@") and len(address) <= _LONGEST_ADDRESS and address.isprintable():
                askable[key] = address
            else:
                outcomes[key] = Outcome("not an e-mail address", answered=False)
        async with asyncio.TaskGroup() as tasks:
            for some in _in_batches(list(askable.items())):
                tasks.create_task(self._ask_some(dict(some), outcomes))

    async def _ask_some(self, addresses: Mapping[str, str], outcomes: dict[str, Outcome]) -> None:
        async with self._slots:
            if not self._is_closed():
                await self._ask(addresses, outcomes, questions.person, self._judge_people)
                refused = {key: addresses[key] for key in addresses if key not in outcomes}
                if not refused:
                    return
                self._close()
                addresses = refused
            await self._ask(addresses, outcomes, questions.owner, self._judge_owner)

    def _close(self) -> None:
        if not self._is_closed():
            log.warning(
                "the app may not read the directory, so users are found by sign-in name and primary address "
                "only remedy=%s",
                "grant User.Read.All (or User.ReadBasic.All) with the admin's consent",
            )
            self._caller.counters["directory_closed"] += 1
        self._closed_until = self._clock.now() + HOURLY

    def _is_closed(self) -> bool:
        return self._closed_until is not None and self._clock.now() < self._closed_until

    async def _ask(
        self,
        addresses: Mapping[str, str],
        outcomes: dict[str, Outcome],
        question: Callable[[str], Question],
        judge: Callable[[str, Answer | Trouble], Outcome | None],
    ) -> None:
        """Ask about these addresses, those again that the server was too busy for."""
        waiting = dict(addresses)
        for left in reversed(range(TRIES)):
            try:
                readings = await self._caller.ask_batch([question(one) for one in waiting.values()])
            except (Refused, Unreadable, CarrierProblem) as failure:
                if left and isinstance(failure, Refused) and self._is_passing(failure.trouble):
                    await self._pause()
                    continue
                problem = _carrier_problem(failure)
                lost = Outcome(f"{self._host}: {problem.reason}", problem=problem, answered=False)
                outcomes.update(dict.fromkeys(waiting, lost))
                return
            for (key, address), reading in zip(list(waiting.items()), readings, strict=True):
                if left and isinstance(reading, Trouble) and self._is_passing(reading):
                    continue
                del waiting[key]
                outcome = judge(address, reading)
                if outcome is not None:
                    outcomes[key] = outcome
            if not waiting:
                return
            await self._pause()

    def _is_passing(self, trouble: Trouble) -> bool:
        return recovery_for(trouble).step is Step.BACK_OFF

    async def _pause(self) -> None:
        await self._clock.sleep(min(self._caller.held_for(""), SOON))

    # --- what the answers mean ------------------------------------------------------------------

    def _judge_people(self, address: str, reading: Reading) -> Outcome | None:
        """None: the directory may not be read."""
        if isinstance(reading, Trouble):
            if reading.status == 403:
                return None
            return self._judge_trouble(reading)
        try:
            people = read_people(reading)
        except Unreadable as error:
            return Outcome(f"{self._host}: {error}")
        if not people:
            return Outcome(f"{self._host}: no user has this address")
        chosen = next((one for one in people if one.mail), people[0])
        return self._locate(chosen.mail or address, chosen.id)

    def _judge_owner(self, address: str, reading: Reading) -> Outcome:
        if isinstance(reading, Trouble):
            return self._judge_trouble(reading)
        return self._locate(read_owner(reading) or address, address)

    def _judge_trouble(self, trouble: Trouble) -> Outcome:
        words = f"{self._host}: {in_words(trouble)}"
        recovery = recovery_for(trouble)
        if recovery.step is Step.SIGN_IN:
            problem = CarrierProblem("sign-in", in_words(trouble), remedy=recovery.remedy)
            return Outcome(words, problem=problem, answered=False)
        if recovery.step is Step.BACK_OFF or trouble.status == 0 or trouble.status >= 500:
            problem = CarrierProblem("broken", in_words(trouble), retry_after=trouble.backoff)
            return Outcome(words, problem=problem, answered=False)
        return Outcome(f"{words}; {recovery.remedy}" if recovery.step is Step.BLOCK else words)

    def _locate(self, address: str, identity: str) -> Outcome:
        endpoint = self._caller.root + questions.user_path(identity)
        return Outcome(f"{self._host}: mailbox {address}", Mailbox(address, endpoint))


def _in_batches(items: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    return (items[at : at + MOST] for at in range(0, len(items), MOST))


def _carrier_problem(failure: Refused | Unreadable | CarrierProblem) -> CarrierProblem:
    if isinstance(failure, CarrierProblem):
        return failure
    if isinstance(failure, Refused):
        recovery = recovery_for(failure.trouble)
        return CarrierProblem(
            "broken", in_words(failure.trouble), remedy=recovery.remedy, retry_after=failure.trouble.backoff
        )
    return CarrierProblem("broken", f"the server's answer can't be read: {failure}")
