"""Whom `explain` means by a word, and which titles nobody is told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from presenced.config.settings import PresenceSettings, Settings, UserSection
from presenced.core.appointment import Sensitivity, ShowAs
from presenced.daemon.answers.questions import Unanswerable
from tests.daemon.answers.asked import Asked, asked_with, meeting
from tests.daemon.doors import settings_for, user

SECRET = "Takeover Globex"


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    async for one in asked_with(settings_for()):
        yield one


# --- who is meant ---

PEOPLE = (
    user("ann", guid="0a11", addresses=("ann@example.com", "a.miller@example.com")),
    user("annabel", guid="0b22", addresses=("bel@example.com",)),
    user("bob", guid="ann0", addresses=("bob@example.com",)),
    replace(user("desk", guid="0d44", addresses=("bel@example.com",)), cn="Front Desk"),
)


@pytest.mark.parametrize(
    ("word", "guid"),
    [
        ("0a11", "0a11"),
        ("0A11", "0a11"),
        ("ann", "0a11"),
        (" Ann ", "0a11"),
        ("annab", "0b22"),
        ("ann0", "ann0"),
        ("a.miller@example.com", "0a11"),
        ("A.MILLER", "0a11"),
        ("front desk", "0d44"),
        ("front", "0d44"),
        ("bo", "ann0"),
    ],
)
async def test_users_are_found(asked: Asked, word: str, guid: str) -> None:
    asked.running.pbx.link(*PEOPLE)
    await asked.running.settle(1)
    assert (await asked.why(word))["user"]["guid"] == guid


@pytest.mark.parametrize(
    ("word", "status", "sentence"),
    [
        ("bel@example.com", 409, "'bel@example.com' may be annabel, desk; write more of it"),
        ("0", 409, "'0' may be ann, annabel, desk; write more of it"),
        ("zoe", 404, "none of the 4 users of the PBX has a guid, name or mail address that is or begins"),
        ("", 404, "no user was named"),
        ("*", 404, "none of the 4 users"),
    ],
)
async def test_users_are_not_guessed(asked: Asked, word: str, status: int, sentence: str) -> None:
    asked.running.pbx.link(*PEOPLE)
    await asked.running.settle(1)
    with pytest.raises(Unanswerable) as problem:
        await asked.why(word)
    assert problem.value.status == status
    assert problem.value.reason.startswith(sentence)


async def test_namesakes_are_told_apart_by_guid(asked: Asked) -> None:
    asked.running.pbx.link(user("ann", guid="1"), user("ann", guid="2"))
    await asked.running.settle(1)
    with pytest.raises(Unanswerable, match="'ann' may be 1, 2;"):
        await asked.why("ann")


# --- what is hidden ---

HIDING: Mapping[str, tuple[Settings, Mapping[str, object]]] = {
    "subject = hide": (settings_for(presence=PresenceSettings("UTC", subject_shown=False)), {}),
    "hide for one user": (settings_for(users=(UserSection("ann@*", 3, subject_shown=False),)), {}),
    "private": (settings_for(), {"sensitivity": Sensitivity.PRIVATE}),
    "confidential": (settings_for(), {"sensitivity": Sensitivity.CONFIDENTIAL}),
}


@pytest.mark.parametrize("case", list(HIDING))
async def test_a_hidden_title_is_nowhere(case: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", logger="presenced")
    settings, fields = HIDING[case]
    async for asked in asked_with(settings):
        await asked.has(
            meeting("now", -30, 30, subject=SECRET, **fields),
            meeting("next", 30, 60, subject=SECRET, **fields),
            meeting("free", -30, 60, subject=SECRET, show_as=ShowAs.FREE, **fields),
        )
        await asked.running.settle(45 * 60)
        told = [
            *[json.dumps(await asked.why(at=at)) for at in ("", "2026-11-16T08:00", "2026-11-17T09:00")],
            "".join(asked.questions.status_in_pieces()),
            asked.questions.metrics().decode(),
            json.dumps(asked.questions.requests({})),
            json.dumps(asked.questions.health().as_json()),
            caplog.text,
        ]
        assert "(hidden)" in told[0]
        for text in told:
            for word in SECRET.split():
                assert word not in text


async def test_a_title_hidden_from_now_on_is_not_told_before_the_next_read(asked: Asked) -> None:
    await asked.has(meeting("now", -30, 30, subject=SECRET))
    hiding = settings_for(presence=PresenceSettings("UTC", subject_shown=False))
    await asked.running.engine.apply(hiding)
    assert (await asked.why())["decision"]["current"]["title"] == "(hidden)"


async def test_an_untitled_appointment_says_so(asked: Asked) -> None:
    await asked.has(meeting("now", -30, 30, subject=""))
    assert (await asked.why())["decision"]["current"]["title"] == "(no title)"
