"""Every section and key there is: kind of value, default, who needs it. The one list of them.

The reading, the checks and the test that etc/presenced.ini is complete all go by this list, so that a
key can't be known to one and not to the other. Source: settings.md; the names in `known_as` are those
of the settings pages (innovaphone-calendar-settings.txt, innovaphone-howto-app-only-oauth2.txt).
"""

from __future__ import annotations

from dataclasses import dataclass

from presenced.config.kinds import (
    YES_NO,
    Choice,
    Contact,
    FilePath,
    Kind,
    Language,
    Listen,
    MailAddress,
    MailAddresses,
    Number,
    SecretText,
    SigningSecret,
    StoreUrl,
    Text,
    Url,
    Words,
    Zone,
    days,
    hours,
    minutes,
    seconds,
    words,
)
from presenced.config.settings import SyncType
from presenced.core.activity import Mapped

ON_PREMISES = frozenset({SyncType.ON_PREMISES})
EWS = ON_PREMISES | {SyncType.CLOUD, SyncType.CLOUD_APP_ONLY}
OAUTH = frozenset({SyncType.CLOUD, SyncType.CLOUD_APP_ONLY, SyncType.GRAPH})
GRAPH = frozenset({SyncType.GRAPH})
APPS = frozenset({SyncType.CLOUD_APP_ONLY, SyncType.GRAPH})
"""where an app may sign in for itself"""
NOBODY: frozenset[SyncType] = frozenset()
EVERYBODY = frozenset(SyncType)

CREDENTIALS = ("client_secret", "certificate", "federated_token_file")
"""the ways an app proves who it is, in [exchange]; exactly one is given"""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of one section."""

    name: str
    kind: Kind
    default: str = ""
    """as it would be written in the file; "": nothing is set"""
    field: str = ""
    """its name in the settings, where that is not the key's own"""
    needed_by: frozenset[SyncType] = NOBODY
    used_by: frozenset[SyncType] = EVERYBODY
    known_as: str = ""
    """what the settings pages call it"""

    @property
    def target(self) -> str:
        """The field of the settings it fills."""
        return self.field or self.name


_MAPPED = Choice({mapped.value: mapped for mapped in Mapped})
_SHOWN = Choice({"show": True, "hide": False})

_PBX = (
    Key("mode", words("listen", "dial"), "listen"),
    Key("listen", Listen(), "0.0.0.0:8443"),
    Key("url", Url(("wss", "ws"))),
    Key("tls_certificate", FilePath()),
    Key("tls_key", FilePath()),
    Key("allow_plain", YES_NO, "no"),
    Key("tls_ca", FilePath()),
    Key("tls_verify", YES_NO, "yes"),
    Key("app_name", Text()),
    Key("app_password", SecretText()),
    Key(
        "master_pbx_name",
        Text("the name of the main PBX, as its PBX configuration shows it"),
        needed_by=EVERYBODY,
        known_as="Master PBX Name",
    ),
    Key("contact", Contact(), "calendar:"),
    Key("writes_in_flight", Number(1, 1000), "16"),
    Key("unset_on_stop", YES_NO, "no"),
)
_PRESENCE = (
    Key("language", Language(), "en", known_as="Presence language"),
    Key("timezone", Zone(), needed_by=EVERYBODY, known_as="Presence timezone"),
    Key("subject", _SHOWN, "show", field="subject_shown", known_as="Subject"),
    Key("priority_words", Words(), known_as="Prioritized appointments need to contain in title"),
    Key("priority_exclude_words", Words(), known_as="Prioritized appointments must not contain in title"),
    Key("window_hours", Number(25, 168, hours), "48", field="window"),
    Key("max_title_length", Number(8, 1000), "128"),
    Key("until_unit", words("milliseconds", "seconds"), "milliseconds"),
)
_MAPPING = (
    Key("busy", _MAPPED, "busy", known_as="Busy"),
    Key("tentative", _MAPPED, "ignore", known_as="Tentative"),
    Key("tentative_exception_organizers", MailAddresses(), known_as="Tentative exceptions"),
    Key("tentative_exception", _MAPPED, "away", known_as="Tentative exceptions"),
    Key("out_of_office", _MAPPED, "away", known_as="Out of office"),
    Key("working_elsewhere", _MAPPED, "available", known_as="Working elsewhere"),
    Key("no_data", _MAPPED, "ignore", known_as="No data"),
)
_EXCHANGE = (
    Key("sync_type", Choice({each.value: each for each in SyncType}), "disabled", known_as="Sync-Type"),
    Key("user", Text(), needed_by=ON_PREMISES | {SyncType.CLOUD}, known_as="User"),
    Key("password", SecretText(), needed_by=ON_PREMISES, used_by=ON_PREMISES, known_as="Password"),
    Key("authentication", words("ntlm", "basic"), "ntlm", used_by=ON_PREMISES),
    Key("autodiscover_url", Url(("https",), ("http",)), used_by=EWS, known_as="Autodiscover Server URL"),
    Key("ews_url", Url(("https",), ("http",)), used_by=EWS),
    Key("server", words("external", "internal"), "external", used_by=EWS, known_as="Exchange-Server to use"),
    Key(
        "name_resolution",
        words("impersonation-user", "user-names"),
        "impersonation-user",
        used_by=EWS,
        known_as="User for name resolving",
    ),
    Key(
        "max_subscriptions_per_connection",
        Number(1),
        "200",
        used_by=EWS,
        known_as="Max subscriptions per connection",
    ),
    Key("follow", words("streaming", "polling"), "streaming", used_by=EWS),
    Key("connection_minutes", Number(1, 30, minutes), "29", field="connection_lifetime", used_by=EWS),
    Key("requests_in_flight", Number(1, 1000), "16"),
    Key("debug_protocol", YES_NO, "no", known_as="EWS debugging protocol"),
    Key("tls_ca", FilePath()),
    Key("tls_verify", YES_NO, "yes"),
    Key("client_id", Text(), needed_by=OAUTH, used_by=OAUTH, known_as="Client ID"),
    Key("tenant_id", Text(), used_by=OAUTH, known_as="Tenant ID"),
    Key(
        "supported_accounts",
        words("single", "multiple"),
        "single",
        used_by=OAUTH,
        known_as="Supported account",
    ),
    Key("client_secret", SecretText(), used_by=APPS, known_as="Client Secret"),
    Key("certificate", FilePath(), used_by=APPS),
    Key("certificate_password", SecretText(), used_by=APPS),
    Key("federated_token_file", FilePath(), used_by=APPS),
    Key("cloud", words("global", "gcc-high", "dod", "china"), "global", used_by=OAUTH),
    Key("graph_access", words("application", "delegated"), "application", used_by=GRAPH),
    Key("notification_url", Url(("https",), ("http",)), used_by=GRAPH),
    Key("poll_seconds", Number(1, 86400, seconds), "60", field="poll_interval"),
)
_STORE = (
    Key("url", StoreUrl(), "sqlite:///var/lib/presenced/presenced.db", field="path"),
    Key("history_days", Number(1, 3650, days), "7", field="history"),
)
_WEB = (
    Key("listen", Listen(may_be_off=True), "127.0.0.1:8090"),
    Key("password", SecretText()),
)
_ALERTS = (
    Key("mail_to", MailAddresses()),
    Key("mail_from", MailAddress()),
    Key("smtp_url", SecretText(Url(("smtp", "smtps"), login=True))),
    Key("webhook_url", SecretText(Url(("https",), ("http",), login=True))),
    Key("webhook_secret", SecretText(SigningSecret())),
    Key("after_minutes", Number(1, 10080, minutes), "10", field="after"),
)
_LOG = (
    Key("level", words("debug", "info", "warning", "error"), "info"),
    Key("format", words("text", "json"), "text"),
)

SECTIONS: dict[str, tuple[Key, ...]] = {
    "pbx": _PBX,
    "presence": _PRESENCE,
    "mapping": _MAPPING,
    "exchange": _EXCHANGE,
    "store": _STORE,
    "web": _WEB,
    "alerts": _ALERTS,
    "log": _LOG,
}
"""the sections that stand once in a file"""

USER = "user"
"""the section that may come again and again, each time with an address or a pattern"""

USER_KEYS: tuple[Key, ...] = (
    Key("sync", YES_NO, "yes"),
    *(key for key in _PRESENCE if key.name in {"subject", "language", "timezone"}),
    *_MAPPING,
)


def keys_of(section: str) -> dict[str, Key]:
    """The keys of a section by name; none for a section there is not."""
    return {key.name: key for key in (USER_KEYS if section == USER else SECTIONS.get(section, ()))}


def sections_with(name: str) -> tuple[str, ...]:
    """The sections that have a key of this name."""
    return tuple(section for section, keys in SECTIONS.items() if name in {key.name for key in keys})
