"""A presence: the PBX's activity word and the note beside it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Presence:
    """Activity and note of one contact, as SetPresence carries them (PbxApi, pbx-link.md section 4)."""

    activity: str
    """`""` (available), `busy`, `away` or `dnd`"""
    note: str


CLEARED = Presence("", "")
"""What is written where a user has no calendar (any more)."""
