"""What a reload has to do, change by change."""

from __future__ import annotations

import pytest

from presenced.config.changes import Changes, compare
from tests.config.sample import SMALL, Machine, read

GRAPH = "[exchange]\nsync_type = graph\nclient_id = a\ntenant_id = b\nclient_secret = c\n"
ON_PREMISES = "[exchange]\nsync_type = on-premises\nuser = u\npassword = p\n"


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("", "", Changes()),
        ("", "# a comment moves the lines\n[log]\n", Changes()),
        ("", "[log]\nlevel = debug\n", Changes(log=True)),
        ("", "[mapping]\nbusy = dnd\n", Changes()),
        ("", "[mapping]\ntentative_exception_organizers = a@b.c\n", Changes()),
        (
            "[mapping]\ntentative_exception_organizers = d@b.c\n",
            "[mapping]\ntentative_exception_organizers = a@b.c\n",
            Changes(),
        ),
        ("", "language = de\n", Changes()),
        ("", "until_unit = seconds\n", Changes()),
        ("", "max_title_length = 20\n", Changes()),
        ("", "subject = hide\n", Changes()),
        ("", "window_hours = 72\n", Changes()),
        ("", "priority_words = a\n", Changes()),
        ("", "priority_exclude_words = a\n", Changes()),
        ("", "[user a@b]\nlanguage = de\n", Changes()),
        ("[user a@b]\nlanguage = de\n", "\n[user a@b]\nlanguage = de\n", Changes()),
        ("[user a@b]\nlanguage = de\n", "[user a@b]\nlanguage = fr\n", Changes()),
        ("[user a@b]\nlanguage = de\n", "[user a@b]\nsubject = hide\n", Changes()),
        ("[web]\n", "[web]\nlisten =\n", Changes(web=True)),
        ("", "[alerts]\nafter_minutes = 1\n", Changes()),
        ("", "[store]\nurl = sqlite:///a.db\n", Changes(store=True)),
        ("", "[store]\nhistory_days = 1\n", Changes()),
        ("", "[exchange]\npoll_seconds = 1\n", Changes()),
        ("", ON_PREMISES, Changes(exchange=True)),
        (ON_PREMISES, ON_PREMISES + "poll_seconds = 1\n", Changes(exchange=True)),
        (GRAPH, GRAPH + "notification_url = https://example.com/n\n", Changes(exchange=True, web=True)),
        (ON_PREMISES, ON_PREMISES.replace("password = p", "password = q"), Changes(exchange=True)),
    ],
)
def test_compare(before: str, after: str, changes: Changes) -> None:
    assert compare(read(SMALL + before, Machine()), read(SMALL + after, Machine())) == changes


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("app_password = p", Changes(pbx=True)),
        ("contact = cal:", Changes(pbx=True)),
        ("unset_on_stop = yes", Changes()),
    ],
)
def test_compare_pbx(line: str, changes: Changes) -> None:
    new = SMALL.replace("[presence]", f"{line}\n[presence]")
    assert compare(read(SMALL, Machine()), read(new, Machine())) == changes


def test_the_doors_that_reconnect() -> None:
    assert Changes(pbx=True, log=True, web=True).doors == ("pbx", "web")
