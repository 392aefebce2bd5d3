"""The whole daemon with OAuth2: a strict sign-in authority beside the simulated Exchange and PBX.

The authority is the sign-in's own test endpoint; Exchange takes its newest token, and says no to others.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from presenced.config.loading import load
from presenced.core.ports import MailboxState
from presenced.daemon.supervisor import Supervisor
from presenced.daemon.surroundings import Surroundings
from presenced.sim.exchange.accounts import Accounts
from presenced.sim.exchange.autodiscover.directory import Directory
from presenced.sim.exchange.autodiscover.service import Autodiscover
from presenced.sim.exchange.faults import ExchangeFaults, Trouble
from presenced.sim.exchange.organisation import Organisation
from presenced.sim.exchange.ports import Account
from presenced.sim.exchange.server import SimulatedExchange
from presenced.sim.exchange.signin import CLOUD, SignIn, TokenRefused
from presenced.sim.stage import HOST, Certificates
from tests.calendars.signin.authority import APP, SECRET, TENANT, Authority
from tests.calendars.signin.keys import claims_of
from tests.clock import FakeClock
from tests.e2e.configuration import give_key, keep, sign_in_once, write_ini
from tests.e2e.test_main_job import World, item

CLOUD_INI = """\
sync_type = {sync_type}
user = svc.calendar@contoso.com
autodiscover_url = {autodiscover_url}
client_id = {app}
tenant_id = {tenant}
"""


class Door:
    """Who gets in to Exchange: whoever brings a token of the authority that was not revoked."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self.permission = "full_access_as_app"
        self.taken: set[int] = set()

    async def verify(self, token: str) -> Account:
        claims = claims_of(token)
        if claims["aud"] != "https://outlook.office365.com":
            raise TokenRefused("The audience claim value is invalid")
        if self.permission not in (*claims.get("roles", ()), *claims.get("scp", "").split()):
            raise TokenRefused("The token contains not enough scope")
        if claims["number"] <= self._authority.revoked:
            raise TokenRefused("The token has been revoked")
        self.taken.add(claims["number"])
        return Account(APP, impersonates=True)


class CloudStage:
    """Exchange Online, as far as the daemon sees it."""

    def __init__(self, organisation: Organisation, clock: FakeClock, folder: Path) -> None:
        self.certificates = Certificates(folder)
        self.authority = Authority(self.certificates.for_server())
        self.door = Door(self.authority)
        self.signin = SignIn(Accounts(), offers=CLOUD, tokens=self.door)
        self.faults = ExchangeFaults()
        self.exchange = SimulatedExchange(
            organisation, clock=clock, faults=self.faults, authenticator=self.signin
        )
        self.exchange.add_routes(Autodiscover(Directory(organisation), self.signin, clock).routes())

    async def open(self, port: int = 0) -> None:
        await self.authority.__aenter__()
        await self.exchange.start(HOST, port, self.certificates.for_server())

    async def close(self) -> None:
        await self.exchange.stop()
        await self.authority.__aexit__(None, None, None)


class Cloud(World):
    """The same world with its Exchange in the cloud."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.online = CloudStage(self.organisation, self.clock, folder)
        self.stage = self.online  # type: ignore[assignment]
        self.listens_at = 0
        self.secret = SECRET
        self.sync_type = "cloud-app-only"

    def write(self) -> Path:
        keep(self.folder, "client-password", self.secret)
        exchange = CLOUD_INI.format(
            sync_type=self.sync_type, autodiscover_url=self.online.exchange.base_url, app=APP, tenant=TENANT
        )
        if self.sync_type == "cloud-app-only":
            exchange += f"client_secret = file:{self.folder}/client-password\n"
        return write_ini(self.folder, self.online.certificates, self.listens_at, exchange)

    async def open_daemon(self) -> None:
        host = self.online.authority.host
        self.listens_at = self.port
        settings = load(self.write())
        self.supervisor = Supervisor(settings, self.clock, surroundings=Surroundings(authority_host=host))
        await self.start(self.supervisor)


@pytest.fixture
async def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cloud]:
    give_key(monkeypatch, tmp_path)
    cloud = Cloud(tmp_path)
    await cloud.open_exchange()
    yield cloud
    await cloud.close()
    assert list(cloud.pbx.client_bugs) == []
    assert list(cloud.online.exchange.client_bugs) == []


def check_headers(cloud: Cloud) -> None:
    """exchange.md section 1, whoever signed in."""
    assert {"FindItem", "Subscribe", "GetStreamingEvents"} <= {
        seen.operation for seen in cloud.online.exchange.seen
    }
    for seen in cloud.online.exchange.seen:
        assert seen.headers["X-AnchorMailbox"].endswith("@example.com")
        assert seen.headers["User-Agent"].startswith("presenced/")
        assert seen.headers["return-client-request-id"] == "true"
        assert b"ConnectingSID" in seen.body
        assert b"RequestServerVersion" in seen.body


async def test_an_app_signs_in_and_impersonates(cloud: Cloud) -> None:
    cloud.organisation.put("ann@example.com", item("meeting", -30, 300))
    await cloud.open_daemon()
    cloud.open_pbx()
    await cloud.shows(ann="Meeting until 13:00 #busy", bob="Free", eve="Free")
    cloud.organisation.put("bob@example.com", item("trip", -30, 300, show_as="OOF"))
    await cloud.shows(bob="Trip until 13:00 #away")
    assert len(cloud.online.authority.seen) == 1, "one token serves everybody"
    check_headers(cloud)
    sign_in_status = cloud.exchange_status()["sign_in"]
    assert isinstance(sign_in_status, dict)
    assert sign_in_status["kind"] == "client secret"
    assert sign_in_status["permissions"] == ["full_access_as_app"]
    assert sign_in_status["healthy"]


async def test_a_token_revoked_in_mid_life_is_replaced_once(cloud: Cloud) -> None:
    await cloud.open_all()
    await cloud.clock.advance(timedelta(minutes=1), turns=5)
    cloud.online.authority.revoke()
    for name in ("ann", "bob", "eve"):
        cloud.organisation.put(f"{name}@example.com", item("meeting", -30, 300))
    await cloud.shows(**dict.fromkeys(("ann", "bob", "eve"), "Meeting until 13:00 #busy"))
    assert cloud.online.authority.issued == 2
    assert cloud.exchange_status()["healthy"]


async def test_a_stream_that_ends_with_its_token_opens_with_the_next(cloud: Cloud) -> None:
    await cloud.open_all()
    await cloud.clock.advance(timedelta(minutes=1), turns=5)
    cloud.online.authority.revoke()
    cloud.online.exchange.interrupt_streams(Trouble.EOF)
    cloud.organisation.put("ann@example.com", item("meeting", -30, 300))
    await cloud.shows(ann="Meeting until 13:00 #busy")
    assert cloud.online.authority.issued == 2
    assert cloud.online.door.taken == {1, 2}


async def test_tokens_are_renewed_ahead_so_that_none_is_refused(cloud: Cloud) -> None:
    cloud.online.authority.lifetime = 600
    await cloud.open_all()
    for _ in range(30):
        await cloud.clock.advance(timedelta(minutes=1), turns=10)
        await cloud.until(lambda: True)
    cloud.organisation.put("ann@example.com", item("meeting", -30, 300))
    await cloud.shows(ann="Meeting until 13:00 #busy")
    assert cloud.online.authority.issued >= 3
    assert cloud.online.signin.counters["refused"] == 0


async def test_a_wrong_secret_is_told_and_a_right_one_opens_that_door_alone(cloud: Cloud) -> None:
    cloud.secret = "planted-wrong"
    await cloud.open_daemon()
    cloud.open_pbx()
    await cloud.until(lambda: "AADSTS7000215" in str(cloud.exchange_status()["reason"]))
    reason = str(cloud.exchange_status()["reason"])
    assert f"the client secret of app {APP} is wrong (AADSTS7000215); copy the Value" in reason
    assert not cloud.exchange_status()["healthy"]
    await cloud.until(lambda: "is wrong" in cloud.standing("ann")[1])
    assert len(cloud.online.authority.seen) == 1, "nobody asks again at once"
    logins = cloud.pbx.logins
    cloud.secret = SECRET
    cloud.write()
    cloud.supervisor.reload()
    await cloud.shows(ann="Free", bob="Free", eve="Free")
    assert cloud.exchange_status()["healthy"]
    assert cloud.pbx.logins == logins, "the PBX link was left alone"


async def test_a_mailbox_that_policy_blocks_is_looked_at_hourly(cloud: Cloud) -> None:
    blocked = cloud.online.faults.on(Trouble.BLOCKED, mailbox="bob@example.com")
    cloud.organisation.put("ann@example.com", item("meeting", -30, 300))
    await cloud.open_daemon()
    cloud.open_pbx()
    await cloud.shows(ann="Meeting until 13:00 #busy", eve="Free")
    await cloud.until(lambda: cloud.standing("bob")[0] is MailboxState.BLOCKED)
    _, reason, remedy = cloud.standing("bob")
    assert "EWS is disabled for this user or tenant" in reason
    assert "Set-CASMailbox -EwsEnabled $true" in remedy
    assert "Set-OrganizationConfig -EwsEnabled $true" in remedy

    def asked() -> int:
        return sum(seen.mailbox == "bob@example.com" for seen in cloud.online.exchange.seen)

    await cloud.clock.advance(timedelta(minutes=1), turns=5)
    before = asked()
    await cloud.clock.advance(timedelta(minutes=50), turns=3)
    assert asked() == before, "it is left alone"
    cloud.online.faults.off(blocked)
    cloud.organisation.put("bob@example.com", item("trip", -30, 300, show_as="OOF"))
    await cloud.clock.advance(timedelta(minutes=15), turns=5)
    await cloud.shows(bob="Trip until 13:00 #away")


async def test_an_account_that_signed_in_once(cloud: Cloud) -> None:
    cloud.sync_type = "cloud"
    cloud.online.door.permission = "EWS.AccessAsUser.All"
    await cloud.open_daemon()
    cloud.open_pbx()
    await cloud.until(lambda: "run presenced signin" in str(cloud.exchange_status()["reason"]))
    assert cloud.online.authority.seen == []
    account = await sign_in_once(cloud.write(), cloud.clock, cloud.online.authority.host)
    await cloud.shows(ann="Free", bob="Free", eve="Free")
    status = cloud.exchange_status()["sign_in"]
    assert isinstance(status, dict)
    assert (status["kind"], status["account"]) == ("signed-in account", account)
    check_headers(cloud)


async def test_what_an_admin_must_know_is_logged_at_start_and_after_a_reload(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "presenced.daemon.supervisor"):
        await cloud.open_all()
        assert caplog.text.count("ends it for good on 2027-04-01") == 1
        cloud.sync_type = "cloud"
        cloud.write()
        cloud.supervisor.reload()
        await cloud.until(lambda: "left Exchange Online in February 2025" in caplog.text)
    assert caplog.text.count("ends it for good on 2027-04-01") >= 2  # the file is looked at, too
