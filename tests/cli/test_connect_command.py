"""What `presenced check --connect` prints, how it ends, and what it asks of a daemon that runs."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from pathlib import Path

from click.testing import CliRunner

from presenced import __version__
from presenced.cli.main import main
from presenced.config.loading import load
from presenced.daemon.clock import SystemClock
from presenced.daemon.supervisor import Supervisor
from tests.cli.chain import ANN, FAIL, NOTE, OK, Chain, free_port
from tests.config.sample import SMALL
from tests.names import CLOSED


def test_the_command(tmp_path: Path) -> None:
    ini = tmp_path / "presenced.ini"
    ini.write_text(
        f"[pbx]\nmode = dial\nurl = wss://127.0.0.1:{CLOSED}/PBX0/APPS/websocket\napp_name = presenced\n"
        "app_password = env:APP_SECRET\nmaster_pbx_name = master\n[presence]\ntimezone = Europe/Berlin\n"
        f"[exchange]\nsync_type = on-premises\nuser = EXAMPLE\\svc\npassword = env:EXCHANGE_SECRET\n"
        f"autodiscover_url = https://127.0.0.1:{CLOSED}\n[store]\nurl = sqlite:///{tmp_path}/store.db\n"
    )
    arguments = ["check", "-c", str(ini), "--connect", "--user", ANN]
    secrets = {"APP_SECRET": "app-planted", "EXCHANGE_SECRET": "exchange-planted"}
    result = CliRunner().invoke(main, arguments, env=secrets)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert re.fullmatch(
        r"ok    pbx dns                 \(\d+ ms\) +127\.0\.0\.1 is an address itself", lines[0]
    )
    assert re.fullmatch(r"FAIL  pbx tcp +\(\d+ ms\) +nothing listens on 127\.0\.0\.1:1: .*", lines[1])
    assert lines[2].startswith("      check the port")
    assert lines[3] == f"skip  {'pbx tls':<22}  {'':<9}  not tried: pbx tcp failed for 127.0.0.1"
    assert lines[-1] == f"{ini}: 2 steps failed"
    as_json = CliRunner().invoke(main, [*arguments, "--json"], env=secrets)
    assert as_json.exit_code == 1
    told = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert {tuple(one) for one in told} == {("step", "verdict", "seconds", "what", "remedy")}
    assert [one["verdict"] for one in told[:3]] == ["ok", "fail", "skip"]
    assert told[2]["seconds"] is None
    assert "planted" not in result.output + as_json.output


async def test_the_command_when_all_is_well(tmp_path: Path) -> None:
    chain = Chain(tmp_path, keep_alive=timedelta(milliseconds=200), clock=SystemClock())
    await chain.open_exchange()
    await chain.serve_pbx()
    arguments = ["check", "-c", str(chain.write_ini()), "--connect"]
    try:
        text = await asyncio.to_thread(CliRunner().invoke, main, arguments)
        as_json = await asyncio.to_thread(CliRunner().invoke, main, [*arguments, "--json"])
    finally:
        await chain.close()
    assert text.exit_code == 0, text.output
    assert [line[:4] for line in text.stdout.splitlines()[:-1]] == ["ok  "] * 13
    assert text.stdout.splitlines()[-1] == f"{tmp_path / 'presenced.ini'}: ok"
    assert as_json.exit_code == 0
    assert {json.loads(line)["verdict"] for line in as_json.stdout.splitlines()} == {"ok"}


def test_user_is_for_connect(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["check", "-c", str(tmp_path), "--user", ANN])
    assert (result.exit_code, result.stderr) == (2, "--user is for --connect\n")


def test_problems_of_the_file_come_first(tmp_path: Path) -> None:
    path = tmp_path / "x.ini"
    path.write_text(SMALL + "frob = 2\n")
    result = CliRunner().invoke(main, ["check", "-c", str(path), "--connect"])
    assert (result.exit_code, result.stdout) == (78, "")


async def test_the_daemon_is_running(chain: Chain) -> None:
    """It has the port, and knows how the PBX stands and whom to try."""
    await chain.open_exchange()
    chain.pbx_keys["listen"] = f"127.0.0.1:{free_port()}"
    supervisor = Supervisor(load(chain.write_ini()), chain.clock)
    running = asyncio.create_task(supervisor.run())
    try:
        await chain.until(supervisor.ready.is_set)
        assert supervisor.engine is not None
        roster = supervisor.engine.roster
        before = await chain.check()
        assert before["pbx listening"][0].verdict is NOTE
        assert f"the running daemon (presenced {__version__}) listens on" in before["pbx listening"][0].what
        [login] = before["pbx login"]
        assert login.verdict is FAIL
        assert login.what == "the running daemon has no link to the PBX: no PBX has connected yet"
        chain.dial(supervisor.link.port)
        await chain.until(lambda: any(keeper.mailbox for keeper in roster.keepers.values()))
        chain.steps.clear()
        after = await chain.check()
        assert after["pbx login"][0].what == "the running daemon is linked to master"
        assert after["user"][0].what == f"ann ({ANN}), the first user of the running daemon"
        assert after["pbx certificate"][0].verdict is OK
        assert chain.failures == 0
    finally:
        supervisor.stop()
        await chain.until(running.done)
        await running


async def test_a_user_who_is_not_to_be_synchronised(chain: Chain) -> None:
    await chain.open_exchange()
    chain.more = f"[user {ANN}]\nsync = no\n"
    steps = await chain.check(ANN)
    assert steps["user"][0].verdict is NOTE
    assert f"[user {ANN}] says sync = no" in steps["user"][0].what
    assert chain.failures == 0
