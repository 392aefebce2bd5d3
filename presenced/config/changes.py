"""What a reload changed, in terms of what has to be done about it.

A reload applies mapping, presence and log keys without touching a connection; a door reconnects only
when its own settings changed (settings.md). What is not named here needs nothing but the new
settings in place of the old ones: `unset_on_stop`, `history_days`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from presenced.config.settings import Settings, SyncType, UserSection


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
    alerts: bool = False
    log: bool = False
    deciding: bool = False
    """somebody's presence may be another now: decide again, nothing need be read"""
    reading: bool = False
    """somebody's window must be read again: what was kept of it depends on what changed"""

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
        alerts=old.alerts != new.alerts,
        log=old.log != new.log,
        deciding=_decides(old) != _decides(new),
        reading=_reads(old) != _reads(new),
    )


def _both_disabled(old: Settings, new: Settings) -> bool:
    return old.exchange.sync_type is new.exchange.sync_type is SyncType.DISABLED


def _decides(settings: Settings) -> tuple[object, ...]:
    users = tuple(replace(user, line=0) for user in settings.users)
    return settings.presence, settings.mapping, users


def _reads(settings: Settings) -> tuple[object, ...]:
    users = tuple(
        (user.pattern.casefold(), user.sync, user.subject_shown, user.timezone, _asks_organizers(user))
        for user in settings.users
    )
    general = (settings.presence.subject_shown, settings.presence.timezone)
    return _kept(settings), general, bool(settings.mapping.tentative_exception_organizers), users


def _kept(settings: Settings) -> tuple[object, ...]:
    """What decides, for everybody alike, what is kept of a read (exchange.md section 5)."""
    presence = settings.presence
    return presence.priority_words, presence.priority_exclude_words, presence.window


def _asks_organizers(section: UserSection) -> bool | None:
    organizers = dict(section.mapping).get("tentative_exception_organizers")
    return None if organizers is None else bool(organizers)
