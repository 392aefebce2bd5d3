"""The simulated PBX: what a test, the demo or a benchmark holds in its hands."""

from __future__ import annotations

import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import Any

from presenced.core.ports import Clock
from presenced.sim.pbx.entrance import let_log_in, log_in
from presenced.sim.pbx.faults import PbxFaults
from presenced.sim.pbx.line import Line, LineLost, Listener, dial, listen
from presenced.sim.pbx.login import digest
from presenced.sim.pbx.session import Session
from presenced.sim.pbx.state import Message, PbxState, PresenceWritten
from presenced.sim.pbx.users import SimulatedUser

REDIAL = timedelta(seconds=1)
"""by the clock, from the loss of a connection to the next attempt"""


class SimulatedPbx:
    """One PBX: its users, what was written to them, and its connections to the daemon."""

    def __init__(
        self,
        users: Iterable[SimulatedUser],
        *,
        clock: Clock,
        name: str = "master",
        domain: str = "example.com",
        app: str = "presenced",
        password: str = "pwd",
        faults: PbxFaults | None = None,
        on_presence: Callable[[PresenceWritten], None] | None = None,
    ) -> None:
        self.faults = faults or PbxFaults()
        self._state = PbxState(
            users,
            clock=clock,
            name=name,
            domain=domain,
            app=app,
            password=password,
            faults=self.faults,
            on_presence=on_presence,
        )
        self._clock = clock
        self._sessions: list[Session] = []
        self._half_open: list[Line] = []
        self._listener: Listener | None = None
        self._sources = count(1)

    # --- what happened ---

    @property
    def users(self) -> dict[str, SimulatedUser]:
        """guid -> user, as they are now; change them through the methods below."""
        return self._state.users

    @property
    def presences(self) -> dict[str, dict[str, tuple[str, str]]]:
        """guid -> contact -> (activity, note); kept over reconnects."""
        return self._state.presences

    @property
    def writes(self) -> deque[PresenceWritten]:
        """Every SetPresence stored, in order; a test may clear it."""
        return self._state.writes

    @property
    def client_bugs(self) -> list[str]:
        """What a real client would not do, in words."""
        return self._state.client_bugs

    @property
    def counters(self) -> Counter[str]:
        """`logins`, `refused`, `replications` (ReplicateStart), `passes` (ended), `needless writes` (what was
        there already), `most in flight`, `writes to removed users`, `keep-alives echoed`, `dials`."""
        return self._state.counters

    @property
    def logins(self) -> int:
        """Logins that worked."""
        return self._state.counters["logins"]

    @property
    def connected(self) -> bool:
        """Whether somebody is logged in."""
        return bool(self._sessions)

    @property
    def half_open(self) -> int:
        """Sockets left open and silent."""
        return len(self._half_open)

    # --- connections ---

    async def run_dialing(self, url: str, *, tls: ssl.SSLContext | None = None) -> None:
        """Dial a listening daemon, and again a second after each loss, until cancelled."""
        try:
            while True:
                self._state.counters["dials"] += 1
                with suppress(LineLost):
                    line = await dial(url, tls, self._state.report)
                    try:
                        await self._talk(line, await log_in(line, self._state))
                    finally:
                        await self._leave(line)
                await self._clock.sleep(REDIAL)
        finally:
            self._lose_half_open()

    async def serve(
        self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None
    ) -> int:
        """Take the connections of a dialling daemon at /PBX0/APPS/websocket; the port. `close` ends it."""

        async def meet(line: Line) -> None:
            with suppress(LineLost):
                try:
                    await self._talk(line, await let_log_in(line, self._state))
                finally:
                    await self._leave(line)
            if line.muted:
                await line.wait_closed()

        self._listener = await listen(host, port, tls, self._state.report, meet)
        return self._listener.port

    async def close(self) -> None:
        """Stop serving and lose every connection."""
        self.drop_connection(half_open=False)
        self._lose_half_open()
        if self._listener is not None:
            await self._listener.close()
            self._listener = None

    def drop_connection(self, *, half_open: bool | None = None) -> None:
        """Lose the connection, or (by default when the switch is on) leave it half-open."""
        for session in self._sessions:
            if self.faults.half_open if half_open is None else half_open:
                session.line.mute()
            else:
                session.line.lose()

    async def _talk(self, line: Line, served: frozenset[str]) -> None:
        session = Session(line, self._state, served)
        self._state.counters["logins"] += 1
        self._sessions.append(session)
        try:
            await session.serve()
        finally:
            self._sessions.remove(session)

    async def _leave(self, line: Line) -> None:
        if line.muted:
            self._half_open.append(line)
        else:
            line.lose()
            await line.wait_closed()

    def _lose_half_open(self) -> None:
        while self._half_open:
            self._half_open.pop().lose()

    # --- users ---

    def add_user(self, user: SimulatedUser) -> None:
        """A new user; connected daemons get ReplicateAdd, during the first pass too."""
        self._change("ReplicateAdd", user)

    def update_user(self, user: SimulatedUser) -> None:
        """A changed user; connected daemons get ReplicateUpdate with the whole row."""
        self._change("ReplicateUpdate", user)

    def remove_user(self, guid: str) -> None:
        """A user is deleted, presences and all; connected daemons get ReplicateDel with the guid alone."""
        user = self._state.users.pop(guid)
        self._state.former.add(guid)
        self._state.presences.pop(guid, None)
        for session in self._sessions:
            session.post(session.table.removed(user))

    def _change(self, kind: str, user: SimulatedUser) -> None:
        self._state.users[user.guid] = user
        self._state.former.discard(user.guid)
        for session in self._sessions:
            session.post(session.table.changed(kind, user))

    def set_presence(self, guid: str, contact: str, activity: str, note: str) -> None:
        """Somebody else sets a presence: the user on the phone (`tel:`), a client (`im:`)."""
        self._state.store_presence(guid, contact, activity, note)

    # --- requests of the PBX ---

    def send_keep_alive(self) -> None:
        """Ask every connected daemon for an echo; `counters["keep-alives echoed"]` counts them."""
        for session in self._sessions:
            session.send_keep_alive()

    async def check_login(self, password: str | None = None) -> bool:
        """AppCheckLogin, the PBX manager's green tick; raises LineLost when the connection goes."""
        session = self._session()
        challenge = (await session.ask({"mt": "AppChallenge"})).get("challenge")
        message: Message = {
            "mt": "AppCheckLogin",
            "src": f"check{next(self._sources)}",
            "app": self._state.app,
            "domain": self._state.domain,
            "challenge": challenge,
        }
        password = self._state.password if password is None else password
        message["digest"] = digest(message, str(challenge), password)
        return (await session.ask(message)).get("ok") is True

    async def fetch_app_info(self) -> dict[str, Any]:
        """AppInfo; the daemon's answer as it came."""
        return await self._session().ask({"mt": "AppInfo", "app": self._state.app})

    def _session(self) -> Session:
        if not self._sessions:
            raise LineLost("nobody is connected")
        return self._sessions[-1]
