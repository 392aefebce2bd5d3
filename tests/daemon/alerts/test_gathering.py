"""What is wrong now, from an engine between scripted doors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from presenced.config.settings import ExchangeSettings, PbxSettings, SyncType
from presenced.core.ports import CalendarDoorStatus, DoorProblem, MailboxProblem, MailboxState, SignInStatus
from presenced.daemon.alerts.cases import Cause, Look
from presenced.daemon.alerts.gathering import Credential, View, gather
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.doors import Running, settings_for, user

NAMES = [f"u{number:02}" for number in range(14)]


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with Running(settings_for(), MemoryStore(), FakeClock()) as running:
        running.calendars.calendars = {f"{name}@example.com": [] for name in NAMES}
        yield running


def look(running: Running, *credentials: Credential, outage: str = "") -> Look:
    engine = running.engine
    view = View(engine.roster, engine.watch, lambda: engine.pbx)
    return gather(view, engine.settings, credentials, running.clock.now(), outage=outage)


def causes(running: Running) -> dict[str, Cause]:
    return {cause.key: cause for cause in look(running).causes}


async def start(running: Running) -> None:
    running.pbx.link(*[user(name) for name in NAMES])
    await running.settle(30)


async def test_nothing_is_wrong(running: Running) -> None:
    await start(running)
    assert look(running) == Look()


async def test_no_pbx(running: Running) -> None:
    await start(running)
    running.engine.roster.unlinked("the PBX closed the connection (code 1001)")
    (cause,) = look(running).causes
    assert cause.key == "pbx"
    assert cause.reason == "The PBX closed the connection (code 1001)."
    assert "master" in cause.remedy
    assert "port 8443" in cause.remedy


async def test_dialling_names_the_url(running: Running) -> None:
    running.engine.settings = settings_for(
        pbx=PbxSettings(mode="dial", url="wss://pbx.example.com/ws", master_pbx_name="main")
    )
    assert "wss://pbx.example.com/ws" in causes(running)["pbx"].remedy


async def test_many_mailboxes_for_one_reason_are_one_cause(running: Running) -> None:
    for number, name in enumerate(NAMES):
        running.calendars.problems[f"{name}@example.com"] = MailboxProblem(
            MailboxState.BLOCKED,
            f"EWS is disabled for {name}@example.com (request {number}4711)",
            remedy="ask for Set-CASMailbox",
        )
    await start(running)
    (cause,) = look(running).causes
    assert cause.key.startswith("mailboxes:blocked:")
    assert cause.summary.startswith("14 mailboxes blocked: EWS is disabled for the mailbox (request ")
    assert cause.remedy == "Ask for Set-CASMailbox."
    assert cause.details == (*(f"{name}@example.com" for name in NAMES[:10]), "and 4 more")


async def test_other_reasons_are_other_causes(running: Running) -> None:
    for name, state, reason in [
        ("u01", MailboxState.BLOCKED, "EWS is disabled"),
        ("u02", MailboxState.FAILING, "no such folder"),
        ("u03", MailboxState.FAILING, "no such folder"),
    ]:
        running.calendars.problems[f"{name}@example.com"] = MailboxProblem(state, reason)
    await start(running)
    assert sorted(cause.summary for cause in look(running).causes) == [
        "2 mailboxes failing: no such folder",
        "the mailbox u01@example.com blocked: EWS is disabled",
    ]


async def test_exchange_away_is_one_cause_and_hides_the_mailboxes(running: Running) -> None:
    await start(running)
    away = DoorProblem("can't connect to mail.example.com", remedy="see whether it is up")
    running.calendars.problems = dict.fromkeys(running.calendars.calendars, away)
    running.engine.watch.read_again(list(running.calendars.calendars), "change")
    await running.settle(120)
    found = look(running)
    (cause,) = found.causes
    assert (cause.key, cause.reason) == ("exchange", "Can't connect to mail.example.com.")
    assert cause.remedy == "See whether it is up."
    assert found.hidden == ("mailboxes:",)


async def test_mailboxes_not_read_again_since_are_no_cause(running: Running) -> None:
    await start(running)
    keeper = next(iter(running.engine.roster.keepers.values()))
    running.engine.roster.judge(keeper, MailboxState.FAILING, "can't connect to mail.example.com")
    assert len(look(running).causes) == 1
    assert look(running, outage="Can't connect to mail.example.com.") == Look((), ("mailboxes:",))


async def test_a_calendar_door_that_is_not_wanted_is_no_cause(running: Running) -> None:
    await start(running)
    running.engine.settings = settings_for(exchange=ExchangeSettings())
    running.engine.watch.use(None)
    assert look(running) == Look()


@pytest.mark.parametrize(
    ("left", "stage", "words"),
    [
        (timedelta(days=31), None, ""),
        (timedelta(days=30), 0, "expires in 30 days"),
        (timedelta(days=7, hours=1), 0, "expires in 7 days"),
        (timedelta(days=7), 1, "expires in 7 days"),
        (timedelta(days=1, hours=1), 1, "expires in 1 day"),
        (timedelta(hours=23), 2, "expires in 23 h"),
        (timedelta(minutes=5), 2, "expires in 1 h"),
        (timedelta(days=-3), 2, "has expired"),
    ],
)
async def test_credentials(running: Running, left: timedelta, stage: int | None, words: str) -> None:
    await start(running)
    credential = Credential("x", "the certificate (x.pem)", running.clock.now() + left, "renew it")
    found = look(running, credential).causes
    assert [cause.stage for cause in found] == ([] if stage is None else [stage])
    for cause in found:
        assert (cause.key, cause.remedy, cause.patient) == ("credential:x", "Renew it.", False)
        assert cause.summary == f"the certificate (x.pem) {words}"


async def test_the_certificate_of_the_app(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    await start(running)
    exchange = ExchangeSettings(sync_type=SyncType.GRAPH, certificate=Path("/etc/presenced/app.pem"))
    running.engine.settings = settings_for(exchange=exchange)
    assert look(running) == Look((), ("credential:app-certificate",))
    end = running.clock.now() + timedelta(days=5)
    sign_in = SignInStatus("certificate", "", healthy=True, credential_expires_at=end)
    status = CalendarDoorStatus("scripted", healthy=True, reason="", sign_in=sign_in)
    monkeypatch.setattr(running.calendars, "status", lambda: status)
    (cause,) = look(running).causes
    assert cause.summary == "the certificate the app signs in with (/etc/presenced/app.pem) expires in 5 days"
    assert "Certificates & secrets" in cause.remedy


async def test_a_sign_in_that_fails_says_itself_what_to_do(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start(running)
    sign_in = SignInStatus(
        "client secret", "", healthy=False, reason="it expired", remedy="make another secret"
    )
    status = CalendarDoorStatus("scripted", healthy=False, reason="it expired", sign_in=sign_in)
    monkeypatch.setattr(running.calendars, "status", lambda: status)
    (cause,) = look(running).causes
    assert (cause.reason, cause.remedy) == ("It expired.", "Make another secret.")
