"""The last requests of each door and what became of them, to be searched by whoever looks for a fault.

Bounded, in memory and gone with the process: the log and the record of writes are what lasts. Neither
titles nor secrets come here; bodies only where `debug_protocol` is on, and then masked by the door that
sent them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any, Protocol

KEPT = 2000
"""requests a door"""
OK = "ok"


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request and its outcome."""

    door: str
    """`pbx` or `exchange`"""
    at: datetime
    """when it was sent"""
    mailbox: str
    """whom it was about: a mailbox, or the user's name on the PBX; "" for the account"""
    operation: str
    outcome: str
    """`ok`, or what went wrong"""
    duration: timedelta
    request_id: str = ""
    """the server's, to find the request in its log"""
    sent: str = ""
    received: str = ""


class CarriedRequest(Protocol):
    """What the transport tells of a request it carried."""

    @property
    def at(self) -> datetime: ...
    @property
    def mailbox(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def status(self) -> int:
        """0 where there was no answer."""

    @property
    def duration(self) -> timedelta: ...
    @property
    def request_id(self) -> str: ...
    @property
    def problem(self) -> str:
        """What stood in the way of carrying it, "" for nothing."""

    @property
    def operation(self) -> str: ...
    @property
    def code(self) -> str:
        """How the answer said no, "" where it did not."""

    @property
    def sent(self) -> str: ...
    @property
    def received(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Search:
    """Which requests to show; "" is for any."""

    door: str = ""
    text: str = ""
    """in any of the words of a request, whatever the case"""
    mailbox: str = ""
    """a part of it"""
    outcome: str = ""
    """`ok`, `failed` for anything else, or a part of what went wrong"""
    limit: int = 100

    def finds(self, request: LoggedRequest) -> bool:
        """Whether this request is meant."""
        return (
            self.door in {"", request.door}
            and _holds(request.mailbox, self.mailbox)
            and self._is_outcome(request.outcome)
            and any(_holds(word, self.text) for word in _words(request))
        )

    def _is_outcome(self, outcome: str) -> bool:
        if self.outcome in {OK, "failed"}:
            return (outcome == OK) is (self.outcome == OK)
        return _holds(outcome, self.outcome)


class RequestsLog:
    """A ring of requests for each door."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._rings: dict[str, deque[LoggedRequest]] = {}

    def add(self, request: LoggedRequest) -> None:
        """One more; the oldest of its door goes."""
        ring = self._rings.get(request.door)
        if ring is None:
            ring = self._rings[request.door] = deque(maxlen=self._kept)
        ring.append(request)

    def add_carried(self, record: CarriedRequest) -> None:
        """One that the transport of the calendars carried (its callback `observe`)."""
        self.add(
            LoggedRequest(
                "exchange",
                record.at,
                record.mailbox,
                record.operation or record.path,
                _outcome(record),
                record.duration,
                record.request_id,
                record.sent,
                record.received,
            )
        )

    def search(self, search: Search) -> list[LoggedRequest]:
        """What is found, newest first."""
        return list(islice(filter(search.finds, self._newest_first()), max(search.limit, 0)))

    def _newest_first(self) -> Iterator[LoggedRequest]:
        """In order of sending; within a ring they stand in order of the answer."""
        rings = (sorted(ring, key=_sent_at, reverse=True) for ring in self._rings.values())
        return merge(*rings, key=_sent_at, reverse=True)


def as_json(request: LoggedRequest) -> dict[str, Any]:
    """The object shown; `duration` in seconds, bodies only where there are any."""
    shown: dict[str, Any] = {
        "door": request.door,
        "at": request.at.isoformat(),
        "mailbox": request.mailbox,
        "operation": request.operation,
        "outcome": request.outcome,
        "duration": round(request.duration.total_seconds(), 6),
        "request_id": request.request_id,
    }
    bodies = {"sent": request.sent, "received": request.received}
    return shown | {name: body for name, body in bodies.items() if body}


def _outcome(record: CarriedRequest) -> str:
    """The plainest word for what went wrong: the server's own, else HTTP's, else the network's."""
    if record.problem or record.code:
        return record.problem or record.code
    return OK if 200 <= record.status < 300 else f"HTTP {record.status}"


def _sent_at(request: LoggedRequest) -> datetime:
    return request.at


def _words(request: LoggedRequest) -> tuple[str, ...]:
    return request.door, request.mailbox, request.operation, request.outcome, request.request_id


def _holds(text: str, part: str) -> bool:
    return part.casefold() in text.casefold()
