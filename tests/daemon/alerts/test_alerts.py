"""The whole loop: an engine between scripted doors, channels that take or refuse, restarts."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from presenced.config.settings import AlertSettings, ExchangeSettings, Secret
from presenced.core.ports import Store
from presenced.daemon.alerts.alerts import Alerts, open_channels
from presenced.daemon.alerts.cases import Notice
from presenced.daemon.alerts.channel import Undelivered
from presenced.daemon.alerts.gathering import Credential, View
from presenced.daemon.alerts.wording import Origin
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.alerts.test_mail import office
from tests.daemon.alerts.test_webhook import PLAIN, receiver, verify
from tests.daemon.doors import Running, settings_for

ALERTS = AlertSettings(
    mail_to=("a@example.com",), mail_from="p@example.com", smtp_url=Secret("smtp://localhost")
)
SETTINGS = settings_for(exchange=ExchangeSettings(), alerts=ALERTS)
"""no calendar door: the PBX alone may be down"""


class Wire:
    """`channel.Channel`: remembers, refuses while `trouble` is set."""

    def __init__(self) -> None:
        self.told: list[Notice] = []
        self.tries = 0
        self.trouble: Undelivered | None = None

    async def deliver(self, notice: Notice, origin: Origin) -> None:
        self.tries += 1
        if self.trouble is not None:
            raise self.trouble
        self.told.append(notice)

    @property
    def kinds(self) -> str:
        return " ".join(f"{notice.kind}:{notice.cause.key}" for notice in self.told)


class Bench(Running):
    """An engine whose alerts go to wires."""

    def __init__(self, store: Store, clock: FakeClock, **wires: Wire) -> None:
        super().__init__(SETTINGS, store, clock)
        self.wires = wires
        engine = self.engine
        view = View(engine.roster, engine.watch, lambda: engine.pbx)
        engine.alerts = Alerts(SETTINGS, store, clock, view, lambda *_: dict(self.wires))

    async def minutes(self, number: float) -> None:
        await self.clock.advance(timedelta(minutes=number), turns=6)
        await self.settle()


@asynccontextmanager
async def bench(
    store: Store | None = None, clock: FakeClock | None = None, **wires: Wire
) -> AsyncIterator[Bench]:
    desk = Bench(store or MemoryStore(), clock or FakeClock(), **wires)
    async with desk:
        yield desk


async def test_a_door_down_is_told_once_and_once_when_it_is_over() -> None:
    wire = Wire()
    async with bench(mail=wire) as desk:
        await desk.minutes(9)
        assert wire.kinds == ""
        await desk.minutes(2)
        assert wire.kinds == "begun:pbx"
        await desk.minutes(60)
        desk.pbx.link()
        await desk.minutes(9)
        assert wire.kinds == "begun:pbx"
        await desk.minutes(2)
        assert wire.kinds == "begun:pbx over:pbx"
        await desk.minutes(60)
        assert wire.tries == 2
        assert desk.engine.counters()["alerts_mail_sent"] == 2


async def test_a_restart_neither_repeats_nor_forgets() -> None:
    wire, store, clock = Wire(), MemoryStore(), FakeClock()
    async with bench(store, clock, mail=wire) as desk:
        await desk.minutes(11)
    await clock.advance(timedelta(hours=3))
    async with bench(store, clock, mail=wire) as desk:
        await desk.minutes(30)
        assert wire.kinds == "begun:pbx"
        desk.pbx.link()
        await desk.minutes(11)
    assert wire.kinds == "begun:pbx over:pbx"
    assert wire.told[1].case == wire.told[0].id


async def test_what_was_not_delivered_before_a_restart_is_delivered_after_it() -> None:
    wire, store, clock = Wire(), MemoryStore(), FakeClock()
    wire.trouble = Undelivered("the mail server is away", remedy="bring it back")
    async with bench(store, clock, mail=wire) as desk:
        await desk.minutes(11)
        assert desk.engine.alerts.waiting == 1
    wire.trouble = None
    async with bench(store, clock, mail=wire) as desk:
        desk.pbx.link()
        await desk.minutes(1)
    assert wire.kinds == "begun:pbx"


async def test_one_channel_in_trouble_keeps_no_other_waiting() -> None:
    mail, webhook = Wire(), Wire()
    mail.trouble = Undelivered("the mail server is away", remedy="bring it back")
    async with bench(mail=mail, webhook=webhook) as desk:
        await desk.minutes(11)
        assert (mail.kinds, webhook.kinds) == ("", "begun:pbx")
        desk.pbx.link()
        await desk.minutes(11)
        mail.trouble = None
        await desk.minutes(16)
        assert mail.kinds == webhook.kinds == "begun:pbx over:pbx"


async def test_trouble_that_lasts_is_tried_hourly_and_given_up_after_days(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("presenced.daemon.alerts.alerts.GIVEN_UP_AFTER", timedelta(hours=2.5))
    wire = Wire()
    wire.trouble = Undelivered("the login was refused", remedy="check smtp_url", lasting=True)
    async with bench(mail=wire) as desk:
        with caplog.at_level(logging.ERROR):
            await desk.minutes(11)
            assert wire.tries == 1
            await desk.minutes(125)
            assert wire.tries == 3
            assert "because=the login was refused remedy=check smtp_url retry_in=3600s" in caplog.text
            await desk.minutes(60)
        assert "a notice is given up channel=mail cause=pbx" in caplog.text
        assert desk.engine.alerts.waiting == 0


async def test_new_settings_are_tried_at_once() -> None:
    wire = Wire()
    wire.trouble = Undelivered("the login was refused", remedy="check smtp_url", lasting=True)
    async with bench(mail=wire) as desk:
        await desk.minutes(11)
        wire.trouble = None
        changed = AlertSettings(("b@example.com",), "p@example.com", Secret("smtp://localhost"))
        await desk.engine.apply(settings_for(exchange=ExchangeSettings(), alerts=changed))
        await desk.settle()
        assert wire.kinds == "begun:pbx"


async def test_a_channel_nobody_asks_for_any_more_is_dropped() -> None:
    wire = Wire()
    wire.trouble = Undelivered("away", remedy="wait")
    async with bench(mail=wire) as desk:
        await desk.minutes(11)
        assert desk.engine.alerts.waiting == 1
        desk.wires.clear()
        await desk.engine.apply(settings_for(exchange=ExchangeSettings()))
        await desk.minutes(2)
        assert desk.engine.alerts.waiting == 0


async def test_a_credential_about_to_expire_is_told_at_each_stage() -> None:
    wire, clock = Wire(), FakeClock()
    end = clock.now() + timedelta(days=30, minutes=3)
    async with bench(clock=clock, mail=wire) as desk:
        desk.pbx.link()
        desk.engine.alerts.credentials = lambda: [Credential("c", "the certificate", end, "renew it")]
        await desk.minutes(2)
        assert wire.kinds == ""
        await desk.minutes(2)
        assert wire.kinds == "begun:credential:c"
        desk.engine.alerts.credentials = lambda: [
            Credential("c", "the certificate", clock.now() + timedelta(days=6), "renew it")
        ]
        await desk.minutes(1)
        assert wire.kinds == "begun:credential:c worse:credential:c"
        desk.engine.alerts.credentials = tuple
        await desk.minutes(1)
        assert wire.kinds.endswith(" over:credential:c")


async def test_a_credential_not_known_yet_is_not_over() -> None:
    wire, clock = Wire(), FakeClock()
    known = Credential("c", "the certificate", clock.now() + timedelta(days=3), "renew it")
    async with bench(clock=clock, mail=wire) as desk:
        desk.pbx.link()
        for shown in (known, replace(known, expires_at=None), known):
            desk.engine.alerts.credentials = lambda shown=shown: [shown]  # type: ignore[misc]
            await desk.minutes(1)
        assert wire.kinds == "begun:credential:c"


async def test_a_failing_look_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire()

    def fail() -> list[Credential]:
        raise RuntimeError("broken")

    async with bench(mail=wire) as desk:
        desk.engine.alerts.credentials = fail
        await desk.minutes(1)
        assert "failed unexpectedly" in caplog.text
        desk.engine.alerts.credentials = tuple
        await desk.minutes(11)
        assert wire.kinds == "begun:pbx"


async def test_what_was_kept_and_is_garbage_is_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    wire, store = Wire(), MemoryStore()
    await store.keep_value("alerts", b"garbage")
    async with bench(store, mail=wire) as desk:
        await desk.minutes(11)
    assert "what was told before is not known" in caplog.text
    assert wire.kinds == "begun:pbx"


async def test_a_case_that_lasts_is_not_kept_again_and_again() -> None:
    class Counting(MemoryStore):
        kept = 0

        async def keep_value(self, name: str, value: bytes | None) -> None:
            self.kept += 1
            await super().keep_value(name, value)

    store = Counting()
    async with bench(store, mail=Wire()) as desk:
        await desk.minutes(30)
    assert store.kept <= 31 + 2


async def test_mail_and_webhook_for_real() -> None:
    async with office() as place, receiver() as hook:
        alerts = AlertSettings(
            ("a@example.com",),
            "p@example.com",
            Secret(f"smtp://127.0.0.1:{place.port}"),
            Secret(hook.url),
            Secret(PLAIN),
        )
        clock = FakeClock()
        async with Running(
            settings_for(exchange=ExchangeSettings(), alerts=alerts), MemoryStore(), clock
        ) as desk:
            await clock.advance(timedelta(minutes=11), turns=6)
            while not (place.mails and hook.bodies):
                await clock.settle(5)
            desk.pbx.link()
            await clock.advance(timedelta(minutes=11), turns=6)
            while not (len(place.mails) == len(hook.bodies) == 2):
                await clock.settle(5)
    assert [mail["Subject"] for mail in place.mails] == [
        "[presenced master] no link to the PBX master",
        "[presenced master] over: no link to the PBX master",
    ]
    assert place.mails[1]["References"] == place.mails[0]["Message-ID"]
    assert all(verify(PLAIN.encode(), *each) for each in zip(hook.headers, hook.bodies, strict=True))


def test_channels_are_what_the_settings_ask_for() -> None:
    assert set(open_channels(AlertSettings(), FakeClock())) == set()
    assert set(open_channels(ALERTS, FakeClock())) == {"mail"}
    assert set(open_channels(AlertSettings(webhook_url=Secret("https://x.example")), FakeClock())) == {
        "webhook"
    }
