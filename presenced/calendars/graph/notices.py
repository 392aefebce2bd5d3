"""Takes in what Graph posts to the notification URL, whoever carries it here.

Anybody can post there, so nothing is believed that does not bring the secret of its subscription, which is
compared in constant time. What is believed is still only a hint: delta says what changed.
"""

from __future__ import annotations

import hmac
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from presenced.calendars.graph.wire import Notice, Unreadable, read_notices

log = logging.getLogger(__name__)

MOST = 5000
"""notices of one body that are looked at"""

Taker: TypeAlias = Callable[[Notice], None]


class NoticeDesk:
    """The port `core.ports.Notices`: the web server stays, the doors behind it come and go."""

    def __init__(self) -> None:
        self._taker: Taker | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a door to take notices."""
        return self._taker is not None

    def take(self, body: bytes) -> bool:
        """Hand the notices of a posted body to the door; False where the body is none."""
        try:
            notices = read_notices(body)
        except Unreadable:
            return False
        for notice in notices[:MOST]:
            if self._taker is not None:
                self._taker(notice)
        return True

    @contextmanager
    def attend(self, taker: Taker) -> Iterator[None]:
        """This door takes the notices as long as the context lasts."""
        self._taker = taker
        try:
            yield
        finally:
            if self._taker == taker:
                self._taker = None


class Registry:
    """Which subscription belongs to which mailbox, and its secret."""

    def __init__(self, counters: Counter[str]) -> None:
        self._known: dict[str, tuple[str, str]] = {}
        self._counters = counters

    def add(self, subscription: str, address: str, secret: str) -> None:
        """Notices of this subscription are about this mailbox."""
        self._known[subscription] = (address, secret)

    def remove(self, subscription: str) -> None:
        """Its notices are not believed any more."""
        self._known.pop(subscription, None)

    def identify(self, notice: Notice) -> str:
        """The mailbox a notice is about, "" where it is not to be believed."""
        address, secret = self._known.get(notice.subscription, ("", ""))
        given = notice.client_state.encode("utf-8", "replace")
        if not hmac.compare_digest(given, secret.encode()) or not address:
            self._counters["notices_refused"] += 1
            log.debug("a notice was not believed subscription=%s", notice.subscription[:64])
            return ""
        return address
