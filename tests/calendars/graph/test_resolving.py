from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from presenced.calendars.carrier import CarrierProblem
from presenced.core.ports import DoorProblem
from presenced.sim.exchange.organisation import SimulatedMailbox
from presenced.sim.graph.faults import Trouble
from tests.calendars.graph.stage import ANN, APP, BOB, ROOT, refused, resting


async def test_an_alias_leads_to_the_primary_address_and_the_users_id() -> None:
    scene = resting()
    joe = scene.organisation.add(SimulatedMailbox("Joe@example.com", aliases=("j.o'hara@example.com",)))
    (found,) = await scene.door.fetch_mailboxes([["j.o'hara@example.com"]])
    assert found.mailbox is not None
    assert found.mailbox.address == "Joe@example.com"
    assert found.mailbox.endpoint == f"{ROOT}/users/{scene.graph.resources.directory.id_of(joe)}"
    assert found.mailbox.group == ""
    assert not scene.graph.client_bugs


async def test_candidates_are_asked_in_order_until_one_is_known() -> None:
    scene = resting()
    users = [["nobody@example.com", ANN, BOB], [BOB], ["nobody@example.com"], []]
    found = await scene.door.fetch_mailboxes(users)
    assert [one.mailbox.address if one.mailbox else None for one in found] == [ANN, BOB, None, None]
    assert [answer.address for answer in found[0].answers] == ["nobody@example.com", ANN]
    assert found[2].answers[0].outcome == "graph.test: no user has this address"


async def test_addresses_go_in_batches_of_twenty() -> None:
    scene = resting(45)
    people = [f"user{number:05}@example.com" for number in range(45)]
    found = await scene.door.fetch_mailboxes([[one] for one in people])
    assert [one.mailbox.address for one in found if one.mailbox] == people
    assert sorted(map(len, scene.carrier.batches)) == [5, 20, 20]


@pytest.mark.parametrize(
    "address", ["", " ", "nobody", "@", "a@", "@b", "a\nb@example.com", "x" * 400 + "@example.com"]
)
async def test_what_is_no_address_is_not_asked(address: str) -> None:
    scene = resting()
    (found,) = await scene.door.fetch_mailboxes([[address]])
    assert found.mailbox is None
    assert scene.carrier.sent == []


@pytest.mark.parametrize("address", ["a b@example.com", "ä&$filter='x'@example.com", "a')/b#c?d@example.com"])
async def test_whatever_stands_in_an_address_stays_inside_the_filter(address: str) -> None:
    scene = resting()
    (found,) = await scene.door.fetch_mailboxes([[address]])
    assert found.answers[0].outcome == "graph.test: no user has this address"
    assert not scene.graph.client_bugs


async def test_a_part_that_is_throttled_is_asked_again() -> None:
    scene = resting()
    scene.graph.faults.on(Trouble.THROTTLED, resource="users", times=1, retry_after=timedelta(seconds=2))
    task = asyncio.create_task(scene.door.fetch_mailboxes([[ANN], [BOB]]))
    await scene.clock.advance(timedelta(seconds=5))
    assert [one.mailbox.address for one in await task if one.mailbox] == [ANN, BOB]
    assert scene.carrier.asked("users") == 3


async def test_without_leave_to_read_the_directory_calendars_are_asked_for_their_owner(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = resting()
    scene.carrier.caller = replace(APP, permissions=frozenset({"Calendars.Read"}))
    upn = "ann@example.onmicrosoft.com"
    found = await scene.door.fetch_mailboxes([[upn], ["nobody@example.com"]])
    assert found[0].mailbox is not None
    assert found[0].mailbox.address == ANN
    assert found[0].mailbox.endpoint == f"{ROOT}/users/{upn}"
    assert found[1].mailbox is None
    before = scene.carrier.asked("users")
    await scene.door.fetch_mailboxes([["ann@example.onmicrosoft.com"]])
    assert scene.carrier.asked("users") == before  # it is not asked for an hour
    assert caplog.text.count("grant User.Read.All") == 1
    await scene.clock.advance(timedelta(hours=1, minutes=1))
    scene.carrier.caller = APP
    (again,) = await scene.door.fetch_mailboxes([[ANN]])
    assert again.mailbox is not None


async def test_without_any_permission_the_admin_reads_what_to_grant() -> None:
    scene = resting()
    scene.carrier.caller = replace(APP, permissions=frozenset())
    (found,) = await scene.door.fetch_mailboxes([[ANN]])
    assert found.mailbox is None
    assert "the app may not read this mailbox" in found.answers[0].outcome
    assert "Calendars.Read" in found.answers[0].outcome


@pytest.mark.parametrize(
    "answer", [CarrierProblem("connect", "away"), refused(500), refused(401, "InvalidAuthenticationToken")]
)
async def test_where_nobody_can_be_asked_it_is_the_doors_trouble(answer: object) -> None:
    scene = resting()
    scene.carrier.script = lambda *_: answer  # type: ignore[assignment]
    with pytest.raises(DoorProblem):
        await scene.door.fetch_mailboxes([[ANN]])


async def test_an_outage_of_one_batch_is_told_of_its_users_alone() -> None:
    scene = resting(30)
    people = [f"user{number:05}@example.com" for number in range(30)]
    breaks = [CarrierProblem("timeout", "too slow")]
    scene.carrier.script = lambda *_: breaks.pop() if breaks else None
    found = await scene.door.fetch_mailboxes([[one] for one in people])
    assert sum(one.mailbox is None for one in found) in {10, 20}
