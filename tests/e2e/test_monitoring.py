"""The dashboard and the alerts in etc/ name only metrics that a running daemon really has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.test_main_job import World

ETC = Path(__file__).parents[2] / "etc"
DASHBOARD: dict[str, Any] = json.loads((ETC / "grafana-dashboard.json").read_text())
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ETC / "prometheus-alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
PROMETHEUS_OWN = {"up"}
BY_AND_BY = {f"presenced_exchange_{what}_total" for what in ("events", "errors", "requests")}
"""metrics whose words are there once it has happened"""


@dataclass(frozen=True, slots=True)
class Selected:
    """A metric as an expression names it."""

    name: str
    matchers: tuple[tuple[str, str, tuple[str, ...]], ...]
    """label, kind of match, words"""


def selected(expression: str) -> set[Selected]:
    """Every metric of an expression; a ValueError where Prometheus would not take it."""
    found: set[Selected] = set()

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            assert node.name is not None
            found.add(
                Selected(
                    node.name,
                    tuple(
                        (one.name, str(one.op), tuple(one.value.split("|"))) for one in node.matchers.matchers
                    ),
                )
            )

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Where, and what; Grafana's variables filled in."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            filled = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "5m")
            yield panel["title"], filled


@pytest.fixture
async def scraped(tmp_path: Path) -> dict[str, Metric]:
    """What a whole daemon tells after its first presences, by the names Prometheus stores."""
    world = World(tmp_path)
    await world.open_exchange()
    await world.open_daemon()
    world.open_pbx()
    try:
        await world.shows(ann="Free", bob="Free", eve="Free")
        assert world.supervisor.questions is not None
        text = world.supervisor.questions.metrics().decode()
    finally:
        await world.close()
    families: dict[str, Metric] = {}
    for family in text_string_to_metric_families(text):
        names = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}
        for ending in names.get(family.type, [""]):
            families[family.name + ending] = family
        for sample in family.samples:
            families[sample.name] = family
    return families


async def test_every_metric_named_is_told(scraped: dict[str, Metric]) -> None:
    for place, expression in expressions():
        for one in selected(expression):
            assert one.name in scraped or one.name in PROMETHEUS_OWN, f"{place}: no metric {one.name}"


async def test_every_label_and_word_matched_exists(scraped: dict[str, Metric]) -> None:
    seen = 0
    for place, expression in expressions():
        for one in selected(expression):
            for label, _, words in one.matchers:
                if label in {"job", "instance"} or one.name in PROMETHEUS_OWN:
                    continue
                told = {sample.labels.get(label) for sample in scraped[one.name].samples}
                missing = set(words) - told
                assert one.name in BY_AND_BY or not missing, f"{place}: {missing}"
                seen += 1
    assert seen > 5


def test_the_parser_is_no_yes_man() -> None:
    for wrong in ("rate(x[5m]", "rate(x)", "sum by (x", "x >", ""):
        with pytest.raises(ValueError, match=r"unclosed|expected|invalid|no expression"):
            selected(wrong)
    assert selected('sum(rate(a_total{b="c"}[5m])) / d > 1') == {
        Selected("a_total", (("b", "MatchOp.Equal", ("c",)),)),
        Selected("d", ()),
    }


# --- the alerts ---


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Presenced[A-Z][A-Za-z]+", rule["alert"])
    assert re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))
    assert rule["labels"]["severity"] in {"critical", "warning"}
    summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]
    assert len(summary) < 120
    assert description.endswith(".")
    assert len(re.findall(r"[.;:] ", description)) >= 1, "what it means, then what to do"
    for text in (summary, description):
        assert text.count("{{") == text.count("}}")
        for template in re.findall(r"\{\{(.*?)\}\}", text):
            assert re.fullmatch(r" \$(value|labels\.\w+)( \| humanize\w*)? ", template)


def test_alerts_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names)) >= 12


def test_commands_pages_and_keys_the_alerts_name_exist() -> None:
    from presenced.cli.main import COMMANDS
    from presenced.config.schema import SECTIONS

    root = ETC.parent
    keys = {key.name for section in SECTIONS.values() for key in section}
    for rule in RULES:
        text = rule["annotations"]["description"]
        for command in re.findall(r"`presenced (\w+)", text):
            assert command in COMMANDS
        for page in re.findall(r"docs/[\w/.-]+\.md", text):
            assert (root / page).is_file(), page
        for key in re.findall(r"\b[a-z]+_[a-z_]+\b", text):
            assert key in keys, key


# --- the dashboard ---


def test_the_dashboard_can_be_imported_anywhere() -> None:
    assert DASHBOARD["id"] is None, "Grafana gives it one"
    source, instance = DASHBOARD["templating"]["list"]
    assert (source["type"], source["query"], source["name"]) == ("datasource", "prometheus", "datasource")
    assert instance["name"] == "instance"
    for panel in PANELS:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_panels_have_a_place_a_title_and_an_explanation() -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        squares = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in squares) < 24
        assert not squares & taken, f"{panel['title']} lies on another"
        taken |= squares
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEF"[: len(panel["targets"])])


@pytest.mark.parametrize(
    "metric",
    [
        "presenced_pbx_link_up",
        "presenced_users",
        "presenced_subscriptions",
        "presenced_oldest_proof_of_life_age_seconds",
        "presenced_reads_total",
        "presenced_notices_total",
        "presenced_decisions_total",
        "presenced_writes_total",
        "presenced_write_failures_total",
        "presenced_held_budgets",
        "presenced_queue_depth",
        "presenced_loop_lag_seconds",
        "presenced_notice_to_write_seconds_bucket",
    ],
)
def test_what_must_be_seen_is_on_the_dashboard(metric: str) -> None:
    titles = {panel["title"] for panel in PANELS}
    shown = {one.name for place, text in expressions() if place in titles for one in selected(text)}
    assert metric in shown


async def test_nothing_that_is_told_is_left_off_the_dashboard(scraped: dict[str, Metric]) -> None:
    titles = {panel["title"] for panel in PANELS}
    shown = {
        scraped[one.name].name for place, text in expressions() if place in titles for one in selected(text)
    }
    told = {family.name for family in scraped.values() if family.name.startswith("presenced_")}
    assert told == {name for name in shown if name.startswith("presenced_")}


async def test_the_page_for_admins_lists_what_is_told(scraped: dict[str, Metric]) -> None:
    page = (ETC.parent / "docs" / "admin" / "monitoring.md").read_text()
    listed = set(re.findall(r"`(presenced_\w+)", page))
    stored = {family.name if family.type == "histogram" else name for name, family in scraped.items()}
    told = {name for name in stored if name.startswith("presenced_")}
    assert listed == told - {"presenced_build_info"}
