"""What the bench hands out: one JSON document, of the machine, the versions and the figures."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

LIBRARIES = ("aiohttp", "aiosqlite", "exchangelib", "lxml", "websockets")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table of figures."""

    name: str
    mailboxes: int
    ours: float
    unit: str
    floor: float | None = None
    """the bare client in the same run, in the same unit; None where there is nothing to compare with"""
    peer: float | None = None
    """exchangelib in the same run"""
    target: str = ""
    """what is promised, in words"""
    met: bool = True
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Ours by the floor's."""
        return round(self.ours / self.floor, 3) if self.floor else None

    def as_json(self) -> dict[str, Any]:
        values = {name: _rounded(value) for name, value in asdict(self).items()}
        return values | {"ratio": self.ratio}


def document(figures: list[Figure]) -> dict[str, Any]:
    """The whole."""
    return {
        "machine": _machine(),
        "versions": _versions(),
        "figures": [figure.as_json() for figure in figures],
    }


def table(figures: list[Figure]) -> str:
    """The same for people."""
    lines = [f"{'figure':20} {'mailboxes':>9} {'ours':>12} {'floor':>12} {'peer':>12} {'ratio':>6}  target"]
    for one in figures:
        cells = [_cell(value) for value in (one.ours, one.floor, one.peer)]
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        verdict = "" if not one.target else f"{one.target}: {'met' if one.met else 'MISSED'}"
        lines.append(
            f"{one.name:20} {one.mailboxes:>9} {' '.join(f'{cell:>12}' for cell in cells)} {ratio:>6}  "
            f"[{one.unit}] {verdict}"
        )
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return value


def _machine() -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "presenced": _commit(),
        **{name: version(name) for name in LIBRARIES},
    }


def _commit() -> str:
    try:
        asked = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return asked.stdout.strip()
