"""The control socket: who may open it, who else may be there, and what it answers."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from presenced.core.ports import DoorProblem
from presenced.daemon.answers import questions as questions_module
from presenced.daemon.answers.control import STORE_HEADER, Control
from presenced.daemon.answers.meeting_place import bind, is_service, socket_of
from presenced.daemon.answers.questions import Questions
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.doors import Running, settings_for, user

STORE = Path("/var/lib/presenced/presenced.db")


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with Running(settings_for(), MemoryStore(), FakeClock()) as running:
        running.calendars.calendars = {"ann@example.com": [], "bob@example.com": []}
        running.pbx.link(user("ann"), user("bob"))
        await running.settle(1)
        yield running


class Reloads:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@asynccontextmanager
async def control(running: Running, path: Path, *, group: bool = False) -> AsyncIterator[Reloads]:
    """The socket, open."""
    reloads = Reloads()
    questions = Questions(running.engine, MemoryStore(), running.clock, reloads)
    task = asyncio.create_task(Control(path, questions, store=STORE, group=group).run())
    await _until_it_listens(path)
    try:
        yield reloads
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _until_it_listens(path: Path) -> None:
    for _ in range(1000):
        with suppress(OSError):
            _, writer = await asyncio.open_unix_connection(str(path))
            writer.close()
            await writer.wait_closed()
            return
        await asyncio.sleep(0)
    pytest.fail(f"nobody listens at {path}")


async def ask(path: Path, question: str, method: str = "GET") -> tuple[int, str, str]:
    """Status, text, and whose store it is."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(path))) as session,
        session.request(method, f"http://presenced{question}") as response,
    ):
        return response.status, await response.text(), response.headers.get(STORE_HEADER, "")


async def answer(path: Path, question: str) -> Any:
    return json.loads((await ask(path, question))[1])


# --- the place ---


@pytest.mark.parametrize(
    ("environ", "place", "service"),
    [
        ({}, "/var/lib/presenced/presenced.db.sock", False),
        ({"RUNTIME_DIRECTORY": ""}, "/var/lib/presenced/presenced.db.sock", False),
        ({"RUNTIME_DIRECTORY": "/run/presenced"}, "/run/presenced/control.sock", True),
        ({"RUNTIME_DIRECTORY": "/run/one:/run/two"}, "/run/one/control.sock", True),
    ],
)
def test_where_the_socket_lies(environ: dict[str, str], place: str, service: bool) -> None:
    assert socket_of(STORE, environ) == Path(place)
    assert is_service(environ) is service


@pytest.mark.parametrize(("group", "rights"), [(False, 0o600), (True, 0o660)])
async def test_the_file_is_its_owners_and_the_groups_only_where_asked_for(
    running: Running, tmp_path: Path, group: bool, rights: int
) -> None:
    path = tmp_path / "control.sock"
    before = os.umask(0)
    os.umask(before)
    async with control(running, path, group=group):
        assert stat.S_IMODE(path.stat().st_mode) == rights
        assert (await ask(path, "/healthz"))[0] == 200
    assert not path.exists(), "an orderly end leaves nothing behind"
    assert os.umask(before) == before, "the mask is as it was"


def test_nobody_gets_in_before_the_rights_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between bind and chmod the file must not be open to others, whatever the mask of the process."""
    path = tmp_path / "control.sock"
    seen: list[int] = []
    monkeypatch.setattr(Path, "chmod", lambda self, _mode: seen.append(stat.S_IMODE(self.stat().st_mode)))
    before = os.umask(0)
    try:
        bind(path, group=True).close()
    finally:
        os.umask(before)
    assert seen == [0o600]


async def test_what_a_killed_daemon_left_is_replaced(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    assert path.exists()
    async with control(running, path):
        assert (await ask(path, "/healthz"))[0] == 200


async def test_another_daemon_is_left_alone(
    running: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "control.sock"
    async with control(running, path):
        with pytest.raises(DoorProblem, match="another daemon answers at"):
            bind(path, group=False)
        questions = Questions(running.engine, MemoryStore(), running.clock, Reloads())
        await Control(path, questions, store=Path("/other.db")).run()
        assert (await ask(path, "/healthz"))[2] == str(STORE), "the first one still answers"
    (complaint,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "another daemon answers" in complaint.getMessage()
    assert "remedy=stop it first" in complaint.getMessage()


async def test_a_file_in_the_way_is_not_removed(
    running: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious")
    questions = Questions(running.engine, MemoryStore(), running.clock, Reloads())
    await Control(path, questions, store=STORE).run()
    assert path.read_text() == "precious"
    assert "is in the way of the control socket" in caplog.text


@pytest.mark.parametrize("folder", ["missing", "x" * 120])
async def test_a_socket_that_cannot_be_had_stops_nothing(
    running: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture, folder: str
) -> None:
    questions = Questions(running.engine, MemoryStore(), running.clock, Reloads())
    await Control(tmp_path / folder / "control.sock", questions, store=STORE).run()
    assert "explain and status won't be answered" in caplog.text
    assert "remedy=" in caplog.text


async def test_a_socket_somebody_put_there_later_stays(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with control(running, path):
        path.unlink()
        other = socket.socket(socket.AF_UNIX)
        other.bind(str(path))
    assert path.exists()
    other.close()


# --- the answers ---


async def test_every_answer_names_the_store(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with control(running, path):
        for question in ("/status", "/healthz", "/metrics", "/explain?user=ann", "/explain?user=x", "/none"):
            assert (await ask(path, question))[2] == str(STORE)


async def test_status_is_the_engines(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with control(running, path):
        assert await answer(path, "/status") == running.engine.status()


@pytest.mark.parametrize(
    ("question", "status", "problem"),
    [
        ("/explain", 404, "no user was named"),
        ("/explain?user=zoe", 404, "none of the 2 users"),
        ("/explain?user=ann&at=yesterday", 400, "'yesterday' is no time such as"),
        ("/explain?user=ann&at=0001-01-01", 400, "is no time such as"),
        ("/requests?limit=all", 400, "a number up to"),
        ("/requests?limit=%C2%B2", 400, "a number up to"),
    ],
)
async def test_what_cannot_be_answered(
    running: Running, tmp_path: Path, question: str, status: int, problem: str
) -> None:
    path = tmp_path / "control.sock"
    async with control(running, path):
        code, text, _ = await ask(path, question)
    assert code == status
    assert problem in json.loads(text)["problem"]


async def test_a_fault_of_ours_is_told_and_logged(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def break_down(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(questions_module, "explain", break_down)
    path = tmp_path / "control.sock"
    async with control(running, path):
        code, text, _ = await ask(path, "/explain?user=ann")
        assert (code, json.loads(text)) == (
            500,
            {"problem": "this could not be answered; the daemon's log says why"},
        )
        assert (await ask(path, "/healthz"))[0] == 200
    assert "a question failed unexpectedly path=/explain" in caplog.text


async def test_reload_is_a_post(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with control(running, path) as reloads:
        assert (await ask(path, "/reload"))[0] == 405
        assert reloads.count == 0
        assert (await ask(path, "/reload", "POST"))[0] == 202
        assert reloads.count == 1


async def test_a_caller_who_goes_away_disturbs_nobody(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with control(running, path):
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"GET /status HTTP/1.1\r\nHost: presenced\r\n\r\n")
        writer.transport.abort()
        assert (await ask(path, "/status"))[0] == 200
