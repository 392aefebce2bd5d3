"""The loop that looks, weighs and tells.

Every channel has a queue of its own, so that a mail server that is away keeps no webhook waiting. What
is kept in the store is kept before anything is sent: a notice may arrive twice after a crash (with the
same id), never not at all.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from presenced.config.settings import AlertSettings, Settings
from presenced.core.ports import Clock, Store, StoreProblem
from presenced.daemon.alerts.cases import Kind, Notice, weigh
from presenced.daemon.alerts.channel import Channel, Undelivered
from presenced.daemon.alerts.gathering import EXCHANGE, Credentials, View, gather
from presenced.daemon.alerts.kept import Kept, from_bytes, to_bytes
from presenced.daemon.alerts.mail import Mail
from presenced.daemon.alerts.webhook import Webhook
from presenced.daemon.alerts.wording import Origin
from presenced.daemon.backoff import Backoff

log = logging.getLogger(__name__)

LOOK_EVERY = timedelta(seconds=15)
_IDLE = timedelta(minutes=1)
"""where nobody is to be told"""
MOST_WAITING = 200
"""notices of one channel; then the oldest is given up"""
GIVEN_UP_AFTER = timedelta(days=2)
_RETRY = Backoff(first=timedelta(seconds=30), longest=timedelta(minutes=15))
_LASTING = timedelta(hours=1)
"""between two tries of what will hardly fare better"""
_KEPT_AS = "alerts"

ChannelFactory = Callable[[AlertSettings, Clock], dict[str, Channel]]


def open_channels(settings: AlertSettings, clock: Clock) -> dict[str, Channel]:
    """The channels these settings ask for, by name."""
    channels: dict[str, Channel] = {}
    if settings.mail_to and settings.smtp_url:
        channels["mail"] = Mail(settings, clock)
    if settings.webhook_url:
        channels["webhook"] = Webhook(settings, clock)
    return channels


class Alerts:
    """One for the whole daemon."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        clock: Clock,
        view: View,
        factory: ChannelFactory = open_channels,
    ) -> None:
        self._store = store
        self._clock = clock
        self._view = view
        self.credentials: Credentials = tuple
        """what may expire; the supervisor knows"""
        self._factory = factory
        self._kept = Kept()
        self._saved = b""
        self._last_look: datetime | None = None
        self._news = asyncio.Event()
        """something is to be sent, or is to be sent otherwise"""
        self.counters: Counter[str] = Counter()
        self._take(settings)

    def _take(self, settings: Settings) -> None:
        self._settings = settings
        self._channels = self._factory(settings.alerts, self._clock)
        self._origin = Origin(
            socket.gethostname(),
            settings.pbx.master_pbx_name,
            str(Path(settings.path).absolute()),
            settings.presence.timezone,
        )

    def apply(self, settings: Settings) -> None:
        """New settings; what waits is tried at once, and what nobody asks for any more is dropped."""
        channels_changed = settings.alerts != self._settings.alerts
        self._take(settings)
        if channels_changed:
            self._news.set()

    @property
    def waiting(self) -> int:
        """Notices not delivered yet."""
        return sum(len(some) for some in self._kept.undelivered.values())

    async def run(self, beat: Callable[[], None]) -> None:
        """Look and tell, until cancelled."""
        await self._restore()
        async with asyncio.TaskGroup() as group:
            senders: dict[str, asyncio.Task[None]] = {}
            while True:
                pause = await self._look() if self._channels else _IDLE
                self._drop_unwanted()
                for name in self._kept.undelivered:
                    if name not in senders or senders[name].done():
                        senders[name] = group.create_task(self._send(name), name=f"alerts-{name}")
                beat()
                await self._rest(pause)
                if self._news.is_set():
                    self._news.clear()
                    for task in senders.values():
                        task.cancel()
                    await asyncio.gather(*senders.values(), return_exceptions=True)

    async def _rest(self, pause: timedelta) -> None:
        try:
            async with self._clock.timeout(pause):
                await self._news.wait()
        except TimeoutError:
            pass

    # --- looking ---

    async def _look(self) -> timedelta:
        """One look; how long to wait before the next."""
        now = self._clock.now()
        try:
            outage = self._kept.cases.get(EXCHANGE)
            look = gather(
                self._view,
                self._settings,
                self.credentials(),
                now,
                outage=outage.cause.reason if outage else "",
            )
            after = self._settings.alerts.after
            weighed = weigh(self._kept.cases, look, now, last_look=self._last_look, after=after)
        except Exception:
            log.exception("looking for what to tell the admins failed unexpectedly")
            return LOOK_EVERY
        self._kept.cases, self._last_look = dict(weighed.cases), now
        for notice in weighed.notices:
            self._queue(notice)
        await self._save()
        until = weighed.deadline - now if weighed.deadline is not None else LOOK_EVERY
        return min(max(until, timedelta(seconds=1)), LOOK_EVERY)

    def _queue(self, notice: Notice) -> None:
        level = logging.INFO if notice.kind is Kind.OVER else logging.WARNING
        log.log(
            level, "notice kind=%s cause=%s because=%s", notice.kind, notice.cause.key, notice.cause.reason
        )
        for name in self._channels:
            some = self._kept.undelivered.setdefault(name, [])
            some.append(notice)
            if len(some) > MOST_WAITING:
                self._give_up(name, some.pop(0), f"{MOST_WAITING} notices wait already")

    def _drop_unwanted(self) -> None:
        for name in [name for name in self._kept.undelivered if name not in self._channels]:
            del self._kept.undelivered[name]

    # --- sending ---

    async def _send(self, name: str) -> None:
        """Send what waits for a channel, in order, until nothing waits."""
        failures = 0
        while some := self._kept.undelivered.get(name):
            notice = some[0]
            if self._clock.now() - notice.at > GIVEN_UP_AFTER:
                self._give_up(name, some.pop(0), "it could not be delivered for too long")
                continue
            try:
                await self._channels[name].deliver(notice, self._origin)
            except Undelivered as problem:
                failures += 1
                await self._clock.sleep(self._note_failure(name, problem, failures))
                continue
            except Exception:
                log.exception("telling the admins failed unexpectedly channel=%s", name)
                await self._clock.sleep(_LASTING)
                continue
            failures = 0
            if some and some[0] is notice:
                some.pop(0)
            self.counters[f"{name}_sent"] += 1
            await self._save()
        self._kept.undelivered.pop(name, None)

    def _note_failure(self, name: str, problem: Undelivered, failures: int) -> timedelta:
        self.counters[f"{name}_failed"] += 1
        pause = _LASTING if problem.lasting else _RETRY.pause(failures)
        log.error(
            "a notice was not delivered channel=%s because=%s remedy=%s retry_in=%ds",
            name,
            problem.reason,
            problem.remedy,
            pause.total_seconds(),
        )
        return pause

    def _give_up(self, name: str, notice: Notice, because: str) -> None:
        self.counters[f"{name}_given_up"] += 1
        log.error("a notice is given up channel=%s cause=%s because=%s", name, notice.cause.key, because)

    # --- the store ---

    async def _restore(self) -> None:
        try:
            data = await self._store.fetch_value(_KEPT_AS)
            if data is not None:
                self._kept, self._saved = from_bytes(data), data
        except (StoreProblem, ValueError) as problem:
            log.warning("what was told before is not known because=%s; some of it may be told again", problem)

    async def _save(self) -> None:
        """Keep what must outlive a restart, where it changed enough to matter."""
        cases = {key: replace(case, lasted=_coarse(case.lasted)) for key, case in self._kept.cases.items()}
        data = to_bytes(cases, self._kept.undelivered)
        if data == self._saved:
            return
        try:
            await self._store.keep_value(_KEPT_AS, data)
        except StoreProblem as problem:
            log.error("what was told can't be kept because=%s remedy=%s", problem.reason, problem.remedy)
        else:
            self._saved = data


def _coarse(lasted: timedelta) -> timedelta:
    """To the minute, so that a case that simply lasts is not kept anew at every look."""
    return lasted - lasted % timedelta(minutes=1)
