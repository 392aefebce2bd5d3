"""Which measurements are made in which order, and what figures come of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import floor
from tests.bench.child import Answer, Child
from tests.bench.cold import ColdStart, measure_cold_start
from tests.bench.day import measure_day
from tests.bench.decisions import measure_decisions
from tests.bench.growth import growth_of, measure_growth
from tests.bench.midnight import Midnight, measure_midnight
from tests.bench.notices import Latencies, measure_notices
from tests.bench.reload import Reload, figure_of, measure_reload
from tests.bench.report import Figure
from tests.bench.simulators import PASSWORD
from tests.bench.world import EVENING, World, open_world

NAMES = ("cold_start", "midnight", "notice_to_write", "decide", "memory_per_mailbox", "loop_lag", "growth")
"""the promised figures"""
MORE = ("reload", "day")
"""told beside them"""
RATES = (10.0, 100.0, 500.0)
PROMISED_RATE = 100.0
PEERS = 300
"""mailboxes the peer reads; it reads one after another the same way, so its time is scaled"""
SERVED = 2000
"""requests for the simulator alone"""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    mailboxes: int
    wanted: frozenset[str]
    sizes: tuple[int, ...]
    hours: float
    pictures: Path | None
    rates: tuple[float, ...] = RATES
    """changes a second, PROMISED_RATE among them"""


@dataclass(slots=True)
class Findings:
    """What was measured in the world of the main size."""

    cold: ColdStart | None = None
    midnight: Midnight | None = None
    latencies: list[Latencies] = field(default_factory=list)
    peer: Answer | None = None
    reload: Reload | None = None
    served: float = 0.0
    """requests a second of the simulator alone"""


async def run(plan: Plan, tell: Tell) -> list[Figure]:
    """All figures wanted."""
    figures: list[Figure] = []
    found = Findings()
    if plan.wanted.difference({"decide", "growth", "day"}):
        found = await _measure_world(plan, tell)
        figures += _of_world(found)
    if "decide" in plan.wanted:
        tell("decisions")
        figures.append(_decide(min(5.0, plan.mailboxes / 1000)))
    if "growth" in plan.wanted:
        points = await measure_growth(plan.sizes, found.cold, tell)
        figures.append(growth_of(points))
        if plan.pictures is not None:
            from tests.bench.pictures import draw_growth  # the one part that needs matplotlib

            draw_growth(points, plan.pictures)
    if "day" in plan.wanted:
        tell(f"a day of {plan.hours:g} hours")
        figures.append(await measure_day(plan.mailboxes, plan.hours, tell))
    if plan.pictures is not None and found.latencies:
        from tests.bench.pictures import draw_latencies

        draw_latencies(found.latencies, plan.pictures)
    by_name = {figure.name: figure for figure in figures}
    return [by_name[name] for name in (*NAMES, *MORE) if name in plan.wanted]


async def _measure_world(plan: Plan, tell: Tell) -> Findings:
    found = Findings()
    async with open_world(plan.mailboxes) as world:
        tell("the simulator alone")
        requests = list(floor.reads(world.place["ews"], min(SERVED, plan.mailboxes), EVENING))
        found.served = await world.client().measure_server(requests)
        tell(f"cold start of {plan.mailboxes} mailboxes")
        found.cold = await measure_cold_start(world)
        if plan.wanted & {"notice_to_write", "loop_lag"}:
            for rate in plan.rates:
                tell(f"changes at {rate:g} a second")
                found.latencies.append(await measure_notices(world, rate))
        if plan.wanted & {"midnight", "loop_lag"}:
            tell("midnight")
            found.midnight = await measure_midnight(world)
        if "reload" in plan.wanted:
            tell("reload")
            found.reload = await measure_reload(world)
        tell("exchangelib")  # last: what it looks at of calendars makes the simulator slow at changing them
        found.peer = await _ask_peer(world)
    return found


async def _ask_peer(world: World) -> Answer:
    peer = await Child.start("tests.bench.peer", world.folder)
    try:
        return await peer.ask(
            "measure",
            ews=world.place["ews"],
            user=world.place["user"],
            password=PASSWORD,
            authority=world.place["authority"],
            mailboxes=min(PEERS, world.mailboxes),
            now=EVENING.isoformat(),
        )
    finally:
        await peer.stop()


def _of_world(found: Findings) -> list[Figure]:
    figures = []
    if found.cold is not None:
        figures += [_cold_start(found.cold, found), _memory(found.cold, found)]
    if found.midnight is not None:
        figures.append(_midnight(found.midnight, found))
    if found.reload is not None:
        figures.append(figure_of(found.reload))
    if found.latencies and found.cold is not None:
        figures.append(_notices(found.latencies, found.cold.mailboxes))
    if found.midnight is not None and found.cold is not None:
        figures.append(_lag(found.cold, found.midnight, found.latencies))
    return figures


def _peer_seconds(found: Findings, mailboxes: int) -> float | None:
    if found.peer is None:
        return None
    seconds: float = found.peer["seconds"]
    return seconds / min(PEERS, mailboxes) * mailboxes


def _cold_start(cold: ColdStart, found: Findings) -> Figure:
    return Figure(
        "cold_start",
        cold.mailboxes,
        cold.seconds,
        "s",
        cold.floor,
        _peer_seconds(found, cold.mailboxes),
        "within 2x of the floor",
        cold.ratio <= 2,
        {
            **asdict(cold),
            "cpu_ms_a_mailbox": 1000 * cold.cpu / cold.mailboxes,
            "simulator_cpu_ms_a_mailbox": 1000 * cold.simulator_cpu / cold.mailboxes,
            "simulator_alone_requests_a_second": found.served,
            "peer_reads_only_scaled_from": min(PEERS, cold.mailboxes),
        },
    )


def _midnight(midnight: Midnight, found: Findings) -> Figure:
    ratio = midnight.seconds / midnight.floor
    return Figure(
        "midnight",
        midnight.mailboxes,
        midnight.seconds,
        "s",
        midnight.floor,
        _peer_seconds(found, midnight.mailboxes),
        "within 2x of the floor",
        ratio <= 2,
        {**asdict(midnight), "cpu_ms_a_read": 1000 * midnight.cpu / midnight.reads},
    )


def _notices(latencies: list[Latencies], mailboxes: int) -> Figure:
    promised = next(one for one in latencies if one.rate == PROMISED_RATE)
    return Figure(
        "notice_to_write",
        mailboxes,
        1000 * promised.p99,
        "ms",
        target="p50 <= 20 ms and p99 <= 200 ms at 100 changes/s",
        met=promised.p99 <= 0.2 and promised.p50 <= 0.02,
        detail={"p50": 1000 * promised.p50, "gathering": "subtracted", "rates": list(map(_in_ms, latencies))},
    )


def _in_ms(one: Latencies) -> dict[str, Any]:
    timed = {"p50", "p90", "p99", "worst", "cpu", "lag", "lag_computing"}
    return {name: 1000 * value if name in timed else value for name, value in asdict(one).items()}


def _memory(cold: ColdStart, found: Findings) -> Figure:
    return Figure(
        "memory_per_mailbox",
        cold.mailboxes,
        cold.bytes_each / 1000,
        "kB",
        peer=None if found.peer is None else found.peer["bytes"] / 1000,
        target="<= 20 kB",
        met=cold.bytes_each <= 20_000,
        detail={"at_peak": cold.peak_bytes_each / 1000, "idle_process_mb": cold.bytes_before / 1e6},
    )


def _lag(cold: ColdStart, midnight: Midnight, latencies: list[Latencies]) -> Figure:
    worst = max(midnight.lag, midnight.decided_lag)
    return Figure(
        "loop_lag",
        cold.mailboxes,
        1000 * worst,
        "ms",
        target="<= 50 ms at midnight",
        met=worst <= 0.05,
        detail={
            "midnight_reads": 1000 * midnight.lag,
            "midnight_reads_computing": 1000 * midnight.lag_computing,
            "midnight_decisions": 1000 * midnight.decided_lag,
            "midnight_decisions_computing": 1000 * midnight.decided_lag_computing,
            "cold_start": 1000 * cold.lag,
            "cold_start_computing": 1000 * cold.lag_computing,
            "changes": {f"{one.rate:g}/s": 1000 * one.lag for one in latencies},
        },
    )


def _decide(seconds: float) -> Figure:
    rate, appointments = measure_decisions(seconds)
    return Figure(
        "decide",
        1,
        rate,
        "decisions/s",
        target=">= 100,000/s on one core",
        met=rate >= 100_000,
        detail={"appointments": appointments},
    )
