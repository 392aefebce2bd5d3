"""The PBX's side of a check: a login where we dial, a socket and its URL where the PBX dials us.

The link is the daemon's own and nothing is written through it. Where the daemon runs it has the port already;
then it is asked how it stands with the PBX.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from presenced.cli.ask import ask
from presenced.cli.connect.course import Course, Finding, StepFailed, Verdict
from presenced.cli.connect.network import (
    Route,
    Target,
    describe,
    names_in,
    read_own_certificate,
    target_of,
    walk,
)
from presenced.cli.endings import Failed
from presenced.config.settings import PbxSettings, Settings
from presenced.core.ports import Clock, DoorProblem, PbxIdentity
from presenced.core.replica import PbxUser
from presenced.pbx.link import PbxLink
from presenced.pbx.tls import client_context

LOGIN_WITHIN = timedelta(seconds=30)
"""for login and a copy of all users, when we dial"""
_LOOK = timedelta(milliseconds=100)
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - looked up, not bound
MARKS = "set its check marks Websocket, PBX and TableUsers, and the password of app_password"


class Guest:
    """The port `core.ports.PbxListener`: remembers who the PBX is and whom it knows."""

    def __init__(self) -> None:
        self.users: dict[str, PbxUser] = {}
        self.pbx: PbxIdentity | None = None
        self.whole = False
        """the first pass over the user table is complete"""

    def linked(self, pbx: PbxIdentity) -> None:
        self.pbx = pbx

    def changed(self, user: PbxUser) -> None:
        self.users[user.guid] = user

    def removed(self, guid: str) -> None:
        self.users.pop(guid, None)

    def replicated(self, guids: frozenset[str]) -> None:
        self.users = {guid: user for guid, user in self.users.items() if guid in guids}
        self.whole = True

    def unlinked(self, reason: str) -> None:
        self.pbx = None


class PbxSide:
    """The link during a check."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._pbx: PbxSettings = settings.pbx
        self._ini = Path(settings.path)
        self._clock = clock
        self._guest = Guest()
        self._link = PbxLink(settings.pbx, self._guest, clock)
        self._task: asyncio.Task[None] | None = None
        self._began = clock.now()
        self._certificate: Mapping[str, Any] | StepFailed | None = None
        self.daemon: Mapping[str, Any] | None = None
        """the status of the daemon that has the port; None where none has"""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, DoorProblem):
                await self._task

    @property
    def users(self) -> Sequence[PbxUser]:
        """Whom the PBX has named so far."""
        return list(self._guest.users.values())

    async def begin(self, course: Course) -> None:
        """Dial and log in, or listen."""
        if self._pbx.mode == "dial":
            target = target_of(self._pbx.url)
            route = Route("pbx", target, self._trust, verify=self._pbx.tls_verify)
            if await walk(course, route):
                await course.take("pbx login", self._log_in)
            else:
                course.skip("pbx login", f"the PBX at {target.place} can't be reached")
            return
        await course.take("pbx listening", self._listen)
        if self._pbx.tls_certificate is not None:
            await course.take("pbx certificate", self._show_certificate, after=["pbx listening"])

    async def wait_for_users(self, limit: timedelta) -> None:
        """Return when the PBX has named a user, or `limit` after the listening began."""
        if self._task is not None and not self._task.done() and self._pbx.mode != "dial":
            await self._wait(lambda: any(user.addresses for user in self.users), self._left(limit))

    async def conclude(self, course: Course, patience: timedelta) -> None:
        """Where the PBX dials us: whether it has."""
        if self._pbx.mode != "dial":
            await course.take("pbx login", lambda: self._judge_login(patience), after=["pbx listening"])

    # --- dialling ------------------------------------------------------------------------------

    def _trust(self, verified: bool) -> ssl.SSLContext | None:
        return client_context(replace(self._pbx, tls_verify=verified))

    async def _log_in(self) -> Finding:
        self._start()
        await self._wait(lambda: self._guest.whole or bool(self._link.failure), LOGIN_WITHIN)
        if self._task is not None and self._task.done():
            self._task.result()
        if self._guest.whole:
            return Finding(self._linked_words())
        if self._link.counters()["logins_refused"]:
            raise StepFailed(
                self._link.failure,
                "enter name and password of the App object in app_name and app_password of [pbx]",
            )
        detail = next((one.detail for one in self._link.status() if one.detail), "")
        raise StepFailed(
            self._link.failure or detail or f"no copy of the users within {LOGIN_WITHIN.total_seconds():g} s",
            f"look at the App object {self._pbx.app_name} on the PBX: {MARKS}",
        )

    # --- listening -----------------------------------------------------------------------------

    async def _listen(self) -> Finding:
        task = self._start()
        listening = asyncio.create_task(self._link.listening.wait())
        await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if task.done():
            return await self._explain_taken(task)
        await self._look_at_certificate(self._link.port)
        return Finding(
            f"listens on {self._place()}; URL of the App object: {self._app_url()}", self._reachable()
        )

    async def _explain_taken(self, task: asyncio.Task[None]) -> Finding:
        try:
            task.result()
        except DoorProblem as problem:
            cause = problem.__cause__
            if not isinstance(cause, OSError) or cause.errno != errno.EADDRINUSE:
                raise
        port = self._pbx.listen.port
        try:
            status: Mapping[str, Any] = await asyncio.to_thread(
                ask, "/status", {}, ini=self._ini, socket=None
            )
        except Failed as silent:
            raise StepFailed(
                f"{self._place()} is taken, and not by a daemon with this configuration that answers here "
                f"({silent.message.partition('. ')[0]})",
                f"see who listens there (ss -ltnp 'sport = :{port}') and stop it, or set another listen in "
                "[pbx]; if it is the daemon, run this as root or as its account",
            ) from None
        self.daemon = status
        await self._look_at_certificate(port)
        version = status.get("version", "")
        return Finding(
            f"the running daemon (presenced {version}) listens on {self._place()}; "
            f"URL of the App object: {self._app_url()}",
            verdict=Verdict.NOTE,
        )

    def _reachable(self) -> str:
        host = self._pbx.listen.host
        return (
            f"{host} is reached from this machine alone: set listen in [pbx] for a PBX elsewhere"
            if host in {"127.0.0.1", "::1", "localhost"}
            else ""
        )

    def _place(self) -> str:
        where = self._pbx.listen
        host = f"[{where.host}]" if ":" in where.host else where.host
        return f"{host}:{self._link.port or where.port}"

    def _app_url(self) -> str:
        """The URL of the App object: its last part is the app's name, and is stripped when dialled."""
        secure = self._pbx.tls_certificate is not None
        shown = self._certificate if isinstance(self._certificate, Mapping) else {}
        names = [name for name in names_in(shown) if not name.startswith("*.")]
        host = names[0] if names else self._own_name()
        domain = self._guest.pbx.domain if self._guest.pbx is not None else ""
        app = self._pbx.app_name or "presenced"
        port = self._link.port or self._pbx.listen.port
        url = f"http{'s' if secure else ''}://{host}:{port}/{domain or 'DOMAIN'}/presenced/{app}"
        return url if domain else f"{url} (DOMAIN is the PBX's)"

    def _own_name(self) -> str:
        host = self._pbx.listen.host
        return socket.gethostname() if host in _EVERYWHERE else host

    async def _look_at_certificate(self, port: int) -> None:
        """Shake hands with ourselves, trusting the very file that should be shown."""
        path = self._pbx.tls_certificate
        if path is None:
            return
        host = _EVERYWHERE.get(self._pbx.listen.host, self._pbx.listen.host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(cafile=str(path))
            self._certificate = await read_own_certificate(
                Target(host, port, secure=True), context, self._clock
            )
        except ssl.SSLCertVerificationError as problem:
            self._certificate = StepFailed(
                f"the certificate in {path} is of no use: {problem.verify_message}",
                "have a new one issued, and put it into tls_certificate and tls_key of [pbx]",
            )
        except (OSError, TimeoutError) as problem:
            self._certificate = StepFailed(
                f"no TLS handshake with {host}:{port}: {problem}", "look at tls_certificate and tls_key"
            )

    async def _show_certificate(self) -> Finding:
        if isinstance(self._certificate, StepFailed):
            raise self._certificate
        certificate = self._certificate or {}
        names = ", ".join(names_in(certificate)) or "no name"
        return describe(certificate, names, self._clock.now())

    async def _judge_login(self, patience: timedelta) -> Finding:
        if self.daemon is not None:
            return self._judge_daemon(self.daemon["pbx"])
        await self._wait(lambda: self._guest.whole or bool(self._objection()), self._left(patience))
        if self._guest.pbx is not None:
            return Finding(self._linked_words())
        if objection := self._objection():
            raise StepFailed(*objection)
        return Finding(
            f"no PBX has dialled within {patience.total_seconds():g} s",
            f"on the PBX's App object enter the URL {self._app_url()}, {MARKS}; "
            "and let the PBX reach this port",
            Verdict.NOTE,
        )

    def _objection(self) -> tuple[str, str] | None:
        """What is wrong with the PBXes that have dialled, and the remedy."""
        master = self._pbx.master_pbx_name
        for one in self._link.status():
            if one.role == "other":
                return (
                    f"PBX {one.name} logged in, but master_pbx_name is {master}",
                    f"set master_pbx_name = {one.name} in [pbx] if that is the PBX meant",
                )
            if one.role == "master" and one.detail and not self._guest.pbx:
                return one.detail, f"on the PBX's App object: {MARKS}"
        if self._link.counters()["logins_refused"] and self._guest.pbx is None:
            return (
                "a PBX dialled, and its login was refused: its password is not app_password",
                "enter the same password in the App object on the PBX and as app_password in [pbx]",
            )
        return None

    def _judge_daemon(self, pbx: Mapping[str, Any]) -> Finding:
        if pbx["linked"]:
            return Finding(f"the running daemon is linked to {pbx['name']}")
        raise StepFailed(
            f"the running daemon has no link to the PBX: {pbx['reason']}",
            f"on the PBX's App object enter the URL {self._app_url()}, and {MARKS}",
        )

    # --- either --------------------------------------------------------------------------------

    def _start(self) -> asyncio.Task[None]:
        self._began = self._clock.now()
        self._task = asyncio.create_task(self._link.run(), name="pbx")
        return self._task

    def _linked_words(self) -> str:
        pbx, with_address = self._guest.pbx, sum(bool(user.addresses) for user in self.users)
        name = " ".join(filter(None, (pbx.name, pbx.version))) if pbx is not None else ""
        return f"PBX {name} logged in; {len(self.users)} users, {with_address} with a mail address"

    def _left(self, limit: timedelta) -> timedelta:
        return self._began + limit - self._clock.now()

    async def _wait(self, condition: Any, limit: timedelta) -> None:
        """Return when it is so, or after `limit`, or when the link has ended."""
        end = self._clock.now() + limit
        while not condition() and self._clock.now() < end:
            if self._task is not None and self._task.done():
                return
            await self._clock.sleep(_LOOK)
