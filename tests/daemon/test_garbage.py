"""When circular garbage is looked for, by a clock that stands still."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from presenced.daemon.garbage import EVERY, collect_garbage
from tests.clock import FakeClock

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Circle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def looks() -> Iterator[list[int]]:
    """The generations looked through so far."""
    seen: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop":
            seen.append(info["generation"])

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)


@pytest.fixture
async def work(clock: FakeClock) -> AsyncIterator[list[str]]:
    """What is waiting."""
    waiting: list[str] = []
    task = asyncio.create_task(collect_garbage(clock, lambda: len(waiting)))
    await clock.settle()
    yield waiting
    task.cancel()
    await asyncio.wait({task})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.mark.usefixtures("work")
async def test_the_young_are_looked_through_every_second(clock: FakeClock) -> None:
    gone = weakref.ref(Circle())
    await clock.advance(SECOND)
    assert gone() is None


@pytest.mark.usefixtures("work")
async def test_everything_is_looked_through_once_an_hour(clock: FakeClock, looks: list[int]) -> None:
    await clock.advance(EVERY - SECOND, turns=3)
    assert 2 not in looks
    await clock.advance(2 * SECOND)
    assert looks.count(2) == 1


async def test_work_puts_it_off_but_not_for_ever(clock: FakeClock, work: list[str], looks: list[int]) -> None:
    work.append("a read")
    await clock.advance(EVERY + 10 * MINUTE, turns=3)
    assert 2 not in looks
    await clock.advance(10 * MINUTE, turns=3)
    assert looks.count(2) == 1


async def test_it_is_given_back_to_python(clock: FakeClock) -> None:
    before = gc.get_threshold()
    task = asyncio.create_task(collect_garbage(clock, lambda: 0))
    await clock.settle()
    assert gc.get_threshold() != before
    task.cancel()
    await asyncio.wait({task})
    assert gc.get_threshold() == before
