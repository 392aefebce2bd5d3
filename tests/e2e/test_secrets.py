"""Planted secrets are found nowhere: not in a log, an answer, a page, the store, an error or the process list.

The main job runs with everything that talks switched on, and goes wrong in every way that is told about.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import aiohttp
import pytest
from click.testing import CliRunner

from presenced.cli.main import main
from presenced.config.settings import LogSettings
from presenced.daemon.clock import SystemClock
from presenced.daemon.logs import set_up_logging
from presenced.daemon.roster import Roster
from presenced.sim.exchange.accounts import Login
from presenced.sim.exchange.faults import Trouble
from presenced.sim.exchange.organisation import Item
from presenced.sim.pbx import SimulatedPbx, SimulatedUser
from presenced.sim.stage import HOST, Stage
from tests.cli.chain import free_port
from tests.clock import FakeClock
from tests.config.sample import SMALL
from tests.e2e import planted
from tests.e2e.test_main_job import NAMES, World, item

SIGNS = (
    "sent POST",
    "***",
    "refused user and password",
    "presence refused",
    "crashed on purpose",
    "has problems",
    "a notice was not delivered channel=mail",
    "a notice was not delivered channel=webhook",
)
"""that everything went wrong which was to"""


class Planted(World):
    """The world with secrets planted, and all that talks switched on."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self.stage = Stage(self.organisation, self.clock, folder, password=planted.EXCHANGE)
        users = [SimulatedUser(f"guid-{name}", name, emails=(f"{name}@example.com",)) for name in NAMES]
        self.pbx = SimulatedPbx(users, clock=self.clock, password=planted.APP)
        self._monkeypatch = monkeypatch
        (folder / "presenced.ini").touch(mode=0o600)

    def rewrite(self, ini: str) -> str:
        text, environment = planted.plant(ini.replace("listen = \n", f"listen = {HOST}:0\n"), self.folder)
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)
        return text

    def put_titles(self, shift: int = 0) -> None:
        """New appointments with titles nobody, or not everybody, may see."""
        for name, title, fields in (
            ("ann", planted.PRIVATE, {"sensitivity": "Private"}),
            ("eve", planted.HIDDEN, {}),
            ("bob", planted.PUBLIC, {}),
        ):
            one = renamed(f"{name}-{shift}", title, shift, **fields)
            self.organisation.put(f"{name}@example.com", one)

    async def pages(self) -> dict[str, bytes]:
        """Every page the status page links to, what programs get, and a sign-in that is refused."""
        assert self.supervisor.web is not None
        base = f"http://{HOST}:{self.supervisor.web.port}"
        found: dict[str, bytes] = {}
        waiting = ["/", "/api/status", "/api/explain?user=ann", "/api/requests", "/api/writes", "/metrics"]
        async with aiohttp.ClientSession(base, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            for password in ("not the password", planted.WEB):
                form = await self._hidden_inputs(session)
                async with session.post("/sign-in", data=form | {"password": password}) as response:
                    found[f"sign-in {response.status}"] = await response.read()
            while waiting and len(found) < 60:
                path = waiting.pop()
                if path in found:
                    continue
                async with session.get(path) as response:
                    content = found[path] = await response.read()
                links = re.findall(rb'(?:href|src)="(/[^"#]*)"', content)
                waiting += [link.decode().replace("&amp;", "&") for link in links]
        return {f"page {path}": content for path, content in found.items()}

    async def _hidden_inputs(self, session: aiohttp.ClientSession) -> dict[str, str]:
        async with session.get("/sign-in") as response:
            page = await response.text()
        inputs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
        return dict(inputs)


def renamed(name: str, title: str, shift: int, **fields: str) -> Item:
    """An appointment of this title."""
    return replace(item(name, -30 + shift, 300 + shift, **fields), subject=title)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What the daemon logs, as `run` sets it up."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setattr(sys, "stderr", stream)
    set_up_logging(LogSettings("debug", request.param))
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("presenced").setLevel(logging.NOTSET)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Planted]:
    world = Planted(tmp_path, monkeypatch)
    await world.open_exchange()
    yield world
    await world.close()


@pytest.mark.parametrize("log", ["text", "json"], indirect=True)
async def test_nothing_planted_is_found(
    world: Planted, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put_titles()
    await world.open_daemon()
    world.open_pbx()
    await world.shows(ann="Private until", bob=planted.PUBLIC)
    await world.until(lambda: world.note("eve") != "")
    for fail in (sign_in_fails, write_is_refused, answers_are_garbled, task_crashes, settings_are_wrong):
        await fail(world, monkeypatch)
    places = await everywhere(world)
    places["log"] = log.getvalue().encode()
    found = planted.find(places, planted.SECRETS | {"key": planted.key_of(world.folder)})
    found += planted.find(places, {"private title": planted.PRIVATE, "hidden title": planted.HIDDEN})
    silent = ("log", "metrics", "requests", "healthz", "cmdline")
    found += planted.find({name: places[name] for name in silent}, {"public title": planted.PUBLIC})
    assert found == []
    assert planted.find(places, {"": planted.PUBLIC}), "the search finds what is there"
    for sign in SIGNS:
        assert sign in log.getvalue(), f"{sign} was to happen, and to be logged"


async def sign_in_fails(world: Planted, _: pytest.MonkeyPatch) -> None:
    right = world.stage.login
    account = Login(right.user, "another one", right.account, domain=right.domain)
    world.stage.signin._accounts.add(account)
    world.stage.signin.expire()
    world.put_titles(1)
    engine = world.supervisor.engine
    assert engine is not None
    await world.until(lambda: not engine.watch.health()[0], "a refused sign-in")
    await world.clock.advance(timedelta(minutes=2), turns=3)
    world.stage.signin._accounts.add(right)
    await world.until(lambda: engine.watch.health()[0], "a sign-in that works again")


async def write_is_refused(world: Planted, _: pytest.MonkeyPatch) -> None:
    world.pbx.faults.set_presence_error = 7
    world.organisation.remove("bob@example.com", "bob-0")
    world.organisation.put("bob@example.com", renamed("bob-9", planted.PUBLIC, 9))
    engine = world.supervisor.engine
    assert engine is not None
    await world.until(lambda: any(keeper.write_error for keeper in engine.roster.keepers.values()))
    world.pbx.faults.set_presence_error = 0


async def answers_are_garbled(world: Planted, _: pytest.MonkeyPatch) -> None:
    engine = world.supervisor.engine
    assert engine is not None
    for trouble in (Trouble.NOT_XML, Trouble.HTML, Trouble.TRUNCATED, Trouble.RESET, Trouble.BUSY):
        world.stage.faults.on(trouble, operation="FindItem", times=1)
    engine.watch.read_again(["ann@example.com", "bob@example.com", "eve@example.com"], "test")
    await world.until(lambda: not any(switch.times for switch in world.stage.faults.switches))


async def task_crashes(world: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours, with titles and settings in the frames of its traceback."""
    engine = world.supervisor.engine
    assert engine is not None
    take, crashes = Roster.take, []

    async def crash(self: Roster, *arguments: object) -> None:
        crashes.append(arguments)
        if len(crashes) == 1:
            raise RuntimeError("crashed on purpose")
        await take(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Roster, "take", crash)
    engine.watch.read_again(["ann@example.com"], "test", spread=timedelta())
    await world.until(lambda: len(crashes) > 1, "a crash, and another read after it")


async def settings_are_wrong(world: Planted, _: pytest.MonkeyPatch) -> None:
    """Slips of the pen beside secrets: the daemon says what is wrong, not what was there."""
    ini = world.folder / "presenced.ini"
    right = ini.read_text()
    wrong = (
        right.replace("smtp_url = smtp:", "smtp_url = smpt:") + f"[exchange]\npasword = {planted.EXCHANGE}\n"
    )
    ini.write_text(wrong)
    world.supervisor.reload()
    await world.clock.advance(timedelta(seconds=2), turns=10)
    ini.write_text(right)
    world.supervisor.reload()
    await world.clock.advance(timedelta(seconds=2), turns=10)


async def everywhere(world: Planted) -> dict[str, bytes]:
    """Whatever the daemon gives out or leaves behind."""
    questions, engine = world.supervisor.questions, world.supervisor.engine
    assert questions is not None
    assert engine is not None
    explained = [await questions.explain({"user": name}) for name in NAMES]
    places = {
        "status": "".join(questions.status_in_pieces()).encode(),
        "explain": json.dumps(explained, ensure_ascii=False).encode(),
        "metrics": questions.metrics(),
        "requests": json.dumps(questions.requests({"limit": "4000"}), ensure_ascii=False).encode(),
        "healthz": json.dumps(questions.health().as_json()).encode(),
        "settings in words": repr(engine.settings).encode(),
        "presences": repr(world.pbx.presences).encode(),
        "cmdline": Path("/proc/self/cmdline").read_bytes(),
    }
    places |= await pages_once_there(world)
    await world.stop()
    return places | {
        f"file {path.name}": path.read_bytes() for path in world.folder.glob("store.db*") if path.is_file()
    }


async def pages_once_there(world: Planted) -> dict[str, bytes]:
    """The pages, while the clock goes on for whoever waits by it."""
    task = asyncio.create_task(world.pages())
    await world.until(task.done, "all pages")
    pages = await task
    for path in ("/users", "/users/guid-ann", "/mapping", "/writes", "/requests", "/doors", "/api/status"):
        assert any(name.startswith(f"page {path}") for name in pages), (path, list(pages))
    assert pages["page sign-in 403"]
    return pages


# --- what commands say ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        f"[exchange]\nsync_type = on-premises\nuser = u\npasword = {planted.EXCHANGE}\n",
        f"[exchange]\nsync_type = on-premises\nuser = u\npassword = sealed:{planted.EXCHANGE}\n",
        f"[exchange]\nsync_type = on-premises\nuser = u\n{planted.EXCHANGE}\n",
        "[exchange]\nsync_type = cloud-app-only\nclient_id = c\ntenant_id = t\ncertificate = /nowhere\n"  # noqa: ISC004
        f"client_secret = {planted.CLIENT}\ncertificate_password = {planted.CLIENT}\n",
        f"[alerts]\nsmtp_url = smpt://u:{planted.SMTP}@host\nwebhook_url = ftp://host/{planted.WEBHOOK}\n",
        f"[web]\nlisten = 0.0.0.0:8090\npassword = {planted.WEB}\npassword = {planted.WEB}\n",
    ],
    ids=["key misspelled", "not sealed", "key forgotten", "two credentials", "no such URL", "twice"],
)
def test_problems_do_not_quote_secrets(tmp_path: Path, lines: str) -> None:
    path = tmp_path / "presenced.ini"
    path.write_text(SMALL + lines)
    path.chmod(0o644)  # and others can read it
    result = CliRunner().invoke(main, ["check", "-c", str(path)])
    assert result.exit_code == 78
    assert planted.find({"check": result.output.encode()}, planted.SECRETS) == []


# --- a process of its own -------------------------------------------------------------------------


async def test_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`presenced run` as an admin starts it: what ps shows, what it prints, what it leaves."""
    world = Planted(tmp_path, monkeypatch)
    world.clock = cast("FakeClock", SystemClock())  # another process can't be given one that stands still
    world.stage = Stage(world.organisation, world.clock, tmp_path, password=planted.EXCHANGE)
    users = [SimulatedUser("guid-ann", "ann", emails=("ann@example.com",))]
    written = asyncio.Event()
    world.pbx = SimulatedPbx(
        users, clock=world.clock, password=planted.APP, on_presence=lambda _: written.set()
    )
    now = datetime.now(UTC)
    one = renamed("ann-0", planted.PRIVATE, 0, sensitivity="Private")
    lasting = replace(one, start=now - timedelta(hours=1), end=now + timedelta(hours=8))
    world.organisation.put("ann@example.com", lasting)
    await world.open_exchange()
    world.port = free_port()
    ini = world.write_ini()
    output = (tmp_path / "output").open("wb")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "presenced", "run", "-c", str(ini), stdout=output, stderr=output
    )
    try:
        world.open_pbx()
        async with asyncio.timeout(30):
            await written.wait()
        assert world.note("ann").startswith("Private until")
        places = {"cmdline": Path(f"/proc/{process.pid}/cmdline").read_bytes()}
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        output.close()
        await world.close()
    places["output"] = (tmp_path / "output").read_bytes()
    places |= {f"file {path.name}": path.read_bytes() for path in tmp_path.glob("store.db*")}
    titles = {"private title": planted.PRIVATE}
    assert planted.find(places, planted.SECRETS | titles | {"key": planted.key_of(tmp_path)}) == []
    assert b"sent POST" in places["output"]
