"""What can go wrong with a PBX, each a switch that a test turns (pbx-link.md section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

AWKWARD_INFO: Mapping[str, object] = {
    "cn": 'Jörg "der <Große>" & Söhne \\ / \t€ \U0001f600',
    "unlicensed": True,
    "nested": {"z": 1, "a": [None, False, "ü"]},
}
"""an `info` that has to be spelt right for the digest to fit"""


class LossPoint(StrEnum):
    """States in which the socket can be lost; "before" and "after" are meant literally."""

    CONNECTED = "before the first message"
    CHALLENGED = "after the challenge, before the login"
    LOGIN_SENT = "after the login, before its result"
    LOGGED_IN = "after the login's result, before PbxInfo"
    INFORMED = "after PbxInfo"
    STARTED = "after ReplicateStart, before its result"
    REPLICATING = "after rows_before_loss rows"
    REPLICATED = "after the end of the table"
    WRITING = "after SetPresence, before it is stored"
    WRITTEN = "after SetPresence is stored, before its result"


@dataclass(slots=True)
class PbxFaults:
    """All off by default; may be changed while the PBX runs. Two PBXes are two instances."""

    slave: bool = False
    """another PBX of the system: whoever replicates from it or writes to it has a bug"""
    without_pbx_api: bool = False
    """PbxInfo names no PbxApi, and it isn't served"""
    without_table_users: bool = False
    wrong_password: bool = False
    reuse_challenge: bool = False
    """log in with the challenge of the first login again"""
    login_info: Mapping[str, object] | None = field(default_factory=lambda: {"unlicensed": True})
    """`info` of the login; None: without that member"""
    escape_login: bool = False
    """send the login with white space and `\\u` escapes; the digest is over the bare spelling"""
    half_open: bool = False
    """`drop_connection` leaves the old socket open and silent and dials anew"""
    updates_during_first_pass: bool = False
    """in the middle of the first pass: an update of a row sent and of one not yet sent, a user that comes
    and one that goes"""
    awkward_rows: bool = False
    """rows of the first pass without emails, with `;` lists, without "@", with h323-email, in turn"""
    big_row: bool = False
    """the first row of a pass has 60 KiB"""
    slow_rows: timedelta = timedelta()
    """by the clock, before each row"""
    start_error: int = 0
    """ReplicateStartResult carries this error"""
    without_src: bool = False
    """answers about the table lack `src`: they are to be routed by `api`"""
    set_presence_error: int = 0
    set_presence_silent: bool = False
    """SetPresenceResult never comes"""
    stored_when_silent: bool = True
    """whether what is not answered is stored all the same"""
    set_presence_delay: timedelta = timedelta()
    """by the clock, before each SetPresenceResult"""
    only_guids: frozenset[str] | None = None
    """whom the four above hit; None: everybody"""
    lose_at: LossPoint | None = None
    """lose the socket there, once: the switch goes back to None"""
    rows_before_loss: int = 1
    keep_alive: bool = False
    """send KeepAlive after the login and with every row"""
    unknown_messages: bool = False
    """send messages nobody knows after the login, during the pass and before each SetPresenceResult"""

    def hit(self, guid: str) -> bool:
        """Whether the switches about writing are meant for this user."""
        return self.only_guids is None or guid in self.only_guids
