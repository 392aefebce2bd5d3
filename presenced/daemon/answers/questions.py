"""What an admin can ask a running daemon, whoever carries the question: the socket, the page, the API.

Each answer is a value for JSON; what can't be answered is told in one sentence with the HTTP status that
fits it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pytz.tzinfo import BaseTzInfo

from presenced.core.ports import Clock, Store
from presenced.core.zones import from_wall
from presenced.daemon.answers.explain import explain
from presenced.daemon.answers.health import Health, examine
from presenced.daemon.answers.metrics import Metrics
from presenced.daemon.answers.who import NobodyMeant, SeveralMeant, find_user
from presenced.daemon.engine import Engine
from presenced.daemon.requests_log import Search, as_json

_MOST_REQUESTS = 4000
_YEARS = range(1900, 9001)


class Unanswerable(Exception):
    """The question can't be answered: a sentence, and an HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Questions:
    """Answers about one running daemon. `reload` makes it read its settings again."""

    def __init__(self, engine: Engine, store: Store, clock: Clock, reload: Callable[[], None]) -> None:
        self._engine = engine
        self._store = store
        self._clock = clock
        self._metrics = Metrics(engine, clock)
        self.reload = reload

    def status_in_pieces(self) -> Iterator[str]:
        """`status --json`, to be sent piece by piece."""
        return self._engine.status_in_pieces()

    async def explain(self, query: Mapping[str, str]) -> dict[str, Any]:
        """`explain USER [--at T]`: `user`, `at` (ISO 8601; without offset in that user's presence zone)."""
        try:
            keeper = find_user(self._engine.roster.keepers.values(), query.get("user", ""))
        except NobodyMeant as nobody:
            raise Unanswerable(404, str(nobody)) from None
        except SeveralMeant as several:
            raise Unanswerable(409, str(several)) from None
        now = self._clock.now()
        at = _read_moment(query.get("at", ""), keeper.mapping.style.zone)
        return await explain(self._engine, self._store, keeper, at, now)

    def requests(self, query: Mapping[str, str]) -> dict[str, Any]:
        """The last requests of the doors: `door`, `text`, `mailbox`, `outcome`, `limit`."""
        limit = query.get("limit", "100")
        if not (limit.isascii() and limit.isdigit() and len(limit) <= 6):
            raise Unanswerable(400, f"limit is {limit!r}; a number up to {_MOST_REQUESTS} is meant")
        search = Search(
            door=query.get("door", ""),
            text=query.get("text", ""),
            mailbox=query.get("mailbox", ""),
            outcome=query.get("outcome", ""),
            limit=min(int(limit), _MOST_REQUESTS),
        )
        return {"requests": [as_json(request) for request in self._engine.requests.search(search)]}

    def health(self) -> Health:
        """`/healthz`."""
        return examine(self._engine)

    def metrics(self) -> bytes:
        """`/metrics`, to be sent as `metrics.CONTENT_TYPE`."""
        return self._metrics.render()


def _read_moment(text: str, zone: BaseTzInfo) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.year not in _YEARS:
        raise Unanswerable(400, f"{text!r} is no time such as 2026-11-16T09:00 or 2026-11-16T09:00+01:00")
    return from_wall(moment, zone) if moment.tzinfo is None else moment.astimezone(UTC)
