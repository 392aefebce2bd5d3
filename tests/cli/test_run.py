"""How `run` ends when running is impossible: status 1 and a line for everything in the way."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from presenced.cli.main import main
from presenced.cli.run import supervise
from presenced.core.ports import DoorProblem, StoreProblem


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """`run` sets up the logging of its process; this one is pytest's."""
    root, ours = logging.getLogger(), logging.getLogger("presenced")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


class Broken:
    """A supervisor whose doors can't be opened."""

    def __init__(self, *problems: Exception) -> None:
        self._problems = problems

    async def run(self) -> None:
        await asyncio.sleep(0)
        raise ExceptionGroup("doors", list(self._problems))


@pytest.mark.parametrize(
    ("problems", "lines"),
    [
        ([DoorProblem("port 8443 is taken", remedy="end it")], ["port 8443 is taken; end it"]),
        ([DoorProblem("port 8443\nis taken")], ["port 8443 is taken"]),
        (
            [DoorProblem("port 8443 is taken"), StoreProblem("disk full", remedy="make room")],
            ["port 8443 is taken", "disk full; make room"],
        ),
    ],
)
def test_everything_in_the_way_is_told(problems: list[Exception], lines: list[str]) -> None:
    command = click.Command("run", callback=lambda: supervise(Broken(*problems)))  # type: ignore[arg-type]
    result = CliRunner().invoke(command)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == lines


def test_a_port_that_is_taken_ends_the_daemon_and_leaves_no_socket(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("secret")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ini = tmp_path / "presenced.ini"
        ini.write_text(
            f"[pbx]\nlisten = 127.0.0.1:{taken.getsockname()[1]}\napp_name = presenced\n"
            f"app_password = file:{password}\nmaster_pbx_name = master\n"
            f"[presence]\ntimezone = UTC\n[store]\nurl = sqlite:///{tmp_path}/p.db\n[web]\nlisten =\n"
        )
        result = CliRunner().invoke(main, ["run", "-c", str(ini)])
    assert result.exit_code == 1, result.output
    assert "127.0.0.1" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "p.db.sock").exists()
