"""`check --connect` through Microsoft Graph."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from presenced.cli.connect.chain import connect
from presenced.cli.connect.course import Step, Verdict
from presenced.cli.connect.token import tell_scope
from presenced.config.loading import load
from presenced.daemon.surroundings import Surroundings
from presenced.sim.exchange.organisation import Organisation, SimulatedMailbox
from presenced.sim.graph.faults import Trouble
from presenced.sim.graph.ports import Caller, TokenRefused
from presenced.sim.graph.server import SimulatedGraph
from presenced.sim.stage import HOST, Certificates
from tests.calendars.signin.authority import APP, SECRET, TENANT, Authority
from tests.calendars.signin.keys import claims_of
from tests.cli.chain import ANN
from tests.clock import FakeClock

OK, FAIL, SKIP = Verdict.OK, Verdict.FAIL, Verdict.SKIP


class Tokens:
    """Who gets in: whoever brings a token for Graph."""

    permission = "Calendars.Read"

    async def identify(self, token: str) -> Caller:
        claims = claims_of(token)
        if claims["aud"] != "https://graph.microsoft.com":
            raise TokenRefused("Invalid audience.")
        assert "Calendars.Read" in claims["roles"]
        return Caller(APP, frozenset({self.permission, "User.ReadBasic.All"}))


class Online:
    """Graph and its sign-in, to be checked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock(datetime.now(UTC))
        self.organisation = Organisation()
        self.organisation.add(SimulatedMailbox(ANN))
        self.certificates = Certificates(folder)
        self.authority = Authority(self.certificates.for_server())
        self.tokens = Tokens()
        self.graph = SimulatedGraph(self.organisation, clock=self.clock, tokens=self.tokens)
        self.more = ""

    async def check(self, user: str = ANN) -> dict[str, Step]:
        files, secret = self.certificates, self.folder / "secret"
        secret.touch(mode=0o600)
        secret.write_text(SECRET)
        ini = self.folder / "presenced.ini"
        ini.write_text(
            f"[pbx]\nlisten = {HOST}:0\nmaster_pbx_name = master\n[presence]\ntimezone = UTC\n"
            f"[exchange]\nsync_type = graph\ntls_ca = {files.authority}\nclient_id = {APP}\n"
            f"tenant_id = {TENANT}\nclient_secret = file:{secret}\n{self.more}\n"
        )
        around = Surroundings(authority_host=self.authority.host, graph_root=self.graph.base_url)
        steps: list[Step] = []
        task = asyncio.create_task(
            connect(load(ini), self.clock, steps.append, user=user, surroundings=around)
        )
        for _ in range(2000):
            if task.done():
                break
            await self.clock.advance(timedelta(milliseconds=200), turns=3)
            await asyncio.sleep(0.003)
        self.failures = await asyncio.wait_for(task, 1)
        return {step.name: step for step in steps}


@pytest.fixture
async def online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Online]:
    monkeypatch.setenv("NO_PROXY", "*")
    online = Online(tmp_path)
    async with online.authority:
        await online.graph.start(HOST, 0, online.certificates.for_server())
        yield online
        await online.graph.stop()
    assert list(online.graph.client_bugs) == []


async def test_all_is_well(online: Online) -> None:
    online.more = "notification_url = https://presenced.example.com/notices"
    steps = await online.check()
    exchange = [step for step in steps.values() if not step.name.startswith("pbx")]
    assert {step.verdict for step in exchange} == {OK}, exchange
    assert online.failures == 0
    assert "every mailbox of the tenant" in steps["exchange scope"].what
    assert f"mailbox {ANN}" in steps["exchange autodiscover"].what
    assert steps["exchange read"].what == "0 appointments in the next 48 hours"
    assert steps["exchange subscription"].what.startswith("asked for changes every 60 s; notices to")


def test_without_consent_the_scope_of_rbac_counts() -> None:
    assert "RBAC for Applications says" in tell_scope(frozenset({"User.Read.All"})).what


async def test_the_app_may_not_read_the_mailbox(online: Online) -> None:
    online.graph.faults.on(Trouble.DENIED, resource="calendarView")
    steps = await online.check()
    assert steps["exchange impersonation"].verdict is FAIL
    assert "the app may not read this mailbox" in steps["exchange impersonation"].what
    assert "Calendars.Read" in steps["exchange impersonation"].remedy
    assert steps["exchange read"].verdict is SKIP
    assert online.failures == 1


async def test_the_mailbox_is_elsewhere(online: Online) -> None:
    online.graph.faults.on(Trouble.ELSEWHERE, resource="calendarView")
    steps = await online.check()
    assert steps["exchange read"].verdict is FAIL
    assert "sync_type = on-premises" in steps["exchange read"].remedy


async def test_nobody_has_this_address(online: Online) -> None:
    steps = await online.check("ghost@example.com")
    assert steps["exchange sign-in"].verdict is OK
    assert steps["exchange autodiscover"].verdict is FAIL
    assert "no user has this address" in steps["exchange autodiscover"].what
