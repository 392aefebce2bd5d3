"""One connection of the simulated PBX, from the login to the loss of the socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta

from presenced.sim.pbx import presences, table
from presenced.sim.pbx.entrance import lose_at
from presenced.sim.pbx.faults import LossPoint
from presenced.sim.pbx.line import Line, LineLost
from presenced.sim.pbx.presences import ServedPresences
from presenced.sim.pbx.state import Message, PbxState
from presenced.sim.pbx.table import ServedTable

NOBODY_KNOWS: tuple[Message, ...] = (
    {"mt": "NobodyKnowsThis"},
    {"mt": "NorThis", "api": "PbxFuture", "src": "x", "columns": {"guid": "?"}},
    {"mt": "ReplicateSurprise", "api": "PbxTableUsers", "news": [{"a": None}]},
)


class Session:
    """A connection that is logged in: messages in, messages out; what is to be kept is in the state."""

    def __init__(self, line: Line, state: PbxState, served: frozenset[str]) -> None:
        self.line = line
        self.table = ServedTable(state)
        self._state = state
        self._presences = ServedPresences(state)
        self._served = served
        """apis granted"""
        # unbounded: what a slow client does to a real PBX is not for a simulator to say
        self._outbox: asyncio.Queue[Message | LossPoint] = asyncio.Queue()
        self._asked: dict[str, asyncio.Future[Message]] = {}
        """mt of the result -> who waits for it"""
        self._keep_alives = 0
        """sent and not yet echoed"""
        self._delayed: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Answer until the line is lost, which raises LineLost."""
        if self._state.faults.unknown_messages:
            self.post(NOBODY_KNOWS)
        if self._state.faults.keep_alive:
            self.send_keep_alive()
        self._state.watchers.add(self._tell)
        sender = asyncio.create_task(self._send_all())
        try:
            while True:
                await self._take(await self.line.receive())
        finally:
            self._state.watchers.discard(self._tell)
            tasks = (sender, *self._delayed)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for future in self._asked.values():
                if not future.done():
                    future.set_exception(LineLost("the connection is gone"))

    def post(self, messages: Iterable[Message]) -> None:
        """Put messages into the outbox."""
        for message in messages:
            self._outbox.put_nowait(message)

    def _tell(self, guid: str) -> None:
        self.post(self._presences.updates(guid))

    async def ask(self, message: Message) -> Message:
        """Send a request and wait for the message `<mt>Result`."""
        result = f"{message['mt']}Result"
        self._asked[result] = asyncio.get_running_loop().create_future()
        self.post([message])
        answer = await self._asked[result]
        if "src" in message and answer.get("src") != message["src"]:
            self._state.report(f"{result} with src {answer.get('src')!r}, asked with {message['src']!r}")
        return answer

    def send_keep_alive(self) -> None:
        """A sign of life that must be echoed."""
        self._keep_alives += 1
        self.post([{"mt": "KeepAlive"}])

    async def _send_all(self) -> None:
        """Send what is in the outbox; when the line is lost, receiving says so."""
        with suppress(LineLost):
            while True:
                message = await self._outbox.get()
                if isinstance(message, LossPoint):
                    await lose_at(message, self.line, self._state)
                    continue
                if message["mt"] == "ReplicateNextResult":
                    if self._state.faults.slow_rows:
                        await self._state.clock.sleep(self._state.faults.slow_rows)
                    self.table.answering = False
                await self.line.send(message)

    async def _take(self, message: Message) -> None:
        """Act on a message of the daemon."""
        match message.get("api"), message["mt"]:
            case None, "KeepAlive":
                self._take_keep_alive()
            case None, "AppChallenge" | "AppLogin":
                self._state.report(f"sends {message['mt']} after the login")
            case None, mt if mt in self._asked and not self._asked[mt].done():
                self._asked.pop(mt).set_result(message)
            case api, mt if api in {table.API, presences.API} and api not in self._served:
                self._state.report(f"sends {mt} though {api} is not granted")
                src = {"src": message["src"]} if "src" in message else {}
                refusal = {"api": api, "mt": f"{mt}Result", **src, "error": 1, "errorText": "not granted"}
                self.post([refusal])
            case table.API, "ReplicateStart":
                await lose_at(LossPoint.STARTED, self.line, self._state)
                self.post(self.table.start(message))
            case table.API, "ReplicateNext":
                await self._take_next(message)
            case presences.API, "SetPresence":
                await self._take_presence(message)
            case presences.API, "SubscribePresence":
                self.post(self._presences.subscribe(message))
            case api, mt:
                self._state.report(f"sends a message nobody knows: {mt} of {api}")

    def _take_keep_alive(self) -> None:
        if self._keep_alives:
            self._keep_alives -= 1
            self._state.counters["keep-alives echoed"] += 1
        else:
            self.post([{"mt": "KeepAlive"}])

    async def _take_next(self, message: Message) -> None:
        faults = self._state.faults
        if faults.lose_at is LossPoint.REPLICATING and self.table.rows_sent >= faults.rows_before_loss:
            await lose_at(LossPoint.REPLICATING, self.line, self._state)
        if faults.unknown_messages:
            self.post(NOBODY_KNOWS)
        if faults.keep_alive:
            self.send_keep_alive()
        answers = self.table.next(message)
        self.post(answers)
        if "columns" not in answers[-1]:
            self._outbox.put_nowait(LossPoint.REPLICATED)

    async def _take_presence(self, message: Message) -> None:
        faults, served = self._state.faults, self._presences
        await lose_at(LossPoint.WRITING, self.line, self._state)
        answer = served.check(message)
        if answer is None:
            silent = faults.set_presence_silent and faults.hit(message["guid"])
            if silent and not faults.stored_when_silent:
                return
            answer = served.store(message)
            await lose_at(LossPoint.WRITTEN, self.line, self._state)
            if silent:
                return
        if faults.unknown_messages:
            self.post(NOBODY_KNOWS)
        if faults.set_presence_delay and faults.hit(str(message.get("guid"))):
            task = asyncio.create_task(self._answer_late(message, answer, faults.set_presence_delay))
            self._delayed.add(task)
            task.add_done_callback(self._delayed.discard)
            return
        served.answered(message)
        self.post([answer])

    async def _answer_late(self, message: Message, answer: Message, delay: timedelta) -> None:
        await self._state.clock.sleep(delay)
        self._presences.answered(message)
        self.post([answer])
