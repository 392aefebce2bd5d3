"""`check --connect` with OAuth2: the authority, the token, and what Exchange Online makes of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from presenced.cli.connect.chain import connect
from presenced.cli.connect.course import Step, Verdict
from presenced.config.loading import load
from presenced.daemon.surroundings import Surroundings
from presenced.sim.exchange.faults import Trouble
from presenced.sim.stage import HOST
from presenced.store.sqlite import open_store
from tests.calendars.signin.authority import SECRET
from tests.cli.chain import free_port
from tests.e2e.configuration import give_key, sign_in_once
from tests.e2e.test_cloud import Cloud

OK, FAIL, NOTE, SKIP = Verdict.OK, Verdict.FAIL, Verdict.NOTE, Verdict.SKIP
ANN = "ann@example.com"


class Checked(Cloud):
    """The cloud's world, checked in place of run."""

    async def check(self) -> dict[str, list[Step]]:
        self.listens_at = free_port()
        settings = load(self.write())
        steps: list[Step] = []
        around = Surroundings(authority_host=self.online.authority.host)
        task = asyncio.create_task(connect(settings, self.clock, steps.append, user=ANN, surroundings=around))
        for _ in range(4000):
            if task.done():
                break
            await self.clock.advance(timedelta(milliseconds=200), turns=3)
            await asyncio.sleep(0.003)
        self.failures = await asyncio.wait_for(task, 1)
        found: dict[str, list[Step]] = {}
        for step in steps:
            found.setdefault(step.name, []).append(step)
        return found


@pytest.fixture
async def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Checked]:
    give_key(monkeypatch, tmp_path)
    cloud = Checked(tmp_path)
    await cloud.open_exchange()
    yield cloud
    await cloud.close()
    assert list(cloud.online.exchange.client_bugs) == []


async def test_an_app(cloud: Checked) -> None:
    steps = await cloud.check()
    verdicts = {name: each[0].verdict for name, each in steps.items() if not name.startswith("pbx")}
    assert set(verdicts.values()) == {OK}, steps
    order = [name for name in steps if not name.startswith("pbx")]
    assert order[:6] == ["user", "login dns", "login tcp", "login tls", "exchange token", "exchange dns"]
    assert order[-1] == "exchange subscription"
    assert "accepted at" in steps["exchange sign-in"][0].what
    assert cloud.failures == 0


async def test_an_app_with_a_wrong_secret(cloud: Checked) -> None:
    cloud.secret = "not~the~secret"
    steps = await cloud.check()
    [token] = steps["exchange token"]
    assert token.verdict is FAIL
    assert "client secret of app" in token.what
    assert "copy the Value" in token.remedy
    assert steps["exchange tls"][0].verdict is OK, "the server is looked at all the same"
    for name in ("sign-in", "autodiscover", "impersonation", "read", "subscription"):
        assert steps[f"exchange {name}"][0].what == "not tried: exchange token failed"
    assert cloud.failures == 1
    assert SECRET not in str(steps)
    assert cloud.secret not in str(steps)


async def test_an_app_without_permission(cloud: Checked) -> None:
    cloud.online.door.permission = "something_else"
    steps = await cloud.check()
    [sign_in_step] = steps["exchange sign-in"]
    assert sign_in_step.verdict is FAIL
    assert "refused the token" in sign_in_step.what
    assert "permission" in sign_in_step.remedy
    assert cloud.failures == 1


async def test_ews_is_blocked(cloud: Checked) -> None:
    cloud.online.faults.on(Trouble.BLOCKED)
    steps = await cloud.check()
    [read] = steps["exchange read"]
    assert read.verdict is FAIL
    assert "EWSAllowedAppIDs" in read.remedy
    assert "sync_type = graph" in read.remedy


async def test_the_authority_is_not_who_it_should_be(cloud: Checked) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert(HOST).configure_cert(context)
    cloud.online.authority.tls = context
    await cloud.online.authority.__aexit__(None, None, None)
    await cloud.online.authority.__aenter__()
    steps = await cloud.check()
    assert steps["login tls"][0].verdict is FAIL
    assert steps["exchange token"][0].verdict is SKIP
    assert steps["exchange sign-in"][0].verdict is SKIP


async def test_nobody_has_signed_in(cloud: Checked) -> None:
    cloud.sync_type = "cloud"
    steps = await cloud.check()
    [token] = steps["exchange token"]
    assert token.verdict is FAIL
    assert "presenced signin" in token.remedy
    assert not (cloud.folder / "store.db").exists(), "a check makes no store"
    await (await open_store(cloud.folder / "store.db", cloud.clock)).close()
    steps = await cloud.check()
    [token] = steps["exchange token"]
    assert token.verdict is FAIL
    assert "presenced signin" in token.remedy


async def test_an_account_has_signed_in(cloud: Checked) -> None:
    cloud.sync_type = "cloud"
    cloud.online.door.permission = "EWS.AccessAsUser.All"
    await sign_in_once(cloud.write(), cloud.clock, cloud.online.authority.host)
    steps = await cloud.check()
    assert steps["exchange token"][0].verdict is OK
    assert steps["exchange subscription"][0].verdict is OK
    assert cloud.failures == 0
