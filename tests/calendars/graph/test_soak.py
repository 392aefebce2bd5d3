"""Everything goes wrong at random for hours; when it is over, no change was missed and nothing is left over."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from presenced.sim.graph.faults import Trouble
from presenced.sim.graph.subscriptions import Lifecycle
from tests.calendars.doors import broken
from tests.calendars.graph.stage import (
    NOTIFICATION_URL,
    Listener,
    Scene,
    refused,
    resting,
    started,
)

PEOPLE = [f"user{number:05}@example.com" for number in range(8)]
SWITCHES = (Trouble.THROTTLED, Trouble.UNAVAILABLE, Trouble.FAULT, Trouble.DENIED, Trouble.GONE)


class Keeping(Listener):
    """Knows whose change nobody has been told of yet."""

    def __init__(self) -> None:
        super().__init__()
        self.untold: set[str] = set()

    def changed(self, address: str) -> None:
        super().changed(address)
        self.untold.discard(address)

    def followed(self, addresses: Sequence[str], *, polled: bool) -> None:
        super().followed(addresses, polled=polled)
        self.untold.difference_update(addresses)


class Chaos:
    """Does something at random."""

    def __init__(self, scene: Scene, listener: Keeping, seed: int) -> None:
        self.scene, self.listener, self.dice = scene, listener, random.Random(seed)
        self.numbers = iter(range(10**6))

    def strike(self) -> None:
        deeds: list[Callable[[], Any]] = [
            self.change, self.change, self.change, self.switch, self.switch, self.break_off, self.mend,
            self.lifecycle, self.notices, self.lose_subscription, self.unfollow,
        ]  # fmt: skip
        self.dice.choice(deeds)()

    def someone(self) -> str:
        return self.dice.choice(PEOPLE)

    def change(self) -> None:
        address = self.someone()
        self.listener.untold.add(address)
        self.scene.put(address, f"call-{next(self.numbers)}", 24 + self.dice.random())

    def switch(self) -> None:
        self.scene.graph.faults.on(
            self.dice.choice(SWITCHES),
            resource=self.dice.choice(("delta", "delta", "subscriptions", "$batch", "")),
            mailbox=self.dice.choice(("", self.someone())),
            times=self.dice.choice((1, 3, 30)),
            retry_after=timedelta(seconds=self.dice.choice((0, 5, 90))),
        )

    def break_off(self) -> None:
        answer = self.dice.choice((broken(), broken("connect"), broken("timeout"), refused(502)))
        self.scene.carrier.script = lambda *_: answer

    def mend(self) -> None:
        self.scene.carrier.script = lambda *_: None
        self.scene.graph.faults.off()
        self.scene.mail.reachable = self.dice.random() < 0.8

    def lifecycle(self) -> None:
        events: tuple[Lifecycle, ...] = ("missed", "subscriptionRemoved", "reauthorizationRequired")
        self.scene.graph.resources.tell(self.dice.choice(events), self.someone())

    def notices(self) -> None:
        self.scene.mail.lost = self.dice.random() < 0.5
        if self.scene.mail.posted:
            self.scene.mail.post(*self.dice.choices(self.scene.mail.posted, k=3))

    def lose_subscription(self) -> None:
        for one in self.scene.graph.resources.subscriptions.of_mailbox(self.someone()):
            self.scene.graph.resources.subscriptions.drop(one.id)

    def unfollow(self) -> None:
        address = self.someone()
        mailbox = self.mailboxes[address]
        self.scene.door.unfollow([address])
        self.scene.door.follow([mailbox])

    async def resolve(self) -> None:
        self.mailboxes = {one.address: one for one in await self.scene.resolve(*PEOPLE)}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("url", ["", NOTIFICATION_URL])
async def test_no_change_is_missed_whatever_happens(seed: int, url: str) -> None:
    listener = Keeping()
    scene = resting(len(PEOPLE), listener=listener, notification_url=url)
    chaos = Chaos(scene, listener, seed)
    await chaos.resolve()
    async with started(scene):
        scene.door.follow(list(chaos.mailboxes.values()))
        for _ in range(70):
            chaos.strike()
            await scene.pass_time(chaos.dice.choice((1, 20, 120)), turns=10)
        chaos.mend()
        scene.mail.reachable, scene.mail.lost = True, False
        scene.carrier.seconds = 0
        for _ in range(100):
            await scene.pass_time(60, turns=10)
        assert listener.untold == set()
        for address in PEOPLE:
            scene.put(address, "last", 30)
        await scene.pass_time(310, turns=20)
        assert set(listener.changes[-len(PEOPLE) :]) == set(PEOPLE)
        if url:  # more than one: what could not be ended at the time is left to expire
            live = [one for one in PEOPLE if scene.graph.resources.subscriptions.of_mailbox(one)]
            assert live == PEOPLE
        scene.graph.client_bugs.clear()  # a URL that can't be reached is answered with a 400
