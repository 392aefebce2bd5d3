"""The whole daemon on Graph: token, users, windows, delta, subscriptions and notices over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from presenced.config.loading import load
from presenced.config.secrets import obtain_key
from presenced.core.ports import MailboxState
from presenced.daemon.supervisor import Supervisor
from presenced.daemon.surroundings import Surroundings
from presenced.sim.exchange.organisation import Organisation
from presenced.sim.graph.faults import Trouble
from presenced.sim.graph.ports import Caller, TokenRefused
from presenced.sim.graph.server import SimulatedGraph
from presenced.sim.stage import HOST, Certificates
from tests.calendars.signin.authority import ACCOUNT, APP, SECRET, TENANT, Authority
from tests.calendars.signin.keys import claims_of
from tests.clock import FakeClock
from tests.e2e.configuration import keep, sign_in_once, write_ini
from tests.e2e.test_main_job import World, item

GRAPH_INI = """\
sync_type = graph
client_id = {app}
tenant_id = {tenant}
{credential}
{more}
"""
CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1702682181"}}}'


class Tokens:
    """Who gets in to Graph: whoever brings a token of the authority that was not revoked."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self.calendars: frozenset[str] | None = None

    async def identify(self, token: str) -> Caller:
        claims = claims_of(token)
        if claims["aud"] != "https://graph.microsoft.com":
            raise TokenRefused("Invalid audience.")
        if claims["number"] <= self._authority.revoked:
            raise TokenRefused("Continuous access evaluation resulted in challenge.", claims=CLAIMS)
        granted = {*claims.get("roles", ()), *claims.get("scp", "").split(), "User.ReadBasic.All"}
        return Caller(APP, frozenset(granted), calendars=self.calendars)


class GraphStage:
    """Exchange Online, as far as the daemon sees it through Graph."""

    def __init__(self, organisation: Organisation, clock: FakeClock, folder: Path) -> None:
        self.certificates = Certificates(folder)
        self.authority = Authority(self.certificates.for_server())
        self.tokens = Tokens(self.authority)
        self.graph = SimulatedGraph(
            organisation, clock=clock, tokens=self.tokens, trust=self.certificates.for_client()
        )
        self.port = 0

    async def open(self, port: int = 0) -> None:
        del port
        await self.authority.__aenter__()
        await self.graph.start(HOST, self.port, self.certificates.for_server())
        self.port = int(self.graph.base_url.rpartition(":")[2].partition("/")[0])

    async def close(self) -> None:
        await self.graph.stop()
        await self.authority.__aexit__(None, None, None)


class Online(World):
    """The same world with its calendars behind Graph."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.online = GraphStage(self.organisation, self.clock, folder)
        self.stage = self.online  # type: ignore[assignment]
        self.listens_at = 0
        self.web = ""
        self.more = "poll_seconds = 10"
        self.credential = f"client_secret = file:{folder}/client-password"

    async def open_exchange(self) -> None:
        await self.online.open()

    def write(self) -> Path:
        keep(self.folder, "client-password", SECRET)
        exchange = GRAPH_INI.format(app=APP, tenant=TENANT, credential=self.credential, more=self.more)
        return write_ini(self.folder, self.online.certificates, self.listens_at, exchange, web=self.web)

    async def open_daemon(self) -> None:
        self.listens_at = self.port
        surroundings = Surroundings(
            authority_host=self.online.authority.host, graph_root=self.online.graph.base_url
        )
        self.supervisor = Supervisor(load(self.write()), self.clock, surroundings=surroundings)
        await self.start(self.supervisor)


@pytest.fixture
async def online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Online]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("PRESENCED_KEY_FILE", str(tmp_path / "presenced.key"))
    online = Online(tmp_path)
    await online.open_exchange()
    yield online
    await online.close()
    assert list(online.pbx.client_bugs) == []
    assert list(online.online.graph.client_bugs) == []


async def test_from_login_to_presence_and_a_change(online: Online) -> None:
    online.organisation.put("ann@example.com", item("meeting", -30, 300))
    await online.open_daemon()
    online.open_pbx()
    await online.shows(ann="Meeting until 13:00 #busy", bob="Free", eve="Free")
    online.organisation.put("bob@example.com", item("trip", -30, 300, show_as="OOF"))
    await online.shows(bob="Trip until 13:00 #away")
    online.organisation.remove("ann@example.com", "meeting")
    await online.shows(ann="Free")
    assert online.standing("ann")[0] is MailboxState.POLLED
    assert len(online.online.authority.seen) == 1, "one token serves everybody"
    assert online.exchange_status()["healthy"]


async def test_a_token_revoked_in_mid_life_is_replaced_with_the_claims_asked_for(online: Online) -> None:
    await online.open_all()
    await online.clock.advance(timedelta(minutes=1), turns=5)
    online.online.authority.revoke()
    for name in ("ann", "bob", "eve"):
        online.organisation.put(f"{name}@example.com", item("meeting", -30, 300))
    await online.shows(**dict.fromkeys(("ann", "bob", "eve"), "Meeting until 13:00 #busy"))
    assert online.online.authority.issued == 2
    assert "1702682181" in online.online.authority.seen[-1]["claims"]
    assert online.exchange_status()["healthy"]


async def test_a_mailbox_outside_the_scope_is_blocked_with_its_remedy_and_no_other(online: Online) -> None:
    online.online.tokens.calendars = frozenset({"ann@example.com", "eve@example.com"})
    online.organisation.put("ann@example.com", item("meeting", -30, 300))
    await online.open_daemon()
    online.open_pbx()
    await online.shows(ann="Meeting until 13:00 #busy", eve="Free")
    await online.until(lambda: online.standing("bob")[0] is MailboxState.BLOCKED)
    assert "RBAC for Applications" in online.standing("bob")[2]


async def test_graph_goes_away_and_comes_back(online: Online) -> None:
    await online.open_all()
    await online.online.graph.stop()
    online.organisation.put("ann@example.com", item("meeting", -30, 300))
    await online.clock.advance(timedelta(seconds=20), turns=3)
    host, port = HOST, online.online.port
    await online.online.graph.start(host, port, online.online.certificates.for_server())
    await online.shows(ann="Meeting until 13:00 #busy")
    online.organisation.put("bob@example.com", item("trip", -30, 300, show_as="OOF"))
    await online.shows(bob="Trip until 13:00 #away")


async def test_throttling_and_lost_tokens_cost_no_change(online: Online) -> None:
    await online.open_all()
    graph = online.online.graph
    graph.faults.on(
        Trouble.THROTTLED,
        resource="delta",
        mailbox="ann@example.com",
        times=2,
        retry_after=timedelta(seconds=90),
    )
    graph.faults.on(Trouble.GONE, resource="delta", mailbox="bob@example.com", times=1)
    graph.faults.on(Trouble.RESET, resource="$batch", times=2)
    for name in ("ann", "bob", "eve"):
        online.organisation.put(f"{name}@example.com", item("meeting", -30, 300))
    await online.shows(**dict.fromkeys(("ann", "bob", "eve"), "Meeting until 13:00 #busy"))


async def test_an_account_that_signed_in_once_polls(online: Online) -> None:
    online.credential = f"graph_access = delegated\nuser = {ACCOUNT}"
    obtain_key({"PRESENCED_KEY_FILE": str(online.folder / "presenced.key")})
    online.listens_at = find_port()
    assert await sign_in_once(online.write(), online.clock, online.online.authority.host) == ACCOUNT
    online.organisation.put("ann@example.com", item("meeting", -30, 300))
    await online.open_daemon()
    online.open_pbx()
    await online.shows(ann="Meeting until 13:00 #busy", bob="Free", eve="Free")
    assert online.standing("ann")[0] is MailboxState.POLLED
    assert len(online.online.graph.resources.subscriptions) == 0


def find_port() -> int:
    """One nobody listens on."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port: int = free.getsockname()[1]
        return port


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
async def noticing(online: Online) -> AsyncIterator[Online]:
    """A daemon Graph can reach: a reverse proxy with TLS stands before its page, as it should."""
    inner = find_port()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(HOST, inner)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pipe(reader, there_writer), pipe(there_reader, writer))

    proxy = await asyncio.start_server(forward, HOST, 0, ssl=online.online.certificates.for_server())
    outer = proxy.sockets[0].getsockname()[1]
    online.web = f"{HOST}:{inner}"
    online.more = f"notification_url = https://{HOST}:{outer}/graph/notices\npoll_seconds = 3600"
    yield online
    proxy.close()


async def test_a_change_is_noticed_without_waiting_for_the_next_poll(noticing: Online) -> None:
    await noticing.open_all()
    await noticing.until(lambda: len(noticing.online.graph.resources.subscriptions) == 3)
    await noticing.until(lambda: noticing.standing("ann")[0] is MailboxState.RESOLVED)
    begun = noticing.clock.now()
    noticing.organisation.put("ann@example.com", item("meeting", -30, 300))
    await noticing.shows(ann="Meeting until 13:00 #busy")
    assert noticing.clock.now() - begun < timedelta(minutes=2)
    assert noticing.online.graph.notices.counters["sent"] >= 1
    assert noticing.online.graph.notices.counters["refused"] == 0
