"""The carrier over HTTP: admits, signs in, sends, bounds, counts.

Sessions are made once and kept: with one session, header and connection set-up a request, a core would
carry a tenth of what Exchange can answer. Streams run beside the slots, each on a connection of its own,
so that a hundred open streams starve no request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

from presenced import __version__
from presenced.calendars.carrier import CarrierProblem, Reply, Stream
from presenced.calendars.transport import tls
from presenced.calendars.transport.authentication import Basic, Bearer, SignIn, TokenSource, is_loopback
from presenced.calendars.transport.gate import Gate
from presenced.calendars.transport.lanes import Answer, Lane, Request, find_origin
from presenced.calendars.transport.limits import Limits
from presenced.calendars.transport.ntlm import Ntlm
from presenced.calendars.transport.record import RequestRecord, code_of, excerpt, operation_of
from presenced.calendars.transport.transcript import Transcript
from presenced.config.settings import ExchangeSettings, SyncType
from presenced.core.ports import Clock

WITHIN = timedelta(seconds=60)
"""for one exchange, where the caller names no other limit; waiting for a slot does not count"""
LARGEST_ANSWER = 16 * 1024 * 1024
SHORTEST_HOLD = timedelta(seconds=1)
LONGEST_HOLD = timedelta(hours=1)
UNNAMED_HOLD = timedelta(seconds=10)
"""for a 429 that does not say how long"""
_BUSY = (429, 503)

T = TypeVar("T", Reply, Answer)


class HttpCarrier:
    """The `Carrier` of carrier.py. An async context manager: connections live inside it.

    `trusted` names more addresses the admin configured than `ews_url` and `autodiscover_url`: they get
    the sign-in without asking first, and may do without TLS where they are on this very machine.
    """

    def __init__(
        self,
        settings: ExchangeSettings,
        clock: Clock,
        *,
        token: TokenSource | None = None,
        trusted: Sequence[str] = (),
        observe: Callable[[RequestRecord], None] | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._observe = observe
        self._limits = Limits(clock, settings.requests_in_flight)
        self._gate = Gate(clock)
        self._transcript = Transcript() if settings.debug_protocol else None
        configured = [
            find_origin(url) for url in (settings.ews_url, settings.autodiscover_url, *trusted) if url
        ]
        for origin in configured:
            self._gate.expect(origin)
        plain = any(o.startswith("http://") and is_loopback(urlsplit(o).hostname or "") for o in configured)
        self._sign_in = _choose(settings, self._gate, token, plain_loopback=plain)
        self._shared: Lane | None = None
        self._lanes: list[Lane] = []
        self._idle: list[Lane] = []
        self._counts: Counter[str] = Counter()
        self._in_flight = 0
        self._streams = 0

    async def __aenter__(self) -> Self:
        self._context = tls.build_context(self._settings.tls_ca, verify=self._settings.tls_verify)
        self._shared = self._new_lane(pinned=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        lanes = [self._shared, *self._lanes] if self._shared is not None else self._lanes
        self._shared, self._lanes, self._idle = None, [], []
        for lane in lanes:
            await lane.close()

    async def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        budget: str = "",
        signed_in: bool = True,
        within: timedelta | None = None,
    ) -> Reply:
        """One request and its whole answer; see carrier.py.

        `within` counts from the moment it has its slot.
        """
        request = Request(method, url, find_origin(url), body, headers or {})
        sign_in = self._sign_in if signed_in else None
        self._counts["requests"] += 1
        try:
            async with self._limits.admit(budget):
                self._in_flight += 1
                try:
                    reply = await self._exchange(request, sign_in, within or WITHIN, budget)
                finally:
                    self._in_flight -= 1
        except CarrierProblem as problem:
            self._counts[f"errors_{problem.kind}"] += 1
            raise
        self._heed(reply.status, reply.headers, budget)
        return reply

    @asynccontextmanager
    async def open_stream(
        self,
        url: str,
        *,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        budget: str = "",
        opening_within: timedelta | None = None,
    ) -> AsyncIterator[Stream]:
        """POST, and the answer as it comes; see carrier.py. Waits for a hold, but takes no slot."""
        request = Request(
            "POST", url, find_origin(url), body, {"Accept-Encoding": "identity", **(headers or {})}
        )
        self._counts["streams"] += 1
        try:
            await self._limits.wait_out(budget)
            pinned = self._sign_in is not None and self._sign_in.pinned
            lane = self._new_lane(pinned=True) if pinned else self._get_shared()
            self._streams += 1
            answer: Answer | None = None
            try:
                opening = self._open(lane, request, self._sign_in)
                answer = await self._watch(opening, request, opening_within or WITHIN, budget)
                self._heed(answer.status, answer.headers, budget)
                yield self._transcript.follow(answer, request.url) if self._transcript else answer
            finally:
                self._streams -= 1
                if answer is not None:
                    answer.close()
                if pinned:
                    await lane.close()
        except CarrierProblem as problem:
            self._counts[f"errors_{problem.kind}"] += 1
            raise

    def hold(self, budget: str, duration: timedelta) -> None:
        """Back off: no request of this budget until `duration` has passed (a longer hold stays)."""
        self._counts["holds"] += 1
        self._limits.hold(budget, duration)

    def holds(self) -> Mapping[str, datetime]:
        """Budget -> held until, of the holds in force."""
        return self._limits.holds()

    def counters(self) -> Mapping[str, int]:
        """requests, streams, errors_<kind>, holds, waits since start; in_flight, streams_open, queues now."""
        return {
            **self._counts,
            "waits": self._limits.waits,
            "in_flight": self._in_flight,
            "streams_open": self._streams,
            "queues": self._limits.queues,
        }

    async def _exchange(
        self, request: Request, sign_in: SignIn | None, within: timedelta, budget: str
    ) -> Reply:
        pinned = sign_in is not None and sign_in.pinned
        lane = self._take(request.origin) if pinned else self._get_shared()
        try:
            return await self._watch(self._ask(lane, request, sign_in), request, within, budget)
        finally:
            if pinned:
                self._idle.append(lane)

    async def _ask(self, lane: Lane, request: Request, sign_in: SignIn | None) -> Reply:
        answer = await self._open(lane, request, sign_in)
        body = await answer.read(LARGEST_ANSWER)
        reply = Reply(answer.status, answer.headers, body, answer.cookies)
        if self._transcript:
            self._transcript.write_answer(request.url, reply.status, reply.headers, body)
        return reply

    async def _open(self, lane: Lane, request: Request, sign_in: SignIn | None) -> Answer:
        if self._transcript:
            self._transcript.write_request(request.method, request.url, request.headers, request.body)
        return await (lane.open(request) if sign_in is None else sign_in.open(lane, request))

    async def _watch(self, work: Awaitable[T], request: Request, within: timedelta, budget: str) -> T:
        """Await it for so long, and tell the observer how it went: the one place every exchange passes."""
        began = self._clock.now()
        try:
            async with self._clock.timeout(within):
                outcome = await work
        except TimeoutError as late:
            self._tell(request, budget, began, problem="timeout")
            raise CarrierProblem(
                "timeout",
                f"{request.origin} did not answer within {within.total_seconds():g} s",
                remedy="look at the load of the server and at the network between",
            ) from late
        except CarrierProblem as problem:
            self._tell(request, budget, began, problem=problem.kind)
            raise
        self._tell(request, budget, began, outcome)
        return outcome

    def _tell(
        self,
        request: Request,
        budget: str,
        began: datetime,
        outcome: Reply | Answer | None = None,
        problem: str = "",
    ) -> None:
        if self._observe is None:
            return
        body = outcome.body if isinstance(outcome, Reply) else b""
        shown = self._transcript is not None
        self._observe(
            RequestRecord(
                began,
                budget,
                urlsplit(request.url).path,
                outcome.status if outcome else 0,
                self._clock.now() - began,
                outcome.headers.get("request-id", "") if outcome else "",
                problem,
                operation_of(request.body),
                code_of(body),
                excerpt(request.body) if shown else "",
                excerpt(body) if shown else "",
            )
        )

    def _take(self, origin: str) -> Lane:
        """A pinned lane nobody uses, best one that is signed in there; there are as many as slots."""
        for lane in reversed(self._idle):
            if lane.is_signed(origin):
                self._idle.remove(lane)
                return lane
        if self._idle:
            return self._idle.pop()
        lane = self._new_lane(pinned=True)
        self._lanes.append(lane)
        return lane

    def _get_shared(self) -> Lane:
        if self._shared is None:
            raise RuntimeError("the carrier is not open: enter it first")
        return self._shared

    def _new_lane(self, *, pinned: bool) -> Lane:
        return Lane(self._context, f"presenced/{__version__}", pinned=pinned)

    def _heed(self, status: int, headers: Mapping[str, str], budget: str) -> None:
        """Hold the budget where the server asks for it (RFC 9110 section 10.2.3, RFC 6585 section 4)."""
        if status not in _BUSY:
            return
        asked = parse_retry_after(headers.get("Retry-After", ""), self._clock.now())
        if asked is None and status == 429:
            asked = UNNAMED_HOLD
        if asked is not None:
            self.hold(budget, min(max(asked, SHORTEST_HOLD), LONGEST_HOLD))


def _choose(
    settings: ExchangeSettings, gate: Gate, token: TokenSource | None, *, plain_loopback: bool
) -> SignIn | None:
    """The sign-in these settings name; None where there is nobody to sign in."""
    if token is not None:
        account = settings.user or settings.client_id or "the app"
        return Bearer(gate, token, account=account, plain_loopback=plain_loopback)
    if settings.sync_type is not SyncType.ON_PREMISES or not settings.user:
        return None
    way = Basic if settings.authentication == "basic" else Ntlm
    return way(gate, settings.user, settings.password.reveal(), plain_loopback=plain_loopback)


def parse_retry_after(value: str, now: datetime) -> timedelta | None:
    """Seconds or a date (RFC 9110 section 10.2.3); None where it is neither."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:9]), 10**8))
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
