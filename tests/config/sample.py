"""A small whole ini file for tests, and a machine it may point to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from presenced.config.problems import Problem, Unfit
from presenced.config.reading import read_settings
from presenced.config.secrets import LookedUp
from presenced.config.settings import Secret, Settings

SMALL = "[pbx]\nlisten = 127.0.0.1:8443\nmaster_pbx_name = main\n[presence]\ntimezone = Europe/Berlin\n"
"""five lines, nothing wrong"""


@dataclass
class Machine:
    """The `Outside` of a test: what is there is said, nothing is on a disk."""

    secrets: Mapping[str, str] = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    exposed: bool = False
    asked: list[str] = field(default_factory=list)

    def look_up(self, reference: str) -> LookedUp:
        self.asked.append(reference)
        if reference not in self.secrets:
            raise Unfit("it is not there", "put it there")
        return LookedUp(Secret(self.secrets[reference]))

    def check_file(self, path: Path) -> None:
        self.asked.append(str(path))
        if str(path) not in self.files:
            raise Unfit(f"there is no file {path}", "name a file that is there")

    def check_tls_pair(self, certificate: Path, key: Path) -> None:
        self.asked.append(f"{certificate} {key}")

    def check_tls_ca(self, path: Path) -> None:
        self.asked.append(f"ca {path}")


def read(text: str, outside: Machine | None = None) -> Settings:
    """The settings of a text in which nothing is wrong."""
    settings = read_settings(text, "x.ini", outside)
    assert isinstance(settings, Settings), "\n".join(map(str, settings))
    return settings


def wrong(text: str, outside: Machine | None = None) -> list[str]:
    """The problems of a text, as printed."""
    problems = read_settings(text, "x.ini", outside)
    assert not isinstance(problems, Settings)
    assert all(isinstance(problem, Problem) for problem in problems)
    return [str(problem) for problem in problems]
