"""`presenced signin` as an admin runs it, against an authority in another thread."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner, Result

from presenced.calendars.signin.token_cache import TokenCache
from presenced.cli.main import main
from presenced.cli.signin import Instead
from presenced.daemon.surroundings import Surroundings
from presenced.store.sqlite import open_store
from tests.calendars.signin.authority import ACCOUNT, APP, TENANT, Authority
from tests.calendars.signin.rushing import RushingClock

INI = """\
[pbx]
master_pbx_name = master
listen = 127.0.0.1:8443

[presence]
timezone = Europe/Berlin

[exchange]
sync_type = {sync_type}
user = {user}
client_id = {app}
tenant_id = {tenant}
tls_ca = {ca}
{more}

[store]
url = sqlite:///{folder}/presenced.db
"""


class Desk:
    """A machine with an ini file; the authority serves while a command runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ca = trustme.CA()
        self._ca.cert_pem.write_to_path(folder / "ca.pem")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert("localhost").configure_cert(context)
        self.authority = Authority(context)
        self.key_file = folder / "presenced.key"

    def signin(
        self, sync_type: str = "cloud", *, user: str = ACCOUNT, more: str = "", app: str = APP
    ) -> Result:
        ini = self.folder / "presenced.ini"
        ca = self.folder / "ca.pem"
        ini.write_text(
            INI.format(
                sync_type=sync_type, user=user, app=app, tenant=TENANT, ca=ca, more=more, folder=self.folder
            )
        )
        environ = {"PRESENCED_KEY_FILE": str(self.key_file), "CREDENTIALS_DIRECTORY": None, "NO_PROXY": "*"}
        with serving(self.authority):
            instead = Instead(Surroundings(authority_host=self.authority.host), RushingClock())
            return CliRunner().invoke(main, ["signin", "-c", str(ini)], obj=instead, env=environ)

    def kept(self) -> str:
        """What the daemon will find."""

        async def look() -> str:
            store = await open_store(self.folder / "presenced.db", RushingClock())
            try:
                found = await TokenCache(store, {"PRESENCED_KEY_FILE": str(self.key_file)}).fetch()
            finally:
                await store.close()
            return found.reveal() if found is not None else ""

        return asyncio.run(look())


@contextmanager
def serving(authority: Authority) -> Iterator[None]:
    """The authority in a thread of its own: the command brings its own loop."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        async with authority:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_an_account_signs_in(desk: Desk) -> None:
    desk.authority.pendings = 2
    result = desk.signin()
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "In a browser, on any machine, open  https://microsoft.com/devicelogin",
        "and within 15 minutes enter the code  ABCD-EFGH",
        f"Sign in as {ACCOUNT}.",
        "Waiting ...",
        f"signed in as {ACCOUNT}; a running daemon takes it within a minute",
    ]
    assert result.stderr == f"made the key file {desk.key_file}; the service alone should read it\n"
    assert desk.authority.refresh_token in desk.kept()


def test_a_second_time_replaces_the_first(desk: Desk) -> None:
    desk.signin()
    first = desk.authority.refresh_token
    result = desk.signin()
    assert result.stderr == "", "the key is there already"
    assert first not in desk.kept()
    assert desk.authority.refresh_token in desk.kept()


def test_graph_with_delegated_access(desk: Desk) -> None:
    result = desk.signin("graph", more="graph_access = delegated")
    assert result.exit_code == 0, result.output
    assert "Calendars.Read.Shared" in desk.kept()


def test_another_account_than_user_is_pointed_out(desk: Desk) -> None:
    result = desk.signin(user="planned@contoso.com")
    assert result.exit_code == 0
    assert f"warning: user in [exchange] is planned@contoso.com, but {ACCOUNT} has signed in" in result.stderr


@pytest.mark.parametrize(
    ("sync_type", "more", "because"),
    [
        ("cloud-app-only", "client_secret = env:HOME", "the app signs in with its own credential"),
        ("graph", "client_secret = env:HOME", "the app signs in with its own credential"),
        ("on-premises", "password = env:HOME", "user and password of the ini file sign in"),
        ("disabled", "", "nothing signs in"),
    ],
)
def test_where_nobody_need_sign_in(sync_type: str, more: str, because: str, desk: Desk) -> None:
    result = desk.signin(sync_type, more=more)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert f"sync_type = {sync_type} needs no presenced signin: {because}" in result.stderr
    assert not desk.key_file.exists()


def test_nobody_comes(desk: Desk) -> None:
    desk.authority.pendings = None
    result = desk.signin()
    assert result.exit_code == 1
    assert "the code expired before anybody signed in; run presenced signin again" in result.stderr
    assert desk.kept() == ""


def test_a_refusal_is_one_line(desk: Desk) -> None:
    result = desk.signin(app="other")
    assert result.exit_code == 1
    line = result.stderr.splitlines()[-1]
    assert "there is no app other in tenant contoso.onmicrosoft.com (AADSTS700016); check client_id" in line
    assert "Traceback" not in result.output


def test_a_key_file_that_cannot_be_written(desk: Desk) -> None:
    (desk.folder / "file").touch()
    desk.key_file = desk.folder / "file" / "presenced.key"
    result = desk.signin()
    assert result.exit_code == 1
    assert "key file" in result.stderr
    assert desk.authority.discoveries == 0, "before anybody is sent to a browser"


def test_no_secret_is_printed(desk: Desk) -> None:
    result = desk.signin()
    assert "planted" not in result.output
    assert "eyJ" not in result.output


def test_a_configuration_with_problems(desk: Desk) -> None:
    result = desk.signin("clowd")
    assert result.exit_code == 78
    assert "presenced.ini:9: " in result.stderr
