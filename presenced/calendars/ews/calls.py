"""One EWS request on behalf of one mailbox: headers out, value or refusal back, budgets held.

Everything the door asks goes through here, so that every request carries the headers Exchange wants
(exchange.md section 1), every back-off is obeyed whatever shape it comes in, and the counters, the
health of the door are kept in one place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from presenced import __version__
from presenced.calendars.budgets import Budgets
from presenced.calendars.carrier import Carrier, CarrierProblem, Reply, Stream
from presenced.calendars.ews.envelope import Refused, Trouble, Unreadable, http_trouble
from presenced.calendars.ews.recovery import Step, door_problem, recovery_for
from presenced.calendars.pace import Pace
from presenced.calendars.problems import SERVER_AWAY, carried_problem
from presenced.calendars.request_id import request_id_headers
from presenced.core.ports import Clock, DoorProblem, MailboxProblem

T = TypeVar("T")
AFFINITY_COOKIE = "X-BackEndOverrideCookie"
MAX_REFUSAL = 256 * 1024
"""bytes read of the body of a stream that was refused"""
OPENING = timedelta(seconds=60)
"""how long a stream may take to open"""
_RECENT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask, of whom, as whom."""

    operation: str
    url: str
    body: bytes
    mailbox: str
    """the impersonated mailbox, whose budget is charged"""
    anchor: str = ""
    """X-AnchorMailbox where it is another one; then affinity is asked for, too"""
    cookie: str = ""
    """the group's X-BackEndOverrideCookie"""


@dataclass(frozen=True, slots=True)
class Taken(Generic[T]):
    """A value, and the affinity cookie that came with it."""

    value: T
    cookie: str = ""


class Caller:
    """Sends requests through the carrier; knows which budgets are held and whether the door is well."""

    def __init__(self, carrier: Carrier, clock: Clock, pace: Pace) -> None:
        self.counters: Counter[str] = Counter()
        self.trouble: DoorProblem | None = None
        """why nobody can be served at the moment"""
        self._carrier = carrier
        self._clock = clock
        self._budgets = Budgets(carrier, clock, pace)
        self._reached: dict[str, datetime] = {}

    async def call(self, request: Request, read: Callable[[bytes], T]) -> Taken[T]:
        """Send, and read the answer. Raises Refused, Unreadable or CarrierProblem."""
        self.counters["requests"] += 1
        self.counters[f"requests_{request.operation}"] += 1
        try:
            reply = await self._carrier.send(
                "POST",
                request.url,
                body=request.body,
                headers=headers_for(request),
                budget=request.mailbox,
            )
            value = read(_body_of(reply))
        except (Refused, Unreadable, CarrierProblem) as problem:
            self._note(request, problem)
            raise
        self._reach(request.url)
        self._budgets.forgive(request.mailbox)
        return Taken(value, reply.cookies.get(AFFINITY_COOKIE, ""))

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[Stream]:
        """Open a stream that the server accepted. Raises as `call` does; what the user of the stream
        raises because of what he read there is noted the same way."""
        self.counters["connections"] += 1
        try:
            async with self._carrier.open_stream(
                request.url,
                body=request.body,
                headers=headers_for(request),
                budget=request.mailbox,
                opening_within=OPENING,
            ) as stream:
                await _expect_acceptance(stream)
                self._reach(request.url)
                yield stream
        except (Refused, Unreadable, CarrierProblem) as problem:
            self._note(request, problem)
            raise

    # --- budgets --------------------------------------------------------------------------------

    def back_off(self, budget: str, trouble: Trouble) -> timedelta:
        """Hold this budget, and no other, as long as the server asks; how long that is."""
        self.counters["backoffs"] += 1
        return self._budgets.back_off(budget, trouble.backoff)

    def backoffs(self) -> Mapping[str, datetime]:
        """Budget -> held until."""
        return self._budgets.holds()

    def held_for(self, budget: str) -> timedelta:
        """How long this budget is still held."""
        return self._budgets.held_for(budget)

    # --- problems -------------------------------------------------------------------------------

    def carried(self, url: str, problem: CarrierProblem) -> MailboxProblem | DoorProblem:
        """Whose problem it is that a request to this URL could not be carried."""
        now = self._clock.now()
        alone = any(other != url and now - at < _RECENT for other, at in self._reached.items())
        return carried_problem(problem, alone=alone)

    def _note(self, request: Request, problem: Refused | Unreadable | CarrierProblem) -> None:
        if isinstance(problem, CarrierProblem):
            self.counters[f"errors_{problem.kind}"] += 1
            if problem.kind in SERVER_AWAY:
                whose = self.carried(request.url, problem)
                self.trouble = whose if isinstance(whose, DoorProblem) else self.trouble
            return
        if isinstance(problem, Unreadable):
            self.counters["errors_Unreadable"] += 1
            return
        trouble = problem.trouble
        self.counters[f"errors_{trouble.code}"] += 1
        step = recovery_for(trouble).step
        if step is Step.BACK_OFF:
            self.back_off(request.mailbox, trouble)
        elif step is Step.SIGN_IN:
            self.trouble = door_problem(trouble)

    def _reach(self, url: str) -> None:
        self._reached[url] = self._clock.now()
        self.trouble = None


def headers_for(request: Request) -> dict[str, str]:
    """exchange.md sections 1 and 4; Authorization is the carrier's."""
    headers = {
        "Content-Type": "text/xml; charset=utf-8",
        "Accept": "text/xml",
        "User-Agent": f"presenced/{__version__}",
        "X-AnchorMailbox": request.anchor or request.mailbox,
        **request_id_headers(),
    }
    if request.anchor:
        headers["X-PreferServerAffinity"] = "true"
    if request.cookie:
        headers["Cookie"] = f"{AFFINITY_COOKIE}={request.cookie}"
    return headers


def _body_of(reply: Reply) -> bytes:
    if reply.status != 200:
        raise Refused(http_trouble(reply.status, reply.headers, reply.body))
    return reply.body


async def _expect_acceptance(stream: Stream) -> None:
    if stream.status == 200:
        return
    body = bytearray()
    async for chunk in stream.chunks():
        body += chunk
        if len(body) > MAX_REFUSAL:
            break
    raise Refused(http_trouble(stream.status, stream.headers, bytes(body[:MAX_REFUSAL])))
