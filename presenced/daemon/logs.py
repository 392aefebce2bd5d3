"""The log: text for people, JSON for machines, the same lines in both.

Keys are named in the message (`"presence written user=%s because=%s"`) or given as `extra`; the text
shows both as key=value, the JSON as members. Titles and secrets are never logged.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

from presenced.config.settings import LogSettings

_KEY = re.compile(r"(\w+)=%\w")
_QUIET = ("aiohttp.access", "websockets", "asyncio", "spnego", "exchangelib", "msal")


class TextFormatter(logging.Formatter):
    """One line: time, level, room, message; systemd's journal has its own time."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        return super().formatMessage(record) + "".join(
            f" {key}={value}" for key, value in _extra(record).items()
        )


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, room, message and the keys the message names."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "room": record.name,
            "message": record.getMessage(),
        }
        if isinstance(record.args, tuple):
            keys = _KEY.findall(record.msg)
            if len(keys) == len(record.args):
                entry |= dict(zip(keys, map(_plain, record.args), strict=True))
        entry |= {key: _plain(value) for key, value in _extra(record).items()}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | str | bool | None) else str(value)


def set_up_logging(settings: LogSettings) -> None:
    """Log to standard error as the settings say; called again at a reload."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("presenced").setLevel(settings.level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
