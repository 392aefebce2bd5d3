"""The certificate shown to the PBX: taken anew when its files change, its days counted.

Certificate and key are two files, and whoever renews them writes one after the other; so a change is
looked at only when both have been still for a moment. What can't be used leaves the old pair in force.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from presenced.core.ports import Clock, DoorProblem
from presenced.daemon.alerts.gathering import STAGES, Credential

log = logging.getLogger(__name__)

LOOK_EVERY = timedelta(seconds=5)
_DAILY = timedelta(days=1)
_SOON = STAGES[0]
_RENEW = "renew it and put certificate chain and key into the same files; they are taken without a restart"

Trace = tuple[tuple[str, int, int, int], ...]
"""path, inode, time of writing, size of each file"""


class Shown(Protocol):
    """The link, as far as its certificate goes."""

    @property
    def certificate_files(self) -> tuple[Path, ...]:
        """The files it is read from; none: there is no certificate."""

    @property
    def certificate_expires_at(self) -> datetime | None:
        """Its end."""

    def reload_certificate(self) -> None:
        """Read the files again; raises DoorProblem and keeps the old pair."""


class CertificateWatch:
    """Watches the files of whatever link there is now."""

    def __init__(self, link: Callable[[], Shown], clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self._shown: Shown | None = None
        self._taken: Trace = ()
        """the files as they were last tried"""
        self._seen: Trace = ()
        """the files at the last look"""
        self._told_at: datetime | None = None

    def credentials(self) -> Iterator[Credential]:
        """The certificate, for the alerts."""
        link = self._link()
        if link.certificate_files:
            what = f"the certificate shown to the PBX ({link.certificate_files[0]})"
            yield Credential("pbx-certificate", what, link.certificate_expires_at, _RENEW)

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            self._look()
            await self._clock.sleep(LOOK_EVERY)

    def _look(self) -> None:
        link = self._link()
        trace = _trace(link.certificate_files)
        if link is not self._shown:  # a new link has just read the files itself
            self._shown, self._taken, self._told_at = link, trace, None
        elif trace not in {self._taken, ()} and trace == self._seen:
            self._taken = trace
            self._take(link)
        self._seen = trace
        self._tell_days(link)

    def _take(self, link: Shown) -> None:
        try:
            link.reload_certificate()
        except DoorProblem as problem:
            log.error(
                "the certificate for the PBX changed but the old one stays in force because=%s remedy=%s",
                problem.reason,
                problem.remedy,
            )
        else:
            log.info("the certificate for the PBX was read again; open connections keep the old one")
            self._told_at = None

    def _tell_days(self, link: Shown) -> None:
        """Once a day, and whenever there is another certificate, say how long it lasts."""
        now, end = self._clock.now(), link.certificate_expires_at
        if end is None or (self._told_at is not None and now - self._told_at < _DAILY):
            return
        self._told_at = now
        left = end - now
        level = logging.INFO if left >= _SOON else logging.WARNING
        advice = "" if left >= _SOON else f"; {_RENEW}"
        log.log(
            level,
            "the certificate for the PBX %s days_left=%d until=%s file=%s%s",
            "is good" if left > timedelta() else "HAS EXPIRED",
            left.days,
            end.isoformat(timespec="minutes"),
            link.certificate_files[0],
            advice,
        )


def _trace(files: tuple[Path, ...]) -> Trace:
    """How the files lie there; () where one is missing or there are none."""
    try:
        stats = [(path, path.stat()) for path in files]
    except OSError:
        return ()
    return tuple((str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size) for path, stat in stats)
