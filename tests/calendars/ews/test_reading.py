"""Reading the window of one mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from presenced.calendars.carrier import CarrierProblem, Reply
from presenced.core.appointment import Appointment
from presenced.core.ports import DoorProblem, Mailbox, MailboxProblem, MailboxState
from presenced.core.window import Window
from tests.calendars.doors import broken
from tests.calendars.ews.answers import answer, backoff_xml, fault, found, item
from tests.calendars.ews.schema import assert_valid
from tests.calendars.ews.scripted import URL, Headers, Scene, ScriptedCarrier, Sent, resting

ANN = Mailbox("ann@example.com", URL)
NOW = datetime(2026, 11, 16, 8, tzinfo=UTC)
WINDOW = Window(NOW, NOW + timedelta(hours=48))
Answer = bytes | Reply | Exception


def in_turn(*answers: Answer) -> Callable[[Sent], Answer]:
    """A script that gives these answers one after another, the last for ever."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


async def read(
    *answers: Answer, organizers: bool = False, window: Window = WINDOW
) -> tuple[Scene, tuple[Appointment, ...]]:
    scene = resting(ScriptedCarrier(script=in_turn(*answers)))
    appointments = await scene.door.fetch_appointments(ANN, window, "Europe/Berlin", organizers=organizers)
    return scene, appointments


async def test_one_request_as_the_mailbox_itself() -> None:
    scene, appointments = await read(found(item()))
    assert [one.subject for one in appointments] == ["Budget"]
    (sent,) = scene.carrier.sent
    assert (sent.operation, sent.mailbox, sent.budget, sent.url) == (
        "FindItem",
        ANN.address,
        ANN.address,
        URL,
    )
    assert sent.headers["X-AnchorMailbox"] == ANN.address
    assert "X-PreferServerAffinity" not in sent.headers
    assert "Cookie" not in sent.headers
    assert_valid(sent.body)


async def test_the_window_asked_for_is_wider_by_how_far_midnights_may_lie_apart() -> None:
    scene, _ = await read(found(), window=Window(NOW, NOW + timedelta(hours=1, microseconds=5)))
    body = scene.carrier.sent[0].body
    assert b'StartDate="2026-11-15T19:00:00Z"' in body, "Kiritimati is 13 hours ahead of Berlin"
    assert b'EndDate="2026-11-16T22:00:01Z"' in body, "and the date line 13 behind"


@pytest.mark.parametrize(
    ("start", "end", "kept"),
    [
        ("2026-11-16T07:00:00Z", "2026-11-16T08:00:00Z", False),
        ("2026-11-16T07:00:00Z", "2026-11-16T08:00:01Z", True),
        ("2026-11-18T07:59:59Z", "2026-11-18T09:00:00Z", True),
        ("2026-11-18T08:00:00Z", "2026-11-18T09:00:00Z", False),
        ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", True),
    ],
)
async def test_timed_appointments_outside_the_window_are_dropped(start: str, end: str, kept: bool) -> None:
    _, appointments = await read(found(item(start=start, end=end)))
    assert bool(appointments) is kept


async def test_all_day_appointments_are_kept_generously() -> None:
    """Made in UTC+14 for the 18th, which in UTC-12 lies in the window although its instants don't."""
    made = item(
        IsAllDayEvent="true",
        start="2026-11-17T10:00:00Z",
        end="2026-11-18T10:00:00Z",
        StartTimeZone="Line Islands Standard Time",
    )
    window = Window(datetime(2026, 11, 18, 12, tzinfo=UTC), datetime(2026, 11, 19, 12, tzinfo=UTC))
    _, appointments = await read(found(made), window=window)
    assert [one.start for one in appointments] == [datetime(2026, 11, 18, tzinfo=UTC)]


# --- too many -----------------------------------------------------------------------------------


def crowded(limit: timedelta, refusal: Callable[[], bytes]) -> Callable[[Sent], bytes]:
    """A calendar with an appointment every hour, of which only so long a window is handed out."""

    def script(sent: Sent) -> bytes:
        view = sent.body.split(b'StartDate="')[1]
        start = datetime.fromisoformat(view[:20].decode())
        end = datetime.fromisoformat(view.split(b'EndDate="')[1][:20].decode())
        if end - start > limit:
            return refusal()
        hour, items = start.replace(minute=0, second=0) - timedelta(hours=1), []
        while hour < end:
            if hour + timedelta(minutes=61) > start:
                items.append(
                    item(
                        item_id=f"{hour:%d%H}",
                        start=f"{hour:%Y-%m-%dT%H:00:00Z}",
                        end=f"{hour + timedelta(minutes=61):%Y-%m-%dT%H:%M:00Z}",
                    )
                )
            hour += timedelta(hours=1)
        return found(*items)

    return script


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(lambda: answer("FindItem", code="ErrorExceededFindCountLimit"), id="refused"),
        pytest.param(lambda: found(item(item_id="part"), last=False), id="cut short"),
    ],
)
async def test_a_full_calendar_is_read_by_halves_and_joined(refusal: Callable[[], bytes]) -> None:
    scene = resting(ScriptedCarrier(script=crowded(timedelta(hours=30), refusal)))
    appointments = await scene.door.fetch_appointments(ANN, WINDOW, "Europe/Berlin", organizers=False)
    ids = [one.id for one in appointments]
    assert len(ids) == len(set(ids)) == 49
    assert len(scene.carrier.sent) == 7
    assert scene.door.counters()["windows_halved"] == 3


async def test_a_window_that_is_refused_however_short_is_the_mailboxs_problem() -> None:
    with pytest.raises(MailboxProblem, match="more appointments than Exchange hands out"):
        await read(answer("FindItem", code="ErrorExceededFindCountLimit"))


async def test_what_is_cut_short_however_short_the_window_is_taken_as_it_is() -> None:
    scene, appointments = await read(found(item(), last=False))
    assert len(appointments) == 1
    assert len(scene.carrier.sent) < 2000


# --- organizers -----------------------------------------------------------------------------------

TENTATIVE = {"LegacyFreeBusyStatus": "Tentative"}
LEGACY = "<t:EmailAddress>/O=X/CN=HR</t:EmailAddress><t:RoutingType>EX</t:RoutingType>"
SMTP = "<t:EmailAddress>hr@example.com</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType>"
MIXED = found(
    item(item_id="busy", Organizer=LEGACY),
    item(item_id="known", Organizer=SMTP, **TENTATIVE),
    item(item_id="legacy", Organizer=LEGACY, **TENTATIVE),
    item(item_id="nameless", **TENTATIVE),
)


async def test_only_tentative_ones_without_an_address_are_asked_for_again() -> None:
    details = answer("GetItem", f"<m:Items>{item(item_id='legacy', Organizer=SMTP)}</m:Items>")
    scene, appointments = await read(MIXED, details, organizers=True)
    assert {one.id: one.organizer for one in appointments} == {
        "busy": "",
        "known": "hr@example.com",
        "legacy": "hr@example.com",
        "nameless": "",
    }
    _, asked = scene.carrier.sent
    assert asked.operation == "GetItem"
    assert b'Id="legacy"' in asked.body
    assert b'Id="nameless"' in asked.body
    assert b'Id="busy"' not in asked.body
    assert_valid(asked.body)


async def test_no_rule_needs_them_no_request() -> None:
    scene, _ = await read(MIXED)
    assert len(scene.carrier.sent) == 1
    scene, _ = await read(found(item(Organizer=LEGACY)), organizers=True)
    assert len(scene.carrier.sent) == 1


async def test_many_organizers_are_asked_for_in_batches() -> None:
    scene, _ = await read(
        found(*(item(item_id=f"i{number}", **TENTATIVE) for number in range(250))),
        answer("GetItem", code="ErrorItemNotFound"),
        organizers=True,
    )
    assert [one.body.count(b"<t:ItemId ") for one in scene.carrier.of("GetItem")] == [100, 100, 50]


# --- trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "state", "in_reason", "in_remedy"),
    [
        (Reply(403, Headers({"X-EWS-Policy-Reason": "EWS is disabled for this user or tenant"})),
         MailboxState.BLOCKED, "EWS is disabled for this user or tenant", "Set-OrganizationConfig"),
        (Reply(403, Headers()), MailboxState.BLOCKED, "forbids", "EwsApplicationAccessPolicy"),
        (answer("FindItem", code="ErrorAccessDenied"), MailboxState.BLOCKED, "impersonate", "Impersonation"),
        (Reply(500, Headers(), fault("ErrorImpersonateUserDenied", "denied")), MailboxState.BLOCKED, "denied",
         "Impersonation"),
        (answer("FindItem", code="ErrorNonExistentMailbox"), MailboxState.UNRESOLVED, "no mailbox", "address"),
        (answer("FindItem", code="ErrorItemNotFound"), MailboxState.BLOCKED, "no calendar", "Outlook"),
        (answer("FindItem", code="ErrorMailboxMoveInProgress"), MailboxState.FAILING, "being moved", ""),
        (Reply(404, Headers()), MailboxState.FAILING, "no EWS", "ews_url"),
        (Reply(302, Headers()), MailboxState.FAILING, "not where it was", ""),
        (Reply(502, Headers(), b"<html>"), MailboxState.FAILING, "Http502", ""),
        (b"<html>Sign in</html>", MailboxState.FAILING, "can't be read", "debug_protocol"),
        (b"not xml", MailboxState.FAILING, "can't be read", "debug_protocol"),
        (broken("timeout"), MailboxState.FAILING, "timeout", ""),
        (broken("broken"), MailboxState.FAILING, "broken", ""),
    ],
)  # fmt: skip
async def test_what_the_admin_reads(
    reply: Answer, state: MailboxState, in_reason: str, in_remedy: str
) -> None:
    with pytest.raises(MailboxProblem) as caught:
        await read(reply)
    problem = caught.value
    assert problem.state is state
    assert in_reason in problem.reason
    assert in_remedy in problem.remedy
    assert problem.retry_after is not None
    assert problem.rediscover is (in_reason in {"no mailbox", "being moved", "no EWS", "not where it was"})


@pytest.mark.parametrize(
    "reply",
    [
        CarrierProblem("connect", "refused"),
        CarrierProblem("dns", "no such host"),
        CarrierProblem("tls", "bad certificate"),
        CarrierProblem("sign-in", "wrong password", remedy="check it"),
        Reply(401, Headers()),
    ],
)
async def test_nobody_can_be_served(reply: Answer) -> None:
    with pytest.raises(DoorProblem):
        await read(reply)


async def test_one_server_away_among_several_is_its_mailboxes_problem() -> None:
    carrier = ScriptedCarrier(
        script=lambda sent: CarrierProblem("connect", "refused") if sent.url != URL else found()
    )
    scene = resting(carrier)
    moved = Mailbox("bob@example.com", "https://other.example.com/EWS/Exchange.asmx")
    await scene.door.fetch_appointments(ANN, WINDOW, "UTC", organizers=False)
    with pytest.raises(MailboxProblem) as caught:
        await scene.door.fetch_appointments(moved, WINDOW, "UTC", organizers=False)
    assert caught.value.rediscover
    assert scene.door.status().healthy
    await scene.pass_time(600)
    with pytest.raises(DoorProblem):
        await scene.door.fetch_appointments(moved, WINDOW, "UTC", organizers=False)
    assert scene.door.status().reason == "refused"


async def test_a_broken_connection_is_tried_again() -> None:
    scene, appointments = await read(broken(), found(item()))
    assert len(appointments) == 1
    assert len(scene.carrier.sent) == 2


async def test_a_short_back_off_is_waited_out_by_the_carrier() -> None:
    busy = answer("FindItem", code="ErrorServerBusy", xml=backoff_xml(2000))
    scene, appointments = await read(busy, found(item()))
    assert len(appointments) == 1
    assert scene.carrier.holds == {ANN.address: timedelta(seconds=2)}


async def test_a_long_back_off_is_the_callers_to_wait_for() -> None:
    with pytest.raises(MailboxProblem) as caught:
        await read(Reply(500, Headers(), fault("ErrorServerBusy", backoff=297_749)))
    assert caught.value.state is MailboxState.FAILING
    assert caught.value.retry_after == timedelta(milliseconds=297_749)


async def test_a_server_that_stays_busy_is_not_asked_for_ever() -> None:
    carrier = ScriptedCarrier(script=in_turn(Reply(503, Headers())))
    scene = resting(carrier)
    with pytest.raises(MailboxProblem, match="busy"):
        await scene.door.fetch_appointments(ANN, WINDOW, "UTC", organizers=False)
    assert len(carrier.sent) == 3
    assert list(scene.door.status().backoffs) == [ANN.address]


async def test_oddities_are_counted_and_never_named() -> None:
    scene, appointments = await read(found(item(), item(item_id=None, Subject="secret"), item(item_id="b")))
    assert len(appointments) == 2
    assert scene.door.counters()["odd_items_no_item_id"] == 1


async def test_titles_never_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await read(found(item(Subject="Hush-Hush", LegacyFreeBusyStatus="OnTheMoon")))
    assert "unknown show-as" in caplog.text
    assert "Hush" not in caplog.text


async def test_a_read_can_be_cancelled_anywhere() -> None:
    scene = resting(ScriptedCarrier(delay=lambda _: 100.0))
    task = asyncio.create_task(scene.door.fetch_appointments(ANN, WINDOW, "UTC", organizers=False))
    await scene.pass_time(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
