"""The agenda: due keys in order, the earliest wish wins, waiting ends when something sooner comes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from presenced.daemon.agenda import LONGEST_WAIT, Agenda
from tests.clock import FakeClock

SECOND = timedelta(seconds=1)


@given(st.lists(st.tuples(st.sampled_from(["wish", "put", "drop"]), st.integers(0, 5), st.integers(0, 20))))
def test_against_a_dictionary(steps: list[tuple[str, int, int]]) -> None:
    clock = FakeClock()
    start = clock.now()
    agenda: Agenda[int] = Agenda(clock)
    model: dict[int, int] = {}
    for step, key, second in steps:
        match step:
            case "wish":
                agenda.wish(key, start + second * SECOND)
                model[key] = min(model.get(key, second), second)
            case "put":
                agenda.put(key, start + second * SECOND)
                model[key] = second
            case _:
                agenda.drop(key)
                model.pop(key, None)
    assert len(agenda) == len(model)
    for second in range(21):
        ready = agenda.pop(start + second * SECOND, 100)
        assert sorted(ready) == sorted(key for key, due in model.items() if due == second)
    assert len(agenda) == 0


def test_what_is_put_off_again_and_again_takes_no_room() -> None:
    agenda: Agenda[int] = Agenda(FakeClock())
    start = FakeClock().now()
    for number in range(20_000):
        agenda.put(number % 50, start + (number + 1) * SECOND)
    for key in range(40, 50):
        agenda.drop(key)
    assert len(agenda._heap) <= 200
    assert agenda.pop(start + 30_000 * SECOND, 100) == list(range(40))


async def test_waiting_ends_when_something_sooner_comes() -> None:
    clock = FakeClock()
    agenda: Agenda[str] = Agenda(clock)
    agenda.put("late", clock.now() + 20 * SECOND)
    waiting = asyncio.create_task(agenda.wait(10))
    await clock.settle()
    assert not waiting.done()
    agenda.put("soon", clock.now())
    await clock.settle()
    assert await waiting == ["soon"]
    waiting = asyncio.create_task(agenda.wait(10))
    await clock.advance(20 * SECOND)
    assert await waiting == ["late"]


async def test_an_empty_agenda_still_shows_a_sign_of_life() -> None:
    clock = FakeClock()
    waiting = asyncio.create_task(Agenda[str](clock).wait(10))
    await clock.advance(LONGEST_WAIT)
    assert await waiting == []


async def test_at_most_so_many_at_once() -> None:
    clock = FakeClock()
    agenda: Agenda[int] = Agenda(clock)
    for key in range(5):
        agenda.put(key, clock.now())
    assert await agenda.wait(3) == [0, 1, 2]
    assert await agenda.wait(3) == [3, 4]
