"""`presenced preview`: the contract of cli.md, clause by clause."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from freezegun import freeze_time

from presenced.cli.main import main
from tests.ics.write import appointment, calendar

SAMPLES = Path(__file__).parents[1] / "samples"
INI = """
[pbx]
master_pbx_name = master
app_password = env:NOT_SET_ANYWHERE
allow_plain = yes
[presence]
timezone = Europe/Berlin
{presence}
[mapping]
tentative_exception_organizers = Personal@beispiel.example
{more}
"""
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `preview` over these files (text of a VEVENT, or a sample's name) and settings."""

    def preview(*arguments: str, files: tuple[str, ...] = (), presence: str = "", more: str = "") -> Result:
        ini = tmp_path / "presenced.ini"
        ini.write_text(INI.format(presence=presence, more=more))
        names = []
        for number, text in enumerate(files):
            path = SAMPLES / text if text.endswith(".ics") else tmp_path / f"{number}.ics"
            if not text.endswith(".ics"):
                path.write_bytes(text.encode())
            names.append(str(path))
        return CliRunner().invoke(main, ["preview", *names, "-c", str(ini), *arguments])

    return preview


def busy(uid: str, start: str, end: str, *lines: str) -> str:
    return appointment(f"DTSTART:{start}", f"DTEND:{end}", f"SUMMARY:{uid}", *lines, uid=uid)


MEETING = calendar(busy("Meeting", "20261116T100000", "20261116T110000"))


def lines(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()]


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_text(run: Run) -> None:
    assert lines(run("--at", "2026-11-16T09:00", files=(MEETING,))) == [
        [
            "2026-11-16T09:00:00+01:00",
            "-",
            "Free until 10:00 (Busy: Meeting) #free #until:1794819600000 #next-activity:busy #next:24:7:24:7",
        ],
        ["2026-11-16T10:00:00+01:00", "busy", "Meeting until 11:00 #busy #len:7:7 #until:1794823200000"],
        ["2026-11-16T11:00:00+01:00", "-", "Free"],
    ]


def test_json(run: Run) -> None:
    first, second, third = objects(run("--at", "2026-11-16T09:00", "--json", files=(MEETING,)))
    assert first["because"] == {
        "current": None,
        "rule": "none",
        "ignored": [{"id": "Meeting", "why": "later"}],
    }
    assert second == {
        "at": "2026-11-16T10:00:00+01:00",
        "activity": "busy",
        "note": "Meeting until 11:00 #busy #len:7:7 #until:1794823200000",
        "until": "2026-11-16T11:00:00+01:00",
        "because": {"current": "Meeting", "rule": "only", "ignored": []},
    }
    assert (third["activity"], third["note"], third["until"]) == ("", "Free", None)
    assert list(second) == ["at", "activity", "note", "until", "because"]


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2026-11-16T09:00", "2026-11-16T09:00:00+01:00"),
        ("2026-11-16 09:00:30", "2026-11-16T09:00:30+01:00"),
        ("2026-11-16T09:00Z", "2026-11-16T10:00:00+01:00"),
        ("2026-11-16T09:00-05:00", "2026-11-16T15:00:00+01:00"),
        ("2026-11-16", "2026-11-16T00:00:00+01:00"),
        # does not exist: forward by the gap; exists twice: the first
        ("2026-03-29T02:30", "2026-03-29T03:30:00+02:00"),
        ("2026-10-25T02:30", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:30+01:00", "2026-10-25T02:30:00+01:00"),
    ],
)
def test_at(run: Run, at: str, shown: str) -> None:
    assert lines(run("--at", at, files=(calendar(),))) == [[shown, "-", "Free"]]


def test_at_is_now_by_default(run: Run) -> None:
    with freeze_time("2026-11-16T07:59:59.5Z"):
        assert lines(run(files=(calendar(),)))[0][0] == "2026-11-16T08:59:59+01:00"


def test_until_is_the_end_of_the_window_by_default(run: Run) -> None:
    series = calendar(busy("S", "20261116T100000", "20261116T110000", "RRULE:FREQ=DAILY"))
    at = ("--at", "2026-11-16T10:00")
    assert [line[0][8:16] for line in lines(run(*at, files=(series,)))][-1] == "18T00:00"
    assert [line[0][8:16] for line in lines(run(*at, files=(series,), presence="window_hours = 25"))][
        -1
    ] == "17T10:00"
    assert [line[0][8:16] for line in lines(run(*at, "--until", "2026-11-16T11:00", files=(series,)))] == [
        "16T10:00"
    ]
    later = lines(run(*at, "--until", "2026-11-20T10:00:01", files=(series,)))
    assert [line[0][8:16] for line in later if line[1] == "busy"] == [f"{day}T10:00" for day in range(16, 21)]


def test_the_calendar_is_read_again_at_midnight(run: Run) -> None:
    far = calendar(busy("Far", "20261118T093000", "20261118T100000"))
    found = objects(run("--at", "2026-11-16T09:00", "--json", files=(far,)))
    assert [(one["at"][8:16], one["until"] and one["until"][8:16]) for one in found] == [
        ("16T09:00", None),
        ("17T00:00", "18T09:30"),
        ("18T00:00", "18T09:30"),
    ]


@pytest.mark.parametrize("until", ["2026-11-16T09:00", "2026-11-16T08:00Z", "2026-11-15"])
def test_until_not_after_at(run: Run, until: str) -> None:
    result = run("--at", "2026-11-16T09:00", "--until", until, files=(calendar(),))
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "not after --at" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["preview"],
        ["preview", "x.ics"],
        ["preview", "x.ics", "-c", "x.ini", "--at", "tomorrow"],
        ["preview", "x.ics", "-c", "x.ini", "--at", "0001-01-01"],
        ["preview", "x.ics", "-c", "x.ini", "--bogus"],
    ],
)
def test_wrong_arguments(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)


def test_several_files_are_one_mailbox(run: Run) -> None:
    files = ("web-calendar.ics", "web-calendar-changes.ics")
    found = objects(run("--at", "2026-11-18T00:00", "--until", "2026-11-19T00:00", "--json", files=files))
    assert [(one["at"][11:16], one["because"]["current"]) for one in found] == [
        ("00:00", None),
        ("17:00", "standup@web.example/2026-11-18T13:00:00Z"),
        ("18:00", None),
    ]


def test_an_outlook_export_and_the_reasons(run: Run) -> None:
    found = objects(run("--at", "2026-11-16T10:35", "--json", files=("outlook-calendar.ics",)))
    base = "040000008200E00074C5B7101A82E00800000000"
    assert found[0]["because"] == {
        "current": f"{base}18",
        "rule": "latest-start",
        "ignored": [
            {"id": f"{base}D4", "why": "outranked"},
            {"id": f"{base}E5", "why": "free"},
            {"id": f"{base}F6", "why": "outranked"},
            {"id": f"{base}07", "why": "cancelled"},
            {"id": f"{base}C3", "why": "later"},
            {"id": f"{base}B2", "why": "later"},
        ],
    }
    private = next(one for one in found if one["at"].startswith("2026-11-16T15:00"))
    assert private["note"].startswith("Private until 16:00 #away")
    assert found[-1]["note"].endswith("#whole-day")


def test_an_empty_occurrence_is_told(run: Run) -> None:
    night = calendar(
        appointment(
            "DTSTART;TZID=Europe/Berlin:20260328T023000",
            "DTEND;TZID=Europe/Berlin:20260328T031500",
            "RRULE:FREQ=DAILY;COUNT=3",
            uid="n",
        )
    )
    found = objects(run("--at", "2026-03-28T12:00", "--json", files=(night,)))
    assert found[0]["because"]["ignored"] == [
        {"id": "n/2026-03-29T01:30:00Z", "why": "empty"},
        {"id": "n/2026-03-30T00:30:00Z", "why": "later"},
    ]


SECTIONS = """
[user off@beispiel.example]
sync = no
[user *@newyork.example]
timezone = America/New_York
language = de
busy = dnd
"""


def test_a_users_section(run: Run) -> None:
    arguments = ("--at", "2026-11-16T09:00", "--user", "Any@NewYork.example")
    found = lines(run(*arguments, files=(MEETING,), more=SECTIONS))
    assert [line[:2] for line in found] == [
        ["2026-11-16T09:00:00-05:00", "-"],
        ["2026-11-16T10:00:00-05:00", "dnd"],
        ["2026-11-16T11:00:00-05:00", "-"],
    ]
    assert found[1][2].startswith("Meeting bis 11:00 #busy")
    assert lines(run("--at", "2026-11-16T10:00", files=(MEETING,), more=SECTIONS))[0][1] == "busy"


def test_a_user_without_sync(run: Run) -> None:
    arguments = ("--at", "2026-11-16T09:00", "--user", "off@beispiel.example")
    assert run(*arguments, files=(MEETING,), more=SECTIONS).stdout == "2026-11-16T09:00:00+01:00\t-\t\n"
    assert objects(run(*arguments, "--json", files=(MEETING,), more=SECTIONS)) == [
        {
            "at": "2026-11-16T09:00:00+01:00",
            "activity": "",
            "note": "",
            "until": None,
            "because": {"current": None, "rule": "none", "ignored": []},
        }
    ]


def test_the_whole_ini_is_checked(run: Run) -> None:
    result = run(
        "--at", "2026-11-16T09:00", files=(MEETING,), presence="langauge = de", more="[web]\nlisten = x"
    )
    assert result.exit_code == 78
    assert result.stdout == ""
    problems = result.stderr.splitlines()
    assert len(problems) == 2
    assert all("presenced.ini:" in problem for problem in problems)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nothing", "0.ics: no calendar in this file"),
        (calendar(appointment("DTSTART:soon")), "0.ics:6: DTSTART has 'soon'"),
        (
            calendar(appointment("DTSTART;TZID=Moon:20261116T090000")),
            '0.ics:6: nobody knows the time zone "Moon"',
        ),
    ],
)
def test_a_file_that_is_no_calendar(run: Run, text: str, problem: str) -> None:
    result = run("--at", "2026-11-16T09:00", files=(text,))
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert problem in result.stderr


def test_a_file_that_is_not_there(run: Run) -> None:
    result = run("--at", "2026-11-16T09:00", files=("nowhere.ics",))
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "nowhere.ics: the file can't be read" in result.stderr


def test_as_a_program(tmp_path: Path) -> None:
    ini = tmp_path / "presenced.ini"
    ini.write_text(INI.format(presence="language = de", more=""))
    program = [
        sys.executable,
        "-m",
        "presenced",
        "preview",
        str(SAMPLES / "outlook-calendar.ics"),
        "-c",
        str(ini),
    ]
    ended = subprocess.run(
        [*program, "--at", "2026-11-17T09:00"], capture_output=True, check=True, encoding="utf-8"
    )
    note = "Dienstreise Köln bis 19.11.2026 #away #len:16:17 #until:1795042800000 #whole-day"
    assert ended.stdout.splitlines() == [
        f"2026-11-17T09:00:00+01:00\taway\t{note}",
        "2026-11-19T00:00:00+01:00\t-\tFrei",
    ]
    assert ended.stderr == ""
