"""The world of the main job with every way to sign in: on-premises, and online beside an identity provider.

The provider's proofs have times in them, so what makes them on the client's side has to go by the same clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace

import msal.oauth2cli.assertion
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from presenced.calendars.signin.device import sign_in
from presenced.calendars.signin.entra import DeviceCode
from presenced.calendars.signin.token_cache import TokenCache
from presenced.config.loading import load
from presenced.daemon.supervisor import Supervisor
from presenced.daemon.surroundings import Surroundings
from presenced.sim.bearer import ExchangeTokens, GraphTokens
from presenced.sim.entra.federation import WorkloadIssuer
from presenced.sim.entra.server import SimulatedEntra
from presenced.sim.entra.tenants import (
    EXCHANGE,
    GRAPH,
    Application,
    ClientSecret,
    FederatedCredential,
    Tenant,
    User,
)
from presenced.sim.graph.server import SimulatedGraph
from presenced.sim.stage import HOST, USER, Stage
from presenced.store.sqlite import open_store
from tests.e2e.configuration import give_key, keep, write_ini
from tests.e2e.test_main_job import World
from tests.sim.entra.house import APP, PUBLIC_APP, SUBJECT, TENANT, OwnCertificate

SECRETS = {"exchange-password": "exchange-secret", "pfx-password": "open"}
ACCOUNT = "calendar-service@example.com"


class Kind(StrEnum):
    """Sync type and credential."""

    NTLM = "on-premises, NTLM"
    BASIC = "on-premises, Basic"
    ACCOUNT = "cloud"
    SECRET = "cloud-app-only, client secret"
    PEM = "cloud-app-only, PEM certificate"
    PFX = "cloud-app-only, PFX certificate"
    FEDERATED = "cloud-app-only, federated token file"
    GRAPH = "graph, application"
    GRAPH_ACCOUNT = "graph, delegated"

    @property
    def on_premises(self) -> bool:
        return self in {Kind.NTLM, Kind.BASIC}

    @property
    def delegated(self) -> bool:
        """An account signs in, once."""
        return self in {Kind.ACCOUNT, Kind.GRAPH_ACCOUNT}

    @property
    def graph(self) -> bool:
        return self in {Kind.GRAPH, Kind.GRAPH_ACCOUNT}


CREDENTIALS = {
    Kind.NTLM: f"sync_type = on-premises\nuser = {USER}\npassword = file:{{folder}}/exchange-password",
    Kind.BASIC: f"sync_type = on-premises\nuser = {USER}\npassword = file:{{folder}}/exchange-password\n"
    "authentication = basic",
    Kind.ACCOUNT: f"sync_type = cloud\nuser = {ACCOUNT}\nclient_id = {PUBLIC_APP}\ntenant_id = {TENANT}",
    Kind.GRAPH: f"sync_type = graph\nclient_id = {APP}\ntenant_id = {TENANT}\npoll_seconds = 10\n"
    "certificate = {folder}/own.pem",
    Kind.GRAPH_ACCOUNT: f"sync_type = graph\ngraph_access = delegated\nuser = {ACCOUNT}\npoll_seconds = 10\n"
    f"client_id = {PUBLIC_APP}\ntenant_id = {TENANT}",
    Kind.SECRET: "client_secret = file:{folder}/client-secret",
    Kind.PEM: "certificate = {folder}/own.pem",
    Kind.PFX: "certificate = {folder}/own.pfx\ncertificate_password = file:{folder}/pfx-password",
    Kind.FEDERATED: "federated_token_file = {folder}/token",
}


class Online(World):
    """PBX, Exchange, daemon and, where one is needed, the identity provider."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        super().__init__(folder)
        self.kind = kind
        self.secret = "first~secret"
        self.listens_at = 0
        self.own = OwnCertificate(self.clock.now())
        self.issuer = WorkloadIssuer("https://cluster.example.com")
        tenant = Tenant(TENANT, "example.com")
        self.application = tenant.register(
            Application(
                APP,
                secrets=[ClientSecret(self.secret)],
                certificates=[self.own.certificate],
                federated=[FederatedCredential(self.issuer.url, SUBJECT)],
                roles={EXCHANGE: {"full_access_as_app"}, GRAPH: {"Calendars.Read", "User.ReadBasic.All"}},
            )
        )
        scopes = {
            EXCHANGE: {"EWS.AccessAsUser.All"},
            GRAPH: {"Calendars.Read.Shared", "User.ReadBasic.All"},
        }
        tenant.register(Application(PUBLIC_APP, public=True, scopes=scopes))
        self.account = tenant.employ(User(ACCOUNT))
        self.organisation.service_accounts.add(ACCOUNT)
        self.entra = SimulatedEntra(tenant, clock=self.clock)
        self.entra.grants.assertions.issuers[self.issuer.url] = self.issuer
        self.graph = SimulatedGraph(
            self.organisation, clock=self.clock, tokens=GraphTokens(self.entra.grants, TENANT)
        )
        if not kind.on_premises:
            self.stage = Stage(
                self.organisation,
                self.clock,
                folder,
                password="unused",
                tokens=ExchangeTokens(self.entra.grants, TENANT),
                certificates=self.stage.certificates,
            )

    async def open_exchange(self) -> None:
        await super().open_exchange()
        if not self.entra.base_url:
            await self.entra.start(self.stage.certificates.for_server())
            await self.graph.start(HOST, 0, self.stage.certificates.for_server())

    async def close(self) -> None:
        await super().close()
        await self.graph.stop()
        await self.entra.stop()

    @property
    def authority(self) -> str:
        """Host and port of the provider."""
        return self.entra.base_url.removeprefix("https://")

    def issue_federated(self, life: timedelta = timedelta(hours=1)) -> None:
        """The workload's platform writes a fresh token."""
        keep(self.folder, "token", self.issuer.issue(SUBJECT, self.clock.now(), life=life))

    def write(self) -> Path:
        """The ini file and what it names."""
        for name, content in SECRETS.items():
            keep(self.folder, name, content)
        keep(self.folder, "client-secret", self.secret)
        if self.kind in {Kind.PEM, Kind.GRAPH}:
            keep(self.folder, "own.pem", self.own.key_pem + self.own.pem)
        if self.kind is Kind.PFX:
            lock = BestAvailableEncryption(b"open")
            pfx = pkcs12.serialize_key_and_certificates(None, self.own.key, self.own.certificate, None, lock)
            keep(self.folder, "own.pfx", pfx)
        if self.kind is Kind.FEDERATED:
            self.issue_federated()
        exchange = CREDENTIALS[self.kind].format(folder=self.folder)
        if not self.kind.graph:
            exchange += f"\nautodiscover_url = {self.stage.exchange.base_url}"
        if "sync_type" not in exchange:
            exchange = f"sync_type = cloud-app-only\nclient_id = {APP}\ntenant_id = {TENANT}\n{exchange}"
        return write_ini(self.folder, self.stage.certificates, self.listens_at, exchange)

    async def open_daemon(self) -> None:
        self.listens_at = self.port
        around = Surroundings(authority_host=self.authority, graph_root=self.graph.base_url)
        await self.start(Supervisor(load(self.write()), self.clock, surroundings=around))

    async def sign_in(self) -> str:
        """Somebody runs `presenced signin` and enters the code with a browser; the account."""
        shown: list[DeviceCode] = []
        store = await open_store(self.folder / "store.db", self.clock)
        environ = {"PRESENCED_KEY_FILE": str(self.folder / "presenced.key")}
        signing_in = asyncio.create_task(
            sign_in(
                load(self.write()).exchange,
                self.clock,
                TokenCache(store, environ),
                shown.append,
                authority_host=self.authority,
            )
        )
        asked = self.entra.counters["device_code"]
        await self.until(lambda: self.entra.counters["device_code"] > asked, "it polls")
        self.entra.enter_code(shown[0].code, ACCOUNT)
        await self.until(signing_in.done, "it has signed in")
        await store.close()
        return signing_in.result()

    def knows(self, name: str) -> bool:
        """Whether the PBX has told the daemon of the user."""
        assert self.supervisor.engine is not None
        return f"guid-{name}" in self.supervisor.engine.roster.keepers

    def sign_in_status(self) -> dict[str, object]:
        status = self.exchange_status()["sign_in"]
        assert isinstance(status, dict)
        return status


def prepare(monkeypatch: pytest.MonkeyPatch, folder: Path, now: Callable[[], datetime]) -> None:
    """What the machine gives a daemon, and the time msal asks for."""
    give_key(monkeypatch, folder)
    clock = SimpleNamespace(time=lambda: now().timestamp())
    monkeypatch.setattr(msal.oauth2cli.assertion, "time", clock)
