"""The Exchange side of a check: from the server's name to a change notice that arrives.

One window read tells of two steps: a server that refuses the impersonation says so in its answer to the read,
so whoever gets appointments may impersonate.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from datetime import timedelta

from presenced.calendars.discovery.order import find_domain
from presenced.calendars.transport import tls
from presenced.calendars.transport.authentication import TokenSource
from presenced.calendars.transport.http_carrier import HttpCarrier
from presenced.cli.connect.course import Course, Finding, StepFailed, Verdict
from presenced.cli.connect.network import Route, Target, target_of, walk
from presenced.cli.connect.token import TOKEN
from presenced.cli.connect.way import Way
from presenced.cli.connect.witness import Witness
from presenced.config.settings import Settings, SyncType
from presenced.core.appointment import Appointment
from presenced.core.ports import (
    CalendarDoor,
    Clock,
    DoorProblem,
    Mailbox,
    MailboxProblem,
    Resolution,
)
from presenced.core.window import Window

EVENT_WITHIN = timedelta(seconds=100)
"""Microsoft's servers send a StatusEvent every 45 s; twice that, and a little (exchange.md section 4)"""
_UNSUBSCRIBED_WITHIN = timedelta(seconds=5)
_LOOK = timedelta(milliseconds=100)
_FAILURES = 2
"""failures of the stream in a row after which no more is waited for"""
NO_MAILBOX = "give the user object on the PBX an address of the mailbox, or name another with --user"


class Notices:
    """The port `core.ports.CalendarListener` for one mailbox."""

    def __init__(self) -> None:
        self.flowing = False
        self.polled = False
        self.problem: MailboxProblem | None = None

    def changed(self, address: str) -> None:
        """Whatever changes is of no interest here."""

    def followed(self, addresses: Sequence[str], *, polled: bool) -> None:
        self.flowing, self.polled = True, polled

    def alive(self, addresses: Sequence[str]) -> None:
        """Counted by the witness, who sees what kind of sign it was."""

    def troubled(self, address: str, problem: MailboxProblem) -> None:
        self.problem = problem


class ExchangeSide:
    """Walks the way to one mailbox."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        addresses: Sequence[str],
        way: Way,
        *,
        token: TokenSource | None,
    ) -> None:
        self._settings = settings
        self._exchange = settings.exchange
        self._clock = clock
        self._addresses = tuple(addresses)
        self._way = way
        self._token = token
        self._wants_token = settings.exchange.sync_type is not SyncType.ON_PREMISES
        self._mailbox: Mailbox | None = None
        self._walked: set[Target] = set()

    async def run(self, course: Course) -> None:
        """All steps."""
        obstacle = "" if await self._walk_to_servers(course) else "the server can't be reached"
        if self._wants_token and not course.passed(TOKEN):
            obstacle = obstacle or f"{TOKEN} failed"
        if not obstacle:
            await self._ask(course)
            return
        for name in ("exchange sign-in", "exchange autodiscover"):
            course.skip(name, obstacle)
        self._skip_mailbox(course, obstacle)

    # --- names, ports, certificates -------------------------------------------------------------

    async def _walk_to_servers(self, course: Course) -> bool:
        """The configured server, or those where autodiscover begins; whether to go on."""
        if self._way.server:
            return await self._walk(course, self._way.server)
        domain = self._domain()
        for host in (f"autodiscover.{domain}", domain) if domain else ():
            await self._walk(course, f"https://{host}", harmless="autodiscover goes on to the next server")
        return True

    def _domain(self) -> str:
        """Of the address that is asked about first, else the service account's."""
        for address in (*self._addresses, self._exchange.user):
            if (domain := find_domain(address)) is not None:
                return domain
        return ""

    async def _walk(self, course: Course, url: str, *, harmless: str = "") -> bool:
        target = target_of(url)
        if target in self._walked:
            return True
        free = await walk(
            course,
            Route("exchange", target, self._trust, verify=self._exchange.tls_verify, harmless=harmless),
        )
        if free:
            self._walked.add(target)
        return free

    def _trust(self, verified: bool) -> ssl.SSLContext:
        return tls.build_context(self._exchange.tls_ca, verify=verified)

    # --- questions ------------------------------------------------------------------------------

    async def _ask(self, course: Course) -> None:
        async with HttpCarrier(
            self._exchange, self._clock, token=self._token, trusted=self._way.trusted
        ) as carrier:
            witness, notices = Witness(carrier), Notices()
            await self._ask_through(course, self._way.open_door(witness, notices), witness, notices)

    async def _ask_through(
        self, course: Course, door: CalendarDoor, witness: Witness, notices: Notices
    ) -> None:
        await self._discover(course, door, witness)
        mailbox = self._mailbox
        if mailbox is None or not self._addresses:
            because = "no user to try" if course.passed("exchange autodiscover") else "no mailbox was found"
            self._skip_mailbox(course, because)
        elif not await self._walk(course, mailbox.endpoint):
            self._skip_mailbox(course, "the server of the mailbox can't be reached")
        elif await self._read(course, door, mailbox):
            await course.take(
                "exchange subscription", lambda: self._subscribe(door, mailbox, witness, notices)
            )
        else:
            course.skip("exchange subscription", "exchange read failed")

    def _skip_mailbox(self, course: Course, because: str) -> None:
        for step in ("impersonation", "read", "subscription"):
            course.skip(f"exchange {step}", because)

    async def _discover(self, course: Course, door: CalendarDoor, witness: Witness) -> None:
        """Sign-in and autodiscover: one question shows both."""
        asked = self._addresses or tuple(filter(find_domain, [self._exchange.user]))
        if not asked:
            for name in ("exchange sign-in", "exchange autodiscover"):
                course.skip(name, "no address to ask about; name one with --user ADDRESS")
            return
        course.begin("exchange sign-in")
        began = self._clock.now()
        resolution, problem = await _resolve(door, asked)
        took = self._clock.now() - began
        seen = witness.seen
        if seen.signed_in:
            course.add("exchange sign-in", Finding(f"{self._account()} accepted at {seen.signed_in}"), took)
        elif seen.refusal is not None:
            refusal = seen.refusal
            course.add("exchange sign-in", Finding(refusal.reason, refusal.remedy, Verdict.FAIL), took)
            course.skip("exchange autodiscover", "exchange sign-in failed")
            return
        elif resolution is None or resolution.mailbox is None:
            course.skip("exchange sign-in", "no server asked for it")
        else:
            course.add("exchange sign-in", Finding("not asked for yet", verdict=Verdict.NOTE), took)
        course.add("exchange autodiscover", self._conclude(resolution, problem, seen.tried), took)

    def _conclude(
        self, resolution: Resolution | None, problem: DoorProblem | None, tried: Sequence[str]
    ) -> Finding:
        if resolution is None:
            reason, remedy = (problem.reason, problem.remedy) if problem is not None else ("", "")
            ways = "; ".join(dict.fromkeys(tried))
            return Finding(f"{reason} (asked: {ways})" if ways else reason, remedy, Verdict.FAIL)
        words = "; ".join(f"{answer.address}: {answer.outcome}" for answer in resolution.answers)
        self._mailbox = resolution.mailbox
        if resolution.mailbox is None:
            return Finding(words, NO_MAILBOX, Verdict.FAIL)
        return Finding(f"{words} (ews_url is set, so by ResolveNames)" if self._exchange.ews_url else words)

    def _account(self) -> str:
        if self._token is not None:
            return f"token of {self._exchange.client_id or 'the app'}"
        return f"{self._exchange.user} ({self._exchange.authentication})"

    async def _read(self, course: Course, door: CalendarDoor, mailbox: Mailbox) -> bool:
        """Impersonation and one window read: one request shows both."""
        began = self._clock.now()
        names = ("exchange impersonation", "exchange read")
        course.begin(names[1])
        try:
            appointments = await self._fetch(door, mailbox)
        except (MailboxProblem, DoorProblem) as problem:
            took = self._clock.now() - began
            cause = problem.__cause__
            failure = Finding(problem.reason, problem.remedy, Verdict.FAIL)
            if self._way.is_denial(cause):
                course.add(names[0], failure, took)
                course.skip(names[1], "exchange impersonation failed")
            else:
                course.skip(names[0], "the read failed before it showed")
                course.add(names[1], failure, took)
            return False
        took = self._clock.now() - began
        course.add(names[0], Finding(f"the account may act as {mailbox.address}"), took)
        hours = self._settings.presence.window / timedelta(hours=1)
        course.add(names[1], Finding(f"{len(appointments)} appointments in the next {hours:g} hours"), took)
        return True

    async def _fetch(self, door: CalendarDoor, mailbox: Mailbox) -> Sequence[Appointment]:
        presence, now = self._settings.presence, self._clock.now()
        window = Window(now, now + presence.window)
        return await door.fetch_appointments(mailbox, window, presence.timezone, organizers=False)

    # --- notices --------------------------------------------------------------------------------

    async def _subscribe(
        self, door: CalendarDoor, mailbox: Mailbox, witness: Witness, notices: Notices
    ) -> Finding:
        """Follow the mailbox until a sign of life has come, then leave nothing behind."""
        running = asyncio.create_task(door.run())
        door.follow([mailbox])
        try:
            await self._await_event(door, witness, notices)
        finally:
            door.unfollow([mailbox.address])
            await self._await_unsubscribed(door)
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
        if notices.polled:
            asked = f"asked for changes every {self._exchange.poll_interval.total_seconds():g} s"
            return Finding(f"{asked}{self._way.remark}")
        return Finding("the stream is open, and a status event came")

    async def _await_event(self, door: CalendarDoor, witness: Witness, notices: Notices) -> None:
        """Return when it came. Raises MailboxProblem or StepFailed."""
        end = self._clock.now() + EVENT_WITHIN
        while self._clock.now() < end:
            if notices.problem is not None:
                raise notices.problem
            if notices.flowing and (notices.polled or witness.seen.status_events):
                return
            detail = _detail(door)
            if detail and door.counters().get("reconnects", 0) >= _FAILURES:
                raise StepFailed(
                    f"no change notices: {detail}",
                    "look at the load of the server, and at proxies and load balancers before it",
                )
            await self._clock.sleep(_LOOK)
        seconds = f"{EVENT_WITHIN.total_seconds():g} s"
        raise StepFailed(
            f"the subscription was made, but no status event came within {seconds}"
            + (f": {detail}" if (detail := _detail(door)) else ""),
            "look for a proxy or load balancer that keeps answers back until they end, or ends quiet "
            "connections; follow = polling in [exchange] does without",
        )

    async def _await_unsubscribed(self, door: CalendarDoor) -> None:
        end = self._clock.now() + _UNSUBSCRIBED_WITHIN
        while door.counters().get("groups") and self._clock.now() < end:
            await self._clock.sleep(_LOOK)
        await self._clock.sleep(_LOOK)


async def _resolve(
    door: CalendarDoor, addresses: Sequence[str]
) -> tuple[Resolution | None, DoorProblem | None]:
    try:
        return (await door.fetch_mailboxes([addresses]))[0], None
    except DoorProblem as problem:
        return None, problem


def _detail(door: CalendarDoor) -> str:
    return next((stream.detail for stream in door.status().streams if stream.detail), "")
