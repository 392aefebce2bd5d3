"""Our copy of the PBX's user table: rows in, users and their candidate addresses out.

A row is taken whole or not at all. What an update leaves out is empty, so half of a row that can't be
read would look like a user who lost his addresses, and his presence would be cleared for nothing: such a
row changes nothing, the user stays as he was, and the problem is told with his guid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PbxUser:
    """One row of PbxTableUsers, as far as this program needs it."""

    guid: str
    sip: str
    """column `h323`: the user's name on the PBX"""
    cn: str = ""
    dn: str = ""
    node: str = ""
    loc: str = ""
    addresses: tuple[str, ...] = ()
    """candidate mail addresses in order of preference, duplicates dropped"""


class RowProblem(ValueError):
    """A row that can't be read; the text names the user and the column."""

    def __init__(self, guid: str, reason: str) -> None:
        super().__init__(f"row of user {guid or '(without guid)'}: {reason}")
        self.guid = guid
        """"" where not even the guid can be read"""


@dataclass(frozen=True, slots=True)
class UserChanged:
    """A user is new, or his row reads differently now."""

    user: PbxUser


@dataclass(frozen=True, slots=True)
class UserRemoved:
    """A known user left the PBX."""

    guid: str


@dataclass(frozen=True, slots=True)
class RowUnreadable:
    """A row that changed nothing because it can't be read."""

    guid: str
    reason: str


@dataclass(frozen=True, slots=True)
class PassComplete:
    """A full pass ended: exactly these users exist now, readable or not."""

    guids: frozenset[str]


Change = UserChanged | UserRemoved | RowUnreadable | PassComplete


def read_row(columns: Mapping[str, object], domain: str) -> PbxUser:
    """A user from the columns of his row (pbx-link.md section 3).

    `domain` is PbxInfo's; where it is "" an address without "@" can't be completed and is left out.
    Absent and null columns are empty. Raises RowProblem.
    """
    guid = _guid(columns)
    sip = _text(columns, "h323", guid)
    return PbxUser(
        guid=guid,
        sip=sip,
        cn=_text(columns, "cn", guid),
        dn=_text(columns, "dn", guid),
        node=_text(columns, "node", guid),
        loc=_text(columns, "loc", guid),
        addresses=_addresses(columns, guid, sip, domain),
    )


def _guid(columns: Mapping[str, object]) -> str:
    guid = columns.get("guid")
    if not isinstance(guid, str) or not guid:
        raise RowProblem("", "column guid is missing or not text")
    return guid


def _text(columns: Mapping[str, object], name: str, guid: str) -> str:
    value = columns.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RowProblem(guid, f"column {name} is not text")
    return value


def _flag(columns: Mapping[str, object], name: str, guid: str) -> bool:
    value = columns.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise RowProblem(guid, f"column {name} is neither true nor false")
    return value


def _addresses(columns: Mapping[str, object], guid: str, sip: str, domain: str) -> tuple[str, ...]:
    """Each e-mail, then the user's name if it is one, then the name at the PBX's domain."""
    candidates = [part.strip() for text in _emails(columns, guid) for part in text.split(";")]
    if _flag(columns, "h323-email", guid):
        candidates.append(sip.strip())
    if "@" not in sip:
        candidates.append(sip.strip())
    found: dict[str, str] = {}
    for candidate in candidates:
        address = candidate if "@" in candidate or not (candidate and domain) else f"{candidate}@{domain}"
        if "@" in address:
            found.setdefault(address.casefold(), address)
    return tuple(found.values())


def _emails(columns: Mapping[str, object], guid: str) -> Iterator[str]:
    emails = columns.get("emails")
    if emails is None:
        return
    if not isinstance(emails, list):
        raise RowProblem(guid, "column emails is not a list")
    for entry in emails:
        if not isinstance(entry, dict):
            raise RowProblem(guid, "an entry of column emails is not an object")
        yield _text(entry, "email", guid)


class Replica:
    """The users known, through any number of full passes and the changes in between.

    It outlives the connection: what an earlier replica had and a full pass did not bring is gone, and
    a row that reads as before is no change.
    """

    __slots__ = ("_domain", "_seen", "_users")

    def __init__(self) -> None:
        self._users: dict[str, PbxUser] = {}
        self._seen: set[str] | None = None
        """guids of this pass; None between passes"""
        self._domain = ""

    def __len__(self) -> int:
        return len(self._users)

    def begin(self, domain: str) -> None:
        """A full pass begins (again: what an unfinished one brought stays, nothing is removed)."""
        self._seen = set()
        self._domain = domain

    def bring(self, columns: Mapping[str, object]) -> Change | None:
        """A row of the pass, an added or an updated one: always the whole row. None: nothing new."""
        try:
            user = read_row(columns, self._domain)
        except RowProblem as problem:
            self._see(problem.guid)
            return RowUnreadable(problem.guid, str(problem))
        self._see(user.guid)
        if self._users.get(user.guid) == user:
            return None
        self._users[user.guid] = user
        return UserChanged(user)

    def remove(self, columns: Mapping[str, object]) -> Change | None:
        """A row was deleted; the guid alone is enough. None: nobody knew that user."""
        try:
            guid = _guid(columns)
        except RowProblem as problem:
            return RowUnreadable("", str(problem))
        if self._seen is not None:
            self._seen.discard(guid)
        return UserRemoved(guid) if self._users.pop(guid, None) is not None else None

    def complete(self) -> list[Change]:
        """The pass ended: whoever it did not bring is gone. Removals first, then PassComplete."""
        if self._seen is None:
            return []
        seen, self._seen = self._seen, None
        gone = [guid for guid in self._users if guid not in seen]
        for guid in gone:
            del self._users[guid]
        return [*(UserRemoved(guid) for guid in gone), PassComplete(frozenset(seen))]

    def _see(self, guid: str) -> None:
        if self._seen is not None and guid:
            self._seen.add(guid)
