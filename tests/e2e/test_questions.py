"""The commands `explain` and `status` put to a whole running daemon, over its real socket."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from presenced.cli import ask
from presenced.cli.main import main
from tests.e2e.test_main_job import World, item


async def call(*arguments: str) -> Result:
    """A command, in a thread of its own because the daemon lives in this one."""
    return await asyncio.to_thread(CliRunner().invoke, main, list(arguments))


async def answer(*arguments: str) -> Any:
    result = await call(*arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def confirmed(world: World) -> None:
    """Everything the PBX has is known to be there."""
    engine = world.supervisor.engine
    assert engine is not None
    keepers = engine.roster.keepers
    await world.until(lambda: all(keeper.written == keeper.wanted for keeper in keepers.values()))


async def test_the_commands_find_the_daemon_by_its_file(world: World) -> None:
    world.organisation.put("ann@example.com", item("meeting", -30, 300))
    await world.shows(ann="Meeting until 13:00 #busy", bob="Free", eve="Free")
    await confirmed(world)
    ini = str(world.folder / "presenced.ini")
    told = await answer("status", "-c", ini, "--json")
    assert {user["sip"]: user["state"] for user in told["users"]} == dict.fromkeys(
        ("ann", "bob", "eve"), "resolved"
    )
    why = await answer("explain", "ann", "-c", ini, "--json")
    assert why["decision"]["rule"] == "only"
    assert why["decision"]["current"]["title"] == "Meeting"
    assert why["pbx"]["has"]["note"] == world.note("ann")
    assert why["mailbox"]["followed"] == "streaming"


async def test_the_socket_is_the_owners_and_goes_with_the_daemon(world: World) -> None:
    await world.shows(ann="Free", bob="Free", eve="Free")
    path = world.supervisor.socket
    assert path.parent == world.folder
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await world.stop()
    assert not path.exists()
    result = await call("status", "--socket", str(path))
    assert result.exit_code == 1
    assert "no daemon answers: there is no socket" in result.stderr


async def test_the_daemon_does_without_a_socket_it_cannot_have(world: World) -> None:
    await world.stop()
    path = world.supervisor.socket
    path.mkdir()
    await world.open_daemon()
    world.organisation.put("bob@example.com", item("trip", -30, 300, show_as="OOF"))
    await world.shows(bob="Trip until 13:00 #away")
    path.rmdir()


async def test_requests_to_both_doors_are_on_record(world: World) -> None:
    await world.shows(ann="Free", bob="Free", eve="Free")
    questions = world.supervisor.questions
    assert questions is not None
    requests = questions.requests({"limit": "1000"})["requests"]
    operations = {(request["door"], request["operation"]) for request in requests}
    assert {("pbx", "SetPresence"), ("exchange", "FindItem"), ("exchange", "Subscribe")} <= operations
    assert all("sent" not in request for request in requests), "bodies only with debug_protocol"


async def test_metrics_and_health_of_the_whole(world: World) -> None:
    await world.shows(ann="Free", bob="Free", eve="Free")
    questions = world.supervisor.questions
    assert questions is not None
    assert questions.health().http_status == 200
    assert b'presenced_users{state="resolved"} 3.0' in questions.metrics()
    await world.kill("pbx")
    await world.until(lambda: questions.health().http_status == 503)
    assert questions.health().pbx.reason


async def test_as_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd makes the folder; an admin's shell knows nothing of it, and still finds the right daemon."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o750)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    monkeypatch.setattr(ask, "SERVICE_SOCKET", folder / "control.sock")
    world = World(tmp_path)
    await world.open_exchange()
    try:
        await world.open_daemon()
        monkeypatch.delenv("RUNTIME_DIRECTORY")
        await world.until((folder / "control.sock").exists)
        assert stat.S_IMODE((folder / "control.sock").stat().st_mode) == 0o660
        told = await answer("status", "-c", str(tmp_path / "presenced.ini"), "--json")
        assert told["pbx"]["linked"] is False, "it answers before any PBX has come"
    finally:
        await world.close()
