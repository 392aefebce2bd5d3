"""A notice to send, and who sends it."""

from __future__ import annotations

from datetime import UTC, datetime

from presenced.daemon.alerts.cases import Cause, Kind, Notice
from presenced.daemon.alerts.wording import Origin

ORIGIN = Origin("calhost", "main", "/etc/presenced/presenced.ini", "Europe/Berlin")
DOWN = Cause(
    "pbx",
    "no link to the PBX main",
    "The PBX closed the connection (code 1001).",
    "Check that the PBX main is up.",
    "Everybody's presence stays as it was.",
    ("slave at 10.0.0.7:4711 (other)",),
)
BEGUN = Notice(
    Kind.BEGUN,
    "0f" * 16,
    "0f" * 16,
    datetime(2026, 11, 16, 8, 10, tzinfo=UTC),
    datetime(2026, 11, 16, 8, 0, tzinfo=UTC),
    DOWN,
)
OVER = Notice(
    Kind.OVER,
    "1e" * 16,
    "0f" * 16,
    datetime(2026, 11, 16, 9, 0, tzinfo=UTC),
    BEGUN.since,
    DOWN,
    datetime(2026, 11, 16, 8, 50, tzinfo=UTC),
)
