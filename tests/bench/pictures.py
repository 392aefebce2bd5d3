"""The curves as SVG, drawn by matplotlib: growth of time and memory, latencies by rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.bench.growth import Point
from tests.bench.notices import Latencies

_OURS, _FLOOR, _LIMIT = "#1f5fa8", "#8a8a8a", "#b3261e"
_SIZE = (7.0, 4.2)
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "presenced", "font.size": 11})


def draw_growth(points: Sequence[Point], folder: Path) -> None:
    """`growth-time.svg` and `growth-memory.svg`."""
    sizes = [one.mailboxes for one in points]
    with plt.ioff():
        figure, axes = plt.subplots(figsize=_SIZE, layout="constrained")
        axes.plot(sizes, [one.seconds for one in points], "o-", color=_OURS, label="presenced, cold start")
        axes.plot(sizes, [one.floor for one in points], "s--", color=_FLOOR, label="bare client")
        axes.plot(sizes, [2 * one.floor for one in points], ":", color=_LIMIT, label="twice the bare client")
        axes.set(xlabel="mailboxes", ylabel="seconds", xlim=(0, None), ylim=(0, None))
        _save(figure, axes, folder / "growth-time.svg")
        figure, axes = plt.subplots(figsize=_SIZE, layout="constrained")
        axes.plot(sizes, [one.bytes / 1e6 for one in points], "o-", color=_OURS, label="at rest")
        axes.plot(sizes, [one.peak_bytes / 1e6 for one in points], "s--", color=_FLOOR, label="at peak")
        axes.plot(sizes, [0.02 * size for size in sizes], ":", color=_LIMIT, label="20 kB a mailbox")
        axes.set(xlabel="mailboxes", ylabel="MB above the idle process", xlim=(0, None), ylim=(0, None))
        _save(figure, axes, folder / "growth-memory.svg")


def draw_latencies(latencies: Sequence[Latencies], folder: Path) -> None:
    """`latency.svg`: percentiles by rate."""
    rates = [f"{one.rate:g}/s" for one in latencies]
    with plt.ioff():
        figure, axes = plt.subplots(figsize=_SIZE, layout="constrained")
        for name, colour in (("p99", _OURS), ("p90", "#6d9bd1"), ("p50", _FLOOR)):
            axes.plot(rates, [1000 * getattr(one, name) for one in latencies], "o-", color=colour, label=name)
        axes.axhline(200, linestyle=":", color=_LIMIT, label="p99 promised at 100/s")
        axes.set(xlabel="changes", ylabel="ms from notice to SetPresence", ylim=(0, None))
        _save(figure, axes, folder / "latency.svg")


def _save(figure: Figure, axes: Axes, file: Path) -> None:
    axes.grid(visible=True, alpha=0.3)
    axes.legend(frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
