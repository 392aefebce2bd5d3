"""Recognisable secrets, planted wherever a secret may stand, and a search for them in any spelling."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from presenced.config.secrets import obtain_key, seal
from presenced.sim.stage import USER

EXCHANGE = "Planted-exchange~password"
APP = "Planted-app~password"
WEB = "Planted-web~password"
SMTP = "Planted-smtp~password"
WEBHOOK = "Planted-webhook~token"
CLIENT = "Planted-client~secret"
PRIVATE = "Planted private title"
HIDDEN = "Planted hidden title"
PUBLIC = "Planted public title"
"""may be shown, but never logged"""
SECRETS = {
    "exchange password": EXCHANGE,
    "app password": APP,
    "web password": WEB,
    "smtp password": SMTP,
    "webhook token": WEBHOOK,
    "client secret": CLIENT,
}


def plant(ini: str, folder: Path) -> tuple[str, dict[str, str]]:
    """The ini file with all of it planted, and the environment that goes with it."""
    key_file = folder / "presenced.key"
    key, _ = obtain_key({"PRESENCED_KEY_FILE": str(key_file)})
    environment = {
        "PRESENCED_KEY_FILE": str(key_file),
        "PLANTED_APP": APP,
        "CREDENTIALS_DIRECTORY": str(folder),
    }
    for name, value in (("web", WEB), ("webhook", f"https://127.0.0.1:1/{WEBHOOK}")):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(value)
    lines = []
    for line in ini.splitlines():
        name = line.partition(" = ")[0]
        if name == "app_password":
            lines.append("app_password = env:PLANTED_APP")
        elif name == "password":
            lines.append(f"password = {seal(EXCHANGE, key)}")
        elif name == "sync_type":
            lines += [line, "debug_protocol = yes", f"client_secret = {CLIENT}"]
        elif name == "level":
            lines.append("level = debug")
        elif line == "[web]":
            lines += [line, "password = file:web"]
        else:
            lines.append(line)
    lines += [
        "[alerts]",
        "mail_to = admin@example.com",
        "mail_from = presenced@example.com",
        f"smtp_url = smtp://alerts:{quote(SMTP)}@127.0.0.1:1",
        "webhook_url = credential:webhook",
        "after_minutes = 1",
        "[user eve@example.com]",
        "subject = hide",
    ]
    return "\n".join(lines) + "\n", environment


def key_of(folder: Path) -> str:
    """The key of the installation, as it lies in its file."""
    return (folder / "presenced.key").read_text().strip()


def spellings(secret: str) -> Iterator[bytes]:
    """How a secret could come out: plain, quoted, in UTF-16, in the credentials of Basic, in base64."""
    yield secret.encode()
    yield quote(secret, safe="").encode()
    yield secret.encode("utf-16-le")
    yield base64.b64encode(f"{USER}:{secret}".encode())
    yield base64.b64encode(secret.encode()).rstrip(b"=")


def find(places: Mapping[str, bytes], secrets: Mapping[str, str]) -> list[str]:
    """Which secret stands where; empty is what is wanted."""
    return [
        f"{name} in {place}"
        for place, content in places.items()
        for name, secret in secrets.items()
        if any(spelled in content for spelled in spellings(secret))
    ]
