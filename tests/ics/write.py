"""Calendar text for tests: one appointment in a few lines."""

from __future__ import annotations

from datetime import UTC, datetime

from presenced.core.appointment import Appointment
from presenced.core.window import Window
from presenced.ics.expand import expand
from presenced.ics.reader import read

YEAR = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def calendar(*components: str) -> str:
    """A VCALENDAR around these components."""
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test", *components, "END:VCALENDAR", ""])


def appointment(*lines: str, uid: str = "u") -> str:
    """A VEVENT of these lines."""
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", *lines, "END:VEVENT"])


def expanded(text: str, window: Window = YEAR, zone: str = "Europe/Berlin") -> list[Appointment]:
    """What is in the window of one file."""
    return list(expand(read([("test.ics", text.encode())]), window, zone))


def one(*lines: str, window: Window = YEAR, zone: str = "Europe/Berlin") -> Appointment:
    """The only occurrence of an appointment of these lines."""
    (found,) = expanded(calendar(appointment(*lines)), window, zone)
    return found


def span(found: Appointment) -> tuple[str, str]:
    """Start and end, short."""
    return f"{found.start:%m-%dT%H:%MZ}", f"{found.end:%m-%dT%H:%MZ}"


def spans(*lines: str, window: Window = YEAR, zone: str = "Europe/Berlin") -> list[tuple[str, str]]:
    """Start and end of every occurrence of an appointment of these lines."""
    return [span(found) for found in expanded(calendar(appointment(*lines)), window, zone)]
