"""The main job once for each sync type and credential, and what becomes of it when a credential fails.

PBX, Exchange and identity provider are simulated, strict and made from the protocols' documents alone; the daemon
is composed as `presenced run` composes it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from presenced.core.ports import MailboxState
from presenced.sim.entra.faults import Trouble as EntraTrouble
from presenced.sim.entra.tenants import EXCHANGE, ClientSecret
from presenced.sim.exchange.faults import Trouble
from tests.e2e.online import ACCOUNT, Kind, Online, prepare
from tests.e2e.test_main_job import NAMES, item
from tests.sim.entra.house import APP

MINUTE = timedelta(minutes=1)
ALMOST = timedelta(seconds=85)
"""until tokens that live for two minutes are refreshed; nothing waits for an answer meanwhile"""


@pytest.fixture
def kind() -> Kind:
    return Kind.SECRET


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> AsyncIterator[Online]:
    world = Online(tmp_path, kind)
    prepare(monkeypatch, tmp_path, world.clock.now)
    await world.open_exchange()
    if kind.delegated:
        assert await world.sign_in() == ACCOUNT
    yield world
    await world.close()
    assert list(world.pbx.client_bugs) == []
    assert list(world.stage.exchange.client_bugs) == []
    assert list(world.graph.client_bugs) == []


def everybody_meets(world: Online, name: str = "meeting") -> dict[str, str]:
    """Something new in each calendar; the notes it makes."""
    for each in NAMES:
        world.organisation.put(f"{each}@example.com", item(name, -30, 300))
    return dict.fromkeys(NAMES, f"{name.title()} until 13:00 #busy")


def given(world: Online) -> int:
    """How many access tokens the daemon got for itself."""
    granted = world.entra.grants.granted
    return granted["client_credentials"] + granted["refresh_token"]


@pytest.mark.parametrize("kind", list(Kind))
async def test_the_main_job(world: Online) -> None:
    world.organisation.put("ann@example.com", item("meeting", -30, 300))
    await world.open_daemon()
    world.open_pbx()
    await world.shows(ann="Meeting until 13:00 #busy", bob="Free", eve="Free")
    world.organisation.put("bob@example.com", item("trip", -30, 300, show_as="OOF"))
    await world.shows(bob="Trip until 13:00 #away")
    world.organisation.remove("ann@example.com", "meeting")
    await world.shows(ann="Free")
    assert world.exchange_status()["healthy"]
    assert all(b"ConnectingSID" in seen.body for seen in world.stage.exchange.seen)
    assert world.kind.graph == bool(world.graph.seen) == (not world.stage.exchange.seen)
    match world.kind:
        case Kind.NTLM:
            assert world.stage.signin.counters["handshakes"] >= 1
        case Kind.BASIC:
            assert world.stage.signin.counters["handshakes"] == 0
        case _:
            assert given(world) == 1, "one token serves everybody"
            assert world.entra.grants.refused.total() == world.entra.grants.refused[70016]
            assert world.stage.signin.counters["refused"] == 0
    if not world.kind.on_premises:
        shown = {
            Kind.ACCOUNT: "signed-in account",
            Kind.GRAPH_ACCOUNT: "signed-in account",
            Kind.SECRET: "client secret",
            Kind.FEDERATED: "federated token",
        }
        assert world.sign_in_status()["kind"] == shown.get(world.kind, "certificate")


@pytest.mark.parametrize("kind", [Kind.ACCOUNT, Kind.SECRET, Kind.PEM, Kind.GRAPH, Kind.GRAPH_ACCOUNT])
async def test_a_token_revoked_in_mid_life_is_replaced_once(world: Online) -> None:
    await world.open_all()
    await world.clock.advance(MINUTE, turns=5)
    world.entra.tokens.revoke()
    await world.shows(**everybody_meets(world))
    assert given(world) == 2
    assert world.kind.graph == ('"nbf"' in world.entra.grants.seen[-1].claims), "what the challenge demands"
    assert world.exchange_status()["healthy"]


@pytest.mark.parametrize("kind", [Kind.ACCOUNT, Kind.PEM])
async def test_a_stream_that_ends_with_its_token_opens_with_the_next(world: Online) -> None:
    world.entra.tokens.life = world.entra.tokens.long_life = 2 * MINUTE
    await world.open_all()

    def streams() -> list[str]:
        seen = world.stage.exchange.seen
        return [one.headers["Authorization"] for one in seen if one.operation == "GetStreamingEvents"]

    before = streams()
    await world.clock.advance(ALMOST, turns=3)
    await world.until(lambda: given(world) == 2, "it is renewed ahead")
    await world.clock.advance(MINUTE, turns=5)
    world.stage.exchange.interrupt_streams(Trouble.EOF)
    await world.until(lambda: len(streams()) > len(before))
    assert streams()[-1] not in before
    await world.shows(**everybody_meets(world))
    assert world.stage.signin.counters["refused"] == 0


async def test_an_ended_secret_is_told_and_a_new_one_taken_at_reload(world: Online) -> None:
    await world.open_all()
    await world.clock.advance(MINUTE, turns=5)
    world.application.end_secrets(world.clock.now())
    world.entra.tokens.revoke()
    notes = everybody_meets(world)
    await world.until(lambda: "AADSTS7000222" in str(world.sign_in_status()["reason"]))
    assert f"the client secret of app {APP} has expired" in str(world.sign_in_status()["reason"])
    assert "make a new one under Certificates & secrets" in str(world.sign_in_status()["remedy"])
    assert world.note("ann").startswith("Free"), "what was true last stays"
    world.secret = "second~secret"
    world.application.secrets.append(ClientSecret(world.secret))
    logins = world.pbx.logins
    world.write()
    world.supervisor.reload()
    await world.shows(**notes)
    assert world.exchange_status()["healthy"]
    assert world.pbx.logins == logins, "the PBX link was left alone"


@pytest.mark.parametrize("kind", [Kind.ACCOUNT, Kind.PFX])
async def test_what_policy_blocks_is_told_with_its_reason(world: Online) -> None:
    reason = "EWS is blocked by policy for this user or tenant"
    world.stage.faults.on(Trouble.BLOCKED, mailbox="bob@example.com", text=reason)
    await world.open_daemon()
    world.open_pbx()
    await world.shows(ann="Free", eve="Free")
    await world.until(lambda: world.standing("bob")[0] is MailboxState.BLOCKED)
    assert reason in world.standing("bob")[1]
    assert "Set-OrganizationConfig" in world.standing("bob")[2]


@pytest.mark.parametrize("kind", [Kind.ACCOUNT])
async def test_an_account_stays_signed_in_over_refreshes_and_restarts(world: Online) -> None:
    world.entra.faults.single_use_refresh_tokens = True
    world.entra.tokens.life = world.entra.tokens.long_life = 2 * MINUTE
    await world.open_all()
    ends = {world.sign_in_status()["expires_at"]}
    while len(ends) < 3:
        await world.clock.advance(ALMOST, turns=3)
        await world.until(lambda: world.sign_in_status()["expires_at"] not in ends, "it is refreshed ahead")
        ends.add(world.sign_in_status()["expires_at"])
    await world.kill("daemon")
    await world.open_daemon()
    await world.shows(**everybody_meets(world))
    assert given(world) == 4
    assert world.entra.grants.refused.total() == world.entra.grants.refused[70016]


@pytest.mark.parametrize("kind", [Kind.ACCOUNT])
async def test_an_account_whose_sessions_were_ended_signs_in_again(world: Online) -> None:
    await world.open_all()
    await world.clock.advance(MINUTE, turns=5)
    world.entra.grants.sessions.revoke(world.account)
    world.entra.tokens.revoke()
    notes = everybody_meets(world)
    await world.until(lambda: "AADSTS50173" in str(world.sign_in_status()["reason"]))
    assert "run presenced signin" in str(world.sign_in_status()["remedy"])
    assert await world.sign_in() == ACCOUNT
    await world.shows(**notes)


@pytest.mark.parametrize("kind", [Kind.ACCOUNT])
async def test_an_account_that_may_not_impersonate(world: Online) -> None:
    world.organisation.service_accounts.clear()
    await world.open_daemon()
    world.open_pbx()
    await world.until(lambda: all(world.knows(name) for name in NAMES))
    await world.until(lambda: world.standing("ann")[0] is MailboxState.BLOCKED)
    assert "the account may not impersonate this mailbox" in world.standing("ann")[1]
    assert "ApplicationImpersonation" in world.standing("ann")[2]
    assert world.exchange_status()["healthy"]


@pytest.mark.parametrize("kind", [Kind.FEDERATED])
async def test_a_token_file_that_was_not_kept_fresh(world: Online) -> None:
    world.entra.tokens.life = world.entra.tokens.long_life = 2 * MINUTE
    await world.open_all()
    world.issue_federated(timedelta(minutes=-10))
    await world.clock.advance(ALMOST, turns=3)
    await world.until(lambda: "AADSTS700024" in str(world.sign_in_status()["reason"]))
    assert "federated_token_file" in str(world.sign_in_status()["remedy"])
    world.issue_federated()
    await world.clock.advance(timedelta(seconds=55), turns=3)
    await world.until(lambda: bool(world.sign_in_status()["healthy"]))
    await world.shows(**everybody_meets(world))


async def test_a_permission_nobody_consented_to(world: Online) -> None:
    world.application.roles.clear()
    await world.open_daemon()
    world.open_pbx()
    await world.until(lambda: "not enough scope" in str(world.exchange_status()["reason"]))
    assert "check that the app has its API permission" in str(world.exchange_status()["reason"])
    assert world.sign_in_status()["permissions"] == []
    world.application.roles[EXCHANGE] = {"full_access_as_app"}
    await world.shows(ann="Free", bob="Free", eve="Free")


@pytest.mark.parametrize("trouble", [EntraTrouble.THROTTLED, EntraTrouble.OUTAGE, EntraTrouble.BROKEN])
async def test_a_provider_in_trouble_is_left_alone_for_a_while(world: Online, trouble: EntraTrouble) -> None:
    world.entra.faults.on(trouble, endpoint="token", times=1, back_off=timedelta(seconds=90))
    await world.open_daemon()
    world.open_pbx()
    await world.until(lambda: world.entra.counters["client_credentials"] == 1)
    await world.until(lambda: not world.exchange_status()["healthy"])
    if trouble is not EntraTrouble.BROKEN:
        await world.clock.advance(timedelta(seconds=60), turns=3)
        assert world.entra.counters["client_credentials"] == 1
    await world.shows(ann="Free", bob="Free", eve="Free")
    assert world.entra.counters["client_credentials"] == 2
