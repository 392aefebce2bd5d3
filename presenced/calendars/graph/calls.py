"""One request to Graph, alone or as a batch: headers out, answer or refusal back, budgets held.

Everything the door asks goes through here, so that no answer leads a token to another server, every
back-off is obeyed for the mailbox it was meant for, and counters and health are kept in one place.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from presenced import __version__
from presenced.calendars.budgets import Budgets
from presenced.calendars.carrier import Carrier, CarrierProblem, Reply
from presenced.calendars.graph.batch import MISSING, Part, read_batch, write_batch
from presenced.calendars.graph.questions import Question
from presenced.calendars.graph.recovery import (
    Refused,
    Step,
    Trouble,
    door_problem,
    find_trouble,
    recovery_for,
)
from presenced.calendars.graph.wire import Answer, Unreadable, parse
from presenced.calendars.pace import Pace
from presenced.calendars.problems import SERVER_AWAY, carried_problem
from presenced.calendars.request_id import request_id_headers
from presenced.calendars.transport.http_carrier import parse_retry_after
from presenced.core.ports import Clock, DoorProblem, MailboxProblem

Reading: TypeAlias = Answer | Trouble
"""what became of a part of a batch"""

TRIES = 3
"""tries of one question while the server is busy"""
PATIENCE = timedelta(seconds=30)
"""the longest back-off that a question waits for itself"""


class Caller:
    """Asks through the carrier; knows which budgets are held and whether the door is well."""

    def __init__(self, carrier: Carrier, clock: Clock, pace: Pace, root: str) -> None:
        self.counters: Counter[str] = Counter()
        self.trouble: DoorProblem | None = None
        """why nobody can be served at the moment"""
        self.root = root
        """URL with the version, without a slash at its end"""
        self._carrier, self._clock = carrier, clock
        self._budgets = Budgets(carrier, clock, pace)

    async def ask(self, question: Question) -> Answer:
        """One question by itself. Raises Refused, Unreadable or CarrierProblem."""
        self._count(question)
        await self._wait_for_everybody()
        reply = await self._send(
            question.method,
            question.path,
            question.mailbox,
            question.headers,
            b"" if question.body is None else json.dumps(question.body).encode(),
        )
        headers = _lower(reply.headers)
        good = 200 <= reply.status < 300 and reply.body
        part = Part(reply.status, headers, self._parsed(reply.body) if good else _lenient(reply.body))
        reading = self._read(question, part)
        if isinstance(reading, Trouble):
            raise Refused(reading)
        return reading

    async def ask_patiently(self, question: Question) -> Answer:
        """The same, tried again while the server is busy (the carrier waits out the hold), or when the
        connection broke under it: asking twice does no harm."""
        for _ in range(TRIES - 1):
            try:
                return await self.ask(question)
            except Refused as refusal:
                busy = recovery_for(refusal.trouble).step is Step.BACK_OFF
                if not busy or self.held_for(question.mailbox) > PATIENCE:
                    raise
            except CarrierProblem as problem:
                if problem.kind != "broken":
                    raise
        return await self.ask(question)

    async def ask_batch(self, questions: Sequence[Question]) -> list[Reading]:
        """Up to twenty questions in one request, charged to the account; readings in the same order.

        A part whose token was refused is asked again by itself, for only then can the sign-in get a better
        one. Raises Refused, Unreadable or CarrierProblem where the whole batch failed.
        """
        for question in questions:
            self._count(question)
        self.counters["batches"] += 1
        reply = await self._send("POST", "/$batch", "", {}, write_batch(questions))
        if reply.status != 200:
            trouble = self._trouble_of(reply.status, _lower(reply.headers), _lenient(reply.body))
            self._note("", trouble)
            raise Refused(trouble)
        try:
            parts = read_batch(self._parsed(reply.body), len(questions))
        except Unreadable:
            self.counters["errors_Unreadable"] += 1
            raise
        return [await self._read_part(one, part) for one, part in zip(questions, parts, strict=True)]

    async def _read_part(self, question: Question, part: Part) -> Reading:
        if part.status != 401:
            return self._read(question, part)
        try:
            return await self.ask(question)
        except Refused as refusal:
            return refusal.trouble

    def below_root(self, link: str) -> str:
        """The path of a link Graph gave. Raises Unreadable where it leads to another server."""
        if not link.startswith(self.root + "/"):
            raise Unreadable(f"a link leads away from {self.root}")
        return link.removeprefix(self.root)

    # --- budgets --------------------------------------------------------------------------------

    def backoffs(self) -> Mapping[str, datetime]:
        """Budget -> held until."""
        return self._budgets.holds()

    def held_for(self, budget: str) -> timedelta:
        """How long this mailbox, or everybody, is still held."""
        return max(self._budgets.held_for(budget), self._budgets.held_for(""))

    async def _wait_for_everybody(self) -> None:
        """What holds the whole app holds each mailbox."""
        remaining = self._budgets.held_for("")
        if remaining > PATIENCE:
            raise CarrierProblem("held", "Graph holds back the whole app for a while", retry_after=remaining)
        if remaining > timedelta():
            await self._clock.sleep(remaining)

    # --- problems -------------------------------------------------------------------------------

    def carried(self, problem: CarrierProblem) -> MailboxProblem | DoorProblem:
        """Whose problem it is that a request could not be carried."""
        return carried_problem(problem, alone=False)

    async def _send(
        self, method: str, path: str, budget: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        everyday = {
            "Accept": "application/json",
            "User-Agent": f"presenced/{__version__}",
            **request_id_headers(),
        }
        if body:
            everyday["Content-Type"] = "application/json"
        try:
            reply = await self._carrier.send(
                method, self.root + path, body=body, headers={**everyday, **headers}, budget=budget
            )
        except CarrierProblem as problem:
            self.counters[f"errors_{problem.kind}"] += 1
            whose = self.carried(problem)
            if problem.kind in SERVER_AWAY and isinstance(whose, DoorProblem):
                self.trouble = whose
            raise
        self.trouble = None
        return reply

    def _parsed(self, body: bytes) -> Answer:
        try:
            return parse(body)
        except Unreadable:
            self.counters["errors_Unreadable"] += 1
            raise

    def _read(self, question: Question, part: Part) -> Reading:
        if 200 <= part.status < 300:
            self._budgets.forgive(question.mailbox)
            return part.body
        trouble = (
            Trouble(0, "Missing", "the batch has no answer to it")
            if part is MISSING
            else self._trouble_of(part.status, part.headers, part.body)
        )
        self._note(question.mailbox, trouble)
        return trouble

    def _trouble_of(self, status: int, headers: Mapping[str, str], body: Answer) -> Trouble:
        asked = parse_retry_after(headers.get("retry-after", ""), self._clock.now())
        return find_trouble(status, headers, body, asked)

    def _note(self, budget: str, trouble: Trouble) -> None:
        self.counters[f"errors_{trouble.code}"] += 1
        step = recovery_for(trouble).step
        if step is Step.BACK_OFF:
            self.counters["backoffs"] += 1
            self._budgets.back_off("" if trouble.everybody else budget, trouble.backoff)
        elif step is Step.SIGN_IN:
            self.trouble = door_problem(trouble)

    def _count(self, question: Question) -> None:
        self.counters["requests"] += 1
        self.counters[f"requests_{question.operation}"] += 1


def _lower(headers: Mapping[str, str]) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _lenient(body: bytes) -> Answer:
    """The JSON of a refusal, which may be somebody else's page."""
    try:
        return parse(body)
    except Unreadable:
        return {}
