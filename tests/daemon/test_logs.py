"""The same line for people and for machines."""

from __future__ import annotations

import json
import logging
import sys

from presenced.daemon.logs import JsonFormatter, TextFormatter


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.getLogger("presenced.x").makeRecord(
        "presenced.x", logging.INFO, "x.py", 1, message, args, None, extra=extra
    )
    made.created = 0.0
    return made


def test_text() -> None:
    line = TextFormatter().format(record("written user=%s", "ann", because="change"))
    assert line.endswith(" INFO    presenced.x: written user=ann because=change")


def test_json() -> None:
    line = JsonFormatter().format(record("written user=%s count=%d", "ann", 3, because="change"))
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.000+00:00",
        "level": "info",
        "room": "presenced.x",
        "message": "written user=ann count=3",
        "user": "ann",
        "count": 3,
        "because": "change",
    }


def test_json_with_an_exception() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        failed = record("failed")
        failed.exc_info = sys.exc_info()
    assert "ValueError: broken" in json.loads(JsonFormatter().format(failed))["exception"]
