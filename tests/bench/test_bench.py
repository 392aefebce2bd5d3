"""The bench works: a run with very few mailboxes gives every figure it promises. Nothing is timed here."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("psutil", reason="the bench needs psutil: install the extra `bench`")
pytest.importorskip("matplotlib", reason="the bench needs matplotlib: install the extra `bench`")

from tests.bench.figures import NAMES, Plan, run
from tests.bench.notices import percentile
from tests.bench.report import document, table


async def test_every_figure_comes_out(tmp_path: Path) -> None:
    plan = Plan(30, frozenset(NAMES), (30,), 0.5, tmp_path, rates=(100.0,))
    figures = await run(plan, lambda _: None)
    made = document(figures)
    assert {"machine", "versions", "figures"} == made.keys()
    assert [figure["name"] for figure in made["figures"]] == list(NAMES)
    for figure in made["figures"]:
        keys = {"name", "mailboxes", "ours", "floor", "peer", "ratio", "unit", "detail"}
        assert keys <= figure.keys()
        assert figure["ours"] >= 0
    compared = {figure["name"] for figure in made["figures"] if figure["ratio"] is not None}
    assert {"cold_start", "midnight", "growth"} <= compared
    assert all(name in table(figures) for name in NAMES)
    drawn = {file.name for file in tmp_path.glob("*.svg")}
    assert drawn == {"growth-time.svg", "growth-memory.svg", "latency.svg"}


@pytest.mark.parametrize(
    ("percent", "value"), [(50, 2.0), (75, 3.0), (76, 4.0), (99, 4.0), (1, 1.0), (100, 4.0)]
)
def test_percentiles_are_values_that_were_measured(percent: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], percent) == value
