"""The door on the simulated Graph without a network in between, and a listener that remembers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from presenced.calendars.carrier import Reply, Stream
from presenced.calendars.graph.client import GraphDoor
from presenced.calendars.graph.notices import NoticeDesk
from presenced.config.settings import ExchangeSettings, SyncType
from presenced.core.ports import Mailbox
from presenced.core.window import Window
from presenced.sim.exchange.organisation import Item, Organisation, SimulatedMailbox
from presenced.sim.graph.batch import Part, read_parts, run
from presenced.sim.graph.ports import Caller
from presenced.sim.graph.problems import GraphProblem, error_body
from presenced.sim.graph.problems import Reply as SimReply
from presenced.sim.graph.server import SimulatedGraph
from tests.calendars.doors import Remembering, people, under_way
from tests.clock import FakeClock

NOTIFICATION_URL = "https://presenced.example.com/notices"
ROOT = "https://graph.test/v1.0"
APP = Caller("app-1", frozenset({"Calendars.Read", "User.Read.All"}))
ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"

Script = Callable[[str, str, bytes], Reply | Exception | None]
"""method, path and body -> what to answer in Graph's place; None: as Graph would"""


class NoTokens:
    """Nobody signs in here: the carrier hands requests over itself."""

    async def identify(self, token: str) -> Caller:
        raise AssertionError(token)


@dataclass
class DirectCarrier:
    """Hands requests to the simulated Graph, whatever the network."""

    graph: SimulatedGraph
    caller: Caller = APP
    script: Script = lambda _method, _path, _body: None
    seconds: float = 0.0
    """how long an answer takes"""
    sent: list[tuple[str, str, str]] = field(default_factory=list)
    """method, path, budget"""
    batches: list[list[Part]] = field(default_factory=list)
    holds: dict[str, timedelta] = field(default_factory=dict)
    clock: FakeClock = field(default_factory=FakeClock)

    async def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        budget: str = "",
        signed_in: bool = True,
        within: timedelta | None = None,
    ) -> Reply:
        assert url.startswith(ROOT + "/")
        assert signed_in
        path = url.removeprefix(ROOT)
        self.sent.append((method, path, budget))
        await self.clock.sleep(timedelta(seconds=self.seconds))
        scripted = self.script(method, path, body)
        if isinstance(scripted, Exception):
            raise scripted
        if scripted is not None:
            return scripted
        try:
            answer = await self._answer(method, path, body, headers or {})
        except GraphProblem as problem:
            answer = self._refusal(problem)
        shown = b"" if answer.body is None else json.dumps(answer.body).encode()
        return Reply(answer.status, answer.headers, shown)

    def open_stream(self, url: str, **_: object) -> AbstractAsyncContextManager[Stream]:
        raise AssertionError("Graph has no streams")

    def hold(self, budget: str, duration: timedelta) -> None:
        self.holds[budget] = duration

    async def _answer(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> SimReply:
        if (method, path) != ("POST", "/$batch"):
            parsed = json.loads(body) if body else None
            low = {name.lower(): value for name, value in headers.items()}
            return await self._take(Part(method, path, low, parsed), batched=False)
        switch = self.graph.faults.meet("$batch", "", whole=True)
        if switch is not None:
            raise switch.problem()
        parts = read_parts(json.loads(body))
        self.batches.append(parts)
        return SimReply(200, await run(parts, self._take))

    async def _take(self, part: Part, *, batched: bool = True) -> SimReply:
        try:
            return await self.graph._take(part, self.caller, batched=batched)
        except GraphProblem as problem:
            return self._refusal(problem)

    def _refusal(self, problem: GraphProblem) -> SimReply:
        if problem.status == 400:
            self.graph.client_bugs.append(problem.message)
        return SimReply(problem.status, error_body(problem, "r", "c", "d"), dict(problem.headers))

    def asked(self, resource: str) -> int:
        """How often this was asked for, alone or in a batch."""
        return self.graph.counters[resource]


@dataclass
class Listener(Remembering):
    """A CalendarListener."""

    follows: list[tuple[str, bool]] = field(default_factory=list)
    """(address, polled), in order"""

    def followed(self, addresses: Sequence[str], *, polled: bool) -> None:
        self.follows += [(address, polled) for address in addresses]

    def take_changes(self) -> list[str]:
        """What changed since the last look."""
        taken, self.changes = self.changes, []
        return taken


class Mail:
    """In place of sim.graph.notices.Notices: what Graph posts is handed over without a network."""

    def __init__(self, graph: SimulatedGraph, desk: NoticeDesk) -> None:
        self.desk = desk
        self.reachable = True
        self.lost = False
        """change notices don't come"""
        self.posted: list[dict[str, Any]] = []
        self.counters: Counter[str] = Counter()
        graph.resources._notices = self  # type: ignore[assignment]

    async def shake_hands(self, url: str) -> bool:
        assert url == NOTIFICATION_URL
        self.counters["handshakes"] += 1
        return self.reachable

    def send(self, url: str, notice: dict[str, Any], *, change: bool) -> None:
        assert url == NOTIFICATION_URL
        self.posted.append(notice)
        if not (change and self.lost):
            self.post(notice)

    def post(self, *notices: dict[str, Any]) -> bool:
        """Somebody posts these."""
        return self.desk.take(json.dumps({"value": notices}).encode())


@dataclass
class Scene:
    """A door, Graph and what is in its calendars."""

    door: GraphDoor
    carrier: DirectCarrier
    listener: Listener
    clock: FakeClock
    organisation: Organisation
    graph: SimulatedGraph
    mail: Mail

    async def pass_time(self, seconds: float = 0.0, *, turns: int = 40) -> None:
        await self.clock.advance(timedelta(seconds=seconds), turns=turns)

    async def resolve(self, *addresses: str) -> list[Mailbox]:
        """Their mailboxes, which are there."""
        found = await self.door.fetch_mailboxes([[address] for address in addresses])
        mailboxes = [one.mailbox for one in found]
        assert all(mailboxes), found
        return [one for one in mailboxes if one is not None]

    async def follow(self, *addresses: str) -> None:
        """Follow, until the first round stands."""
        self.door.follow(await self.resolve(*addresses))
        await self.pass_time(1)

    def put(self, address: str, name: str, hour: float = 9.0, **more: Any) -> None:
        """An appointment of an hour on the clock's day is there, or is another now."""
        start = self.clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(hours=hour)
        values = {"start": start, "end": start + timedelta(hours=1), **more}
        self.organisation.put(address, Item(id=name, change_key="1", subject=name, **values))

    @property
    def window(self) -> Window:
        return Window(self.clock.now(), self.clock.now() + timedelta(hours=48))


def resting(
    count: int = 0, *, seconds: float = 0.0, listener: Listener | None = None, **settings: Any
) -> Scene:
    """A door that only answers; three people, and `count` more."""
    clock, organisation, listener = FakeClock(), Organisation(), listener or Listener()
    for address in (ANN, BOB, EVE, *people(count)):
        organisation.add(SimulatedMailbox(address, zone="Europe/Berlin"))
    graph = SimulatedGraph(organisation, clock=clock, tokens=NoTokens())
    graph.base_url = graph.resources.base_url = ROOT
    carrier = DirectCarrier(graph, clock=clock, seconds=seconds)
    chosen = ExchangeSettings(sync_type=SyncType.GRAPH, **settings)
    desk = NoticeDesk()
    door = GraphDoor(chosen, carrier, listener, clock, root=ROOT, desk=desk, chance=lambda: 0.0)
    return Scene(door, carrier, listener, clock, organisation, graph, Mail(graph, desk))


@asynccontextmanager
async def running(count: int = 0, **settings: Any) -> AsyncIterator[Scene]:
    """A door whose `run` is under way; in the end Graph must have seen no mistake of ours."""
    async with started(resting(count, **settings)) as scene:
        yield scene


@asynccontextmanager
async def started(scene: Scene) -> AsyncIterator[Scene]:
    """The same for a scene that was resting."""
    async with under_way(scene.door.run()):
        await scene.pass_time()
        yield scene
    assert not scene.graph.client_bugs


def refused(status: int, code: str = "", **headers: str) -> Reply:
    """A refusal in Graph's words."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, named, json.dumps({"error": {"code": code, "message": "no"}}).encode())
