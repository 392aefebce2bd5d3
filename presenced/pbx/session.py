"""One connection to a PBX, sans-I/O: texts, `now` and nonces in; texts, events and a deadline out.

Who may log in: whoever proves the App object's password over a challenge that is used once. A person's
client can do that too, for the PBX signs logins for anybody who may open the App; such a login names the
person in `sip` and the App object in `info.appobj`, where a PBX names the App object in both. Only a PBX
may stay: a person who said "PbxInfo" would be given everybody's presences.

When the daemon dials, no PbxInfo comes: whom we dialled is the master by definition, its domain is
unknown (""), so addresses without one are not completed, and what it allows shows in its answers.
"""

from __future__ import annotations

import hmac
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum, auto

from presenced.config.settings import PbxSettings
from presenced.core.ports import PbxIdentity
from presenced.core.presence import Presence
from presenced.core.replica import Replica
from presenced.pbx import messages as m
from presenced.pbx import wire
from presenced.pbx.events import Close, Event, Identified, Linked, Trouble
from presenced.pbx.replication import Replication
from presenced.pbx.writes import Writes

LOGIN_WITHIN = timedelta(seconds=10)
"""for the login, and once more for PbxInfo"""
NONCE_LENGTH = 16
"""characters, the most a challenge may have (vendor's AppWebsocket page)"""
STRANGER_LIMIT = 64 * 1024
"""bytes of a message a peer may send before it is known"""
_FAILED_CHECKS = 3
_CHECK_MARKS = {m.PRESENCE_API: "PBX", m.USERS_API: "TableUsers"}


class _Phase(Enum):
    LOGIN = auto()
    UNNAMED = auto()
    NAMED = auto()
    CLOSED = auto()


class Session:
    """The protocol of one connection, in either role."""

    def __init__(
        self,
        settings: PbxSettings,
        replica: Replica,
        counts: Counter[str],
        now: datetime,
        *,
        dialled: bool = False,
    ) -> None:
        self._settings = settings
        self._counts = counts
        self._dialled = dialled
        self._phase = _Phase.LOGIN
        self._login_deadline: datetime | None = now + LOGIN_WITHIN
        self._challenge = ""
        self._failed_checks = 0
        self._texts: deque[str] = deque()
        self._events: deque[Event] = deque()
        self._detail = ""
        self._replication = Replication(replica, counts, self._send, self._tell)
        self._writes = Writes(settings.contact, counts, self._send, self._tell)
        self.identity: PbxIdentity | None = None
        self.linked = False
        """the master PBX, logged in, with all it takes to replicate and write"""
        if dialled:
            self._send(m.AppChallenge())

    # --- what comes out ------------------------------------------------------------------------

    def take_text(self) -> str | None:
        """The next text to send, None where there is none."""
        return self._texts.popleft() if self._texts else None

    def take_event(self) -> Event | None:
        """The next event, None where there is none."""
        return self._events.popleft() if self._events else None

    @property
    def deadline(self) -> datetime | None:
        """When `tick` must be called at the latest."""
        if self._phase is _Phase.CLOSED:
            return None
        deadlines = (self._login_deadline, self._replication.deadline, self._writes.deadline)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    @property
    def role(self) -> str:
        """`master`, `other` or `login`, as the status shows it."""
        if self.identity is None:
            return "login"
        return "master" if self.identity.name == self._settings.master_pbx_name else "other"

    @property
    def detail(self) -> str:
        """How this connection stands, in words for the status."""
        return self._detail or self._replication.detail

    # --- what goes in --------------------------------------------------------------------------

    def receive(self, data: str | bytes, now: datetime, nonce: Callable[[], str]) -> None:
        """One message; `nonce` gives a fresh random text where a challenge is asked for."""
        if self._phase is _Phase.CLOSED:
            return
        stranger = self._phase is not _Phase.NAMED
        try:
            message = wire.read(data, STRANGER_LIMIT if stranger else wire.INCOMING_LIMIT)
        except wire.WireError as problem:
            self._counts["malformed_messages"] += 1
            reason = f"a message can't be read: {problem}"
            self._tell(Close(reason) if stranger else Trouble(reason))
            return
        self._take(message, now, nonce)

    def tick(self, now: datetime) -> None:
        """Act on every deadline that has come."""
        if self._phase is _Phase.CLOSED:
            return
        if self._login_deadline is not None and now >= self._login_deadline:
            missing = "log in" if self._phase is _Phase.LOGIN else "say which PBX it is (PbxInfo)"
            self._end(f"the peer did not {missing} within {int(LOGIN_WITHIN.total_seconds())} s")
            return
        self._replication.tick(now)
        self._writes.tick(now)

    def write(self, guid: str, presence: Presence, now: datetime) -> str:
        """Send a presence on a linked session; the `src` of the Written to come. Raises WireError."""
        return self._writes.write(guid, presence, now)

    def close(self) -> None:
        """The connection is gone: nothing more is taken in, nothing more comes out."""
        self._phase = _Phase.CLOSED
        self.linked = False
        self._texts.clear()
        self._events.clear()

    # --- either role ---------------------------------------------------------------------------

    def _take(self, message: m.Incoming, now: datetime, nonce: Callable[[], str]) -> None:
        match message:
            case m.KeepAlive(src):
                self._send(m.KeepAlive(src))
            case m.Unknown():
                self._counts["unknown_messages"] += 1
            case m.SetPresenceResult() if self.linked:
                self._writes.receive(message)
            case (
                m.ReplicateStartResult()
                | m.ReplicateNextResult()
                | m.ReplicateAdd()
                | m.ReplicateUpdate()
                | m.ReplicateDel()
            ) if self.linked:
                self._replication.receive(message, now)
            case m.AppChallengeResult() | m.AppLoginResult() if self._dialled:
                self._take_dialled(message, now)
            case m.AppChallenge() | m.AppLogin() | m.AppCheckLogin() | m.AppInfo() | m.PbxInfo() if (
                not self._dialled
            ):
                self._take_dialling(message, now, nonce)
            case _:
                self._counts["ignored_messages"] += 1

    def _send(self, message: m.Outgoing) -> None:
        self._texts.append(wire.write(message))

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        if isinstance(event, Close):
            self._phase = _Phase.CLOSED
            self.linked = False

    def _end(self, reason: str) -> None:
        self._tell(Close(reason))

    def _named(self, identity: PbxIdentity, now: datetime) -> None:
        self._phase = _Phase.NAMED
        self._login_deadline = None
        self.identity = identity
        master = self.role == "master"
        self._tell(Identified(identity, master))
        if not master:
            self._detail = f"not the PBX named by master_pbx_name ({self._settings.master_pbx_name})"
        elif missing := self._missing(identity):
            self._detail = missing
            self._tell(Trouble(missing))
        else:
            self._detail = ""
            self.linked = True
            self._tell(Linked(identity))
            self._replication.start(identity.domain, now)

    def _missing(self, identity: PbxIdentity) -> str:
        marks = [mark for api, mark in _CHECK_MARKS.items() if api not in identity.apis]
        if self._dialled or not marks:
            return ""
        names = " and ".join(marks)
        return (
            f"PBX {identity.name} does not allow what is needed: set the check mark {names} in the App"
            f" object {self._settings.app_name}; until then no users are copied and no presence is written"
        )

    # --- the PBX has dialled us ----------------------------------------------------------------

    def _take_dialling(
        self,
        message: m.AppChallenge | m.AppLogin | m.AppCheckLogin | m.AppInfo | m.PbxInfo,
        now: datetime,
        nonce: Callable[[], str],
    ) -> None:
        match message:
            case m.AppChallenge(src):
                self._challenge = nonce()[:NONCE_LENGTH]
                self._send(m.AppChallengeResult(self._challenge, src))
            case m.AppLogin():
                self._login(message, now)
            case m.AppCheckLogin():
                self._check_login(message)
            case m.AppInfo(app, src):
                self._send(m.AppInfoResult(app, src))
            case m.PbxInfo() if self._phase is not _Phase.LOGIN:
                self._name(message, now)
            case m.PbxInfo():
                self._counts["ignored_messages"] += 1

    def _login(self, login: m.AppLogin, now: datetime) -> None:
        challenge, self._challenge = self._challenge, ""
        refusal = self._refusal(login, challenge)
        self._send(m.AppLoginResult(not refusal, login.src))
        if refusal:
            self._counts["logins_refused"] += 1
            self._end(refusal)
            return
        self._counts["logins"] += 1
        if self._phase is _Phase.LOGIN:
            self._phase = _Phase.UNNAMED
            self._login_deadline = now + LOGIN_WITHIN

    def _refusal(self, login: m.AppLogin, challenge: str) -> str:
        """Why this login is refused, "" where it is not."""
        password = self._settings.app_password.reveal()
        if not password:
            return "login refused: app_password is not set"
        if not challenge:
            return "login refused: no challenge was asked for, or it was used before"
        if not _same(wire.digest(login, challenge, password), login.digest):
            return f"login of app {login.app!r} refused: its password is not app_password"
        if login.sip and login.app_object and login.sip.casefold() != login.app_object.casefold():
            return f"login of {login.sip!r} refused: that is a person's client, not a PBX"
        return ""

    def _check_login(self, check: m.AppCheckLogin) -> None:
        password = self._settings.app_password.reveal()
        digests = wire.check_digests(check, password)
        ok = bool(password) and any(_same(digest, check.digest) for digest in digests)
        self._send(m.AppCheckLoginResult(ok, check.src))
        if not ok:
            self._counts["checks_failed"] += 1
            self._failed_checks += 1
        if self._failed_checks >= _FAILED_CHECKS:
            self._end(f"{_FAILED_CHECKS} checks of the password failed: it is not app_password")

    def _name(self, info: m.PbxInfo, now: datetime) -> None:
        identity = PbxIdentity(info.pbx, info.domain, info.dns, info.version or info.build, info.apis)
        if self.identity is not None and self.identity.name != identity.name:
            self._end(f"PBX {self.identity.name} changed its name to {identity.name}")
        elif self.linked:
            self.identity = identity
        else:
            self._named(identity, now)

    # --- we have dialled the PBX ---------------------------------------------------------------

    def _take_dialled(self, message: m.AppChallengeResult | m.AppLoginResult, now: datetime) -> None:
        if self._phase is not _Phase.LOGIN:
            self._counts["ignored_messages"] += 1
        elif isinstance(message, m.AppChallengeResult):
            login = m.AppLogin(app=self._settings.app_name, digest="")
            password = self._settings.app_password.reveal()
            proof = wire.digest(login, message.challenge, password)
            self._send(m.AppLogin(app=self._settings.app_name, digest=proof))
        elif message.ok:
            self._counts["logins"] += 1
            self._named(PbxIdentity(self._settings.master_pbx_name, ""), now)
        else:
            self._counts["logins_refused"] += 1
            self._end(
                f"the PBX refused the login of App object {self._settings.app_name}: check app_name and"
                " app_password"
            )


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())
