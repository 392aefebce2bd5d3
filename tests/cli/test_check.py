"""`presenced check`: exit status, streams and JSON."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from presenced.cli.main import main
from tests.config.sample import SMALL

SHIPPED = Path(__file__).parents[2] / "etc" / "presenced.ini"


def test_the_shipped_file_is_ok() -> None:
    result = CliRunner().invoke(main, ["check", "-c", str(SHIPPED)])
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{SHIPPED}: ok\n", "")


def test_problems_go_to_standard_error_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "x.ini"
    path.write_text(SMALL + "window_hours = 1\nfrob = 2\n")
    result = CliRunner().invoke(main, ["check", "-c", str(path)])
    assert result.exit_code == 78
    assert result.stdout == ""
    assert [line.removeprefix(f"{path}:")[:2] for line in result.stderr.splitlines()] == ["6:", "7:"]


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["check", "-c", str(tmp_path / "nope.ini")])
    assert result.exit_code == 78
    assert result.stderr.startswith(f"{tmp_path / 'nope.ini'}:1: the file can't be read")


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "x.ini"
    path.write_text(SMALL + "frob = 2\nlanguage = xx\n")
    result = CliRunner().invoke(main, ["check", "--json", "-c", str(path)])
    assert result.exit_code == 78
    assert result.stderr == ""
    first, second = map(json.loads, result.stdout.splitlines())
    assert list(first) == ["file", "line", "problem"]
    assert (first["file"], first["line"]) == (str(path), 6)
    assert second["problem"].startswith('language: no language is called "xx"')


def test_the_admin_is_told_about_exchange_online(tmp_path: Path) -> None:
    path = tmp_path / "x.ini"
    path.write_text(SMALL + "[exchange]\nsync_type = cloud\nuser = u\nclient_id = c\ntenant_id = t\n")
    result = CliRunner().invoke(main, ["check", "-c", str(path)])
    assert result.exit_code == 0
    told = result.stdout.splitlines()
    assert told[-1] == f"{path}: ok"
    assert [line.startswith(f"{path}:7: note: ") for line in told[:-1]] == [True, True]
    assert "February 2025" in told[0]
    assert "EWSAllowedAppIDs" in told[1]
    as_json = CliRunner().invoke(main, ["check", "--json", "-c", str(path)])
    assert as_json.exit_code == 0
    assert [list(json.loads(line)) for line in as_json.stdout.splitlines()] == [
        ["file", "line", "notice"]
    ] * 2


def test_wrong_arguments() -> None:
    result = CliRunner().invoke(main, ["check"])
    assert result.exit_code == 2
    assert "-c" in result.stderr
