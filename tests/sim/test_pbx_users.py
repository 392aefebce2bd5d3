"""The simulated PBX: handing out its users."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from presenced.sim.pbx import SimulatedUser
from tests.sim.handmade import (
    ANNA,
    BERT,
    CARL,
    COLUMNS,
    NEXT,
    START,
    Bench,
    hear,
    logged_in,
    replicate,
    say,
    until,
)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with logged_in(ANNA, BERT, CARL) as bench:
        yield bench


async def test_a_pass_brings_every_row_as_recorded(bench: Bench) -> None:
    assert await replicate(bench.ws) == [
        {
            "cn": "Anna Müller",
            "dn": "Müller, Anna",
            "e164": "403",
            "emails": [{"email": "anna@x.com"}],
            "guid": "a" * 32,
            "h323": "anna",
            "h323-email": False,
            "hide": False,
            "loc": "pbx",
        },
        {"guid": "b" * 32, "h323": "bert", "h323-email": False, "hide": True},
        {
            "emails": [{"email": "carl"}, {"email": "c1@x.com;c2@x.com"}],
            "guid": "c" * 32,
            "h323": "carl",
            "h323-email": True,
            "hide": False,
        },
    ]
    assert (bench.pbx.counters["passes"], bench.pbx.client_bugs) == (1, [])


async def test_the_shapes_of_the_answers(bench: Bench) -> None:
    await say(bench.ws, START)
    assert await hear(bench.ws) == {
        "api": "PbxTableUsers",
        "mt": "ReplicateStartResult",
        "src": "users",
        "columns": {name: {} for name in COLUMNS},
    }
    for guid in "abc":
        await say(bench.ws, NEXT)
        answer = await hear(bench.ws)
        assert answer.pop("columns")["guid"] == guid * 32
        assert answer == {"api": "PbxTableUsers", "mt": "ReplicateNextResult", "src": "users"}
    await say(bench.ws, NEXT)
    end = {"api": "PbxTableUsers", "mt": "ReplicateNextResult", "src": "users"}
    assert await hear(bench.ws) == end
    bench.faults.without_src = True
    await say(bench.ws, START)
    assert "src" not in await hear(bench.ws, "ReplicateStartResult")


async def test_pseudo_objects_come_only_where_asked_for(bench: Bench) -> None:
    bench.pbx.add_user(SimulatedUser("1", "boss", pseudo="executive"))
    bench.pbx.add_user(SimulatedUser("2", "group", pseudo="waiting"))
    assert [row["guid"] for row in await replicate(bench.ws)][3:] == ["1"]
    bench.pbx.update_user(SimulatedUser("2", "group", pseudo="waiting"))
    bench.pbx.remove_user("2")
    bench.pbx.remove_user("1")
    assert (await hear(bench.ws, "ReplicateDel"))["columns"] == {"guid": "1"}


async def test_changes_come_at_any_time_from_the_start_on(bench: Bench) -> None:
    dora = SimulatedUser("d" * 32, "dora")
    bench.pbx.add_user(replace(dora, guid="early"))
    await say(bench.ws, START)
    await hear(bench.ws, "ReplicateStartResult")
    bench.pbx.add_user(dora)
    bench.pbx.update_user(replace(ANNA, cn="", emails=()))
    bench.pbx.remove_user(BERT.guid)
    changes = [await hear(bench.ws) for _ in range(3)]
    assert [change["mt"] for change in changes] == ["ReplicateAdd", "ReplicateUpdate", "ReplicateDel"]
    assert changes[0]["columns"]["guid"] == dora.guid
    assert set(changes[1]["columns"]) == {"dn", "e164", "guid", "h323", "h323-email", "hide", "loc"}
    assert changes[2] == {
        "api": "PbxTableUsers",
        "mt": "ReplicateDel",
        "src": "users",
        "columns": {"guid": BERT.guid},
    }
    guids = []
    while True:
        await say(bench.ws, NEXT)
        if (columns := (await hear(bench.ws)).get("columns")) is None:
            break
        guids.append(columns["guid"])
    assert guids == [ANNA.guid, CARL.guid, "early"]
    bench.pbx.add_user(BERT)
    assert (await hear(bench.ws))["columns"]["hide"] is True
    assert set(bench.pbx.users) == {ANNA.guid, BERT.guid, CARL.guid, dora.guid, "early"}
    assert bench.pbx.client_bugs == []


async def test_updates_during_the_first_pass(bench: Bench) -> None:
    bench.faults.updates_during_first_pass = True
    await say(bench.ws, START)
    heard: list[tuple[str, Any]] = []
    await hear(bench.ws, "ReplicateStartResult")
    while not heard or heard[-1] != ("ReplicateNextResult", None):
        await say(bench.ws, NEXT)
        while True:
            message = await hear(bench.ws)
            heard.append((message["mt"], message.get("columns", {}).get("h323")))
            if message["mt"] == "ReplicateNextResult":
                break
    assert heard == [
        ("ReplicateNextResult", "anna"),
        ("ReplicateUpdate", "anna"),
        ("ReplicateUpdate", "bert"),
        ("ReplicateAdd", "ghost"),
        ("ReplicateDel", None),
        ("ReplicateNextResult", "bert"),
        ("ReplicateNextResult", "carl"),
        ("ReplicateNextResult", None),
    ]
    assert bench.pbx.client_bugs == []


async def test_rows_are_as_awkward_as_in_the_wild(bench: Bench) -> None:
    bench.faults.awkward_rows = True
    bench.pbx.add_user(SimulatedUser("d", "dora", emails=("d@x",)))
    rows = await replicate(bench.ws)
    assert [(row.get("emails"), row["h323-email"]) for row in rows] == [
        (None, False),
        ([{"email": "bert@example.com; ;second.bert@example.com;"}], False),
        ([{"email": "bare.carl"}], True),
        (None, True),
    ]


async def test_a_row_of_60_kib_comes_in_small_frames(bench: Bench) -> None:
    bench.faults.big_row = True
    await say(bench.ws, START)
    await hear(bench.ws, "ReplicateStartResult")
    await say(bench.ws, NEXT)
    frames = [frame async for frame in bench.ws.recv_streaming(decode=False)]
    text = b"".join(frames)
    assert max(map(len, frames)) <= 16_000
    assert 60_000 < len(text) < 65_536
    assert json.loads(text)["columns"]["guid"] == ANNA.guid
    await say(bench.ws, NEXT)
    assert "grps" not in (await hear(bench.ws))["columns"]


async def test_rows_may_have_columns_nobody_asked_for(bench: Bench) -> None:
    bench.pbx.update_user(replace(BERT, extra=(("fax", False), ("grps", [{"name": "Support"}]), ("cn", ""))))
    row = (await replicate(bench.ws))[1]
    assert (row["fax"], row["grps"], row["cn"]) == (False, [{"name": "Support"}], "")


async def test_the_start_can_be_refused(bench: Bench) -> None:
    bench.faults.start_error = 13
    await say(bench.ws, START)
    answer = await hear(bench.ws, "ReplicateStartResult")
    assert (answer["error"], "columns" in answer) == (13, False)
    assert bench.pbx.client_bugs == []


async def test_a_second_next_in_flight_is_a_bug(bench: Bench) -> None:
    await say(bench.ws, START)
    await hear(bench.ws, "ReplicateStartResult")
    bench.faults.slow_rows = timedelta(seconds=1)
    await say(bench.ws, NEXT)
    await until(lambda: bench.clock.sleepers)
    assert bench.pbx.client_bugs == []
    await say(bench.ws, NEXT)
    await until(lambda: bench.pbx.client_bugs)
    assert bench.pbx.client_bugs == ["a second ReplicateNext while one is in flight"]
    await bench.clock.advance(timedelta(seconds=1))
    await hear(bench.ws, "ReplicateNextResult")


async def test_two_nexts_in_one_packet_are_a_bug_too(bench: Bench) -> None:
    await say(bench.ws, START)
    await hear(bench.ws, "ReplicateStartResult")
    await say(bench.ws, NEXT)
    await say(bench.ws, NEXT)
    await hear(bench.ws, "ReplicateNextResult")
    await hear(bench.ws, "ReplicateNextResult")
    assert bench.pbx.client_bugs == ["a second ReplicateNext while one is in flight"]


def columns(*names: str, **conditions: object) -> dict[str, object]:
    return {"columns": {name: {} for name in names or COLUMNS} | conditions}


@pytest.mark.parametrize(
    ("changed", "bug", "refused"),
    [
        (columns(pwd={}), "asks for passwords (pwd)", True),
        (columns(hide={"ne": True}), "filters by hide", False),
        (columns(cn=None), "filters by cn", False),
        (columns(*COLUMNS[1:]), "wrong columns: guid not asked for", False),
        (columns(*COLUMNS, "config"), "wrong columns: config not known", True),
        ({"columns": list(COLUMNS)}, "columns is no object", True),
        ({"pseudo": [""] * 21}, "pseudo has 21 entries, 20 are allowed", True),
        ({"pseudo": ["executive"]}, "pseudo without ordinary users", False),
        ({"pseudo": ""}, "pseudo is no list of strings", True),
        ({"add": False}, "ReplicateStart without add and del", False),
        ({"del": 1}, "ReplicateStart without add and del", False),
        ({"src": None}, "ReplicateStart without src", False),
        (
            {"usn": "1"},
            "ReplicateStart with the members ['add', 'api', 'columns', 'del', 'mt', 'pseudo', 'src', 'usn']",
            False,
        ),
    ],
)
async def test_a_wrong_start_is_a_bug(
    bench: Bench, changed: dict[str, object], bug: str, refused: bool
) -> None:
    await say(bench.ws, START | changed)
    answer = await hear(bench.ws, "ReplicateStartResult")
    assert bench.pbx.client_bugs == [bug]
    assert (answer.get("error", 0) != 0) is refused


async def test_a_start_must_not_cut_a_pass_short(bench: Bench) -> None:
    await say(bench.ws, START)
    await say(bench.ws, START)
    await hear(bench.ws, "ReplicateStartResult")
    await hear(bench.ws, "ReplicateStartResult")
    assert bench.pbx.client_bugs == ["ReplicateStart while a pass is under way"]


async def test_a_next_must_belong_to_a_pass(bench: Bench) -> None:
    await say(bench.ws, NEXT)
    assert (await hear(bench.ws, "ReplicateNextResult"))["error"] != 0
    await replicate(bench.ws)
    await say(bench.ws, NEXT | {"src": "other"})
    await hear(bench.ws, "ReplicateNextResult")
    await say(bench.ws, NEXT | {"add": True})
    await hear(bench.ws, "ReplicateNextResult")
    assert bench.pbx.client_bugs == [
        "ReplicateNext with src 'users', ReplicateStart had None",
        "ReplicateNext without a pass under way",
        "ReplicateNext with src 'other', ReplicateStart had 'users'",
        "ReplicateNext without a pass under way",
        "ReplicateNext with the members ['add', 'api', 'mt', 'src']",
        "ReplicateNext without a pass under way",
    ]
