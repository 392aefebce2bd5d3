"""The ini file of a daemon whose calendars are online, with the files it names and the key it needs.

What stands in `[exchange]` is each world's own; all the rest would say the same everywhere.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from presenced.calendars.signin.device import sign_in
from presenced.calendars.signin.token_cache import TokenCache
from presenced.config.loading import load
from presenced.config.secrets import obtain_key
from presenced.core.ports import Clock
from presenced.sim.stage import HOST, Certificates
from presenced.store.sqlite import open_store
from tests.calendars.signin.rushing import RushingClock

INI = """\
[pbx]
listen = {host}:{port}
tls_certificate = {files.certificate}
tls_key = {files.key}
app_name = presenced
app_password = file:{folder}/pbx-password
master_pbx_name = master

[presence]
timezone = UTC

[exchange]
tls_ca = {files.authority}
{exchange}

[store]
url = sqlite:///{folder}/store.db

[web]
listen = {web}

[log]
level = error
"""


def keep(folder: Path, name: str, content: str | bytes) -> None:
    """A file that nobody else may read."""
    path = folder / name
    path.touch(mode=0o600)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def write_ini(folder: Path, files: Certificates, port: int, exchange: str, *, web: str = "") -> Path:
    """The ini file, and the App object's password; `exchange`: the section's lines."""
    keep(folder, "pbx-password", "pbx-secret")
    ini = folder / "presenced.ini"
    ini.write_text(INI.format(host=HOST, port=port, files=files, folder=folder, exchange=exchange, web=web))
    return ini


def give_key(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """What the machine gives a daemon: the installation's key, and no proxy."""
    monkeypatch.setenv("PRESENCED_KEY_FILE", str(folder / "presenced.key"))
    monkeypatch.setenv("NO_PROXY", "*")
    obtain_key({"PRESENCED_KEY_FILE": str(folder / "presenced.key")})


async def sign_in_once(ini: Path, clock: Clock, authority_host: str) -> str:
    """Somebody has run `presenced signin` before the daemon starts; the account."""
    folder = ini.parent
    store = await open_store(folder / "store.db", clock)
    cache = TokenCache(store, {"PRESENCED_KEY_FILE": str(folder / "presenced.key")})
    exchange = load(ini).exchange
    account = await sign_in(exchange, RushingClock(), cache, lambda _: None, authority_host=authority_host)
    await store.close()
    return account
