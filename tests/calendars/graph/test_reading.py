from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from presenced.calendars.carrier import CarrierProblem, Reply
from presenced.core.appointment import Appointment, Response, Sensitivity, ShowAs
from presenced.core.ports import DoorProblem, Mailbox, MailboxProblem, MailboxState
from presenced.sim.exchange.organisation import whole_days
from presenced.sim.graph.faults import Trouble
from tests.calendars.doors import broken
from tests.calendars.graph.stage import ANN, BOB, ROOT, Scene, refused, resting


async def read(scene: Scene, address: str = ANN) -> tuple[Appointment, ...]:
    (mailbox,) = await scene.resolve(address)
    found = await scene.door.fetch_appointments(mailbox, scene.window, "Europe/Berlin", organizers=True)
    assert not scene.graph.client_bugs
    return found


async def test_everything_a_rule_needs_comes_with_one_request() -> None:
    scene = resting()
    scene.put(
        ANN, "fair", 9, show_as="Tentative", sensitivity="Private", organizer_address="eve@example.com",
        my_response="Tentative",
    )  # fmt: skip
    (one,) = await read(scene)
    assert scene.carrier.asked("calendarView") == 1
    assert one.id.startswith("AAkA")
    assert one == Appointment(
        id=one.id,
        start=datetime(2026, 11, 16, 9, tzinfo=UTC),
        end=datetime(2026, 11, 16, 10, tzinfo=UTC),
        show_as=ShowAs.TENTATIVE,
        subject="fair",
        sensitivity=Sensitivity.PRIVATE,
        organizer="eve@example.com",
        response=Response.TENTATIVE,
    )


async def test_a_full_calendar_is_read_page_by_page() -> None:
    scene = resting()
    scene.graph.faults.page_size = 7
    for number in range(30):
        scene.put(ANN, f"call-{number:02}", 9 + number / 60)
    found = await read(scene)
    assert sorted(str(one.subject) for one in found) == [f"call-{number:02}" for number in range(30)]
    assert scene.carrier.asked("calendarView") == 5


async def test_what_only_the_margin_brought_is_left_out() -> None:
    scene = resting()
    scene.put(ANN, "over", 5)
    scene.put(ANN, "running", 7.5)
    scene.put(ANN, "far", 8 + 48)
    assert [one.subject for one in await read(scene)] == ["running"]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles", "Europe/Berlin", "UTC"])
async def test_all_day_appointments_come_as_their_dates_whoever_made_them(zone: str) -> None:
    scene = resting()
    day = scene.clock.now().date()
    start, end = whole_days(day, 2, zone)
    scene.put(ANN, "fair", start=start, end=end, all_day=True, zone=zone)
    (one,) = await read(scene)
    midnight = datetime(2026, 11, 16, tzinfo=UTC)
    assert (one.start, one.end) == (midnight, midnight + timedelta(days=2))


@pytest.mark.parametrize(
    ("answer", "state", "word", "rediscover"),
    [
        (Trouble.DENIED, MailboxState.BLOCKED, "Calendars.Read", False),
        (Trouble.ELSEWHERE, MailboxState.BLOCKED, "on-premises", False),
        (Trouble.FAULT, MailboxState.FAILING, "", False),
        (Trouble.THROTTLED, MailboxState.FAILING, "", False),
    ],
)
async def test_a_refusal_is_told_with_its_remedy(
    answer: Trouble, state: MailboxState, word: str, rediscover: bool
) -> None:
    scene = resting()
    (mailbox,) = await scene.resolve(ANN)
    scene.graph.faults.on(answer, resource="calendarView", retry_after=timedelta(minutes=5))
    with pytest.raises(MailboxProblem) as caught:
        await scene.door.fetch_appointments(mailbox, scene.window, "UTC", organizers=False)
    assert caught.value.state is state
    assert word in caught.value.remedy
    assert caught.value.rediscover is rediscover


async def test_a_user_who_is_gone_is_looked_up_again() -> None:
    scene = resting()
    stranger = Mailbox("joe@example.com", f"{ROOT}/users/0000")
    with pytest.raises(MailboxProblem) as caught:
        await scene.door.fetch_appointments(stranger, scene.window, "UTC", organizers=False)
    assert (caught.value.state, caught.value.rediscover) == (MailboxState.UNRESOLVED, True)


async def test_a_mailbox_found_through_another_door_is_looked_up_again_and_nobody_else_is_asked() -> None:
    scene = resting()
    other = Mailbox(ANN, "https://mail.example.com/EWS/Exchange.asmx")
    with pytest.raises(MailboxProblem) as caught:
        await scene.door.fetch_appointments(other, scene.window, "UTC", organizers=False)
    assert caught.value.rediscover
    assert scene.carrier.sent == []


async def test_a_mailbox_that_must_wait_holds_no_other() -> None:
    scene = resting()
    mailboxes = await scene.resolve(ANN, BOB)
    scene.graph.faults.on(
        Trouble.THROTTLED, resource="calendarView", mailbox=ANN, retry_after=timedelta(minutes=5)
    )
    with pytest.raises(MailboxProblem) as caught:
        await scene.door.fetch_appointments(mailboxes[0], scene.window, "UTC", organizers=False)
    assert caught.value.retry_after == timedelta(minutes=5)
    assert set(scene.carrier.holds) == set(scene.door.status().backoffs) == {ANN}
    await scene.door.fetch_appointments(mailboxes[1], scene.window, "UTC", organizers=False)


async def test_a_throttled_app_waits_with_all_its_mailboxes() -> None:
    scene = resting()
    mailboxes = await scene.resolve(ANN, BOB)
    scene.carrier.script = lambda *_: refused(
        429, "TooManyRequests", retry_after="300", x_ms_throttle_scope="Tenant_Application/Read"
    )
    with pytest.raises(MailboxProblem):
        await scene.door.fetch_appointments(mailboxes[0], scene.window, "UTC", organizers=False)
    sent = len(scene.carrier.sent)
    with pytest.raises(MailboxProblem) as caught:
        await scene.door.fetch_appointments(mailboxes[1], scene.window, "UTC", organizers=False)
    assert caught.value.retry_after == timedelta(minutes=5)
    assert len(scene.carrier.sent) == sent


async def test_a_short_back_off_is_waited_out_within_the_read() -> None:
    scene = resting()
    (mailbox,) = await scene.resolve(ANN)
    scene.graph.faults.on(
        Trouble.THROTTLED, resource="calendarView", times=2, retry_after=timedelta(seconds=3)
    )
    assert await scene.door.fetch_appointments(mailbox, scene.window, "UTC", organizers=False) == ()


async def test_a_link_to_another_server_is_not_followed() -> None:
    scene = resting()
    (mailbox,) = await scene.resolve(ANN)
    body = {"value": [], "@odata.nextLink": "https://graph.test.example.com/v1.0/users/1/calendarView"}
    scene.carrier.script = lambda *_: Reply(200, {}, json.dumps(body).encode())
    sent = len(scene.carrier.sent)
    with pytest.raises(MailboxProblem, match="leads away"):
        await scene.door.fetch_appointments(mailbox, scene.window, "UTC", organizers=False)
    assert len(scene.carrier.sent) == sent + 1


@pytest.mark.parametrize("body", [b"", b"<html/>", b"[]", b'{"value":3}', b"{" * 100_000])
async def test_an_answer_that_is_none_is_that_mailboxs_trouble(body: bytes) -> None:
    scene = resting()
    (mailbox,) = await scene.resolve(ANN)
    scene.carrier.script = lambda *_: Reply(200, {}, body)
    with pytest.raises(MailboxProblem, match="can't be read"):
        await scene.door.fetch_appointments(mailbox, scene.window, "UTC", organizers=False)


@pytest.mark.parametrize("kind", ["dns", "connect", "tls", "sign-in"])
async def test_a_server_that_is_away_is_everybodys_trouble_until_it_answers(kind: str) -> None:
    scene = resting()
    (mailbox,) = await scene.resolve(ANN)
    scene.carrier.script = lambda *_: CarrierProblem(kind, "gone")
    with pytest.raises(DoorProblem):
        await scene.door.fetch_appointments(mailbox, scene.window, "UTC", organizers=False)
    assert (scene.door.status().healthy, scene.door.status().reason) == (False, "gone")
    scene.carrier.script = lambda *_: None
    await scene.door.fetch_appointments(mailbox, scene.window, "UTC", organizers=False)
    assert scene.door.status().healthy


async def test_a_connection_that_breaks_is_tried_again() -> None:
    scene = resting()
    (mailbox,) = await scene.resolve(ANN)
    breaks = [broken(), broken()]
    scene.carrier.script = lambda *_: breaks.pop() if breaks else None
    assert await scene.door.fetch_appointments(mailbox, scene.window, "UTC", organizers=False) == ()
