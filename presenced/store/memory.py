"""A store that keeps nothing: the same port in a dictionary.

It is the test double for everybody who needs a store, and what a check or a preview runs on. It is held
to the SQLite store's behaviour by the same tests (tests/store), so whoever uses it gets the real rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from presenced.core.appointment import Appointment
from presenced.core.ports import Mailbox, MailboxState, StoredUser, StoreProblem, Write
from presenced.core.replica import PbxUser
from presenced.core.window import Window


class MemoryStore:
    """The port `core.ports.Store` without a disk."""

    def __init__(self) -> None:
        self._users: dict[str, StoredUser] = {}
        self._writes: list[Write] = []
        self._values: dict[str, bytes] = {}
        self._closed = False

    async def load(self) -> Sequence[StoredUser]:
        """Everybody kept, by guid."""
        self._check_open()
        return [self._users[guid] for guid in sorted(self._users)]

    async def keep_user(self, user: PbxUser) -> None:
        """A new or changed row of the replica."""
        self._check_open()
        kept = self._users.get(user.guid)
        self._users[user.guid] = StoredUser(user) if kept is None else replace(kept, user=user)

    async def drop_users(self, guids: Sequence[str]) -> None:
        """Users that left the PBX."""
        self._check_open()
        for guid in guids:
            self._users.pop(guid, None)

    async def keep_mailbox(
        self, guid: str, mailbox: Mailbox | None, state: MailboxState, reason: str, at: datetime
    ) -> None:
        """What became of this user's mailbox."""
        self._check_open()
        if kept := self._users.get(guid):
            self._users[guid] = replace(kept, mailbox=mailbox, state=state, reason=reason, resolved_at=at)

    async def keep_appointments(
        self, guid: str, appointments: Sequence[Appointment], window: Window, at: datetime
    ) -> None:
        """The appointments of a window read."""
        self._check_open()
        if kept := self._users.get(guid):
            self._users[guid] = replace(kept, appointments=tuple(appointments), window=window, read_at=at)

    async def expect_write(self, guid: str) -> None:
        """From now on what the PBX has is unknown."""
        self._check_open()
        if kept := self._users.get(guid):
            self._users[guid] = replace(kept, written=None, touched=True)

    async def keep_write(self, write: Write) -> None:
        """A write was confirmed or failed."""
        self._check_open()
        self._writes.append(write)
        if kept := self._users.get(write.guid):
            written = None if write.error else write.presence
            self._users[write.guid] = replace(kept, written=written, touched=True)

    async def fetch_writes(
        self, *, guid: str | None = None, since: datetime | None = None, limit: int = 100
    ) -> Sequence[Write]:
        """The record of writes, newest first."""
        self._check_open()
        found = [
            write
            for write in reversed(self._writes)
            if (guid is None or write.guid == guid) and (since is None or write.at >= since)
        ]
        found.sort(key=lambda write: write.at, reverse=True)
        return found[: max(0, limit)]

    async def forget_writes(self, before: datetime) -> int:
        """Drop the record of older writes; how many went."""
        self._check_open()
        kept = [write for write in self._writes if write.at >= before]
        gone = len(self._writes) - len(kept)
        self._writes = kept
        return gone

    async def keep_value(self, name: str, value: bytes | None) -> None:
        """A small named value; None removes it."""
        self._check_open()
        if value is None:
            self._values.pop(name, None)
        else:
            self._values[name] = value

    async def fetch_value(self, name: str) -> bytes | None:
        """The named value, None where there is none."""
        self._check_open()
        return self._values.get(name)

    async def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreProblem("the store is closed")
