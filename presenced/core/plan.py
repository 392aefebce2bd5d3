"""The plan: the fewest writes that make the PBX show what it should (pbx-link.md section 4).

The newest presence item is what watchers display, so nothing is written that would change nothing.
"""

from __future__ import annotations

from presenced.core.presence import CLEARED, Presence


def plan(wanted: Presence | None, written: Presence | None, *, touched: bool) -> Presence | None:
    """What to write now, None for nothing.

    `wanted` is None for a user without a calendar; `written` is what the PBX confirmed last, None where
    that is unknown; `touched` says whether this program ever wrote (or may have written) for the user:
    only then is there something to clear.
    """
    if wanted is None:
        return CLEARED if touched and written != CLEARED else None
    return None if wanted == written else wanted
