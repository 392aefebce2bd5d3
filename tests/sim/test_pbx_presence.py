"""The simulated PBX: taking presences and reading them back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from presenced.sim.pbx import PresenceWritten
from tests.sim.handmade import ANNA, BERT, Bench, hear, logged_in, presence, say, until

DONE = {"api": "PbxApi", "mt": "SetPresenceResult", "src": "w1"}


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with logged_in(ANNA, BERT) as bench:
        yield bench


async def test_a_presence_is_stored_confirmed_and_told(bench: Bench) -> None:
    await bench.clock.advance(timedelta(minutes=5))
    await say(bench.ws, presence(ANNA.guid))
    assert await hear(bench.ws) == DONE
    written = PresenceWritten(bench.clock.now(), ANNA.guid, "anna", "calendar:", "busy", "Meeting #busy")
    assert (list(bench.pbx.writes), bench.told) == ([written], [written])
    assert bench.pbx.presences == {ANNA.guid: {"calendar:": ("busy", "Meeting #busy")}}
    assert bench.pbx.client_bugs == []


async def test_presences_outlive_connections_and_go_with_their_user(bench: Bench) -> None:
    await say(bench.ws, presence(ANNA.guid))
    await hear(bench.ws)
    await say(bench.ws, presence(BERT.guid, contact="cal:"))
    await hear(bench.ws)
    bench.pbx.drop_connection()
    await bench.ws.wait_closed()
    assert set(bench.pbx.presences) == {ANNA.guid, BERT.guid}
    bench.pbx.remove_user(ANNA.guid)
    assert bench.pbx.presences == {BERT.guid: {"cal:": ("busy", "Meeting #busy")}}


async def test_what_is_written_twice_is_counted(bench: Bench) -> None:
    for src, note in (("1", "a"), ("2", "a"), ("3", "b"), ("4", "b")):
        await say(bench.ws, presence(ANNA.guid, src, note=note))
        await hear(bench.ws)
    await say(bench.ws, presence(BERT.guid, "5", activity="", note=""))
    await hear(bench.ws)
    assert bench.pbx.counters["needless writes"] == 3
    assert bench.pbx.client_bugs == []


@pytest.mark.parametrize(
    ("changed", "bug"),
    [
        ({"guid": "nobody"}, "SetPresence for 'nobody', who has never been a user"),
        ({"contact": "tel:"}, "SetPresence for the contact 'tel:': only calendar: or cal: is ours"),
        ({"contact": "im:"}, "SetPresence for the contact 'im:': only calendar: or cal: is ours"),
        ({"note": None}, "SetPresence with the members"),
        ({"sip": "anna"}, "SetPresence with the members"),
    ],
)
async def test_a_wrong_write_is_refused_and_a_bug(bench: Bench, changed: dict[str, object], bug: str) -> None:
    await say(bench.ws, presence(ANNA.guid) | changed)
    answer = await hear(bench.ws)
    assert answer["error"] != 0
    assert answer["errorText"]
    assert {name: answer[name] for name in DONE} == DONE
    (found,) = bench.pbx.client_bugs
    assert found.startswith(bug)
    assert bench.pbx.presences == {}


async def test_an_odd_activity_is_a_bug(bench: Bench) -> None:
    await say(bench.ws, presence(ANNA.guid, activity="free"))
    await hear(bench.ws)
    assert bench.pbx.client_bugs == ["SetPresence with the activity 'free'"]


async def test_a_user_just_removed_is_refused_without_blame(bench: Bench) -> None:
    bench.pbx.remove_user(ANNA.guid)
    await say(bench.ws, presence(ANNA.guid))
    assert (await hear(bench.ws))["error"] != 0
    assert (bench.pbx.client_bugs, bench.pbx.counters["writes to removed users"]) == ([], 1)


async def test_errors_hit_whom_they_are_meant_for(bench: Bench) -> None:
    bench.faults.set_presence_error = 7
    bench.faults.only_guids = frozenset({ANNA.guid})
    await say(bench.ws, presence(ANNA.guid))
    assert await hear(bench.ws) == DONE | {"error": 7, "errorText": "the object is locked"}
    await say(bench.ws, presence(BERT.guid))
    assert await hear(bench.ws) == DONE
    assert set(bench.pbx.presences) == {BERT.guid}
    assert bench.pbx.client_bugs == []


@pytest.mark.parametrize("stored", [True, False])
async def test_results_may_never_come(bench: Bench, stored: bool) -> None:
    bench.faults.set_presence_silent = True
    bench.faults.stored_when_silent = stored
    bench.faults.only_guids = frozenset({ANNA.guid})
    await say(bench.ws, presence(ANNA.guid, "w0"))
    await say(bench.ws, presence(BERT.guid, "w1"))
    assert await hear(bench.ws) == DONE
    assert (ANNA.guid in bench.pbx.presences) is stored
    await say(bench.ws, presence(ANNA.guid, "w0"))
    await until(lambda: bench.pbx.client_bugs)
    assert bench.pbx.client_bugs == ["SetPresence with src 'w0', which is in flight"]


async def test_results_may_take_their_time(bench: Bench) -> None:
    bench.faults.set_presence_delay = timedelta(seconds=2)
    for number in range(3):
        await say(bench.ws, presence(ANNA.guid, f"w{number}", note=str(number)))
    await until(lambda: bench.clock.sleepers == 3)
    assert bench.pbx.counters["most in flight"] == 3
    assert len(bench.pbx.writes) == 3
    await bench.clock.advance(timedelta(seconds=2))
    assert {(await hear(bench.ws))["src"] for _ in range(3)} == {"w0", "w1", "w2"}
    bench.faults.set_presence_delay = timedelta()
    await say(bench.ws, presence(ANNA.guid, "w1"))
    assert await hear(bench.ws) == DONE
    assert (bench.pbx.counters["most in flight"], bench.pbx.client_bugs) == (3, [])


@pytest.mark.parametrize("who", [{"sip": "anna"}, {"sip": "anna@example.com"}, {"num": "403"}])
async def test_presence_can_be_read_back(bench: Bench, who: dict[str, str]) -> None:
    bench.pbx.set_presence(ANNA.guid, "tel:", "busy", "on the phone")
    await say(bench.ws, {"api": "PbxApi", "mt": "SubscribePresence", "src": "p1"} | who)
    head = {"api": "PbxApi", "src": "p1"}
    phone = {"contact": "tel:", "status": "open", "activity": "busy", "note": "on the phone"}
    assert [await hear(bench.ws) for _ in range(3)] == [
        head | {"mt": "SubscribePresenceResult"},
        head
        | {
            "mt": "PresenceState",
            "up": True,
            "sip": "anna",
            "num": "403",
            "dn": "Müller, Anna",
            "email": "anna@x.com",
        },
        head | {"mt": "PresenceUpdate", "presence": [phone]},
    ]
    await say(bench.ws, presence(BERT.guid))
    assert await hear(bench.ws) == DONE
    await say(bench.ws, presence(ANNA.guid))
    messages = {message["mt"]: message for message in [await hear(bench.ws), await hear(bench.ws)]}
    calendar = {"contact": "calendar:", "status": "open", "activity": "busy", "note": "Meeting #busy"}
    assert messages["PresenceUpdate"]["presence"] == [calendar, phone]
    bench.pbx.set_presence(ANNA.guid, "tel:", "", "")
    newest, *_ = (await hear(bench.ws, "PresenceUpdate"))["presence"]
    assert newest["contact"] == "tel:"
    assert bench.pbx.client_bugs == []


async def test_nobody_s_presence_is_down(bench: Bench) -> None:
    await say(bench.ws, {"api": "PbxApi", "mt": "SubscribePresence", "src": "p", "sip": "zoe"})
    await hear(bench.ws, "SubscribePresenceResult")
    state = await hear(bench.ws, "PresenceState")
    assert (state["up"], state["sip"]) == (False, "zoe")
