"""What the tests of the sign-in share: a CA, an authority, settings and a place for the key."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cryptography.fernet import Fernet

from presenced.config.settings import ExchangeSettings, Secret, SyncType
from tests.calendars.signin.authority import APP, SECRET, TENANT, Authority


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority is on loopback, whatever proxy this machine uses."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
async def authority(ca: trustme.CA) -> AsyncIterator[Authority]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(context)
    async with Authority(context) as served:
        yield served


@pytest.fixture
def app_only(ca_file: Path) -> ExchangeSettings:
    return ExchangeSettings(
        sync_type=SyncType.CLOUD_APP_ONLY,
        client_id=APP,
        tenant_id=TENANT,
        client_secret=Secret(SECRET),
        tls_ca=ca_file,
    )


@pytest.fixture
def delegated(app_only: ExchangeSettings) -> ExchangeSettings:
    return replace(
        app_only, sync_type=SyncType.CLOUD, client_secret=Secret(""), user="svc.calendar@contoso.com"
    )


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Leads to a key file as `presenced secret seal` makes one."""
    key_file = tmp_path / "presenced.key"
    key_file.touch(mode=0o600)
    key_file.write_bytes(Fernet.generate_key())
    return {"PRESENCED_KEY_FILE": str(key_file)}
