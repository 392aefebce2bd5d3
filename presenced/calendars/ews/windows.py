"""Reads the appointments of one mailbox in a window: one request where the server plays along.

Everything a rule needs comes with one FindItem. Two things cost more, and only where they happen: a
calendar too full for one answer is read by halves, and an organizer without an address is asked for
again with GetItem (exchange.md section 5).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.ews import codec
from presenced.calendars.ews.calls import Caller, Request
from presenced.calendars.ews.envelope import Refused, Unreadable
from presenced.calendars.ews.recovery import (
    Step,
    door_problem,
    mailbox_problem,
    recovery_for,
)
from presenced.calendars.ews.wire import Found, read_appointments, read_organizers
from presenced.calendars.problems import unreadable_problem
from presenced.calendars.span import concerns, span_of
from presenced.core.appointment import Appointment, ShowAs
from presenced.core.ports import Mailbox
from presenced.core.window import Window

log = logging.getLogger(__name__)

T = TypeVar("T")
SHORTEST = timedelta(minutes=15)
"""a window that is not halved again"""
TRIES = 3
"""tries of one request while the server is busy"""
PATIENCE = timedelta(seconds=30)
"""the longest back-off that a read waits for itself"""
BATCH = 100
"""items in one GetItem"""


class _Wish(NamedTuple):
    """What is to be read."""

    mailbox: Mailbox
    window: Window
    zone: str
    organizers: bool


class WindowReader:
    """Reads windows through the caller."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def fetch(
        self, mailbox: Mailbox, window: Window, zone: str, *, organizers: bool
    ) -> tuple[Appointment, ...]:
        """The port's `fetch_appointments`."""
        wish = _Wish(mailbox, window, zone, organizers)
        try:
            kept = [one for one in await self._read(wish) if concerns(one, window)]
            if organizers:
                kept = await self._with_organizers(mailbox, kept)
        except Refused as refusal:
            trouble = refusal.trouble
            if recovery_for(trouble).step is Step.SIGN_IN:
                raise door_problem(trouble) from refusal
            held = self._caller.held_for(mailbox.address)
            raise mailbox_problem(trouble, held or None) from refusal
        except Unreadable as error:
            raise unreadable_problem(str(error)) from error
        except CarrierProblem as problem:
            raise self._caller.carried(mailbox.endpoint, problem) from problem
        return tuple(kept)

    async def _read(self, wish: _Wish) -> Iterable[Appointment]:
        """All appointments that may concern the window; halved as often as the server wants it."""
        mailbox = wish.mailbox
        found: dict[str, Appointment] = {}
        cut = False
        spans = [span_of(wish.window, wish.zone)]
        while spans:
            span = spans.pop()
            part = await self._read_span(wish, span)
            if part is None:
                self._caller.counters["windows_halved"] += 1
                middle = _middle(span)
                spans += [Window(middle, span.end), Window(span.start, middle)]
                continue
            cut |= not part.complete
            found.update((one.id, one) for one in part.appointments)
            for reason, count in (part.oddities or {}).items():
                self._caller.counters["odd_items_" + re.sub(r"\W+", "_", reason)] += count
                log.info(
                    "items read with doubt mailbox=%s because=%s count=%d", mailbox.address, reason, count
                )
        if cut:
            log.warning("appointments left out mailbox=%s because=more than fit an answer", mailbox.address)
        return found.values()

    async def _read_span(self, wish: _Wish, span: Window) -> Found | None:
        """One FindItem; None where the span must be halved."""
        halvable = span.end - span.start > SHORTEST
        body = codec.find_appointments(wish.mailbox.address, span, organizers=wish.organizers)
        try:
            found = await self._ask(
                wish.mailbox,
                "FindItem",
                body,
                lambda answer: read_appointments(answer, wish.zone, codec.iana_zone, wish.window),
            )
        except Refused as refusal:
            if halvable and recovery_for(refusal.trouble).step is Step.NARROW:
                return None
            raise
        return None if halvable and not found.complete else found

    async def _ask(self, mailbox: Mailbox, operation: str, body: bytes, read: Callable[[bytes], T]) -> T:
        """One request, tried again while the server is busy (the carrier waits out the hold), or when the
        connection broke under it: reading twice does no harm."""
        request = Request(operation, mailbox.endpoint, body, mailbox.address)
        for _ in range(TRIES - 1):
            try:
                return (await self._caller.call(request, read)).value
            except Refused as refusal:
                busy = recovery_for(refusal.trouble).step is Step.BACK_OFF
                if not busy or self._caller.held_for(mailbox.address) > PATIENCE:
                    raise
            except CarrierProblem as problem:
                if problem.kind != "broken":
                    raise
        return (await self._caller.call(request, read)).value

    async def _with_organizers(
        self, mailbox: Mailbox, appointments: Sequence[Appointment]
    ) -> list[Appointment]:
        """Only tentative ones need the organizer's address, for the exceptions of presence.md section 2."""
        asked = [one.id for one in appointments if one.show_as is ShowAs.TENTATIVE and not one.organizer]
        if not asked:
            return list(appointments)
        addresses: dict[str, str] = {}
        for at in range(0, len(asked), BATCH):
            body = codec.get_organizers(mailbox.address, asked[at : at + BATCH])
            addresses |= await self._ask(mailbox, "GetItem", body, read_organizers)
        return [
            one._replace(organizer=addresses[one.id]) if one.id in addresses else one for one in appointments
        ]


def _middle(window: Window) -> datetime:
    half = (window.end - window.start) / 2
    return (window.start + half).replace(microsecond=0)
