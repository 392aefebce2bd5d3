"""How everything stands, as one JSON object: the same for the command, the page and the API.

The keys are a contract (cli.md, `status --json`). Ten thousand users make a text of megabytes, and a loop
that does nothing else meanwhile; so whoever sends it takes it in pieces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from presenced import __version__
from presenced.core.ports import CalendarDoorStatus, PbxDoor, SignInStatus
from presenced.daemon.keeper import Keeper
from presenced.daemon.roster import Roster
from presenced.daemon.watch import Watch

_PIECE = 200
"""users a piece"""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a status is made of."""

    roster: Roster
    watch: Watch
    pbx: PbxDoor
    counters: Mapping[str, int]
    progress: Mapping[str, Any]
    now: datetime
    calendars_wanted: bool
    """whether the settings ask for a calendar door"""


def user_status(keeper: Keeper, watch: Watch, now: datetime) -> dict[str, Any]:
    """One user's line."""
    decision = keeper.decision
    address = keeper.mailbox.address if keeper.mailbox else None
    return {
        "guid": keeper.user.guid,
        "sip": keeper.user.sip,
        "mailbox": address,
        "state": keeper.state.value if keeper.sync else "disabled",
        "reason": _reason(keeper, now) if keeper.sync else "sync = no",
        "activity": decision.presence.activity if decision else None,
        "note": decision.presence.note if decision else None,
        "until": _iso(decision.until) if decision else None,
        "last_read": _iso(keeper.read_at),
        "last_proof_of_life": _iso(watch.signs.get(address)) if address else None,
    }


def whole_status(sight: Sight) -> dict[str, Any]:
    """Everything: links, users with state and reason, counters."""
    users = [user_status(keeper, sight.watch, sight.now) for keeper in _sorted(sight.roster)]
    frame = _frame(sight)
    return {name: users if name == "users" else value for name, value in frame.items()}


def status_in_pieces(sight: Sight) -> Iterator[str]:
    """`whole_status` as JSON text, so many users a piece."""
    before, after = json.dumps(_frame(sight), ensure_ascii=False).split('"users": []', 1)
    yield before + '"users": ['
    keepers = iter(_sorted(sight.roster))
    comma = ""
    while some := list(islice(keepers, _PIECE)):
        lines = [
            json.dumps(user_status(keeper, sight.watch, sight.now), ensure_ascii=False) for keeper in some
        ]
        yield comma + ", ".join(lines)
        comma = ", "
    yield "]" + after


def _frame(sight: Sight) -> dict[str, Any]:
    """The status without its users."""
    return {
        "version": __version__,
        "users": [],
        "pbx": _pbx(sight.roster, sight.pbx),
        "exchange": _exchange(sight) | {"progress": dict(sight.progress)},
        "counters": dict(sight.counters),
    }


def _pbx(roster: Roster, pbx: PbxDoor) -> dict[str, Any]:
    return {
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
    }


def _exchange(sight: Sight) -> dict[str, Any]:
    if not sight.calendars_wanted:
        kind, healthy, reason = "disabled", True, "sync_type = disabled"
        door = None
    else:
        door = sight.watch.door.status() if sight.watch.door else None
        kind = door.kind if door else "closed"
        healthy, reason = sight.watch.health()
    return {
        "kind": kind,
        "healthy": healthy,
        "reason": reason,
        "followed": sight.watch.followed_count,
        "streams": _streams(door) if door else [],
        "backoffs": {budget: _iso(until) for budget, until in door.backoffs.items()} if door else {},
        "sign_in": _sign_in(door.sign_in) if door and door.sign_in else None,
    }


def _sign_in(sign_in: SignInStatus) -> dict[str, Any]:
    return {
        "kind": sign_in.kind,
        "account": sign_in.account,
        "healthy": sign_in.healthy,
        "reason": sign_in.reason,
        "remedy": sign_in.remedy,
        "failing_since": _iso(sign_in.failing_since),
        "next_try": _iso(sign_in.next_try),
        "expires_at": _iso(sign_in.expires_at),
        "credential_expires_at": _iso(sign_in.credential_expires_at),
        "permissions": sorted(sign_in.permissions),
    }


def _streams(door: CalendarDoorStatus) -> list[dict[str, Any]]:
    return [
        {
            "anchor": stream.anchor,
            "endpoint": stream.endpoint,
            "mailboxes": stream.mailboxes,
            "since": _iso(stream.since),
            "last_sign": _iso(stream.last_sign),
            "detail": stream.detail,
        }
        for stream in door.streams
    ]


def _reason(keeper: Keeper, now: datetime) -> str:
    """Why the mailbox stands as it does; daemon.md: the last known appointments are marked when stale."""
    if not keeper.is_stale(now):
        return keeper.reason
    return f"{keeper.reason} (stale: what is shown was read {_iso(keeper.read_at)})"


def _sorted(roster: Roster) -> list[Keeper]:
    return sorted(roster.keepers.values(), key=lambda keeper: (keeper.user.sip, keeper.user.guid))


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
