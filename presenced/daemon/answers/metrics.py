"""The metrics, read from the engine when Prometheus asks (daemon.md section Observability).

Nothing is counted twice: the rooms keep their counts anyway, and a scrape turns them into families. Names
follow the Prometheus conventions: base units, `_total` for what only grows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Metric, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from presenced import __version__
from presenced.core.decision import Rule
from presenced.core.ports import Clock, MailboxState
from presenced.daemon.engine import Engine

CONTENT_TYPE: str = CONTENT_TYPE_PLAIN_0_0_4
_LEVELS = frozenset({"groups", "in_flight", "streams_open", "queues"})
_SIZES = "mailboxes_"
"""counts of a door that may fall again: by name, and by how the name begins"""
_SUM = "requests"
"""counted by operation, too"""
_REQUESTS, _ERRORS = "requests_", "errors_"
MOST_WORDS = 100
"""values of one label: some words come from servers, and no server may fill a database of metrics"""
OTHER = "other"


class Metrics:
    """The text for Prometheus."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(EngineCollector(engine, clock))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def render(self) -> bytes:
        """Everything as it stands now, to be sent as CONTENT_TYPE."""
        return generate_latest(self._registry)


class EngineCollector(Collector):
    """Reads the engine."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before it is collected; that keeps a registry from asking for it early."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        yield InfoMetricFamily("presenced_build", "The version running.", {"version": __version__})
        yield from self._pbx()
        yield from self._exchange()
        yield from self._exchange_counts()
        yield from self._users()
        yield from self._work()
        yield from self._writes()
        yield from self._inside()

    def _pbx(self) -> Iterator[Metric]:
        engine = self._engine
        yield _gauge("pbx_link_up", "Whether the master PBX is logged in.", engine.roster.pbx is not None)
        roles = Counter(link.role for link in engine.pbx.status())
        yield _gauges(
            "pbx_connections",
            "Connections of PBXes.",
            "role",
            dict.fromkeys(("master", "other", "login"), 0) | roles,
        )
        yield _counters("pbx_events", "What happened on the PBX link.", "event", engine.pbx.counters())

    def _exchange(self) -> Iterator[Metric]:
        watch, wanted = self._engine.watch, self._engine.calendars_wanted
        door = watch.door.status() if watch.door is not None else None
        if wanted:
            yield _gauge("exchange_up", "Whether Exchange can be asked.", watch.health()[0])
        polled = watch.polled_count
        yield _gauges(
            "mailboxes_followed",
            "Mailboxes whose change notices flow.",
            "how",
            {"streaming": watch.followed_count - polled, "polling": polled},
        )
        streams = door.streams if door else ()
        open_streams = [stream for stream in streams if stream.since is not None]
        yield _gauge("streams", "Streams of change notices open.", len(open_streams))
        yield _gauge(
            "subscriptions",
            "Subscriptions on open streams.",
            sum(stream.mailboxes for stream in open_streams),
        )
        yield _gauge("held_budgets", "Budgets held back now.", len(door.backoffs) if door else 0)
        sign_in = door.sign_in if door else None
        if sign_in is not None:
            yield _gauge("sign_in_up", "Whether the last sign-in with OAuth2 succeeded.", sign_in.healthy)
        if sign_in is not None and sign_in.credential_expires_at is not None:
            yield _gauge(
                "credential_expires_timestamp_seconds",
                "When the certificate the app signs in with expires.",
                sign_in.credential_expires_at.timestamp(),
            )
        oldest = watch.oldest_sign()
        if oldest is not None:
            yield _gauge(
                "oldest_proof_of_life_age_seconds",
                "Age of the oldest of the last proofs of life of the mailboxes followed.",
                self._age(oldest),
            )

    def _exchange_counts(self) -> Iterator[Metric]:
        door = self._engine.watch.door
        counts = door.counters() if door is not None else {}
        growing = {
            name: count
            for name, count in counts.items()
            if name not in _LEVELS and not name.startswith(_SIZES) and name != _SUM
        }
        requests, growing = _split(growing, _REQUESTS)
        errors, events = _split(growing, _ERRORS)
        yield _counters("exchange_requests", "Requests to Exchange.", "operation", requests)
        yield _counters("exchange_errors", "Errors of Exchange by code.", "code", errors)
        yield _counters("exchange_events", "What else happened at the Exchange door.", "event", events)

    def _users(self) -> Iterator[Metric]:
        states: dict[str, float] = dict.fromkeys((*(state.value for state in MailboxState), "disabled"), 0)
        stale, refused, now = 0, 0, self._clock.now()
        for keeper in self._engine.roster.keepers.values():
            states[keeper.state.value if keeper.sync else "disabled"] += 1
            stale += keeper.is_stale(now)
            refused += bool(keeper.write_error)
        yield _gauges("users", "Users of the PBX by the state of their mailbox.", "state", states)
        yield _gauge("users_stale", "Users shown from a calendar read long ago.", stale)
        yield _gauge("users_refused", "Users whose last write was refused.", refused)

    def _work(self) -> Iterator[Metric]:
        engine = self._engine
        reads, lookups = engine.watch.counters, engine.resolving.counters
        yield _counter("notices", "Change notices received.", reads["notices"])
        yield _counter("reads", "Windows read, or tried to.", reads["reads"])
        yield _counter("read_failures", "Reads that failed for everybody.", reads["failed"])
        yield _counter("mailbox_troubles", "Troubles with a single mailbox.", reads["troubled"])
        yield _counter("lookups", "Users whose mailbox was looked up.", lookups["asked"])
        yield _counter("lookups_found", "Users whose mailbox was found.", lookups["found"])
        rules = {rule.value: engine.roster.rules_used[rule] for rule in Rule}
        yield _counters("decisions", "Decisions by the rule that made them.", "rule", rules)
        works = engine.milestones.as_json()
        done = {name: work["done"] if work else 0 for name, work in works.items()}
        expected = {name: work["total"] if work else 0 for name, work in works.items()}
        yield _gauges("progress_done", "Of long work under way, how much is done.", "work", done)
        yield _gauges("progress_expected", "Of long work under way, how much it is.", "work", expected)

    def _writes(self) -> Iterator[Metric]:
        writer = self._engine.writer
        yield _counter("writes", "Presences the PBX confirmed.", writer.counters["written"])
        failures = {reason: writer.counters[reason] for reason in ("refused", "link_down")}
        yield _counters("write_failures", "Presences not written.", "reason", failures)
        latencies = writer.latencies
        buckets = [(f"{bound.total_seconds():g}", float(count)) for bound, count in latencies.up_to()]
        histogram = HistogramMetricFamily(
            "presenced_notice_to_write_seconds",
            "From a change notice to the PBX's confirmation; a second of it is for gathering notices.",
        )
        histogram.add_metric(
            (), [*buckets, ("+Inf", float(latencies.count))], latencies.total.total_seconds()
        )
        yield histogram

    def _inside(self) -> Iterator[Metric]:
        engine = self._engine
        yield _gauges("queue_depth", "What is due and not done yet.", "queue", engine.queues())
        lag = engine.pulse.loop_lag / timedelta(seconds=1)
        yield _gauge("loop_lag_seconds", "The worst lag of the event loop lately.", lag)
        yield _gauge("stuck_loops", "Loops without a sign of life.", len(engine.pulse.stuck()))

    def _age(self, instant: datetime) -> float:
        return max((self._clock.now() - instant).total_seconds(), 0)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"presenced_{name}", text, value=float(value))


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"presenced_{name}", text, labels=(label,))
    for word, value in values.items():
        family.add_metric((word,), float(value))
    return family


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"presenced_{name}", text, value=float(value))


def _counters(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"presenced_{name}", text, labels=(label,))
    for word, value in _bounded(values).items():
        family.add_metric((word,), float(value))
    return family


def _bounded(values: Mapping[str, float]) -> dict[str, float]:
    """The first of them that were counted, the rest in one: so none that was shown ever falls."""
    words = list(values)
    shown = {word: values[word] for word in words[:MOST_WORDS]}
    if rest := sum(values[word] for word in words[MOST_WORDS:]):
        shown[OTHER] = shown.get(OTHER, 0) + rest
    return shown


def _split(counts: Mapping[str, int], prefix: str) -> tuple[dict[str, int], dict[str, int]]:
    """Those of this prefix, without it, and the others."""
    ours = {name.removeprefix(prefix): count for name, count in counts.items() if name.startswith(prefix)}
    return ours, {name: count for name, count in counts.items() if not name.startswith(prefix)}
