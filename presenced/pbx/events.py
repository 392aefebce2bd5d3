"""What a session has to tell the link: the values that come out of the protocol beside its texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from presenced.core.ports import PbxIdentity
from presenced.core.replica import Change
from presenced.pbx.messages import Outgoing


@dataclass(frozen=True, slots=True)
class Identified:
    """The peer is logged in and has said which PBX it is (or we dialled it)."""

    pbx: PbxIdentity
    master: bool


@dataclass(frozen=True, slots=True)
class Linked:
    """It is the master PBX and it allows what is needed; its users follow."""

    pbx: PbxIdentity


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the SetPresence with this `src`; `error` is "" or a sentence."""

    src: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something the admin should read about; the connection goes on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Close:
    """Send what is left to send, then close the connection for this reason."""

    reason: str


Event = Identified | Linked | Change | Written | Trouble | Close
Tell = Callable[[Event], None]
Send = Callable[[Outgoing], None]
