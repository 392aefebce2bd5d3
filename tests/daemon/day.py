"""The day on which the engine is tried, and appointments on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from presenced.core.appointment import Appointment

START = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def meeting(start: int, end: int, **fields: object) -> Appointment:
    """Minutes after START."""
    fields = {"subject": "Meeting", "id": f"m{start}"} | fields
    return Appointment(start=START + start * MINUTE, end=START + end * MINUTE, **fields)  # type: ignore[arg-type]
