"""What `explain` and `status` print for people, in the width of a terminal."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType

from presenced.cli.explain import rows
from presenced.cli.status import FEW, parts
from presenced.cli.terminal import ago, pairs, put, span, visible
from presenced.core.appointment import ShowAs
from presenced.core.ports import CalendarDoorStatus, SignInStatus
from presenced.daemon.answers.questions import Questions
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.answers.asked import meeting
from tests.daemon.answers.scrape import START, busy_engine
from tests.daemon.doors import Running, settings_for, user

NOW = START + timedelta(seconds=5)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with busy_engine() as running:
        yield running


def printed(*renderables: RenderableType, width: int = 80) -> list[str]:
    """The lines on a terminal of so many columns, without the padding."""
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    for one in renderables:
        console.print(one)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    return [line.rstrip() for line in lines]


def status_of(running: Running) -> dict[str, Any]:
    told: dict[str, Any] = json.loads("".join(running.engine.status_in_pieces()))
    return told


# --- status ---


async def test_status_in_eighty_columns(running: Running) -> None:
    lines = printed(*parts(status_of(running), NOW, everybody=False))
    assert lines == [
        "presenced  0.1.0",
        "pbx        linked to master",
        "           master (master) from 10.0.0.1:5000 for 5 s",
        "exchange   on-premises, well",
        "           3 mailboxes followed",
        "           held back: the account, for 55 s more",
        "users      2 resolved, 1 disabled, 1 blocked, 1 unresolved",
        "",
        "stream           mailboxes  open for  last sign  detail",
        "ann@example.com  200        5 s       5 s        -",
        "bob@example.com  40         5 s       5 s        -",
        "eve@example.com  77         -         -          opening",
        "",
        "user  mailbox          state       read  heard of  presence",
        "eve   eve@example.com  blocked     -     4 s       -",
        "zoe   -                unresolved  -     -         -",
        "ann   ann@example.com  resolved    3 s   4 s       available: Free",
        "bob   bob@example.com  resolved    4 s   4 s       available: Free",
        "dan   -                disabled    -     -         -",
        "",
        "eve  blocked: refused",
        "zoe  unresolved: zoe@example.com: no such mailbox",
    ]


@pytest.mark.parametrize("width", [60, 80, 132, 2000])
async def test_a_user_takes_one_line_whatever_the_width(width: int) -> None:
    async with Running(settings_for(), MemoryStore(), FakeClock(START)) as running:
        name = "a.very.long.name.of.somebody@subsidiary.example.com"
        running.calendars.calendars[name] = [meeting("m", -30, 30, subject="Besprechung " * 12)]
        running.pbx.link(user("ann", addresses=(name,)))
        await running.settle(1)
        lines = printed(*parts(status_of(running), NOW, everybody=False), width=width)
        (row,) = [line for line in lines if line.startswith("ann ")]
        assert "resolved" in row
        assert (name in row) is (width > 200)
        assert "#until" not in row, "tags are for clients"


async def test_of_many_users_only_those_in_trouble_are_listed() -> None:
    names = [f"u{number:03}" for number in range(FEW + 10)]
    async with Running(settings_for(), MemoryStore(), FakeClock(START)) as running:
        running.calendars.calendars = {f"{name}@example.com": [] for name in names[3:]}
        running.pbx.link(*map(user, names))
        await running.settle(2)
        told = status_of(running)
        few = printed(*parts(told, NOW, everybody=False))
        assert sum("@example.com  resolved" in line for line in few) == 0
        assert sum(line.endswith("no such mailbox") for line in few) == 3
        assert few[-1] == f"{FEW + 7} users without trouble are not listed; --all lists them."
        every = printed(*parts(told, NOW, everybody=True))
        assert sum("@example.com  resolved" in line for line in every) == FEW + 7


async def test_progress_and_a_link_that_is_down(running: Running) -> None:
    running.engine.roster.unlinked("the PBX closed the connection")
    told = status_of(running)
    told["exchange"]["progress"] = {
        "lookups": {"done": 10, "total": 5000, "rate": 0.0, "left": None},
        "reads": {"done": 1500, "total": 5000, "rate": 12.5, "left": 280},
    }
    lines = printed(*parts(told, NOW, everybody=False))
    assert "pbx        not linked: the PBX closed the connection" in lines
    assert "progress   lookups: 10 of 5000 done, none lately" in lines
    assert "           reads: 1500 of 5000 done, 12.5 a second, about 5 min to go" in lines


SIGNED_IN = SignInStatus(
    "certificate",
    "",
    healthy=True,
    expires_at=NOW + timedelta(minutes=50),
    credential_expires_at=NOW + timedelta(days=90),
)
FAILING = replace(
    SIGNED_IN,
    healthy=False,
    reason="the secret is wrong",
    remedy="make another",
    failing_since=NOW - timedelta(minutes=4),
    next_try=NOW + timedelta(seconds=40),
)


@pytest.mark.parametrize(
    ("sign_in", "reason", "line"),
    [
        (SIGNED_IN, "", "the app by certificate, token good for 50 min, certificate for 90 d"),
        (
            replace(SIGNED_IN, kind="signed-in account", account="svc@x.com", credential_expires_at=None),
            "",
            "svc@x.com by signed-in account, token good for 50 min",
        ),
        (SignInStatus("", "", healthy=True), "", "not tried yet"),
        (FAILING, "", "failing for 4 min, tried again in 40 s: the secret is wrong; make another"),
        (FAILING, "the secret is wrong; make another", "failing for 4 min, tried again in 40 s"),
    ],
)
async def test_the_sign_in(
    sign_in: SignInStatus, reason: str, line: str, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = CalendarDoorStatus("graph", healthy=not reason, reason=reason, sign_in=sign_in)
    monkeypatch.setattr(running.calendars, "status", lambda: status)
    lines = printed(*parts(status_of(running), NOW, everybody=False), width=100)
    assert f"sign-in    {line}" in lines


async def test_without_a_sign_in_nothing_is_said_of_it(running: Running) -> None:
    lines = printed(*parts(status_of(running), NOW, everybody=False))
    assert not any(line.startswith("sign-in") for line in lines)


# --- explain ---


async def explained(running: Running, who: str, *, width: int = 80, **query: str) -> list[str]:
    questions = Questions(running.engine, MemoryStore(), running.clock, lambda: None)
    return printed(pairs(rows(await questions.explain({"user": who, **query}))), width=width)


async def test_explain_in_eighty_columns() -> None:
    store = MemoryStore()
    async with Running(settings_for(), store, FakeClock(START)) as running:
        running.calendars.calendars["ann@example.com"] = [
            meeting("m", -30, 30, subject="Meeting"),
            meeting("n", 60, 90, subject="Nap", show_as=ShowAs.FREE),
        ]
        running.pbx.link(user("ann"))
        await running.settle(1)
        questions = Questions(running.engine, store, running.clock, lambda: None)
        lines = printed(pairs(rows(await questions.explain({"user": "ann"}))))
    assert lines == [
        "user       ann, Ann, guid guid-ann",
        "as of      2026-11-16 08:00 UTC",
        "presence   busy: Meeting until 08:30",
        "because    Meeting (07:30 to 08:30, busy): it is the only one running that",
        "           counts [only]",
        "           mapped by busy = busy (default)",
        "not shown  Nap (09:00 to 09:30, free): it is shown as free, and free ones never",
        "           count [free]",
        "mailbox    ann@example.com: resolved",
        "looked up  ann@example.com: found",
        "followed   by streaming, last sign of life 08:00",
        "read       08:00  2 appointments between 08:00 and 2026-11-18 08:00",
        "pbx        has busy: Meeting until 08:30, confirmed 08:00",
        "           the note in full: Meeting until 08:30 #busy #len:7:7",
        "           #until:1794817800000",
        "written    08:00  busy: Meeting until 08:30; because it was read for the first",
        "           time, or the daemon started [start]",
        "next       08:30  decided again: available: Free",
        "           09:00  the mailbox is looked up again",
        "           2026-11-17 00:04  the calendar is read again (midnight)",
        "defaults   sync = yes, subject = show, language = en, timezone = UTC, busy =",
        "           busy, tentative = ignore, tentative_exception_organizers = (empty),",
        "           tentative_exception = away, out_of_office = away, working_elsewhere =",
        "           available, no_data = ignore",
    ]


@pytest.mark.parametrize(
    ("who", "line"),
    [
        ("zoe", "presence   none decided: there is no mailbox to read"),
        ("zoe", "           what to do: give the user object on the PBX an address of the mailbox"),
        ("zoe", "looked up  zoe@example.com: no such mailbox"),
        ("zoe", "pbx        what it has is not known: nothing was confirmed yet"),
        ("eve", "mailbox    eve@example.com: blocked (refused)"),
        ("bob", "           refused the last write, 1 in a row: no"),
        ("dan", "mailbox    none: disabled (sync = no)"),
    ],
)
async def test_those_in_trouble(running: Running, who: str, line: str) -> None:
    assert line in [
        f"{label:<9}  {text.strip()}"
        for label, text in ((line[:9].strip(), line[9:]) for line in await explained(running, who, width=200))
    ]


async def test_cautions_stand_at_the_top(running: Running) -> None:
    lines = await explained(running, "ann", at="2026-11-17T09:00")
    labels = [line.split("  ")[0] for line in lines]
    assert labels.index("caution") == labels.index("presence") + 1


async def test_asked_about_another_day_every_time_has_its_date(running: Running) -> None:
    lines = await explained(running, "ann", at="2026-11-18T07:00", width=200)
    assert (
        "read       2026-11-16 08:00  0 appointments between 2026-11-16 08:00 and 2026-11-18 08:00" in lines
    )
    assert any(
        line.startswith("next       2026-11-16 09:00  the mailbox is looked up again") for line in lines
    )


def test_a_pipe_gets_whole_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    put(pairs([("label", "word " * 300), ("more", "x")]))
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"label  {'word ' * 300}".rstrip()
    assert second == "more   x"


# --- what may reach a terminal ---


async def test_nothing_from_outside_moves_the_cursor() -> None:
    async with Running(settings_for(), MemoryStore(), FakeClock(START)) as running:
        evil = replace(user("ann"), sip="a\x1b[2Jnn\u202e", cn="An\x07n\r\n")
        running.calendars.calendars["ann@example.com"] = [
            meeting("m", -30, 30, subject="\x1b]0;owned\x07Meeting\u2066")
        ]
        running.pbx.link(evil)
        await running.settle(1)
        out = [
            *printed(*parts(status_of(running), NOW, everybody=False)),
            *await explained(running, "guid-ann"),
        ]
    assert out
    for line in out:
        assert not set(line) & set("\x1b\x07\r\u202e\u2066\x9b")


def test_visible() -> None:
    assert visible("a\tb\x9bc\u2067d\u200e") == "a\ufffdb\ufffdc\ufffdd\u200e"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119.4, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (86400 * 3, "3 d")],
)
def test_lengths(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_ages() -> None:
    now = datetime(2026, 11, 16, 8, tzinfo=UTC)
    assert ago(None, now) == "-"
    assert ago("2026-11-16T08:59:00+01:00", now) == "60 s"
    assert ago("2026-11-16T08:00:30+00:00", now) == "0 s", "a clock that runs ahead"
