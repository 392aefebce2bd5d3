"""What a reload changed, in terms of what has to be done about it.

A reload applies mapping, presence and log keys without touching a connection; a door reconnects only
when its own settings changed (settings.md). What is not named here needs nothing but the new settings in
place of the old ones, or is looked at user by user (the roster knows who must be read again).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from presenced.config.settings import Settings, SyncType


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two configurations."""

    pbx: bool = False
    """the PBX link has to be built anew"""
    exchange: bool = False
    """the calendar door has to be built anew"""
    store: bool = False
    """another store file: taken at the next start"""
    web: bool = False
    """the status page listens elsewhere, to another password, or for notices on another path"""
    log: bool = False

    @property
    def doors(self) -> tuple[str, ...]:
        """The doors that reconnect, by name, for the log."""
        return tuple(name for name in ("pbx", "exchange", "store", "web") if getattr(self, name))


def compare(old: Settings, new: Settings) -> Changes:
    """What changed for the whole daemon."""
    return Changes(
        pbx=replace(old.pbx, unset_on_stop=new.pbx.unset_on_stop) != new.pbx,
        exchange=old.exchange != new.exchange and not _both_disabled(old, new),
        store=old.store.path != new.store.path,
        web=old.web != new.web or old.exchange.notification_url != new.exchange.notification_url,
        log=old.log != new.log,
    )


def _both_disabled(old: Settings, new: Settings) -> bool:
    return old.exchange.sync_type is new.exchange.sync_type is SyncType.DISABLED
