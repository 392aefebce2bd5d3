"""What each sync type needs, and what the link to the PBX needs: missing, too much, just right."""

from __future__ import annotations

import pytest

from presenced.config.settings import SyncType
from tests.config.sample import SMALL, Machine, read, wrong

FILES = frozenset({"c.pem", "k.pem", "t"})
APP = "client_id = a\ntenant_id = b\n"


def exchange(sync_type: str, keys: str = "") -> str:
    return f"{SMALL}[exchange]\nsync_type = {sync_type}\n{keys}"


@pytest.mark.parametrize(
    ("sync_type", "keys", "missing"),
    [
        ("disabled", "", []),
        ("on-premises", "", ["user", "password"]),
        ("on-premises", "user = a\n", ["password"]),
        ("on-premises", "user = a\npassword = b\n", []),
        ("cloud", "", ["user", "client_id", "tenant_id"]),
        ("cloud", "user = a\nclient_id = b\nsupported_accounts = multiple\n", []),
        ("cloud", "user = a\n" + APP, []),
        ("cloud-app-only", "", ["client_id", "tenant_id", "the app's credential"]),
        (
            "cloud-app-only",
            "client_id = a\nsupported_accounts = multiple\nclient_secret = s\n",
            ["tenant_id"],
        ),
        ("cloud-app-only", APP, ["the app's credential"]),
        ("cloud-app-only", APP + "client_secret = s\n", []),
        ("cloud-app-only", APP + "certificate = c.pem\ncertificate_password = p\n", []),
        ("cloud-app-only", APP + "federated_token_file = t\n", []),
        ("graph", "", ["client_id", "tenant_id", "the app's credential"]),
        ("graph", APP + "client_secret = s\n", []),
        ("graph", APP + "graph_access = delegated\n", []),
        ("graph", "graph_access = delegated\n", ["client_id", "tenant_id"]),
    ],
)
def test_needs(sync_type: str, keys: str, missing: list[str]) -> None:
    text = exchange(sync_type, keys)
    if not missing:
        assert read(text, Machine(files=FILES)).exchange.sync_type == SyncType(sync_type)
        return
    expected = [
        f"x.ini:6: {name} is missing in [exchange]; sync_type = {sync_type} needs" for name in missing
    ]
    assert [
        told[: len(start)] for told, start in zip(wrong(text, Machine()), expected, strict=True)
    ] == expected


@pytest.mark.parametrize("sync_type", ["cloud", "cloud-app-only", "graph"])
def test_one_credential_and_not_two(sync_type: str) -> None:
    keys = "user = u\n" + APP + "federated_token_file = t\ncertificate = c.pem\nclient_secret = s\n"
    told = wrong(exchange(sync_type, keys), Machine(files=FILES))
    assert [line.split(";")[0] for line in told] == [
        "x.ini:12: certificate is one credential too many",
        "x.ini:13: client_secret is one credential too many",
    ]


def test_secrets_are_not_missed_where_they_are_not_looked_up() -> None:
    assert read(exchange("on-premises", "user = a\n")).exchange.user == "a"
    assert wrong(exchange("on-premises")) == [
        "x.ini:6: user is missing in [exchange]; sync_type = on-premises needs it"
    ]


def pbx(*lines: str) -> str:
    return (
        "[pbx]\nmaster_pbx_name = main\n"
        + "".join(f"{line}\n" for line in lines)
        + "[presence]\ntimezone = UTC\n"
    )


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["app_password = p"], ["x.ini:1: plain HTTP on 0.0.0.0:8443, which is not loopback"]),
        (
            ["listen = 10.0.0.1:1", "app_password = p"],
            ["x.ini:3: plain HTTP on 10.0.0.1:1, which is not loopback"],
        ),
        (["allow_plain = yes", "app_password = p"], []),
        (["allow_plain = yes"], ["x.ini:1: app_password is missing in [pbx]"]),
        (["listen = [::1]:1"], []),
        (["listen = localhost:1"], []),
        (["tls_certificate = c.pem", "tls_key = k.pem", "app_password = p"], []),
        (
            ["tls_certificate = c.pem", "app_password = p"],
            ["x.ini:3: tls_key is missing beside tls_certificate"],
        ),
        (["tls_key = k.pem", "app_password = p"], ["x.ini:3: tls_certificate is missing beside tls_key"]),
        (
            ["tls_certificate = no.pem", "tls_key = k.pem", "app_password = p"],
            ["x.ini:3: tls_certificate: there is no file no.pem"],
        ),
        (
            ["mode = dial"],
            [
                "x.ini:1: url is missing in [pbx]",
                "x.ini:1: app_name is missing in [pbx]",
                "x.ini:1: app_password is missing in [pbx]",
            ],
        ),
        (["mode = dial", "url = wss://pbx/PBX0/APPS/websocket", "app_name = a", "app_password = p"], []),
        (["mode = dial", "url = ws://127.0.0.1:1/x", "app_name = a", "app_password = p"], []),
        (["mode = dial", "url = ws://pbx/x", "allow_plain = yes", "app_name = a", "app_password = p"], []),
        (
            ["mode = dial", "url = ws://pbx/x", "app_name = a", "app_password = p"],
            ["x.ini:4: url: ws:// would go through the network unencrypted"],
        ),
        (
            ["mode = dial", "url = https://pbx/x", "app_name = a", "app_password = p"],
            ["x.ini:4: url: this URL will not do"],
        ),
    ],
)
def test_the_pbx_link(lines: list[str], told: list[str]) -> None:
    machine = Machine(files=FILES)
    if told:
        assert [line.split(";")[0] for line in wrong(pbx(*lines), machine)] == told
    else:
        assert read(pbx(*lines), machine).pbx.master_pbx_name == "main"


def test_a_password_less_link_is_not_told_where_secrets_are_not_looked_up() -> None:
    assert read(pbx("allow_plain = yes")).pbx.allow_plain


@pytest.mark.parametrize("given", ["mail_to = a@b.c", "mail_from = a@b.c", "smtp_url = smtp://localhost"])
def test_mail_takes_three_keys(given: str) -> None:
    told = wrong(f"{SMALL}[alerts]\n{given}\n", Machine())
    assert len(told) == 2
    assert all(line.startswith("x.ini:6: ") and "needs it beside it" in line for line in told)


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        ("sync_type = disabled\nclient_id = a", []),
        ("sync_type = on-premises\nuser = a\npassword = p", []),
        (
            "sync_type = on-premises\nuser = a\npassword = p\nclient_id = a",
            [
                "x.ini:10: client_id has no effect with sync_type = on-premises; it is for cloud, cloud-app-only, graph"
            ],
        ),
        (
            "sync_type = cloud-app-only\nclient_id = a\ntenant_id = b\nclient_secret = s",
            ["x.ini:7: Exchange Online blocks EWS tenant by tenant since 2026-10-01"],
        ),
        (
            "sync_type = cloud\nclient_id = a\ntenant_id = b\nuser = u",
            [
                "x.ini:7: ApplicationImpersonation left Exchange Online in February 2025",
                "x.ini:7: Exchange Online blocks EWS tenant by tenant since 2026-10-01",
            ],
        ),
        (
            (
                "sync_type = graph\nclient_id = a\ntenant_id = b\ngraph_access = delegated\n"
                "notification_url = https://example.com/n"
            ),
            ["x.ini:11: notification_url has no effect with graph_access = delegated"],
        ),
        (
            (
                "sync_type = graph\nclient_id = a\ntenant_id = b\nclient_secret = c\n"
                "notification_url = https://example.com/n\n[web]\nlisten ="
            ),
            ["x.ini:11: notification_url has no effect while [web] listen is empty"],
        ),
        ("tls_verify = no", ["x.ini:7: tls_verify = no in [exchange]: whoever is on the way can pose"]),
        (
            "sync_type = disabled\n[web]\nlisten = 0.0.0.0:1\npassword = p",
            ["x.ini:9: the status page is plain HTTP and not on loopback"],
        ),
    ],
)
def test_notices(keys: str, parts: list[str]) -> None:
    notices = list(map(str, read(f"{SMALL}[exchange]\n{keys}\n", Machine()).notices))
    assert [told[: len(part)] for told, part in zip(notices, parts, strict=True)] == parts
