"""`presenced parse`: the contract of cli.md, clause by clause."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result
from freezegun import freeze_time

from presenced.cli.main import main

MEETING = "Meeting until 12:30 #busy #len:7:7 #until:1794828600000"
AT = ("--at", "2026-11-16T09:00+01:00")
EMPTY = {
    "text": "Free",
    "activity": "free",
    "title": None,
    "until": None,
    "whole_day": False,
    "next_activity": None,
    "next_title": None,
    "len": None,
    "next": None,
    "display": "Free",
}


def parse(*arguments: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["parse", *arguments], input=given)


def test_json() -> None:
    note = (
        "Homeoffice until 14:00 (Busy: Grüße) #free #len:10:10 #until:1794834000000"
        " #next-activity:busy #next:30:5:30:7"
    )
    result = parse(note, "--json", *AT)
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "text": "Homeoffice until 14:00 (Busy: Grüße)",
        "activity": "free",
        "title": "Homeoffice",
        "until": "2026-11-16T13:00:00+00:00",
        "whole_day": False,
        "next_activity": "busy",
        "next_title": "Grüße",
        "len": [10, 10],
        "next": [30, 5, 30, 7],
        "display": "Homeoffice until 14:00 (Busy: Grüße)",
    }
    assert list(json.loads(result.stdout)) == list(EMPTY)
    assert result.stdout.count("\n") == 1


@pytest.mark.parametrize("word", ["Free", "Frei", "Свободен", "Wolny(a)"])
def test_free_alone_in_any_language(word: str) -> None:
    assert json.loads(parse(word, "--json", *AT).stdout) == {**EMPTY, "text": word}


def test_seconds_and_milliseconds() -> None:
    for until in ("1794828600", "1794828600000"):
        result = parse(f"x until 12:30 #busy #len:1 #until:{until}", "--json", *AT)
        assert json.loads(result.stdout)["until"] == "2026-11-16T11:30:00+00:00"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (AT, "Meeting until 12:30"),
        (("--at", "2026-11-16T09:00Z"), "Meeting until 11:30"),
        (("--at", "2026-11-16T09:00"), "Meeting until 11:30"),
        (("--at", "2026-11-16T09:00", "--timezone", "Europe/Berlin"), "Meeting until 12:30"),
        (("--at", "2026-11-16T09:00+09:00", "--timezone", "Europe/Berlin"), "Meeting until 12:30"),
        (("--at", "2026-11-15T09:00+01:00"), "Meeting until 16.11.2026 12:30"),
        (("--at", "2026-11-16T23:30-05:00"), "Meeting until 06:30"),
        ((*AT, "--language", "de"), "Meeting bis 12:30"),
        ((*AT, "--language", "en_US"), "Meeting until 12:30 p.m."),
    ],
)
def test_display(arguments: tuple[str, ...], shown: str) -> None:
    assert parse(MEETING, *arguments).stdout == f"{shown}\n"


def test_at_is_now_by_default() -> None:
    with freeze_time("2026-11-16T08:00Z"):
        assert parse(MEETING).stdout == "Meeting until 11:30\n"
    with freeze_time("2026-11-18T08:00Z"):
        assert parse(MEETING).stdout == "Meeting until 16.11.2026 11:30\n"


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("Lunch", "neither tags nor"),
        ("", "neither tags nor"),
        ("Lunch #unknown:1", "neither tags nor"),
        ("x #busy #len:one", "#len has 'one'"),
        ("x #busy #len:", "#len has ''"),
        ("x #busy #len:99", "#len points to"),
        ("x #busy #until:soon", "#until has 'soon'"),
        ("x #busy #until:99999999999999999999", "#until:99999999999999999999"),
        ("x #busy #until:253402300799999", "later than any calendar"),
        ("x #busy #next-activity:busy #next:90:2", "#next points to"),
        ("x #busy #next-activity:busy #next:1", "#next:1"),
    ],
)
def test_unreadable(note: str, words: str) -> None:
    result = parse(note, *AT)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert words in result.stderr


def test_byte_counts_that_disagree_are_no_error() -> None:
    assert parse("Bäh until 12:30 #busy #len:3:99 #until:1794828600000", *AT).exit_code == 0


def test_strict() -> None:
    assert parse(MEETING, "--strict", *AT).exit_code == 0
    sloppy = MEETING.replace(" #len", "  #len")
    assert parse(sloppy, *AT).exit_code == 0
    refused = parse(sloppy, "--strict", *AT)
    assert (refused.exit_code, refused.stdout, len(refused.stderr.splitlines())) == (1, "", 1)
    german = MEETING.replace("until 12", "bis 12")
    assert parse(german, "--strict", *AT).exit_code == 1
    assert parse(german, "--strict", "--language", "de", *AT).exit_code == 0


def test_one_a_line_from_standard_input() -> None:
    given = f"Free\n{MEETING}\r\nnothing\n\n".encode() + b"\xff #busy\nFrei"
    result = parse(*AT, given=given)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["Free", "Meeting until 12:30", "Free"]
    told = result.stderr.splitlines()
    assert [line.partition(":")[0] for line in told] == ["line 3", "line 4", "line 5"]
    assert "UTF-8" in told[2]
    good = parse("--json", *AT, given=b"Free\nFrei\n")
    assert good.exit_code == 0
    assert [json.loads(line)["text"] for line in good.stdout.splitlines()] == ["Free", "Frei"]
    assert parse(*AT, given=b"").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [("--at", "soon"), ("--language", "tlh_XX"), ("--timezone", "Moon/Base"), ("--bogus",), ("two",)],
)
def test_wrong_arguments(arguments: tuple[str, ...]) -> None:
    result = parse("Free", *arguments)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)


def test_as_a_program() -> None:
    program = [sys.executable, "-m", "presenced", "parse"]
    ended = subprocess.run(
        [*program, *AT], input=f"{MEETING}\nnothing\nПривет #away".encode(), capture_output=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout.decode() == "Meeting until 12:30\nAway\n"
    assert ended.stderr.decode().startswith("line 2: ")
