"""Reads the appointments of one mailbox in a window: one request where the calendar fits a page.

Graph hands out occurrences and exceptions with the organizer's address at once, so nothing has to be
asked for twice; a full calendar goes on with the next page.
"""

from __future__ import annotations

import logging
import re

from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.graph import questions
from presenced.calendars.graph.calls import Caller
from presenced.calendars.graph.recovery import Refused, Step, door_problem, mailbox_problem, recovery_for
from presenced.calendars.graph.wire import Unreadable, ViewPage, read_view
from presenced.calendars.problems import SOON, unreadable_problem
from presenced.calendars.span import concerns, span_of
from presenced.core.appointment import Appointment
from presenced.core.ports import Mailbox, MailboxProblem, MailboxState
from presenced.core.window import Window

log = logging.getLogger(__name__)

PAGES = 20
"""pages of one window: more than anybody's calendar fills"""


def find_user(mailbox: Mailbox, root: str) -> str:
    """The user's path. Raises MailboxProblem where the mailbox was found through another door."""
    if mailbox.endpoint.startswith(root + "/users/"):
        return mailbox.endpoint.removeprefix(root)
    raise MailboxProblem(
        MailboxState.FAILING,
        "the mailbox was not looked up through Graph yet",
        retry_after=SOON,
        rediscover=True,
    )


class WindowReader:
    """Reads windows through the caller."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def fetch(self, mailbox: Mailbox, window: Window, zone: str) -> tuple[Appointment, ...]:
        """The port's `fetch_appointments`; the organizer always comes along."""
        user = find_user(mailbox, self._caller.root)
        try:
            found = await self._read(mailbox, questions.view(user, mailbox.address, span_of(window, zone)))
        except Refused as refusal:
            trouble = refusal.trouble
            if recovery_for(trouble).step is Step.SIGN_IN:
                raise door_problem(trouble) from refusal
            raise mailbox_problem(trouble, self._caller.held_for(mailbox.address) or None) from refusal
        except Unreadable as error:
            raise unreadable_problem(str(error)) from error
        except CarrierProblem as problem:
            raise self._caller.carried(problem) from problem
        return tuple(one for one in found.values() if concerns(one, window))

    async def _read(self, mailbox: Mailbox, question: questions.Question) -> dict[str, Appointment]:
        """Every page; what came on two pages counts once."""
        found: dict[str, Appointment] = {}
        for _ in range(PAGES):
            page = read_view(await self._caller.ask_patiently(question))
            self._report(mailbox, page)
            found.update((one.id, one) for one in page.appointments)
            if not page.next_link:
                return found
            question = questions.view_page(self._caller.below_root(page.next_link), mailbox.address)
        log.warning("appointments left out mailbox=%s because=more than fit %d pages", mailbox.address, PAGES)
        return found

    def _report(self, mailbox: Mailbox, page: ViewPage) -> None:
        for reason, count in page.oddities.items():
            self._caller.counters["odd_items_" + re.sub(r"\W+", "_", reason)] += count
            log.info("items read with doubt mailbox=%s because=%s count=%d", mailbox.address, reason, count)
