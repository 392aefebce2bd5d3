"""Microsoft's clouds: where to sign in, and what to ask for there.

Each national cloud is a world of its own: an app, a tenant and a token of one are unknown in another, so
authority, EWS and Graph always go together. Sources: graph.md section Clouds; Microsoft's list of Graph
root endpoints; for EWS the endpoints its own Exchange scripts use as scopes (DoD: outlook-dod).
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from presenced.config.settings import ExchangeSettings, SyncType

ANY_ORGANISATION = "organizations"
"""the tenant of those who sign in from any organisation (but with no private account)"""


@dataclass(frozen=True, slots=True)
class Cloud:
    """Hosts of one cloud."""

    authority: str
    exchange: str
    graph: str


CLOUDS = {
    "global": Cloud("login.microsoftonline.com", "outlook.office365.com", "graph.microsoft.com"),
    "gcc-high": Cloud("login.microsoftonline.us", "outlook.office365.us", "graph.microsoft.us"),
    "dod": Cloud("login.microsoftonline.us", "outlook-dod.office365.us", "dod-graph.microsoft.us"),
    "china": Cloud("login.chinacloudapi.cn", "partner.outlook.cn", "microsoftgraph.chinacloudapi.cn"),
}
"""by the values of the ini key `cloud`"""


def is_delegated(settings: ExchangeSettings) -> bool:
    """An account signs in, not the app itself (exchange.md section 1)."""
    if settings.sync_type is SyncType.GRAPH:
        return settings.graph_access == "delegated"
    return settings.sync_type is SyncType.CLOUD


def authority_of(settings: ExchangeSettings, host: str = "") -> str:
    """The URL to sign in at; `host` (with a port, if need be) stands in for the cloud's own.

    A tenant that is named is asked itself. Only an account may come from any organisation: an app has
    to say whose data it wants.
    """
    tenant = settings.tenant_id or ANY_ORGANISATION
    return f"https://{host or CLOUDS[settings.cloud].authority}/{quote(tenant, safe='')}"


def permission_of(settings: ExchangeSettings) -> str:
    """The permission an admin has to grant, by the name Entra shows."""
    if settings.sync_type is SyncType.GRAPH:
        return "Calendars.Read.Shared" if is_delegated(settings) else "Calendars.Read"
    return "EWS.AccessAsUser.All" if is_delegated(settings) else "full_access_as_app"


def scope_of(settings: ExchangeSettings) -> str:
    """What to ask a token for; offline_access, the refresh token, is msal's to add."""
    cloud = CLOUDS[settings.cloud]
    resource = cloud.graph if settings.sync_type is SyncType.GRAPH else cloud.exchange
    return f"https://{resource}/{permission_of(settings) if is_delegated(settings) else '.default'}"
