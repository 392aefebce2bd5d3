"""The metrics: what is there, named as Prometheus names things, and bounded."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from prometheus_client import Metric

from presenced.config.settings import ExchangeSettings
from presenced.core.ports import CalendarDoorStatus, SignInStatus
from presenced.daemon.answers.metrics import MOST_WORDS
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.answers.scrape import busy_engine, samples, scrape
from tests.daemon.doors import Running, settings_for, user

OURS = "presenced_"
BASE_UNITS = ("_seconds", "_bytes", "_ratio")
OTHER_UNITS = re.compile(r"_(ms|millis|milliseconds|micros|minutes|hours|days|kb|mb|percent)(_|$)")
LABELS = {"state", "how", "role", "event", "operation", "code", "rule", "reason", "queue", "work", "le"} | {
    "version"
}


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with busy_engine() as running:
        yield running


@pytest.fixture
def families(running: Running) -> dict[str, Metric]:
    return scrape(running)


WHAT_IS_TOLD = [
    ("presenced_pbx_link_up", {}, 1),
    ("presenced_pbx_connections", {"role": "master"}, 1),
    ("presenced_pbx_connections", {"role": "login"}, 0),
    ("presenced_pbx_events_total", {"event": "logins"}, 1),
    ("presenced_exchange_up", {}, 1),
    ("presenced_users", {"state": "resolved"}, 2),
    ("presenced_users", {"state": "blocked"}, 1),
    ("presenced_users", {"state": "unresolved"}, 1),
    ("presenced_users", {"state": "failing"}, 0),
    ("presenced_users", {"state": "polled"}, 0),
    ("presenced_users", {"state": "disabled"}, 1),
    ("presenced_users_stale", {}, 0),
    ("presenced_users_refused", {}, 1),
    ("presenced_streams", {}, 2),
    ("presenced_subscriptions", {}, 240),
    ("presenced_held_budgets", {}, 1),
    ("presenced_mailboxes_followed", {"how": "streaming"}, 3),
    ("presenced_mailboxes_followed", {"how": "polling"}, 0),
    ("presenced_oldest_proof_of_life_age_seconds", {}, 1.0),
    ("presenced_exchange_requests_total", {"operation": "FindItem"}, 7),
    ("presenced_exchange_errors_total", {"code": "ErrorServerBusy"}, 3),
    ("presenced_exchange_events_total", {"event": "backoffs"}, 3),
    ("presenced_exchange_events_total", {"event": "groups_halved"}, 1),
    ("presenced_notices_total", {}, 1),
    ("presenced_reads_total", {}, 4),
    ("presenced_read_failures_total", {}, 0),
    ("presenced_lookups_total", {}, 4),
    ("presenced_lookups_found_total", {}, 3),
    ("presenced_decisions_total", {"rule": "only"}, 1),
    ("presenced_writes_total", {}, 2),
    ("presenced_write_failures_total", {"reason": "refused"}, 1),
    ("presenced_write_failures_total", {"reason": "link_down"}, 0),
    ("presenced_queue_depth", {"queue": "reads"}, 0),
    ("presenced_queue_depth", {"queue": "writes"}, 1),
    ("presenced_loop_lag_seconds", {}, 0),
    ("presenced_stuck_loops", {}, 0),
    ("presenced_notice_to_write_seconds_count", {}, 1),
    ("presenced_notice_to_write_seconds_sum", {}, 1),
    ("presenced_notice_to_write_seconds_bucket", {"le": "0.5"}, 0),
    ("presenced_notice_to_write_seconds_bucket", {"le": "+Inf"}, 1),
    ("presenced_progress_expected", {"work": "reads"}, 0),
]


@pytest.mark.parametrize(("name", "labels", "value"), WHAT_IS_TOLD, ids=str)
def test_what_is_told(families: dict[str, Metric], name: str, labels: dict[str, str], value: float) -> None:
    found = [got for sample, marked, got in samples(families) if (sample, marked) == (name, labels)]
    assert found == [pytest.approx(value, abs=0.25 if "age" in name else 1e-9)]


def test_names_follow_the_conventions(families: dict[str, Metric]) -> None:
    """prometheus.io/docs/practices/naming: prefix, base units, `_total` for counters and for nothing else."""
    for name, family in families.items():
        if not name.startswith(OURS):
            assert name.startswith(("process_", "python_")), name
            continue
        assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]", name), name
        assert not OTHER_UNITS.search(name), f"{name}: base units only"
        assert family.documentation.endswith("."), f"{name} has no help"
        assert len(family.documentation) > 10, name
        stored = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert stored <= {f"{name}_total"}
        else:
            assert not any(one.endswith("_total") for one in stored), name
        if family.type == "histogram":
            assert name.endswith(BASE_UNITS)
        if any(word in name for word in ("_age", "_lag", "_duration")):
            assert name.endswith("_seconds"), name


def test_labels_are_few_and_known(families: dict[str, Metric]) -> None:
    for name, labels, _ in samples(families):
        if name.startswith(OURS):
            assert set(labels) <= LABELS, name
            assert len(labels) <= 1


def test_names_of_people_are_no_labels(families: dict[str, Metric]) -> None:
    values = {value for name, labels, _ in samples(families) for value in labels.values()}
    assert not [value for value in values if "@" in value or "guid" in value or value in {"ann", "Ann"}]


def test_a_server_cannot_fill_the_database(running: Running) -> None:
    codes = {f"errors_Error{number}": 2 for number in range(5000)}
    running.calendars.counters = lambda: codes  # type: ignore[method-assign]
    (family,) = [family for name, family in scrape(running).items() if name == "presenced_exchange_errors"]
    assert len(family.samples) == MOST_WORDS + 1
    told = {sample.labels["code"]: sample.value for sample in family.samples}
    assert told["Error0"] == 2
    assert told["other"] == 2 * (5000 - MOST_WORDS)
    codes["errors_Error0"] = 3
    codes["errors_Error4999"] = 7
    (family,) = [family for name, family in scrape(running).items() if name == "presenced_exchange_errors"]
    later = {sample.labels["code"]: sample.value for sample in family.samples}
    assert all(later[code] >= told[code] for code in told), "none that was shown ever falls"
    assert later["other"] == told["other"] + 5


def test_words_of_a_server_are_escaped(running: Running) -> None:
    word = 'Error"} 1\npresenced_pbx_link_up 0 \\'
    running.calendars.counters = lambda: {f"errors_{word}": 1}  # type: ignore[method-assign]
    told = {(name, tuple(labels.values())): value for name, labels, value in samples(scrape(running))}
    assert told["presenced_exchange_errors_total", (word,)] == 1
    assert told["presenced_pbx_link_up", ()] == 1


def test_the_histogram_grows_from_bucket_to_bucket(families: dict[str, Metric]) -> None:
    buckets = [
        (float(labels["le"]), value)
        for name, labels, value in samples(families)
        if name == "presenced_notice_to_write_seconds_bucket"
    ]
    assert buckets == sorted(buckets)
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)


async def test_a_link_that_is_down(running: Running) -> None:
    running.engine.roster.unlinked("gone")
    running.engine.watch.use(None)
    told = {name: value for name, labels, value in samples(scrape(running)) if not labels}
    assert (told["presenced_pbx_link_up"], told["presenced_exchange_up"]) == (0, 0)
    assert "presenced_oldest_proof_of_life_age_seconds" not in told, "nobody is followed, so nobody is old"


async def test_exchange_switched_off_is_neither_up_nor_down() -> None:
    async with Running(settings_for(exchange=ExchangeSettings()), MemoryStore(), FakeClock()) as running:
        assert "presenced_exchange_up" not in scrape(running)


async def test_progress_of_long_work() -> None:
    async with Running(settings_for(), MemoryStore(), FakeClock()) as running:
        running.calendars.calendars = {f"u{number}@example.com": [] for number in range(50)}
        running.calendars.follows_at_once = False
        running.pbx.link(*(user(f"u{number}") for number in range(50)))
        await running.settle(1)
        told = {
            (name, labels["work"]): value
            for name, labels, value in samples(scrape(running))
            if name.startswith("presenced_progress")
        }
        assert told["presenced_progress_expected", "reads"] == 50
        assert told["presenced_progress_done", "reads"] == 0
        assert told["presenced_progress_expected", "lookups"] == 0


@pytest.mark.parametrize(("certificate", "up"), [(True, True), (False, False)])
async def test_the_sign_in(
    certificate: bool, up: bool, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = datetime(2027, 3, 1, tzinfo=UTC) if certificate else None
    sign_in = SignInStatus("certificate", "", healthy=up, credential_expires_at=ends)
    status = CalendarDoorStatus("graph", healthy=True, reason="", sign_in=sign_in)
    monkeypatch.setattr(running.calendars, "status", lambda: status)
    told = {name: value for name, _, value in samples(scrape(running))}
    assert told["presenced_sign_in_up"] == up
    moment = told.get("presenced_credential_expires_timestamp_seconds")
    assert moment == (ends.timestamp() if ends is not None else None)


def test_without_a_sign_in_nothing_is_told_of_it(families: dict[str, Metric]) -> None:
    assert "presenced_sign_in_up" not in families
