"""Whom an admin means: a user by guid, name or address, or by the beginning of one of them.

A word that is somebody's own name beats one that only begins a name, so that "ann" finds Ann although
there is an Annabel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from presenced.daemon.keeper import Keeper

_LISTED = 5
"""names told where several users are meant"""


class NobodyMeant(Exception):
    """No user is called so; a sentence."""


class SeveralMeant(Exception):
    """More than one user may be meant; a sentence that names some."""


def find_user(keepers: Collection[Keeper], word: str) -> Keeper:
    """The user meant. Raises NobodyMeant or SeveralMeant."""
    meant = word.strip().casefold()
    if not meant:
        raise NobodyMeant("no user was named; name one by guid, name or mail address")
    own: list[Keeper] = []
    also: list[Keeper] = []
    beginning: list[Keeper] = []
    for keeper in keepers:
        if meant in {keeper.user.guid.casefold(), keeper.user.sip.casefold()}:
            own.append(keeper)
            continue
        names = [name.casefold() for name in _names(keeper)]
        if meant in names:
            also.append(keeper)
        elif any(name.startswith(meant) for name in names):
            beginning.append(keeper)
    found = own or also or beginning
    if len(found) == 1:
        return found[0]
    if not found:
        raise NobodyMeant(
            f"none of the {len(keepers)} users of the PBX has a guid, name or mail address "
            f"that is or begins with {word.strip()!r}"
        )
    some = ", ".join(sorted(_telling_apart(found))[:_LISTED])
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    raise SeveralMeant(f"{word.strip()!r} may be {some}{more}; write more of it")


def _telling_apart(found: Collection[Keeper]) -> Iterator[str]:
    """A word for each that means him alone: the name, or the guid where a name is missing or shared."""
    names = Counter(keeper.user.sip for keeper in found)
    for keeper in found:
        yield keeper.user.sip if keeper.user.sip and names[keeper.user.sip] == 1 else keeper.user.guid


def _names(keeper: Keeper) -> Iterator[str]:
    """All that may be said for a user."""
    user = keeper.user
    yield from (user.guid, user.sip, user.cn, user.dn, *user.addresses)
    if keeper.mailbox is not None:
        yield keeper.mailbox.address
