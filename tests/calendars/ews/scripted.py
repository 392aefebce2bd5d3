"""A carrier whose answers a test writes, and a listener that remembers what it was told."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from lxml import etree

from presenced.calendars.carrier import Reply
from presenced.calendars.ews.client import EwsDoor
from presenced.config.settings import ExchangeSettings, SyncType
from presenced.core.ports import Mailbox, Resolution
from tests.calendars.doors import Remembering, under_way
from tests.calendars.ews.answers import T, answer, changed, found, kept_alive, streamed, subscribed, synced
from tests.clock import FakeClock

URL = "https://mail.example.com/EWS/Exchange.asmx"


class Headers(dict[str, str]):
    """Names compared without regard to case, as the carrier promises."""

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        return next((value for key, value in self.items() if key.casefold() == name.casefold()), default)


@dataclass(frozen=True)
class Sent:
    """One request as it went out."""

    operation: str
    mailbox: str
    """the impersonated one"""
    url: str
    headers: Mapping[str, str]
    budget: str
    body: bytes

    def texts(self, name: str) -> list[str]:
        return [one.text for one in etree.fromstring(self.body).iter(f"{{*}}{name}")]

    @property
    def subscriptions(self) -> list[str]:
        return self.texts("SubscriptionId")


class ScriptedStream:
    """A stream whose pieces the test pushes."""

    def __init__(self, sent: Sent, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.sent = sent
        self.status = status
        self.headers = Headers(headers or {})
        self.cookies: dict[str, str] = {}
        self.open = True
        self._pieces: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def push(self, *pieces: bytes | Exception | None) -> None:
        """Bytes arrive; an exception breaks the connection; None ends it cleanly."""
        for piece in pieces:
            self._pieces.put_nowait(piece)

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            piece = await self._pieces.get()
            if piece is None:
                return
            if isinstance(piece, Exception):
                raise piece
            yield piece


Script = Callable[[Sent], Reply | Exception | bytes | None]
"""what to answer; None: as a healthy server would"""


@dataclass
class ScriptedCarrier:
    """Answers like a healthy server, except where the script says otherwise."""

    script: Script = lambda _sent: None
    opening: Script = lambda _sent: None
    """the same for GetStreamingEvents: bytes are the first envelope of the stream"""
    delay: Callable[[Sent], float] = lambda _sent: 0.0
    sent: list[Sent] = field(default_factory=list)
    streams: list[ScriptedStream] = field(default_factory=list)
    holds: dict[str, timedelta] = field(default_factory=dict)
    under_way: Counter[str] = field(default_factory=Counter)
    clock: FakeClock | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

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
        assert (method, signed_in) == ("POST", True)
        sent = self._note(url, body, headers, budget)
        self.under_way[sent.operation] += 1
        self.under_way["most " + sent.operation] = max(
            self.under_way["most " + sent.operation], self.under_way[sent.operation]
        )
        try:
            if self.clock is not None:
                await self.clock.sleep(timedelta(seconds=self.delay(sent)))
            else:
                await asyncio.sleep(0)
        finally:
            self.under_way[sent.operation] -= 1
        reply = self.script(sent)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, bytes):
            return Reply(200, Headers(), reply)
        return reply or self._healthy(sent)

    @asynccontextmanager
    async def open_stream(
        self,
        url: str,
        *,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        budget: str = "",
        opening_within: timedelta | None = None,
    ) -> AsyncIterator[ScriptedStream]:
        sent = self._note(url, body, headers, budget)
        await asyncio.sleep(0)
        first = self.opening(sent)
        if isinstance(first, Exception):
            raise first
        if isinstance(first, Reply):
            stream = ScriptedStream(sent, first.status, first.headers)
            stream.push(first.body, None)
        else:
            stream = ScriptedStream(sent)
            stream.push(streamed() if first is None else first)
        self.streams.append(stream)
        try:
            yield stream
        finally:
            stream.open = False

    def hold(self, budget: str, duration: timedelta) -> None:
        self.holds[budget] = duration

    def _note(self, url: str, body: bytes, headers: Mapping[str, str] | None, budget: str) -> Sent:
        root = etree.fromstring(body)
        operation = etree.QName(root.find("{*}Body")[0]).localname
        who = root.find(f".//{{{T}}}ConnectingSID")
        sent = Sent(operation, who[0].text if who is not None else "", url, dict(headers or {}), budget, body)
        self.sent.append(sent)
        return sent

    def _healthy(self, sent: Sent) -> Reply:
        if sent.operation == "Subscribe":
            anchor = sent.headers["X-AnchorMailbox"]
            number = next(self._numbers)
            cookies = {"X-BackEndOverrideCookie": f"backend-of-{anchor}", "Other": "x"}
            return Reply(200, Headers(), subscribed(f"{sent.mailbox}#{number}"), cookies)
        if sent.operation == "FindItem":
            return Reply(200, Headers(), found())
        if sent.operation == "SyncFolderItems":
            return Reply(200, Headers(), synced(f"cursor-{next(self._numbers)}"))
        return Reply(200, Headers(), answer(sent.operation))

    # --- looking back ---------------------------------------------------------------------------

    def of(self, operation: str) -> list[Sent]:
        return [one for one in self.sent if one.operation == operation]

    def open_streams(self) -> list[ScriptedStream]:
        return [one for one in self.streams if one.open]

    def stream_of(self, address: str) -> ScriptedStream:
        """The open stream that carries this mailbox."""
        (stream,) = [one for one in self.open_streams() if self.subscription_of(address, one)]
        return stream

    def subscription_of(self, address: str, stream: ScriptedStream) -> str:
        return next((one for one in stream.sent.subscriptions if one.startswith(f"{address}#")), "")

    def change(self, address: str) -> None:
        """Something changes in this mailbox."""
        stream = self.stream_of(address)
        stream.push(changed(self.subscription_of(address, stream)))

    def keep_alive(self) -> None:
        for stream in self.open_streams():
            stream.push(kept_alive(stream.sent.subscriptions[0]))


@dataclass
class Listener(Remembering):
    """A CalendarListener."""

    follows: list[tuple[frozenset[str], bool]] = field(default_factory=list)
    """(addresses, polled), in order"""

    def followed(self, addresses: Sequence[str], *, polled: bool) -> None:
        self.follows.append((frozenset(addresses), polled))

    def times_followed(self, address: str) -> int:
        """How often this one was told as followed."""
        return sum(address in addresses for addresses, _ in self.follows)

    def followed_now(self, *, polled: bool = False) -> set[str]:
        """Everybody that was ever told as followed this way."""
        return {address for addresses, way in self.follows if way is polled for address in addresses}


class NoFinder:
    """Finds nobody, but remembers who was asked for."""

    def __init__(self) -> None:
        self.asked: list[Sequence[Sequence[str]]] = []

    async def fetch_mailboxes(self, users: Sequence[Sequence[str]]) -> Sequence[Resolution]:
        self.asked.append(users)
        return [Resolution(None) for _ in users]


@dataclass
class Scene:
    """A door in its surroundings."""

    door: EwsDoor
    carrier: ScriptedCarrier
    listener: Listener
    clock: FakeClock

    async def pass_time(self, seconds: float = 0.0, *, turns: int = 60) -> None:
        await self.clock.advance(timedelta(seconds=seconds), turns=turns)

    async def follow(self, *addresses: str, url: str = URL, group: str = "") -> None:
        """Follow and let the group form."""
        self.door.follow([Mailbox(address, url, group) for address in addresses])
        await self.pass_time(0.5)

    async def live(self, seconds: int = 120) -> None:
        """Time passes on healthy streams."""
        for _ in range(seconds // 40):
            self.carrier.keep_alive()
            await self.pass_time(40)


@asynccontextmanager
async def running(carrier: ScriptedCarrier | None = None, **settings: object) -> AsyncIterator[Scene]:
    """A door whose `run` is under way."""
    scene = resting(carrier, **settings)
    async with under_way(scene.door.run()):
        await scene.pass_time()
        yield scene


def resting(carrier: ScriptedCarrier | None = None, **settings: object) -> Scene:
    """A door that only answers."""
    carrier, listener, clock = carrier or ScriptedCarrier(), Listener(), FakeClock()
    carrier.clock = clock
    chosen = ExchangeSettings(sync_type=SyncType.ON_PREMISES, **settings)  # type: ignore[arg-type]
    door = EwsDoor(chosen, carrier, NoFinder(), listener, clock, chance=lambda: 0.0)
    return Scene(door, carrier, listener, clock)


def refusing(
    operation: str, address: str, body: bytes | Reply | Exception, times: int = 10**9
) -> Callable[[Sent], bytes | Reply | Exception | None]:
    """A script that refuses one operation of one mailbox so many times."""
    left = [times]

    def script(sent: Sent) -> bytes | Reply | Exception | None:
        if sent.operation == operation and sent.mailbox == address and left[0]:
            left[0] -= 1
            return body
        return None

    return script
