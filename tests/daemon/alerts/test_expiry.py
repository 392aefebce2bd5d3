"""The credential of the sign-in on its way to the admins: 30, 7, 1 days ahead, and never a false all-clear."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from presenced.core.ports import CalendarDoorStatus, SignInStatus
from presenced.daemon.alerts.cases import Case, Kind, weigh
from presenced.daemon.alerts.expiry import expiring
from presenced.daemon.alerts.gathering import View, gather
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.doors import Running, ScriptedCalendars, settings_for

CERTIFICATE = SignInStatus("certificate", "", healthy=True)


class SignedIn(ScriptedCalendars):
    """Calendars behind a sign-in with OAuth2."""

    sign_in: SignInStatus | None = None

    def status(self) -> CalendarDoorStatus:
        return replace(super().status(), sign_in=self.sign_in)


@pytest.fixture
def door() -> SignedIn:
    return SignedIn(FakeClock())


@pytest.mark.parametrize(
    ("sign_in", "known"),
    [
        (None, True),
        (SignInStatus("", "", healthy=True), False),
        (SignInStatus("client secret", "", healthy=True), True),
    ],
)
def test_what_does_not_expire(sign_in: SignInStatus | None, known: bool, door: SignedIn) -> None:
    door.sign_in = sign_in
    assert expiring(door) == (() if known else None)


def test_nobody_knows_without_a_door() -> None:
    assert expiring(None) is None


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with Running(settings_for(), MemoryStore(), FakeClock()) as running:
        yield running


async def test_told_at_thirty_seven_and_one_days_and_over_when_it_is_renewed(running: Running) -> None:
    door, clock, engine = SignedIn(running.clock), running.clock, running.engine
    end = clock.now() + timedelta(days=40)
    view = View(engine.roster, engine.watch, lambda: engine.pbx)
    cases: dict[str, Case] = {}
    told: list[tuple[int, Kind, str]] = []

    def look(day: int) -> None:
        look = gather(view, engine.settings, expiring(door), clock.now() + timedelta(days=day))
        weighed = weigh(cases, look, clock.now(), last_look=clock.now(), after=timedelta(minutes=10))
        cases.clear()
        cases.update(weighed.cases)
        about = [one for one in weighed.notices if one.cause.key.startswith("credential:")]
        told.extend((day, one.kind, one.cause.summary) for one in about)

    for day in range(42):
        known = replace(CERTIFICATE, credential_expires_at=end)
        door.sign_in = SignInStatus("", "", healthy=True) if day in {12, 35} else known
        look(day)
    door.sign_in = replace(CERTIFICATE, credential_expires_at=end + timedelta(days=365))
    look(42)
    what = "the certificate the app signs in to Exchange with"
    assert told == [
        (10, Kind.BEGUN, f"{what} expires in 30 days"),
        (33, Kind.WORSE, f"{what} expires in 7 days"),
        (39, Kind.WORSE, f"{what} expires in 1 day"),
        (42, Kind.OVER, f"{what} has expired"),
    ], "a restart on the way says neither that it is over nor that it begins anew"


async def test_the_engine_tells_the_alerts(running: Running) -> None:
    door = SignedIn(running.clock)
    door.sign_in = replace(CERTIFICATE, credential_expires_at=running.clock.now() + timedelta(days=3))
    running.engine.watch.door = door
    (credential,) = running.engine.alerts.credentials() or ()
    assert credential.expires_at == door.sign_in.credential_expires_at
    assert "Certificates & secrets" in credential.remedy
