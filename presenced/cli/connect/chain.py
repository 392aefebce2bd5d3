"""The whole chain, in the order in which an admin would look: PBX, whose mailbox, Exchange, PBX again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from presenced.cli.connect.course import Course, Finding, Step, Verdict
from presenced.cli.connect.exchange import ExchangeSide
from presenced.cli.connect.pbx import PbxSide
from presenced.cli.connect.token import tokens_for
from presenced.cli.connect.users import PBX_WAIT, Chooser
from presenced.cli.connect.way import way_of
from presenced.config.settings import Settings, SyncType
from presenced.core.ports import Clock
from presenced.daemon.surroundings import REAL_WORLD, Surroundings


async def connect(
    settings: Settings,
    clock: Clock,
    tell: Callable[[Step], None],
    *,
    user: str = "",
    surroundings: Surroundings = REAL_WORLD,
    begin: Callable[[str], None] = lambda _: None,
) -> int:
    """Take every step and tell each as it ends; how many failed.

    `user` names the mailbox to try, "" the first one that is known; `begin` is told the step under way.
    """
    course = Course(clock, tell, begin)
    with _quiet():
        async with PbxSide(settings, clock) as pbx:
            await pbx.begin(course)
            await _check_calendars(course, settings, pbx, user, surroundings)
            await pbx.conclude(course, PBX_WAIT)
    return course.failures


async def _check_calendars(
    course: Course, settings: Settings, pbx: PbxSide, user: str, surroundings: Surroundings
) -> None:
    sync_type = settings.exchange.sync_type
    if sync_type is SyncType.DISABLED:
        course.add("exchange", Finding("sync_type = disabled: no calendar is read", verdict=Verdict.NOTE))
        return
    chooser = Chooser(settings, pbx, user)
    await chooser.choose(course)
    async with tokens_for(course, settings, surroundings) as token:
        way = way_of(settings.exchange, course.clock, surroundings)
        await ExchangeSide(settings, course.clock, chooser.addresses, way, token=token).run(course)


@contextmanager
def _quiet() -> Iterator[None]:
    """What the doors log is said by the steps; without a handler logging would print it in between."""
    root, silence = logging.getLogger(), logging.NullHandler()
    root.addHandler(silence)
    try:
        yield
    finally:
        root.removeHandler(silence)
