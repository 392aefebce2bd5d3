"""Whether the calendar door works: each kind of try keeps its own trouble."""

from __future__ import annotations

import pytest

from presenced.daemon.standing import Standing

FAILS, WORKS = "fails", "works"


@pytest.mark.parametrize(
    ("tries", "healthy", "reason"),
    [
        ([], False, "not connected yet"),
        ([(WORKS, "lookups", "")], True, ""),
        ([(FAILS, "reads", "away")], False, "away"),
        ([(WORKS, "lookups", ""), (FAILS, "reads", "away")], False, "away"),
        ([(FAILS, "reads", "away"), (WORKS, "lookups", "")], False, "away"),
        ([(FAILS, "reads", "away"), (WORKS, "reads", "")], True, ""),
        ([(FAILS, "reads", "away"), (FAILS, "lookups", "no name")], False, "away; no name"),
        ([(FAILS, "reads", "away"), (FAILS, "lookups", "away")], False, "away"),
    ],
)
def test_standing(tries: list[tuple[str, str, str]], healthy: bool, reason: str) -> None:
    standing = Standing()
    for how, what, why in tries:
        if how == FAILS:
            standing.fails(what, why)
        else:
            standing.works(what)
    assert (standing.healthy, standing.reason) == (healthy, reason)


def test_the_same_trouble_is_news_once() -> None:
    standing = Standing()
    told = [standing.fails("reads", why) for why in ("away", "away", "refused", "away")]
    assert told == [True, False, True, True]


def test_a_new_door_has_done_nothing_yet() -> None:
    standing = Standing()
    standing.works("reads")
    standing.fails("lookups", "away")
    standing.close("the calendar door broke")
    assert (standing.healthy, standing.reason) == (False, "the calendar door broke")
    standing.works("reads")
    assert standing.healthy
