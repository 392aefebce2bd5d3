"""How everything stands, as one JSON object: the same for the command, the page and the API.

The keys are a contract (cli.md, `status --json`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from presenced import __version__
from presenced.core.ports import CalendarDoorStatus, PbxDoor
from presenced.daemon.keeper import Keeper
from presenced.daemon.roster import Roster
from presenced.daemon.watch import Watch


def user_status(keeper: Keeper, watch: Watch) -> dict[str, Any]:
    """One user's line."""
    decision = keeper.decision
    address = keeper.mailbox.address if keeper.mailbox else None
    return {
        "guid": keeper.user.guid,
        "sip": keeper.user.sip,
        "mailbox": address,
        "state": keeper.state.value if keeper.sync else "disabled",
        "reason": keeper.reason if keeper.sync else "sync = no",
        "activity": decision.presence.activity if decision else None,
        "note": decision.presence.note if decision else None,
        "until": _iso(decision.until) if decision else None,
        "last_read": _iso(keeper.read_at),
        "last_proof_of_life": _iso(watch.signs.get(address)) if address else None,
    }


def whole_status(
    roster: Roster,
    watch: Watch,
    pbx: PbxDoor,
    counters: Mapping[str, int],
) -> dict[str, Any]:
    """Everything: links, users with state and reason, counters."""
    return {
        "pbx": {
            "linked": roster.pbx is not None,
            "name": roster.pbx.name if roster.pbx else None,
            "reason": "" if roster.pbx else roster.link_reason,
            "connections": [
                {
                    "name": link.name,
                    "role": link.role,
                    "peer": link.peer,
                    "since": _iso(link.since),
                    "version": link.version,
                    "detail": link.detail,
                }
                for link in pbx.status()
            ],
        },
        "exchange": _exchange(watch, watch.door.status() if watch.door else None),
        "users": [user_status(keeper, watch) for keeper in _sorted(roster)],
        "counters": dict(counters),
        "version": __version__,
    }


def _exchange(watch: Watch, door: CalendarDoorStatus | None) -> dict[str, Any]:
    if door is None:
        return {"kind": "disabled", "healthy": True, "reason": "sync_type = disabled", "streams": []}
    return {
        "kind": door.kind,
        "healthy": door.healthy and watch.door_healthy,
        "reason": door.reason or watch.door_reason,
        "followed": watch.followed_count,
        "streams": [
            {
                "anchor": stream.anchor,
                "endpoint": stream.endpoint,
                "mailboxes": stream.mailboxes,
                "since": _iso(stream.since),
                "last_sign": _iso(stream.last_sign),
                "detail": stream.detail,
            }
            for stream in door.streams
        ],
        "backoffs": {budget: _iso(until) for budget, until in door.backoffs.items()},
    }


def _sorted(roster: Roster) -> list[Keeper]:
    return sorted(roster.keepers.values(), key=lambda keeper: (keeper.user.sip, keeper.user.guid))


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
