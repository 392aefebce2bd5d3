"""How the commands find a daemon to ask, and what they say to whoever must act when there is none."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from presenced.cli import ask
from presenced.cli.main import main
from presenced.daemon.answers.control import STORE_HEADER

INI = """\
[pbx]
listen = 127.0.0.1:0
app_name = presenced
app_password = {password}
master_pbx_name = master

[presence]
timezone = UTC

[store]
url = sqlite:///{store}
"""


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this machine's file nor its service takes part."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setattr(ask, "DEFAULT_INI", tmp_path / "etc" / "presenced.ini")
    monkeypatch.setattr(ask, "SERVICE_SOCKET", tmp_path / "run" / "control.sock")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


async def call_beside(*arguments: str) -> Result:
    """The command, while this loop serves."""
    return await asyncio.to_thread(call, *arguments)


def refused(result: Result, *, status: int = 1) -> str:
    """The one line on standard error."""
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


def write_ini(path: Path, store: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(INI.format(password="secret", store=store))
    return path


@asynccontextmanager
async def served(
    path: Path, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> AsyncIterator[list[web.Request]]:
    """Somebody who speaks HTTP on a unix socket."""
    seen: list[web.Request] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return await answer(request)

    path.parent.mkdir(exist_ok=True)
    application = web.Application()
    application.router.add_get("/{any:.*}", serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    yield seen
    await runner.cleanup()


def daemon_of(store: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Answers as the daemon with this store."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"problem": "no"}, status=404, headers={STORE_HEADER: str(store)})

    return answer


# --- nobody there ---


def test_no_socket(tmp_path: Path) -> None:
    line = refused(call("status", "--socket", str(tmp_path / "none.sock")))
    assert line == (
        f"no daemon answers: there is no socket {tmp_path}/none.sock. "
        "Its log names its socket (answering questions socket=...)."
    )


def test_a_socket_nobody_listens_at_any_more(tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    assert f"nobody listens at {path} any more" in refused(call("explain", "ann", "--socket", str(path)))


def test_a_file_that_is_no_socket(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("")
    assert f"nobody listens at {path}" in refused(call("status", "--socket", str(path)))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errno.EACCES, "you may not open /run/x.sock: ask as root (sudo) or as the user the daemon runs as"),
        (errno.ENOTDIR, "/run/x.sock can't be opened (Not a directory)"),
        (errno.EAGAIN, "/run/x.sock can't be opened (Resource temporarily unavailable)"),
    ],
)
def test_a_socket_that_cannot_be_opened(monkeypatch: pytest.MonkeyPatch, error: int, words: str) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(asyncio.AbstractEventLoop, "create_unix_connection", refuse)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "create_unix_connection", refuse)
    assert words in refused(call("status", "--socket", "/run/x.sock"))


def test_a_daemon_that_is_not_running_is_looked_for_by_its_file(tmp_path: Path) -> None:
    ini = write_ini(tmp_path / "p.ini", tmp_path / "p.db")
    assert refused(call("status", "-c", str(ini))) == (
        f"no daemon answers: there is no socket {tmp_path}/p.db.sock; "
        f"there is no socket {tmp_path}/run/control.sock. "
        "Start it (systemctl start presenced), or name its socket with --socket."
    )


def test_neither_file_nor_service() -> None:
    line = refused(call("status"))
    assert line.startswith("no daemon is found: there is neither ")
    assert line.endswith("name its file with -c or its socket with --socket.")


def test_a_wrong_file_is_a_configuration_problem(tmp_path: Path) -> None:
    ini = tmp_path / "p.ini"
    ini.write_text("[pbx]\nmode = shout\n")
    result = call("status", "-c", str(ini))
    assert result.exit_code == 78
    assert f"{ini}:2: " in result.stderr


def test_no_user_named() -> None:
    assert "Missing argument 'USER'" in refused(call("explain"), status=2)


def test_a_time_that_is_none() -> None:
    assert "'noon' is no time such as" in refused(call("explain", "ann", "--at", "noon"), status=2)


# --- somebody else there ---


async def _html(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<h1>It works!</h1>", content_type="text/html")


async def _list(_: web.Request) -> web.StreamResponse:
    return web.json_response([1])


@pytest.mark.parametrize(("answer", "words"), [(_html, "gives no answer"), (_list, "is no presenced")])
async def test_another_service_answers(
    tmp_path: Path, answer: Callable[[web.Request], Awaitable[web.StreamResponse]], words: str
) -> None:
    path = tmp_path / "other.sock"
    async with served(path, answer):
        line = refused(await call_beside("status", "--socket", str(path)))
    assert f"what listens at {path} {words}" in line


async def test_one_who_speaks_no_http(tmp_path: Path) -> None:
    path = tmp_path / "other.sock"

    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(babble, str(path)):
        line = refused(await call_beside("status", "--socket", str(path)))
    assert f"what listens at {path} gives no answer" in line


async def test_one_who_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "_WITHIN", aiohttp.ClientTimeout(total=0.05))
    path = tmp_path / "other.sock"

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(listen, str(path)):
        line = refused(await call_beside("status", "--socket", str(path)))
    assert f"what listens at {path} gives no answer (TimeoutError)" in line


# --- the right one ---


async def test_beside_the_store(tmp_path: Path) -> None:
    store = tmp_path / "p.db"
    ini = write_ini(tmp_path / "p.ini", store)
    async with served(tmp_path / "p.db.sock", daemon_of(store)) as seen:
        assert (
            refused(
                await call_beside("explain", "Ann & Bob", "-c", str(ini), "--at", "2026-11-16T09:00+01:00")
            )
            == "no"
        )
    assert dict(seen[0].query) == {"user": "Ann & Bob", "at": "2026-11-16T09:00:00+01:00"}


async def test_where_the_service_has_it(tmp_path: Path) -> None:
    store = tmp_path / "p.db"
    ini = write_ini(tmp_path / "p.ini", store)
    async with served(tmp_path / "run" / "control.sock", daemon_of(store)) as seen:
        assert refused(await call_beside("status", "-c", str(ini))) == "no"
    assert len(seen) == 1


async def test_the_service_of_another_file_is_not_asked(tmp_path: Path) -> None:
    ini = write_ini(tmp_path / "p.ini", tmp_path / "p.db")
    async with served(tmp_path / "run" / "control.sock", daemon_of(Path("/var/lib/other.db"))):
        line = refused(await call_beside("status", "-c", str(ini)))
    assert "control.sock is another one (its store is /var/lib/other.db)" in line


@pytest.mark.parametrize("there", [True, False])
async def test_the_service_answers_although_the_file_is_wrong_or_cannot_be_read(
    tmp_path: Path, there: bool
) -> None:
    if there:
        ask.DEFAULT_INI.parent.mkdir()
        ask.DEFAULT_INI.write_text("[pbx]\nmode = shout\n")
    async with served(tmp_path / "run" / "control.sock", daemon_of(tmp_path / "p.db")) as seen:
        assert refused(await call_beside("status")) == "no"
    assert len(seen) == 1
