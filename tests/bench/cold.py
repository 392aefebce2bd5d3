"""Cold start: from the PBX's dialling to everybody resolved, subscribed, read and written."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from itertools import chain

from tests.bench import floor, staff
from tests.bench.bare_pbx import converse
from tests.bench.child import Answer, ChildFailed
from tests.bench.simulators import PBX_PASSWORD
from tests.bench.world import EVENING, World


@dataclass(frozen=True, slots=True)
class ColdStart:
    """One cold start and the floor's, run before and after it."""

    mailboxes: int
    seconds: float
    """to the last presence on the wire"""
    settled: float
    """to the last confirmation in the store"""
    cpu: float
    """seconds of the daemon's processor time"""
    simulator_cpu: float
    floors: tuple[float, float]
    """of the bare client's requests to both doors"""
    exchange_floor: float
    """of those to Exchange alone"""
    lag: float
    lag_computing: float
    bytes_before: int
    bytes_after: int
    peak_before: int
    peak_after: int
    written: int
    """bytes the store wrote"""

    @property
    def floor(self) -> float:
        return sum(self.floors) / 2

    @property
    def bytes_each(self) -> float:
        return (self.bytes_after - self.bytes_before) / self.mailboxes

    @property
    def peak_bytes_each(self) -> float:
        return (self.peak_after - self.peak_before) / self.mailboxes

    @property
    def ratio(self) -> float:
        return self.seconds / self.floor


async def measure_cold_start(world: World) -> ColdStart:
    """Start the daemon in this world and let the PBX dial; it goes on running afterwards."""
    exchange_alone = await measure_floor(world, pbx=False)
    before = await measure_floor(world)
    await world.start_daemon()
    await world.until_idle()
    at_rest = await world.ask_daemon("usage")
    simulator_before = await world.progress()
    dialled = (await world.simulators.ask("dial", port=world.port))["at"]
    done = await _until_written(world)
    state = await world.until_idle()
    after = await world.ask_daemon("usage")
    _check(world, state, done)
    return ColdStart(
        world.mailboxes,
        done["last_write"] - dialled,
        state["at"] - dialled,
        after["cpu"] - at_rest["cpu"],
        done["cpu"] - simulator_before["cpu"],
        (before, await measure_floor(world)),
        exchange_alone,
        after["lag"],
        after["lag_computing"],
        at_rest["uss"],
        after["uss"],
        at_rest["rss"],
        after["peak"],
        after["written"] - at_rest["written"],
    )


async def measure_floor(world: World, *, pbx: bool = True) -> float:
    """Seconds the bare clients take for the same requests; their subscriptions are forgotten.

    One client asks Exchange while the other talks to the PBX: neither waits for anything the other brings.
    """
    ews, count = world.place["ews"], world.mailboxes
    requests = chain(
        floor.lookups(world.place["url"], count),
        floor.subscribes(ews, count),
        floor.reads(ews, count, EVENING),
    )
    client = world.client()
    called = await world.simulators.ask("answer")
    began = time.monotonic()
    async with asyncio.TaskGroup() as clients:
        clients.create_task(client.run(requests))
        if pbx:
            guids = [staff.guid_of(number) for number in range(count)]
            clients.create_task(converse(called["url"], client.context, PBX_PASSWORD, guids))
    seconds = time.monotonic() - began
    complaints = (await world.simulators.ask("clear_up"))["bugs"]
    if complaints:
        raise ChildFailed(f"the PBX complains of the floor: {complaints}")
    return seconds


async def _until_written(world: World, within: float = 900) -> Answer:
    deadline = time.monotonic() + within
    while True:
        progress = await world.progress()
        if progress["shown"] >= world.mailboxes:
            return progress
        if time.monotonic() > deadline:
            state = await world.ask_daemon("state")
            raise ChildFailed(f"only {progress['shown']} presences after {within:g} s: {state}")
        await asyncio.sleep(0.02)


def _check(world: World, state: Answer, progress: Answer) -> None:
    """Fast is worth nothing where it is wrong."""
    everybody = world.mailboxes
    for what in ("users", "read", "written", "followed"):
        if state[what] != everybody:
            raise ChildFailed(f"{what}: {state[what]} of {everybody} after the cold start")
    if progress["bugs"]:
        raise ChildFailed(f"the simulators complain: {progress['bugs']}")
