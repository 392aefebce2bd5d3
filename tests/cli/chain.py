"""Everything `check --connect` meets: a simulated PBX, a simulated Exchange with certificates of any kind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from presenced.cli.connect.chain import connect
from presenced.cli.connect.course import Step, Verdict
from presenced.config.loading import load
from presenced.core.ports import Clock
from presenced.sim.exchange.ntlm import ExtendedProtection
from presenced.sim.exchange.organisation import Organisation, SimulatedMailbox
from presenced.sim.exchange.streaming import Pace
from presenced.sim.pbx import SimulatedPbx, SimulatedUser
from presenced.sim.stage import HOST, USER, Stage
from tests.clock import FakeClock

ANN = "ann@example.com"
PBX_PASSWORD, EXCHANGE_PASSWORD = "pbx-secret", "exchange-secret"

OK, FAIL, NOTE, SKIP = Verdict.OK, Verdict.FAIL, Verdict.NOTE, Verdict.SKIP
EXCHANGE = tuple(
    f"exchange {step}"
    for step in ("dns", "tcp", "tls", "sign-in", "autodiscover", "impersonation", "read", "subscription")
)


class Chain:
    """A world to check; change it before `check`."""

    def __init__(
        self, folder: Path, *, keep_alive: timedelta = timedelta(seconds=2), clock: Clock | None = None
    ) -> None:
        """`clock`: the real one for a command that has its own; then `check` is not for use."""
        self.turned = FakeClock(datetime.now(UTC))
        self.clock = clock or self.turned
        self.folder = folder
        self.organisation = Organisation()
        self.organisation.add(SimulatedMailbox(ANN, aliases=("annie@example.com",)))
        self.stage = Stage(
            self.organisation,
            self.clock,
            folder,
            password=EXCHANGE_PASSWORD,
            pace=Pace(keep_alive=keep_alive),
        )
        users = [
            SimulatedUser("guid-hunt", "huntgroup", emails=()),
            SimulatedUser("guid-ann", "ann", emails=("annie@example.com",)),
        ]
        self.pbx = SimulatedPbx(users, clock=self.clock, password=PBX_PASSWORD)
        self.pbx_keys = {"listen": f"{HOST}:0"}
        self.exchange_keys: dict[str, str] = {}
        self.more = ""
        """what else stands in the ini file"""
        self.steps: list[Step] = []
        self._dialling: asyncio.Task[None] | None = None

    # --- what is there ---

    async def open_exchange(self, context: ssl.SSLContext | None = None) -> None:
        if context is not None:  # its certificate is not the one sign-ins are bound to
            self.stage.signin.protection = ExtendedProtection.NONE
        await self.stage.exchange.start(HOST, 0, context or self.stage.certificates.for_server())

    def certificate(self, *names: str, days: float, authority: trustme.CA | None = None) -> ssl.SSLContext:
        """A server's certificate that ends in `days`; its authority is trusted unless another is given."""
        ca = authority or trustme.CA()
        if authority is None:
            ca.cert_pem.write_to_path(self.stage.certificates.authority)
        now = datetime.now(UTC)
        made = ca.issue_cert(
            *names, not_before=now - timedelta(days=400), not_after=now + timedelta(days=days, hours=1)
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        made.configure_cert(context)
        return context

    def show_certificate(self, *, days: float) -> None:
        """What the daemon shows a PBX ends in so many days."""
        files, now = self.stage.certificates, datetime.now(UTC)
        made = trustme.CA().issue_cert(
            HOST, not_before=now - timedelta(days=400), not_after=now + timedelta(days=days)
        )
        made.private_key_pem.write_to_path(files.key)
        files.certificate.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))

    async def serve_pbx(self) -> None:
        """The PBX waits to be dialled."""
        files = self.stage.certificates
        port = await self.pbx.serve(HOST, 0, tls=files.for_server())
        self.pbx_keys = {"mode": "dial", "url": f"wss://{HOST}:{port}/PBX0/APPS/websocket"}
        self.pbx_keys["tls_ca"] = str(files.authority)

    def dial(self, port: int) -> None:
        """The PBX dials the daemon."""
        url = f"wss://{HOST}:{port}/example.com/presenced"
        self._dialling = asyncio.create_task(
            self.pbx.run_dialing(url, tls=self.stage.certificates.for_client())
        )

    def write_ini(self) -> Path:
        files = self.stage.certificates
        for name, secret in (("pbx", PBX_PASSWORD), ("exchange", EXCHANGE_PASSWORD)):
            path = self.folder / name
            if not path.exists():
                path.touch(mode=0o600)
                path.write_text(secret)
        pbx = {
            "app_name": "presenced",
            "app_password": f"file:{self.folder / 'pbx'}",
            "master_pbx_name": "master",
        } | self.pbx_keys
        if pbx.get("mode") != "dial":
            pbx |= {"tls_certificate": str(files.certificate), "tls_key": str(files.key)}
        exchange = {
            "sync_type": "on-premises",
            "user": USER,
            "password": f"file:{self.folder / 'exchange'}",
            "autodiscover_url": self.stage.exchange.base_url,
            "tls_ca": str(files.authority),
        } | self.exchange_keys
        ini = self.folder / "presenced.ini"
        ini.write_text(
            _section("pbx", pbx)
            + _section("presence", {"timezone": "Europe/Berlin"})
            + _section("exchange", {key: value for key, value in exchange.items() if value})
            + _section("store", {"url": f"sqlite:///{self.folder / 'store.db'}"})
            + self.more
        )
        return ini

    # --- the check ---

    async def check(
        self, user: str = "", *, pace: timedelta = timedelta(milliseconds=100)
    ) -> dict[str, list[Step]]:
        """Run it to its end; the steps by name. `pace`: how fast time passes."""
        settings = load(self.write_ini())
        task = asyncio.create_task(connect(settings, self.clock, self.steps.append, user=user))
        try:
            for _ in range(4000):
                if task.done():
                    break
                await self.turned.advance(pace, turns=3)
                await self.turned.rest()
            self.failures = await asyncio.wait_for(task, 1)
        finally:
            task.cancel()
        found: dict[str, list[Step]] = {}
        for step in self.steps:
            found.setdefault(step.name, []).append(step)
        assert self.failures == len({step.name for step in self.steps if step.verdict is Verdict.FAIL})
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass, and the sockets work, until it is so."""
        for _ in range(1500):
            if condition():
                return
            await self.turned.advance(timedelta(seconds=0.25), turns=3)
            await self.turned.rest()
        pytest.fail("it never came to this")

    async def close(self) -> None:
        if self._dialling is not None:
            self._dialling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._dialling
        closing = asyncio.create_task(self.pbx.close())
        while not closing.done():
            await self.turned.advance(timedelta(seconds=1), turns=3)
            await self.turned.rest()
        if self.stage.exchange.port:
            await self.stage.close()


def _section(name: str, keys: dict[str, str]) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()) + "\n"


def free_port() -> int:
    """One nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def verdicts(steps: dict[str, list[Step]]) -> dict[str, Verdict]:
    """Of the steps that were taken once."""
    return {name: each[0].verdict for name, each in steps.items() if len(each) == 1}


async def refused(chain: Chain, step: str, user: str = ANN, pace: float = 0.1) -> Step:
    """Check; this step failed, and nothing that stands on it was tried."""
    steps = await chain.check(user, pace=timedelta(seconds=pace))
    [failed] = steps[step]
    assert failed.verdict is FAIL, failed
    assert failed.remedy
    assert chain.failures == 1
    after = EXCHANGE[EXCHANGE.index(step) + 1 :] if step in EXCHANGE else ()
    assert {steps[name][0].verdict for name in after} <= {SKIP}
    assert all(one.what.startswith("not tried: ") for name in after for one in steps[name])
    return failed
