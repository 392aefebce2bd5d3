"""Ids as clients see them: opaque Base64 that leads back to the mailbox and what is in it.

A client hands an ItemId back without saying whose it is, so the mailbox travels inside, as it does in
the ids of a real server.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import Literal

from presenced.sim.exchange.problems import Problem

Kind = Literal["item", "folder"]
_MARKS: dict[Kind, str] = {"item": "I", "folder": "F"}
_KINDS: dict[str, Kind] = {"I": "item", "F": "folder"}


@dataclass(frozen=True, slots=True)
class ObjectId:
    """What an id leads to."""

    kind: Kind
    address: str
    """primary address of the mailbox"""
    name: str
    """id of the item, or name of the folder"""


def write_id(kind: Kind, address: str, name: str) -> str:
    """The id of an item or folder as clients see it."""
    return binascii.b2a_base64(f"{_MARKS[kind]}\0{address}\0{name}".encode(), newline=False).decode()


def read_id(text: str) -> ObjectId:
    """What this id leads to; Problem("ErrorInvalidIdMalformed") where it is none of ours."""
    try:
        return read_payload(binascii.a2b_base64(text.encode(), strict_mode=True))
    except (binascii.Error, UnicodeError):
        raise Problem("ErrorInvalidIdMalformed", "Id is malformed.") from None


def read_payload(payload: bytes) -> ObjectId:
    """What the bytes inside an id lead to; Problem("ErrorInvalidIdMalformed")."""
    try:
        mark, address, name = payload.decode().split("\0", 2)
        return ObjectId(_KINDS[mark], address, name)
    except (UnicodeError, ValueError, KeyError):
        raise Problem("ErrorInvalidIdMalformed", "Id is malformed.") from None
