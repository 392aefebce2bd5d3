"""The messages of the PBX link as values (pbx-link.md sections 2 to 4).

They know nothing of JSON: `wire` turns them into text and back, `session` decides what they mean.
`src` is whatever the sender of a request put there; an answer carries it back unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

USERS_API = "PbxTableUsers"
PRESENCE_API = "PbxApi"

Columns = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AppChallenge:
    """A client asks for a challenge."""

    src: object = None


@dataclass(frozen=True, slots=True)
class AppChallengeResult:
    challenge: str
    src: object = None


@dataclass(frozen=True, slots=True)
class AppLogin:
    """A client proves that it knows the App object's password."""

    app: str
    digest: str = field(repr=False)
    domain: str = ""
    sip: str = ""
    guid: str = ""
    dn: str = ""
    info: str | None = None
    """the JSON of `info` as the digest wants it; None where there is no such member"""
    app_object: str = ""
    """`info.appobj`, the name of the App object the login was made for"""
    src: object = None


@dataclass(frozen=True, slots=True)
class AppLoginResult:
    ok: bool
    src: object = None


@dataclass(frozen=True, slots=True)
class AppCheckLogin:
    """The PBX manager asks whether both sides have the same password."""

    app: str
    domain: str
    challenge: str
    digest: str = field(repr=False)
    src: object = None


@dataclass(frozen=True, slots=True)
class AppCheckLoginResult:
    ok: bool
    src: object = None


@dataclass(frozen=True, slots=True)
class PbxInfo:
    """A PBX says who it is and which APIs the App object's check marks allow."""

    pbx: str
    domain: str = ""
    dns: str = ""
    apis: frozenset[str] = frozenset()
    version: str = ""
    build: str = ""


@dataclass(frozen=True, slots=True)
class AppInfo:
    app: str
    src: object = None


@dataclass(frozen=True, slots=True)
class AppInfoResult:
    app: str
    src: object = None


@dataclass(frozen=True, slots=True)
class KeepAlive:
    src: object = None


@dataclass(frozen=True, slots=True)
class ReplicateStart:
    src: str


@dataclass(frozen=True, slots=True)
class ReplicateStartResult:
    error: str = ""
    """"" where all is well, else number and text in words"""


@dataclass(frozen=True, slots=True)
class ReplicateNext:
    src: str


@dataclass(frozen=True, slots=True)
class ReplicateNextResult:
    columns: Columns | None
    """one row; None: the table has ended"""
    error: str = ""


@dataclass(frozen=True, slots=True)
class ReplicateAdd:
    columns: Columns


@dataclass(frozen=True, slots=True)
class ReplicateUpdate:
    columns: Columns


@dataclass(frozen=True, slots=True)
class ReplicateDel:
    columns: Columns


@dataclass(frozen=True, slots=True)
class SetPresence:
    src: str
    guid: str
    contact: str
    activity: str
    note: str = field(repr=False)
    """may hold the title of an appointment"""


@dataclass(frozen=True, slots=True)
class SetPresenceResult:
    src: object
    error: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message this program has no use for; to be ignored and counted."""

    mt: str
    api: str = ""


Replicated = ReplicateStartResult | ReplicateNextResult | ReplicateAdd | ReplicateUpdate | ReplicateDel
Incoming = (
    AppChallenge
    | AppChallengeResult
    | AppLogin
    | AppLoginResult
    | AppCheckLogin
    | PbxInfo
    | AppInfo
    | KeepAlive
    | Replicated
    | SetPresenceResult
    | Unknown
)
Outgoing = (
    AppChallenge
    | AppChallengeResult
    | AppLogin
    | AppLoginResult
    | AppCheckLoginResult
    | AppInfoResult
    | KeepAlive
    | ReplicateStart
    | ReplicateNext
    | SetPresence
)
