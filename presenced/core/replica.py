"""Our copy of the PBX's user table: rows in, users and their candidate addresses out."""

from __future__ import annotations

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
