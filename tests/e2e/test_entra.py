"""The daemon between the simulated identity provider, Exchange and PBX: nobody here knows anybody's insides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from presenced.sim.bearer import ExchangeTokens
from presenced.sim.entra.faults import Trouble
from presenced.sim.entra.server import SimulatedEntra
from presenced.sim.entra.tenants import EXCHANGE, Application, ClientSecret, Tenant
from presenced.sim.stage import Stage
from tests.calendars.signin.authority import APP, SECRET, TENANT
from tests.e2e.test_cloud import Cloud, begin, key_file
from tests.e2e.test_main_job import item

__all__ = ["key_file"]


class Online(Cloud):
    """The cloud's world with a tenant at the simulated identity provider."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        tenant = Tenant("11111111-2222-3333-4444-555555555555", TENANT)
        self.app = tenant.register(
            Application(
                APP, "presenced", secrets=[ClientSecret(SECRET)], roles={EXCHANGE: {"full_access_as_app"}}
            )
        )
        self.entra = SimulatedEntra(tenant, clock=self.clock)
        self.house = Stage(
            self.organisation,
            self.clock,
            folder,
            password="",
            tokens=ExchangeTokens(self.entra.grants, tenant.tenant_id),
        )
        self.stage = self.house

    async def open_exchange(self) -> None:
        await self.entra.start(self.house.certificates.for_server())
        await super().open_exchange()
        self.online = SimpleNamespace(  # type: ignore[assignment]
            certificates=self.house.certificates,
            exchange=self.house.exchange,
            authority=SimpleNamespace(host=self.entra.base_url.removeprefix("https://")),
        )

    async def close(self) -> None:
        await super().close()
        runner = self.entra._runner
        assert runner is not None
        assert runner.server is not None
        for connection in runner.server.connections:
            if connection.transport is not None:  # asyncio would wait for a TLS farewell that never comes
                connection.transport.abort()
        await self.entra.stop()


@pytest.fixture
async def online(tmp_path: Path, key_file: Path) -> AsyncIterator[Online]:
    online = Online(tmp_path)
    await online.open_exchange()
    yield online
    await online.close()
    assert list(online.pbx.client_bugs) == []
    assert list(online.house.exchange.client_bugs) == []


async def test_from_sign_in_to_presence_and_a_revoked_token(online: Online) -> None:
    await begin(online)
    assert online.entra.grants.granted["client_credentials"] == 1
    await online.clock.advance(timedelta(minutes=1), turns=5)
    online.entra.tokens.revoke(client_id=APP)
    online.organisation.put("ann@example.com", item("meeting", -30, 300))
    await online.shows(ann="Meeting until 13:00 #busy")
    assert online.entra.grants.granted["client_credentials"] == 2


async def test_entra_is_away_when_the_daemon_starts(online: Online) -> None:
    away = online.entra.faults.on(Trouble.OUTAGE)
    await online.open_daemon()
    online.open_pbx()
    await online.until(lambda: "busy or out of order (HTTP 503)" in str(online.exchange_status()["reason"]))
    online.entra.faults.off(away)
    await online.shows(ann="Free", bob="Free", eve="Free")
    assert online.exchange_status()["healthy"]


async def test_a_secret_that_has_expired_is_replaced_by_a_reload(online: Online) -> None:
    online.app.end_secrets(online.clock.now())
    await online.open_daemon()
    online.open_pbx()
    await online.until(lambda: "has expired (AADSTS7000222)" in str(online.exchange_status()["reason"]))
    online.app.secrets.append(ClientSecret("the next one"))
    online.secret = "the next one"
    online.write()
    online.supervisor.reload()
    await online.shows(ann="Free", bob="Free", eve="Free")
