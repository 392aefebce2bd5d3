"""Processes of their own, asked and answering in JSON lines over their standard input and output.

The daemon, the simulators and the clients each get a process, so that none is measured with another's
work in it. Every question has a time-out, and a child ends when its parent does: end of input is the
order to stop.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

Answer = dict[str, Any]
Command = Callable[..., Awaitable[Answer]]
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 900.0
"""seconds for one question"""
_LINE = 64 * 1024 * 1024


class ChildFailed(Exception):
    """A process answered with an error, or not at all: the measurement is broken."""


class Child:
    """One process, from the parent's side."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, log: Path) -> None:
        self._process = process
        self._name = name
        self._log = log
        self._turn = asyncio.Lock()

    @classmethod
    async def start(cls, module: str, folder: Path) -> Child:
        """Start `python -m module`; what it says on standard error goes to a file in the folder."""
        log = folder / f"{module.rpartition('.')[2]}.log"
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                limit=_LINE,
            )
        return cls(process, module, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, command: str, *, within: float = PATIENCE, **values: object) -> Answer:
        """The answer to a command. Raises ChildFailed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn:
            try:
                self._process.stdin.write(json.dumps({"command": command, **values}).encode() + b"\n")
                await self._process.stdin.drain()
                line = await asyncio.wait_for(self._process.stdout.readline(), within)
            except TimeoutError:
                raise ChildFailed(f"{self._name} did not answer {command} within {within:g} s") from None
            except ConnectionError as problem:
                raise ChildFailed(f"{self._name} is gone: {self._last_words()}") from problem
        if not line:
            raise ChildFailed(f"{self._name} ended at {command}: {self._last_words()}")
        answer: Answer = json.loads(line)
        if "error" in answer:
            raise ChildFailed(f"{self._name}, {command}: {answer['error']}: {self._last_words()}")
        return answer

    async def stop(self) -> None:
        """Close its input; it ends by itself, or is ended after ten seconds."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]


async def serve(commands: Mapping[str, Command]) -> None:
    """The child's side: answer until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        asked = json.loads(line)
        try:
            answer = await commands[asked.pop("command")](**asked)
        except Exception as problem:  # noqa: BLE001 - told to the parent, which gives up
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
