"""The peer: exchangelib as most people use it, in a process of its own.

An Account a mailbox, a pool of threads, `account.calendar.view`. The accounts are kept, as a program that
watches calendars would keep them, so that their memory shows.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import psutil
from exchangelib import IMPERSONATION, UTC, Account, Configuration, Credentials, EWSDateTime
from exchangelib.protocol import BaseProtocol
from requests.adapters import HTTPAdapter

from tests.bench import staff
from tests.bench.child import Answer, serve

THREADS = 16
FIELDS = ("subject", "start", "end", "is_all_day", "legacy_free_busy_status", "sensitivity", "organizer")


def trusting(authority: str) -> type[HTTPAdapter]:
    """An adapter that trusts the simulator's authority, as exchangelib's documentation shows."""

    class Adapter(HTTPAdapter):
        def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
            super().cert_verify(conn=conn, url=url, verify=authority, cert=cert)

    return Adapter


class Peer:
    """What the parent asks for."""

    async def measure(
        self, *, ews: str, user: str, password: str, authority: str, mailboxes: int, now: str
    ) -> Answer:
        """Seconds for one read of each mailbox, appointments seen, bytes an account takes."""
        BaseProtocol.HTTP_ADAPTER_CLS = trusting(authority)
        BaseProtocol.SESSION_POOLSIZE = THREADS
        configuration = Configuration(
            service_endpoint=ews,
            credentials=Credentials(user, password),
            auth_type="basic",
            max_connections=THREADS,
        )
        view = _viewer(
            configuration, EWSDateTime.from_datetime(datetime.fromisoformat(now).replace(tzinfo=UTC))
        )
        await asyncio.to_thread(view, 0)  # guesses the version, once
        gc.collect()
        before = psutil.Process().memory_full_info().uss
        began = time.monotonic()
        with ThreadPoolExecutor(THREADS) as pool:
            seen = await asyncio.to_thread(lambda: list(pool.map(view, range(mailboxes))))
        seconds = time.monotonic() - began
        gc.collect()
        grown = psutil.Process().memory_full_info().uss - before
        return {
            "seconds": seconds,
            "appointments": sum(count for _, count in seen) / mailboxes,
            "bytes": grown / mailboxes,
        }


def _viewer(configuration: Configuration, now: EWSDateTime) -> Callable[[int], tuple[Account, int]]:
    def view(number: int) -> tuple[Account, int]:
        account = Account(
            primary_smtp_address=staff.address_of(number),
            config=configuration,
            autodiscover=False,
            access_type=IMPERSONATION,
            default_timezone=UTC,
        )
        found = account.calendar.view(start=now, end=now + timedelta(hours=48)).only(*FIELDS)
        return account, len(list(found))

    return view


if __name__ == "__main__":
    asyncio.run(serve({"measure": Peer().measure}))
