"""What `explain` tells: the daemon's own decision, with every reason, for any instant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from presenced.config.settings import ExchangeSettings, PresenceSettings, Settings, UserSection
from presenced.core.activity import Mapped
from presenced.core.appointment import Appointment, Response, ShowAs
from presenced.core.decision import Rule
from presenced.core.mapping import Ignored, MappingTable
from presenced.core.ports import MailboxProblem, MailboxState, StoreProblem
from tests.daemon.answers.asked import Asked, all_day, asked_with, meeting
from tests.daemon.doors import settings_for, user


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    async for one in asked_with(settings_for()):
        yield one


# --- rules and reasons ---

PRIORITY = replace(settings_for().presence, priority_words=("urgent",))

RULES: dict[Rule, tuple[str | None, list[Appointment]]] = {
    Rule.NONE: (None, [meeting("later", 60, 90)]),
    Rule.ONLY: ("m", [meeting("m", -30, 30)]),
    Rule.PRIORITY: ("p", [meeting("p", -60, 60, subject="urgent"), meeting("m", -30, 30)]),
    Rule.LATEST_START: ("late", [meeting("early", -60, 60), meeting("late", -30, 30)]),
    Rule.TIMED_BEFORE_ALL_DAY: ("m", [meeting("m", -480, 30), all_day("day")]),
    Rule.STRONGER: ("oof", [meeting("m", -30, 30), meeting("oof", -30, 60, show_as=ShowAs.OOF)]),
    Rule.EARLIER_END: ("short", [meeting("long", -30, 60), meeting("short", -30, 30)]),
    Rule.ORDER: ("a", [meeting("b", -30, 30), meeting("a", -30, 30)]),
}


@pytest.mark.parametrize("rule", list(Rule))
async def test_every_rule_is_told(rule: Rule) -> None:
    current, appointments = RULES[rule]
    async for asked in asked_with(settings_for(presence=PRIORITY)):
        await asked.has(*appointments)
        answer = await asked.why()
        decision = answer["decision"]
        assert decision["rule"] == rule.value
        assert decision["sentence"]
        assert (decision["current"] or {}).get("id") == current
        shown = asked.running.pbx.presences["guid-ann"]
        assert (decision["activity"], decision["note"]) == (shown.activity, shown.note), (
            "explain and the PBX tell the same"
        )


IGNORED: dict[Ignored, tuple[Appointment, str]] = {
    Ignored.FREE: (meeting("x", -10, 10, show_as=ShowAs.FREE), "it is shown as free"),
    Ignored.MAPPED_IGNORE: (
        meeting("x", -10, 10, show_as=ShowAs.TENTATIVE),
        "the mapping ignores it: tentative = ignore (default)",
    ),
    Ignored.CANCELLED: (meeting("x", -10, 10, cancelled=True), "it is cancelled"),
    Ignored.DECLINED: (meeting("x", -10, 10, response=Response.DECLINED), "it was declined"),
    Ignored.EMPTY: (meeting("x", 10, 10), "it ends when it begins"),
    Ignored.OUTRANKED: (meeting("x", -60, 60), "the current one began later"),
    Ignored.LATER: (meeting("x", 60, 90), "it begins at 09:00"),
}


@pytest.mark.parametrize("why", list(Ignored))
async def test_every_reason_for_ignoring_is_told(asked: Asked, why: Ignored) -> None:
    ignored, sentence = IGNORED[why]
    await asked.has(meeting("m", -30, 30), ignored)
    (told,) = (await asked.why())["decision"]["ignored"]
    assert (told["id"], told["why"]) == ("x", why.value)
    assert told["sentence"].startswith(sentence)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (Rule.PRIORITY, "the current one has a priority word in its title"),
        (Rule.LATEST_START, "the current one began later"),
        (Rule.TIMED_BEFORE_ALL_DAY, "the current one begins with it and is not all-day"),
        (Rule.STRONGER, "the current one begins with it and has the stronger presence"),
        (Rule.EARLIER_END, "the current one begins with it and ends earlier"),
        (Rule.ORDER, "the current one is alike and comes first by title and id"),
    ],
)
async def test_each_that_is_outranked_has_its_own_reason(rule: Rule, sentence: str) -> None:
    async for asked in asked_with(settings_for(presence=PRIORITY)):
        await asked.has(*RULES[rule][1])
        (told,) = (await asked.why())["decision"]["ignored"]
        assert (told["why"], told["sentence"]) == ("outranked", sentence)


async def test_one_that_is_over_says_so(asked: Asked) -> None:
    await asked.has(meeting("m", -30, 10), meeting("n", 20, 40))
    answer = await asked.why(at="2026-11-16T08:30Z")
    (told,) = answer["decision"]["ignored"]
    assert (told["why"], told["sentence"]) == ("outranked", "over since 08:10")


# --- where the settings come from ---


def with_lines(tmp: str, **changes: object) -> Settings:
    lines = {("mapping", "tentative"): 12, ("presence", "timezone"): 5}
    return settings_for(path=tmp, lines=lines, **changes)


async def test_settings_name_their_line() -> None:
    table = MappingTable(tentative=Mapped.AWAY)
    section = UserSection("ann@*", 20, language="de", mapping=(("busy", Mapped.DND),))
    async for asked in asked_with(with_lines("p.ini", mapping=table, users=(section,))):
        await asked.has(meeting("m", -30, 30))
        answer = await asked.why()
        where = {one["key"]: (one["value"], one["where"]) for one in answer["settings"] + answer["mapping"]}
        assert answer["user"]["section"] == "[user ann@*]"
        assert where["language"] == ("de", "[user ann@*], p.ini:20")
        assert where["timezone"] == ("UTC", "p.ini:5")
        assert where["subject"] == ("show", "default")
        assert where["tentative"] == ("away", "p.ini:12")
        assert where["busy"] == ("dnd", "[user ann@*], p.ini:20")
        assert answer["decision"]["current"]["mapped"] == {
            "key": "busy",
            "value": "dnd",
            "where": "[user ann@*], p.ini:20",
        }


async def test_a_tentative_exception_is_named() -> None:
    table = MappingTable(tentative_exception_organizers=("chief@example.com",))
    async for asked in asked_with(settings_for(mapping=table)):
        await asked.has(meeting("m", -30, 30, show_as=ShowAs.TENTATIVE, organizer="Chief@example.com"))
        mapped = (await asked.why())["decision"]["current"]["mapped"]
        assert (mapped["key"], mapped["value"]) == ("tentative_exception", "away")


# --- other instants ---


@pytest.mark.parametrize(
    ("at", "current", "local"),
    [
        ("2026-11-16T08:20", "m", "2026-11-16T08:20:00+00:00"),
        ("2026-11-16T09:20+01:00", "m", "2026-11-16T08:20:00+00:00"),
        ("2026-11-16T10:30", "n", "2026-11-16T10:30:00+00:00"),
        ("2026-11-16T12:00", None, "2026-11-16T12:00:00+00:00"),
    ],
)
async def test_another_instant(asked: Asked, at: str, current: str | None, local: str) -> None:
    await asked.has(meeting("m", -30, 30), meeting("n", 120, 180))
    answer = await asked.why(at=at)
    assert answer["at"] == local
    assert (answer["decision"]["current"] or {}).get("id") == current


async def test_a_time_without_offset_is_in_the_users_zone() -> None:
    presence = PresenceSettings(timezone="Europe/Berlin")
    section = UserSection("ann@example.com", 9, timezone="America/New_York")
    async for asked in asked_with(settings_for(presence=presence, users=(section,))):
        await asked.has(meeting("m", -30, 30))
        assert (await asked.why(at="2026-11-16T03:10"))["at"] == "2026-11-16T03:10:00-05:00"
        assert (await asked.why(at="2026-11-16T03:10"))["decision"]["current"]["id"] == "m"


async def test_the_future_says_that_it_will_be_read_again(asked: Asked) -> None:
    await asked.has(meeting("m", 60 * 30, 60 * 31))
    answer = await asked.why(at="2026-11-17T14:30")
    assert answer["decision"]["current"]["id"] == "m"
    (caution,) = answer["cautions"]
    assert caution.startswith("this is what is known now; the calendar is read again at 00:0")


async def test_beyond_the_window_nothing_is_claimed(asked: Asked) -> None:
    await asked.has(meeting("m", -30, 30))
    answer = await asked.why(at="2026-11-18T08:01")
    assert answer["decision"] is None
    assert answer["undecided"] == (
        "the calendar is known until 08:00 only; without a new read the presence is cleared then"
    )


async def test_before_the_window_the_record_tells_what_was(asked: Asked) -> None:
    await asked.has(meeting("m", -30, 30))
    await asked.running.settle(40 * 60)
    asked.running.engine.watch.changed("ann@example.com")
    await asked.running.settle(5)
    assert [write["note"][:4] for write in (await asked.why())["writes"]] == ["Free", "M un"]
    past = await asked.why(at="2026-11-16T08:10")
    assert "are not known any more" in past["cautions"][0]
    assert [write["cause"] for write in past["writes"]] == ["start"], "what was written later is left out"


async def test_what_happens_next(asked: Asked) -> None:
    await asked.has(meeting("m", 60, 90))
    coming = (await asked.why())["next"]
    assert coming == sorted(coming, key=lambda one: one["at"])
    decided = next(one for one in coming if one["what"] == "decided again")
    assert decided["at"] == "2026-11-16T09:00:00+00:00"
    assert decided["then"]["activity"] == "busy"
    assert any(one["what"] == "the calendar is read again (midnight)" for one in coming)
    assert any(one["what"] == "the mailbox is looked up again" for one in coming)


# --- users without a decision ---


async def test_a_user_whose_calendar_is_not_followed() -> None:
    section = UserSection("ann@example.com", 7, sync=False)
    async for asked in asked_with(settings_for(users=(section,), path="p.ini")):
        await asked.has(meeting("m", -30, 30))
        answer = await asked.why()
        assert answer["decision"] is None
        assert answer["undecided"].endswith("sync = no ([user ann@example.com], p.ini:7)")
        assert (answer["mailbox"]["state"], answer["mailbox"]["reason"]) == ("disabled", "sync = no")


async def test_a_user_without_mailbox_shows_what_was_asked(asked: Asked) -> None:
    asked.running.pbx.link(user("zoe", addresses=("zoe@example.com", "z@example.com")))
    await asked.running.settle(1)
    answer = await asked.why("zoe")
    assert (answer["decision"], answer["undecided"]) == (None, "there is no mailbox to read")
    assert answer["mailbox"]["candidates"] == [
        {"address": "zoe@example.com", "outcome": "no such mailbox"},
        {"address": "z@example.com", "outcome": "no such mailbox"},
    ]
    assert answer["mailbox"]["remedy"] == "give the user object on the PBX an address of the mailbox"


async def test_a_calendar_not_read_yet(asked: Asked) -> None:
    asked.running.calendars.problems["ann@example.com"] = MailboxProblem(
        MailboxState.BLOCKED, "impersonation is refused", remedy="grant ApplicationImpersonation"
    )
    await asked.has()
    answer = await asked.why()
    assert answer["undecided"] == "the calendar has not been read yet, so the PBX keeps what it has"
    mailbox = answer["mailbox"]
    assert (mailbox["state"], mailbox["reason"]) == ("blocked", "impersonation is refused")
    assert mailbox["remedy"] == "grant ApplicationImpersonation"
    assert answer["pbx"]["has"] is None


async def test_no_calendars_at_all() -> None:
    async for asked in asked_with(settings_for(exchange=ExchangeSettings())):
        await asked.has()
        assert (await asked.why())["undecided"].endswith("sync_type = disabled")


async def test_a_calendar_that_could_not_be_read_for_long_is_stale(asked: Asked) -> None:
    await asked.has(meeting("m", -30, 300))
    asked.running.calendars.problems["ann@example.com"] = MailboxProblem(MailboxState.FAILING, "no store")
    asked.running.engine.watch.changed("ann@example.com")
    await asked.running.settle(2 * 3600)
    answer = await asked.why()
    assert answer["mailbox"]["stale"]
    assert "nothing newer is known than what was read at 08:00" in answer["cautions"]


async def test_a_write_the_pbx_refuses(asked: Asked) -> None:
    asked.running.pbx.refusals["guid-ann"] = "no such contact"
    await asked.has(meeting("m", -30, 30))
    pbx = (await asked.why())["pbx"]
    assert (pbx["to_write"], pbx["error"], pbx["failures"]) == (True, "no such contact", 1)
    assert (await asked.why())["writes"][0]["error"] == "no such contact"


async def test_a_record_that_cannot_be_read_is_no_reason_to_say_nothing(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(**_: object) -> None:
        raise StoreProblem("the disk is full")

    await asked.has(meeting("m", -30, 30))
    monkeypatch.setattr(asked.store, "fetch_writes", fail)
    answer = await asked.why()
    assert (answer["writes"], answer["writes_problem"]) == ([], "the disk is full")
    assert answer["decision"]["current"]["id"] == "m"
