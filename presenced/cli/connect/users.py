"""Whose mailbox is tried: the one named, or the first user the PBX, the daemon or the store knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from presenced.cli.connect.course import Course, Finding, StepFailed, Verdict
from presenced.cli.connect.pbx import PbxSide
from presenced.config.settings import Settings
from presenced.core.ports import StoreProblem
from presenced.store.sqlite import peek_users

PBX_WAIT = timedelta(seconds=10)
"""how long a PBX may take to dial us before its users are done without"""


class Chooser:
    """Finds the candidate addresses of one user."""

    def __init__(self, settings: Settings, pbx: PbxSide, named: str) -> None:
        self._settings = settings
        self._pbx = pbx
        self._named = named
        self.addresses: tuple[str, ...] = ()
        """in order of preference; empty where nobody was found"""

    async def choose(self, course: Course) -> None:
        """The step `user`."""
        await course.take("user", self._choose)

    async def _choose(self) -> Finding:
        if self._named:
            self.addresses = (self._named,)
            own = self._settings.for_user(self.addresses)
            if own.sync:
                return Finding(f"{self._named}, as named by --user")
            return Finding(
                f"{self._named}, as named by --user, but [user {own.section}] says sync = no",
                "the daemon leaves this mailbox alone; take sync = no out if that is not meant",
                Verdict.NOTE,
            )
        for source in (self._from_pbx(), self._from_daemon(), await self._from_store()):
            if source is not None:
                return source
        await self._pbx.wait_for_users(PBX_WAIT)
        found = self._from_pbx()
        if found is None:
            raise StepFailed(
                "no PBX user with a mail address is known: no PBX has logged in, and the store has none",
                "name a mailbox with --user ADDRESS",
            )
        return found

    def _from_pbx(self) -> Finding | None:
        candidates = [(user.sip, user.addresses) for user in self._pbx.users]
        return self._take(candidates, "the PBX")

    def _from_daemon(self) -> Finding | None:
        status = self._pbx.daemon
        if status is None:
            return None
        users = [(user["sip"], (user["mailbox"],)) for user in status["users"] if user["mailbox"]]
        return self._take(users, "the running daemon")

    async def _from_store(self) -> Finding | None:
        path = self._settings.store.path
        try:
            users = await peek_users(path)
        except StoreProblem:
            return None
        return self._take([(user.sip, user.addresses) for user in users], f"the store {path}")

    def _take(self, users: Sequence[tuple[str, tuple[str, ...]]], source: str) -> Finding | None:
        """The first who has an address and is to be synchronised."""
        for sip, addresses in users:
            if addresses and self._settings.for_user(addresses).sync:
                self.addresses = addresses
                return Finding(f"{sip} ({', '.join(addresses)}), the first user of {source}")
        return None
