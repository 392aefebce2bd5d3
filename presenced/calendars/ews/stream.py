"""The body of GetStreamingEvents: bytes in pieces in, notices out; and how long silence is normal.

The answer is one SOAP envelope after another for up to half an hour, cut anywhere by the network. No
XML parser takes several documents in a row, so the reader finds each envelope's end tag itself (in
well-formed XML a `<` is always markup; only comments, CDATA and processing instructions may hold what
looks like a tag, and those are skipped) and parses whole envelopes. Nothing here does input or output
(MS-OXWSNTIF 3.1.4.1, exchange.md section 4).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import TypeAlias

from presenced.calendars.ews.envelope import (
    UNREADABLE,
    Element,
    Refused,
    Trouble,
    Unreadable,
    children,
    local,
    parse,
    response_messages,
    text_of,
    trouble_in,
)

MAX_ENVELOPE = 4 * 1024 * 1024
"""bytes; a notice of 200 mailboxes has some 200 kB"""

_BETWEEN = re.compile(rb"(?:\s|\xef\xbb\xbf|<\?xml[^>]*\?>)*")
_DECLARATION_BEGUN = re.compile(rb"(?:<(?:\?(?:x(?:m(?:l[^>]*)?)?)?)?|\xef\xbb?)?\Z")
_END_OR_SKIP = re.compile(rb"</(?:[\w.-]+:)?Envelope\s*>|<!--|<!\[CDATA\[|<\?")
_SKIP_TO = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}
_LONGEST_TAG = 200
"""bytes kept back when looking for an end tag that may still be cut in two"""


@dataclass(frozen=True, slots=True)
class Notified:
    """Something in the calendar of this subscription changed."""

    subscription: str
    events: tuple[str, ...]
    """element names: CreatedEvent, ModifiedEvent, ..."""


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """A StatusEvent: nothing changed, the connection lives."""

    subscription: str


@dataclass(frozen=True, slots=True)
class Connection:
    """ConnectionStatus."""

    open: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """The server ends the connection with an error, or sent what can't be read."""

    trouble: Trouble


Notice: TypeAlias = Notified | KeepAlive | Connection | Failed


class StreamReader:
    """Cuts the body into envelopes and reads them. After a Failed it reads nothing more."""

    __slots__ = ("_buffer", "_ended", "_seen", "_skipping")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._seen = 0
        self._skipping = b""
        self._ended = False

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished envelope wait."""
        return len(self._buffer)

    def feed(self, piece: bytes) -> list[Notice]:
        """The notices that this piece completes, in order."""
        notices: list[Notice] = []
        self._buffer += piece
        while not self._ended:
            envelope = self._next_envelope(notices)
            if envelope is None:
                break
            for notice in read_envelope(envelope):
                notices.append(notice)
                self._ended |= isinstance(notice, Failed)
        if self._ended:
            self._buffer.clear()
        return notices

    def _next_envelope(self, notices: list[Notice]) -> bytes | None:
        if not self._seen and not self._begins(notices):
            return None
        end = self._find_end()
        if end is None:
            if len(self._buffer) > MAX_ENVELOPE:
                self._fail(notices, "an envelope is larger than 4 MiB")
            return None
        envelope = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._seen = 0
        return envelope

    def _begins(self, notices: list[Notice]) -> bool:
        """Drop what may stand between envelopes; whether an element begins."""
        buffer = self._buffer
        between = _BETWEEN.match(buffer)
        del buffer[: between.end() if between else 0]
        if _DECLARATION_BEGUN.match(buffer):
            if len(buffer) > _LONGEST_TAG:
                self._fail(notices, "an XML declaration has no end")
            return False
        if not buffer.startswith(b"<"):
            self._fail(notices, "text stands between the envelopes")
            return False
        return True

    def _find_end(self) -> int | None:
        """Where the envelope at the beginning of the buffer ends; None where it has not come yet."""
        buffer = self._buffer
        while True:
            if self._skipping:
                found = buffer.find(self._skipping, self._seen)
                if found < 0:
                    self._seen = max(self._seen, len(buffer) - len(self._skipping))
                    return None
                self._seen, self._skipping = found + len(self._skipping), b""
            match = _END_OR_SKIP.search(buffer, self._seen)
            if match is None:
                self._seen = max(self._seen, len(buffer) - _LONGEST_TAG, 1)
                return None
            self._skipping = _SKIP_TO.get(match[0], b"")
            if not self._skipping:
                return match.end()
            self._seen = match.end()

    def _fail(self, notices: list[Notice], text: str) -> None:
        notices.append(Failed(Trouble(UNREADABLE, text)))
        self._ended = True


def read_envelope(envelope: bytes) -> Iterator[Notice]:
    """The notices of one whole envelope. Any ResponseCode but NoError is a failure, whatever its status."""
    try:
        for message in response_messages(parse(envelope)):
            trouble = trouble_in(message)
            if trouble is not None:
                yield Failed(trouble)
                return
            yield from _notifications(message)
            status = text_of(message, "ConnectionStatus")
            if status:
                yield Connection(status.casefold() != "closed")
    except Refused as refusal:
        yield Failed(refusal.trouble)
    except Unreadable as error:
        yield Failed(Trouble(UNREADABLE, str(error)))


def _notifications(message: Element) -> Iterator[Notice]:
    for notification in children(message, "Notifications"):
        subscription, events, alive = "", [], False
        for one in notification:
            name = local(one.tag)
            if name == "SubscriptionId":
                subscription = (one.text or "").strip()
            elif name == "StatusEvent":
                alive = True
            elif name.endswith("Event"):
                events.append(name)
        if events:
            yield Notified(subscription, tuple(events))
        elif alive:
            yield KeepAlive(subscription)


# --- how long silence is normal -----------------------------------------------------------------

PATIENCE = timedelta(seconds=90)
"""The least silence that counts as a stall: twice the keep-alive of Microsoft's own client."""
MOST_PATIENCE = timedelta(minutes=6)
GRACE = timedelta(seconds=60)
"""How long after its lifetime the server may take to say Closed."""
STEADY = timedelta(seconds=60)
"""A stream that lived so long, or half its lifetime, counts as a success: the next failure starts the
back-off anew."""
_BURST = timedelta(seconds=1)


class Vigil:
    """Watches one connection: learns its keep-alive interval, knows when it is stalled or overdue."""

    __slots__ = ("_gaps", "_patience", "_steady_at", "last_sign", "learned", "overdue")

    def __init__(self, now: datetime, lifetime: timedelta, patience: timedelta = PATIENCE) -> None:
        self.last_sign = now
        self._steady_at = now + min(STEADY, lifetime / 2)
        self.overdue = now + lifetime + GRACE
        self.learned: timedelta | None = None
        """the keep-alive interval, as far as it shows"""
        self._patience = max(patience, PATIENCE)
        self._gaps: deque[float] = deque(maxlen=5)

    def hear(self, now: datetime, *, keep_alive: bool = False) -> None:
        """Something came. The silence before a keep-alive is the interval; several at once are one."""
        silence = now - self.last_sign
        self.last_sign = now
        if keep_alive and silence >= _BURST:
            self._gaps.append(silence.total_seconds())
            self.learned = timedelta(seconds=median(self._gaps))

    @property
    def patience(self) -> timedelta:
        """How much silence is borne."""
        if self.learned is None:
            return self._patience
        return min(max(2 * self.learned, PATIENCE), MOST_PATIENCE)

    @property
    def deadline(self) -> datetime:
        """When the connection is given up unless something comes."""
        return min(self.last_sign + self.patience, self.overdue)

    def is_steady(self, now: datetime) -> bool:
        """Whether the connection lived long enough to count as a success."""
        return now >= self._steady_at
