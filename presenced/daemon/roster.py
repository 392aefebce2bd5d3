"""Everybody: the keepers of all users of the PBX, and who shares a mailbox.

The PBX link tells the roster about rows, the watch hands it appointments; the roster decides whenever a
change, a deadline or a setting asks for it, and tells the writer whose presence to look at.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime
from typing import Any

from presenced.config.rules import admission_of, mapping_of
from presenced.config.settings import Settings, UserSettings
from presenced.core.admission import Admission, admit
from presenced.core.appointment import Appointment
from presenced.core.mapping import Mapping
from presenced.core.ports import (
    Clock,
    Mailbox,
    MailboxState,
    PbxIdentity,
    Resolution,
    Store,
    StoredUser,
)
from presenced.core.replica import PbxUser
from presenced.core.window import Window
from presenced.daemon.agenda import Agenda
from presenced.daemon.keeper import Keeper
from presenced.daemon.slices import in_slices

log = logging.getLogger(__name__)

_TOGETHER = 100
"""decisions made before the loop gets its turn"""
Chore = Callable[[], Coroutine[Any, Any, None]]


class Roster:
    """Implements `core.ports.PbxListener`; the keepers live here."""

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._rules: dict[UserSettings, tuple[Mapping, Admission]] = {}
        self.keepers: dict[str, Keeper] = {}
        self._sharing: dict[str, set[str]] = {}
        self.deadlines: Agenda[str] = Agenda(clock)
        self._causes: dict[str, str] = {}
        """why somebody's deadline is now, where it is not time that came"""
        self.rules_used: Counter[str] = Counter()
        """decisions by rule"""
        self.pbx: PbxIdentity | None = None
        self.link_reason = "no PBX has connected yet"
        self.on_write: Callable[[str], None] = _nobody
        """told the guid whose presence may have to be written"""
        self.on_resolve: Callable[[str], None] = _nobody
        """told the guid whose mailbox is to be looked up"""
        self.on_chore: Callable[[Chore], None] = _nothing
        """told what to keep in the store by and by"""
        self.on_orphaned: Callable[[str], None] = _nobody
        """told the address of a mailbox nobody is interested in any more"""

    # --- the PBX's side ---

    def restore(self, kept: Iterable[StoredUser]) -> None:
        """What the store kept serves at once, before any door is open."""
        now = self._clock.now()
        for stored in kept:
            keeper = self._enlist(stored.user)
            keeper.restore(stored)
            if keeper.mailbox is not None:
                self._sharing.setdefault(keeper.mailbox.address, set()).add(stored.user.guid)
            self._respect_wishes(keeper)
            self._decide(keeper, now, "start")

    def linked(self, pbx: PbxIdentity) -> None:
        self.pbx = pbx
        log.info("pbx linked name=%s domain=%s version=%s", pbx.name, pbx.domain, pbx.version)

    def unlinked(self, reason: str) -> None:
        self.pbx = None
        self.link_reason = reason
        log.warning("pbx gone because=%s", reason)

    def changed(self, user: PbxUser) -> None:
        keeper = self.keepers.get(user.guid)
        if keeper is None:
            keeper = self._enlist(user)
        elif keeper.user == user:
            self._look_up_if_due(keeper)
            return
        else:
            addresses_changed = keeper.user.addresses != user.addresses
            keeper.user = user
            self._apply_settings(keeper)
            if addresses_changed:
                keeper.resolved_at = None
        self.on_chore(lambda: self._keep_user(keeper, user))
        self.decide(keeper, "pbx-row")
        self._look_up_if_due(keeper)

    def removed(self, guid: str) -> None:
        """Users removed from the PBX are not written any more."""
        keeper = self.keepers.pop(guid, None)
        if keeper is None:
            return
        self.deadlines.drop(guid)
        self._causes.pop(guid, None)
        self._leave_mailbox(keeper)
        self.on_chore(lambda: self._store.drop_users([guid]))

    def replicated(self, guids: frozenset[str]) -> None:
        for guid in [guid for guid in self.keepers if guid not in guids]:
            self.removed(guid)
        log.info("pbx replicated users=%d", len(guids))
        for keeper in self.keepers.values():
            self._decide_soon(keeper, "reconnect")

    # --- mailboxes ---

    def resolved(self, guid: str, resolution: Resolution) -> Mailbox | None:
        """What became of looking up a user's mailbox; the mailbox to follow from now on, if any."""
        keeper = self.keepers.get(guid)
        if keeper is None or not keeper.sync:
            return None
        now = self._clock.now()
        keeper.answers = resolution.answers
        keeper.resolved_at = now
        if resolution.mailbox is None:
            self._leave_mailbox(keeper)
            keeper.state = MailboxState.UNRESOLVED
            keeper.reason = "; ".join(f"{one.address}: {one.outcome}" for one in resolution.answers) or (
                "the PBX knows no mail address of this user"
            )
            keeper.remedy = "give the user object on the PBX an address of the mailbox"
            self.decide(keeper, "cleared")
        else:
            self._join_mailbox(keeper, resolution.mailbox)
        self._keep_mailbox(keeper)
        return keeper.mailbox

    def sharing(self, address: str) -> list[Keeper]:
        """Everybody with this mailbox."""
        return [self.keepers[guid] for guid in self._sharing.get(address, ()) if guid in self.keepers]

    def mailboxes(self) -> dict[str, Mailbox]:
        """Every mailbox somebody has, by address."""
        return {
            keeper.mailbox.address: keeper.mailbox
            for keeper in self.keepers.values()
            if keeper.mailbox is not None
        }

    async def take(self, address: str, raw: Sequence[Appointment], window: Window, cause: str) -> None:
        """A window read: keep it, then decide for everybody with this mailbox."""
        now = self._clock.now()
        for keeper in self.sharing(address):
            appointments = admit(raw, window, keeper.admission)
            if not keeper.kept:  # what is kept of an unknown user is dropped
                await self._keep_user(keeper, keeper.user)
            if keeper.appointments != appointments or keeper.window is None:
                await self._store.keep_appointments(keeper.user.guid, appointments, window, now)
            else:
                self._keep_read(keeper, appointments, window, now)
            keeper.admit(appointments, window, now)
            if keeper.state in {MailboxState.FAILING, MailboxState.BLOCKED, MailboxState.UNRESOLVED}:
                self.judge(keeper, MailboxState.RESOLVED, "")
            self.decide(keeper, cause)

    def _keep_read(self, keeper: Keeper, same: Sequence[Appointment], window: Window, now: datetime) -> None:
        self.on_chore(lambda: self._store.keep_appointments(keeper.user.guid, same, window, now))

    def judge(self, keeper: Keeper, state: MailboxState, reason: str, remedy: str = "") -> None:
        """How the user's mailbox stands now."""
        if (keeper.state, keeper.reason) == (state, reason):
            return
        keeper.state, keeper.reason, keeper.remedy = state, reason, remedy
        self._keep_mailbox(keeper)

    # --- deciding ---

    def decide(self, keeper: Keeper, cause: str) -> None:
        """Decide anew and let the writer look."""
        self._decide(keeper, self._clock.now(), cause)
        self.on_write(keeper.user.guid)

    def _decide(self, keeper: Keeper, now: datetime, cause: str) -> None:
        self._causes.pop(keeper.user.guid, None)
        deadline = keeper.decide(now, cause)
        if deadline is None:
            self.deadlines.drop(keeper.user.guid)
        else:
            self.deadlines.put(keeper.user.guid, deadline)
        if keeper.decision is not None:
            self.rules_used[keeper.decision.because.rule] += 1

    def _decide_soon(self, keeper: Keeper, cause: str) -> None:
        """Where everybody must be decided anew: `run` takes a few at a time, and lets others work."""
        self._causes[keeper.user.guid] = cause
        self.deadlines.put(keeper.user.guid, self._clock.now())

    async def run(self, beat: Callable[[], None]) -> None:
        """Decide again at every deadline, until cancelled."""
        while True:
            for guid in await self.deadlines.wait(_TOGETHER):
                keeper = self.keepers.get(guid)
                if keeper is not None:
                    self.decide(keeper, self._causes.get(guid, "deadline"))
            beat()
            await asyncio.sleep(0)  # everybody is due at midnight and after a reload: others work in between

    # --- settings ---

    async def apply(self, settings: Settings) -> set[str]:
        """New settings, nobody's connection touched; the mailboxes that must be read again.

        A few users at a time, and others work in between: meanwhile some have the old rules and some the new.
        """
        self._settings = settings
        self._rules.clear()
        to_read: set[str] = set()
        async for guid in in_slices(list(self.keepers), _TOGETHER):
            keeper = self.keepers.get(guid)
            if keeper is None:  # has left meanwhile
                continue
            admission, mapping = keeper.admission, keeper.mapping
            self._apply_settings(keeper)
            insufficient = keeper.admission != admission or keeper.mapping.asks_more_than(mapping)
            if insufficient and keeper.mailbox is not None:
                to_read.add(keeper.mailbox.address)
            self._decide_soon(keeper, "reload")
            self._look_up_if_due(keeper)
        return to_read

    def clear(self) -> None:
        """Nobody's calendar is followed any more: what was written is taken back."""
        for keeper in self.keepers.values():
            self._leave_mailbox(keeper)
            self.decide(keeper, "cleared")

    # --- inside ---

    def _enlist(self, user: PbxUser) -> Keeper:
        sync, mapping, admission = self._settings_of(user)
        keeper = self.keepers[user.guid] = Keeper(user, mapping, admission, sync=sync)
        return keeper

    def _settings_of(self, user: PbxUser) -> tuple[bool, Mapping, Admission]:
        own = self._settings.for_user(user.addresses)
        if own not in self._rules:
            presence = self._settings.presence
            self._rules[own] = mapping_of(own, presence), admission_of(own, presence)
        return own.sync, *self._rules[own]

    def _apply_settings(self, keeper: Keeper) -> None:
        keeper.sync, keeper.mapping, keeper.admission = self._settings_of(keeper.user)
        self._respect_wishes(keeper)

    def _respect_wishes(self, keeper: Keeper) -> None:
        """What somebody does not want followed or shown is not kept from before either."""
        guid, now, window = keeper.user.guid, self._clock.now(), keeper.window
        if not keeper.sync:
            self._leave_mailbox(keeper)
            if window is not None:
                keeper.forget()
                nothing = Window(now, now)
                self.on_chore(lambda: self._store.keep_appointments(guid, (), nothing, now))
                self._keep_mailbox(keeper)
        elif window is not None and not keeper.admission.subject_shown:
            if all(one.subject is None for one in keeper.appointments):
                return
            kept = keeper.appointments = tuple(one._replace(subject=None) for one in keeper.appointments)
            read_at = keeper.read_at or now
            self.on_chore(lambda: self._store.keep_appointments(guid, kept, window, read_at))

    def _look_up_if_due(self, keeper: Keeper) -> None:
        if keeper.sync and (keeper.mailbox is None or keeper.resolved_at is None):
            self.on_resolve(keeper.user.guid)

    def _join_mailbox(self, keeper: Keeper, mailbox: Mailbox) -> None:
        if keeper.mailbox is not None and keeper.mailbox.address != mailbox.address:
            self._leave_mailbox(keeper)
        keeper.mailbox = mailbox
        keeper.remedy = ""
        self._sharing.setdefault(mailbox.address, set()).add(keeper.user.guid)
        if keeper.state is MailboxState.UNRESOLVED:
            keeper.state, keeper.reason = MailboxState.RESOLVED, ""

    def _leave_mailbox(self, keeper: Keeper) -> None:
        mailbox = keeper.mailbox
        keeper.forget()
        if mailbox is None:
            return
        others = self._sharing.get(mailbox.address, set())
        others.discard(keeper.user.guid)
        if not others:
            self._sharing.pop(mailbox.address, None)
            self.on_orphaned(mailbox.address)

    async def _keep_user(self, keeper: Keeper, user: PbxUser) -> None:
        await self._store.keep_user(user)
        keeper.kept = True

    def _keep_mailbox(self, keeper: Keeper) -> None:
        guid, mailbox, state = keeper.user.guid, keeper.mailbox, keeper.state
        reason, at = keeper.reason, keeper.resolved_at or self._clock.now()
        self.on_chore(lambda: self._store.keep_mailbox(guid, mailbox, state, reason, at))


def _nobody(_: str) -> None:
    """Before the daemon is composed nobody listens."""


def _nothing(_: Chore) -> None:
    """Before the daemon is composed nothing is kept."""
