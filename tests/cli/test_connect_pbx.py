"""`check --connect` towards the PBX, dialled and dialling: one fault at a time with verdict and remedy."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path

from presenced.cli.connect.course import Step
from presenced.core.replica import PbxUser
from presenced.store.sqlite import open_store
from tests.cli.chain import ANN, FAIL, NOTE, OK, SKIP, Chain, free_port
from tests.names import CLOSED


async def test_wrong_app_password_when_dialling(chain: Chain) -> None:
    await chain.open_exchange()
    await chain.serve_pbx()
    (chain.folder / "pbx").touch(mode=0o600)
    (chain.folder / "pbx").write_text("not-the-password")
    steps = await chain.check(ANN)
    [login] = steps["pbx login"]
    assert login.verdict is FAIL
    assert "refused the login of App object presenced" in login.what
    assert login.remedy == "enter name and password of the App object in app_name and app_password of [pbx]"
    assert steps["exchange subscription"][0].verdict is OK, "the other door is looked at all the same"
    assert chain.failures == 1


async def test_pbx_is_not_reachable(chain: Chain) -> None:
    chain.pbx_keys = {"mode": "dial", "url": f"wss://127.0.0.1:{CLOSED}/PBX0/APPS/websocket"}
    chain.exchange_keys = {"sync_type": "disabled", "password": "", "user": ""}
    steps = await chain.check()
    assert steps["pbx tcp"][0].verdict is FAIL
    assert "firewall" in steps["pbx tcp"][0].remedy
    assert steps["pbx login"][0].what == f"not tried: the PBX at 127.0.0.1:{CLOSED} can't be reached"
    assert chain.failures == 1


async def test_pbx_shows_a_certificate_nobody_knows(chain: Chain) -> None:
    await chain.serve_pbx()
    del chain.pbx_keys["tls_ca"]
    chain.exchange_keys = {"sync_type": "disabled", "password": "", "user": ""}
    steps = await chain.check()
    assert steps["pbx tls"][0].verdict is FAIL
    assert "tls_ca" in steps["pbx tls"][0].remedy
    assert steps["pbx login"][0].verdict is SKIP


async def test_users_may_not_be_copied(chain: Chain) -> None:
    await chain.serve_pbx()
    chain.pbx.faults.start_error = 1
    chain.exchange_keys = {"sync_type": "disabled", "password": "", "user": ""}
    steps = await chain.check(pace=timedelta(seconds=0.3))
    [login] = steps["pbx login"]
    assert login.verdict is FAIL
    assert "TableUsers" in login.remedy


async def listening(chain: Chain, **more: str) -> dict[str, list[Step]]:
    """Check with a PBX that dials; Exchange is left out."""
    port = free_port()
    chain.pbx_keys = {"listen": f"127.0.0.1:{port}"} | more
    chain.exchange_keys = {"sync_type": "disabled", "password": "", "user": ""}
    chain.dial(port)
    return await chain.check()


async def test_a_pbx_dials(chain: Chain) -> None:
    steps = await listening(chain)
    port = chain.pbx_keys["listen"].partition(":")[2]
    [socket_step] = steps["pbx listening"]
    assert socket_step.verdict is OK
    url = f"https://localhost:{port}/DOMAIN/presenced/presenced"
    assert f"URL of the App object: {url}" in socket_step.what
    assert steps["pbx certificate"][0].verdict is OK
    assert "certificate for localhost, 127.0.0.1" in steps["pbx certificate"][0].what
    [login] = steps["pbx login"]
    assert login.what == "PBX master 14r2 logged in; 2 users, 2 with a mail address"
    assert chain.failures == 0


async def test_the_users_of_a_pbx_that_dials_are_tried(chain: Chain) -> None:
    await chain.open_exchange()
    port = free_port()
    chain.pbx_keys = {"listen": f"127.0.0.1:{port}"}
    chain.dial(port)
    chain.pbx.remove_user("guid-hunt")
    steps = await chain.check()
    assert steps["user"][0].what == "ann (annie@example.com, ann@example.com), the first user of the PBX"
    assert f"mailbox {ANN} at" in steps["exchange autodiscover"][0].what
    assert chain.failures == 0


async def test_nobody_dials_and_nobody_is_known(chain: Chain) -> None:
    await chain.open_exchange()
    steps = await chain.check()
    assert steps["user"][0].verdict is FAIL
    assert steps["user"][0].remedy == "name a mailbox with --user ADDRESS"
    assert steps["exchange tls"][0].verdict is OK
    assert steps["exchange sign-in"][0].verdict is SKIP
    [login] = steps["pbx login"]
    assert login.verdict is NOTE
    assert login.what == "no PBX has dialled within 10 s"
    assert "enter the URL https://localhost:" in login.remedy
    assert "check marks Websocket, PBX and TableUsers" in login.remedy
    assert chain.failures == 1


async def test_the_first_user_of_the_store(chain: Chain) -> None:
    await chain.open_exchange()
    store = await open_store(chain.folder / "store.db", chain.clock)
    await store.keep_user(PbxUser("guid-1", "nobody"))
    await store.keep_user(PbxUser("guid-2", "ann", addresses=("annie@example.com",)))
    await store.close()
    before = (chain.folder / "store.db").stat().st_mtime_ns, sorted(chain.folder.glob("store.db*"))
    steps = await chain.check()
    assert steps["user"][0].what == f"ann (annie@example.com), the first user of the store {store_of(chain)}"
    assert chain.failures == 0
    after = (chain.folder / "store.db").stat().st_mtime_ns, sorted(chain.folder.glob("store.db*"))
    assert after == before, "a check leaves no trace in the store"


def store_of(chain: Chain) -> Path:
    return chain.folder / "store.db"


async def test_wrong_pbx_name(chain: Chain) -> None:
    chain.pbx.faults.slave = True
    steps = await listening(chain, master_pbx_name="headquarters")
    [login] = steps["pbx login"]
    assert login.verdict is FAIL
    assert login.what == "PBX master logged in, but master_pbx_name is headquarters"
    assert login.remedy.startswith("set master_pbx_name = master in [pbx]")


async def test_wrong_app_password_of_a_pbx_that_dials(chain: Chain) -> None:
    chain.pbx.faults.wrong_password = True
    steps = await listening(chain)
    [login] = steps["pbx login"]
    assert login.verdict is FAIL
    assert "its login was refused" in login.what
    assert "app_password" in login.remedy


async def test_check_marks_are_missing(chain: Chain) -> None:
    chain.pbx.faults.without_table_users = True
    steps = await listening(chain)
    [login] = steps["pbx login"]
    assert login.verdict is FAIL
    assert "set the check mark TableUsers in the App object presenced" in login.what


async def test_the_port_is_taken(chain: Chain) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        chain.pbx_keys["listen"] = f"127.0.0.1:{port}"
        chain.exchange_keys = {"sync_type": "disabled", "password": "", "user": ""}
        steps = await chain.check()
    [taken] = steps["pbx listening"]
    assert taken.verdict is FAIL
    begins = f"127.0.0.1:{port} is taken, and not by a daemon with this configuration that answers here ("
    assert taken.what.startswith(begins)
    assert f"sport = :{port}" in taken.remedy
    assert steps["pbx login"][0].verdict is SKIP


async def test_own_certificate_has_expired(chain: Chain) -> None:
    chain.show_certificate(days=-1)
    chain.exchange_keys = {"sync_type": "disabled", "password": "", "user": ""}
    steps = await chain.check()
    [shown] = steps["pbx certificate"]
    assert shown.verdict is FAIL
    assert "certificate has expired" in shown.what
