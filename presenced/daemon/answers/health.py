"""Whether the daemon does its work at this moment: `/healthz` (daemon.md section Observability).

Well means that both doors are open and nothing in between is stuck. A single mailbox in trouble is that
user's matter and no reason to restart or to page anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from presenced.daemon.engine import Engine


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that has to be well, and why it is not."""

    healthy: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """All that has to be well."""

    pbx: Part
    exchange: Part
    loops: Part

    @property
    def healthy(self) -> bool:
        """Whether all are."""
        return self.pbx.healthy and self.exchange.healthy and self.loops.healthy

    @property
    def http_status(self) -> int:
        """What `/healthz` answers with."""
        return 200 if self.healthy else 503

    def as_json(self) -> dict[str, Any]:
        """The body of `/healthz`."""
        parts = {"pbx": self.pbx, "exchange": self.exchange, "loops": self.loops}
        shown = {name: {"healthy": part.healthy, "reason": part.reason} for name, part in parts.items()}
        return {"healthy": self.healthy, **shown}


def examine(engine: Engine) -> Health:
    """How everything stands now."""
    stuck = engine.pulse.stuck()
    linked = engine.roster.pbx is not None
    return Health(
        pbx=Part(linked, "" if linked else engine.roster.link_reason),
        exchange=_exchange(engine),
        loops=Part(not stuck, f"no progress in {', '.join(stuck)}" if stuck else ""),
    )


def _exchange(engine: Engine) -> Part:
    if not engine.calendars_wanted:
        return Part(True, "sync_type = disabled")
    return Part(*engine.watch.health())
