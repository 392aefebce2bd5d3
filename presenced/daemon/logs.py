"""The log: text for people, JSON for machines, the same lines in both.

Log calls name their keys in the message (`"presence written user=%s because=%s"`), so the text needs no
formatting and the JSON finds key and value again. Titles and secrets are never logged.
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
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


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
