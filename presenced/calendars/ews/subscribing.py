"""Subscribes everybody in a group: the anchor first, the others behind its cookie, a few at a time.

A mailbox that is refused for a reason of its own is sent away and never holds up the others; what
would happen to everybody (the server is away, the account refused) is raised at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.ews import codec
from presenced.calendars.ews.calls import Caller, Request
from presenced.calendars.ews.envelope import BUSY, UNREADABLE, Refused, Trouble, Unreadable
from presenced.calendars.ews.recovery import Step, recovery_for
from presenced.calendars.ews.roster import Home, Member, Roster
from presenced.calendars.ews.wire import read_subscription
from presenced.calendars.problems import SERVER_AWAY


class Subscriber:
    """Sends Subscribe for the members of one roster."""

    def __init__(self, roster: Roster, home: Home, caller: Caller, width: int) -> None:
        self._roster = roster
        self._home = home
        self._caller = caller
        self._width = width

    async def subscribe_all(self) -> None:
        """Return when every member left has a subscription; who comes meanwhile is included."""
        while missing := self._roster.missing():
            if len(missing) == len(self._roster.members):
                self._roster.cookie = ""  # nobody is bound to a server any more: affinity begins anew
            anchor = self._roster.choose_anchor()
            if not anchor.subscription:
                await self._subscribe(anchor)
                continue
            queue = iter(missing)
            workers = (self._subscribe_some(queue) for _ in range(min(self._width, len(missing))))
            for problem in await asyncio.gather(*workers):
                if problem is not None:
                    raise problem

    async def _subscribe_some(self, queue: Iterator[Member]) -> Refused | CarrierProblem | None:
        for member in queue:
            try:
                if member.roster is self._roster:
                    await self._subscribe(member)
            except (Refused, CarrierProblem) as problem:
                for _ in queue:  # the others would ask in vain, too
                    pass
                return problem
        return None

    async def _subscribe(self, member: Member) -> None:
        roster, address = self._roster, member.address
        held = self._caller.held_for(address)
        if held:
            return self._home.trouble(member, Trouble(BUSY, "an earlier back-off", backoff=held))
        request = Request(
            "Subscribe",
            roster.endpoint,
            codec.subscribe(address),
            address,
            anchor=roster.anchor,
            cookie=roster.cookie,
        )
        try:
            taken = await self._caller.call(request, read_subscription)
        except Refused as refusal:
            if recovery_for(refusal.trouble).step is Step.SIGN_IN:
                raise
            self.send_away(member, refusal.trouble)
        except Unreadable as error:
            self.send_away(member, Trouble(UNREADABLE, str(error)))
        except CarrierProblem as problem:
            if problem.kind in SERVER_AWAY:
                raise
            self.send_away(member, Trouble(problem.kind, problem.reason, backoff=problem.retry_after))
        else:
            self._keep(member, taken.value, taken.cookie)
        return None

    def _keep(self, member: Member, subscription: str, cookie: str) -> None:
        roster = self._roster
        if member.roster is not roster:  # he left meanwhile
            roster.discard(member.address, subscription)
            return
        member.subscription, member.fresh = subscription, True
        if member.address == roster.anchor and not roster.cookie:
            roster.cookie = cookie

    def send_away(self, member: Member, trouble: Trouble) -> None:
        """The mailbox leaves the group for the reason the server gave."""
        if member.roster is not self._roster:
            return
        if recovery_for(trouble).step is Step.POLL:
            self._home.poll(member, trouble)
        else:
            self._home.trouble(member, trouble)
