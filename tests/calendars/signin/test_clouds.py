"""Whom to ask, and what for, in each of Microsoft's clouds."""

from __future__ import annotations

import pytest

from presenced.calendars.signin.clouds import authority_of, permission_of, scope_of
from presenced.config.settings import ExchangeSettings, SyncType

APP_ONLY, CLOUD, GRAPH = SyncType.CLOUD_APP_ONLY, SyncType.CLOUD, SyncType.GRAPH


@pytest.mark.parametrize(
    ("cloud", "authority", "exchange", "graph"),
    [
        ("global", "login.microsoftonline.com", "outlook.office365.com", "graph.microsoft.com"),
        ("gcc-high", "login.microsoftonline.us", "outlook.office365.us", "graph.microsoft.us"),
        ("dod", "login.microsoftonline.us", "outlook-dod.office365.us", "dod-graph.microsoft.us"),
        ("china", "login.chinacloudapi.cn", "partner.outlook.cn", "microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_each_cloud_has_hosts_of_its_own(cloud: str, authority: str, exchange: str, graph: str) -> None:
    settings = [
        ExchangeSettings(sync_type=sync_type, cloud=cloud, tenant_id="t")
        for sync_type in (APP_ONLY, CLOUD, GRAPH)
    ]
    assert {authority_of(one) for one in settings} == {f"https://{authority}/t"}
    assert [scope_of(one) for one in settings] == [
        f"https://{exchange}/.default",
        f"https://{exchange}/EWS.AccessAsUser.All",
        f"https://{graph}/.default",
    ]


@pytest.mark.parametrize(
    ("sync_type", "access", "permission"),
    [
        (APP_ONLY, "application", "full_access_as_app"),
        (CLOUD, "application", "EWS.AccessAsUser.All"),
        (GRAPH, "application", "Calendars.Read"),
        (GRAPH, "delegated", "Calendars.Read.Shared"),
    ],
)
def test_the_permission_to_grant(sync_type: SyncType, access: str, permission: str) -> None:
    settings = ExchangeSettings(sync_type=sync_type, graph_access=access)
    assert permission_of(settings) == permission


@pytest.mark.parametrize(
    ("supported", "tenant", "asked"),
    [
        ("single", "contoso.com", "contoso.com"),
        ("multiple", "contoso.com", "contoso.com"),
        ("multiple", "", "organizations"),
        ("single", "a/../b?c", "a%2F..%2Fb%3Fc"),
    ],
)
def test_one_tenant_or_any(supported: str, tenant: str, asked: str) -> None:
    settings = ExchangeSettings(sync_type=CLOUD, supported_accounts=supported, tenant_id=tenant)
    assert authority_of(settings) == f"https://login.microsoftonline.com/{asked}"
    assert authority_of(settings, "localhost:8443") == f"https://localhost:8443/{asked}"
