"""Which stretch of time to ask a server for, and what of its answer concerns the window that was meant.

The same for every door: an all-day appointment is kept on the server as two instants, and they may lie
far from the days it stands for here.
"""

from __future__ import annotations

from datetime import timedelta

from presenced.core.appointment import Appointment
from presenced.core.window import Window

MARGIN = timedelta(hours=26)
"""How much wider than asked the window is requested, on both sides: the server compares the instants
that an all-day appointment's maker had, and his dates may lie 26 hours from ours (made in UTC+14, read
in UTC-12)."""


def span_of(window: Window) -> Window:
    """What to ask for: with the margin, and in whole seconds."""
    wide = window.widened(MARGIN)
    end = wide.end.replace(microsecond=0)
    return Window(wide.start.replace(microsecond=0), end if end == wide.end else end + timedelta(seconds=1))


def concerns(appointment: Appointment, window: Window) -> bool:
    """Timed ones must overlap the window; all-day ones stand at UTC midnights still, so generously."""
    asked = window.widened(MARGIN) if appointment.all_day else window
    return asked.overlaps(appointment.start, appointment.end)
