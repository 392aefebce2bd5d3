"""The settings as the rest of the program sees them: frozen, complete and already checked.

settings.md lists the sections and keys; a key's name there is the field's name here. Lengths are
timedelta here, units appear in names only in the ini file (`poll_seconds` -> `poll_interval`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from presenced.config.problems import Problem
from presenced.core.mapping import MappingTable


class Secret:
    """A value that must never be printed: its text is `***` everywhere but in `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself, for the one place that must send it."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class SyncType(StrEnum):
    """exchange.md section 1."""

    DISABLED = "disabled"
    ON_PREMISES = "on-premises"
    CLOUD = "cloud"
    CLOUD_APP_ONLY = "cloud-app-only"
    GRAPH = "graph"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class PbxSettings:
    mode: str = "listen"
    """`listen` or `dial`"""
    listen: Address = Address("0.0.0.0", 8443)  # noqa: S104 - the documented default
    url: str = ""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    allow_plain: bool = False
    tls_ca: Path | None = None
    tls_verify: bool = True
    app_name: str = ""
    app_password: Secret = Secret("")
    master_pbx_name: str = ""
    contact: str = "calendar:"
    writes_in_flight: int = 16
    unset_on_stop: bool = False


@dataclass(frozen=True, slots=True)
class PresenceSettings:
    timezone: str
    """IANA name"""
    language: str = "en"
    """a locale id Babel knows"""
    subject_shown: bool = True
    priority_words: tuple[str, ...] = ()
    priority_exclude_words: tuple[str, ...] = ()
    window: timedelta = timedelta(hours=48)
    max_title_length: int = 128
    """code points"""
    until_unit: str = "milliseconds"


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    sync_type: SyncType = SyncType.DISABLED
    user: str = ""
    password: Secret = Secret("")
    authentication: str = "ntlm"
    """`ntlm` or `basic`"""
    autodiscover_url: str = ""
    ews_url: str = ""
    server: str = "external"
    """`external` or `internal`: which of the two URLs autodiscover gives"""
    name_resolution: str = "impersonation-user"
    """`impersonation-user` or `user-names`"""
    max_subscriptions_per_connection: int = 200
    follow: str = "streaming"
    """`streaming` or `polling`"""
    connection_lifetime: timedelta = timedelta(minutes=29)
    """ini key `connection_minutes`"""
    requests_in_flight: int = 16
    debug_protocol: bool = False
    tls_ca: Path | None = None
    tls_verify: bool = True
    client_id: str = ""
    tenant_id: str = ""
    supported_accounts: str = "single"
    client_secret: Secret = Secret("")
    certificate: Path | None = None
    certificate_password: Secret = Secret("")
    federated_token_file: Path | None = None
    cloud: str = "global"
    graph_access: str = "application"
    notification_url: str = ""
    poll_interval: timedelta = timedelta(seconds=60)
    """ini key `poll_seconds`"""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    path: Path = Path("/var/lib/presenced/presenced.db")
    """from ini key `url`, `sqlite:///` and the path"""
    history: timedelta = timedelta(days=7)
    """ini key `history_days`"""


@dataclass(frozen=True, slots=True)
class WebSettings:
    listen: Address | None = Address("127.0.0.1", 8090)
    """None: off"""
    password: Secret = Secret("")


@dataclass(frozen=True, slots=True)
class AlertSettings:
    mail_to: tuple[str, ...] = ()
    mail_from: str = ""
    smtp_url: Secret = Secret("")
    """may hold a password"""
    webhook_url: Secret = Secret("")
    """may hold a token"""
    webhook_secret: Secret = Secret("")
    """signs what goes to the webhook; "": unsigned"""
    after: timedelta = timedelta(minutes=10)
    """ini key `after_minutes`"""


@dataclass(frozen=True, slots=True)
class LogSettings:
    level: str = "info"
    format: str = "text"


@dataclass(frozen=True, slots=True)
class UserSettings:
    """What applies to one user: the general settings, or those of the one [user ...] section that fits."""

    sync: bool
    subject_shown: bool
    language: str
    timezone: str
    mapping: MappingTable
    section: str = ""
    """the pattern of the section that applies, "" where none does"""


@dataclass(frozen=True, slots=True)
class UserSection:
    """One `[user PATTERN]` section; None: not set there, the general value applies."""

    pattern: str
    """an address, or a glob over addresses; compared casefolded"""
    line: int
    sync: bool | None = None
    subject_shown: bool | None = None
    language: str | None = None
    timezone: str | None = None
    mapping: tuple[tuple[str, object], ...] = ()
    """(field of MappingTable, value) pairs"""


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole file."""

    pbx: PbxSettings
    presence: PresenceSettings
    mapping: MappingTable = MappingTable()
    exchange: ExchangeSettings = ExchangeSettings()
    store: StoreSettings = StoreSettings()
    web: WebSettings = WebSettings()
    alerts: AlertSettings = AlertSettings()
    log: LogSettings = LogSettings()
    users: tuple[UserSection, ...] = ()
    path: str = ""
    """the file these settings were read from"""
    lines: dict[tuple[str, str], int] = field(default_factory=dict, compare=False)
    """(section, key) -> line, for the keys the file has"""

    notices: tuple[Problem, ...] = field(default=(), compare=False)
    """what the admin should be told although nothing is wrong (exchange.md section 1)"""

    _exact: dict[str, int] = field(init=False, repr=False, compare=False)
    """address -> place of its section in `users`"""
    _patterns: tuple[tuple[str, int], ...] = field(init=False, repr=False, compare=False)
    """glob, place of its section"""

    def __post_init__(self) -> None:
        patterns = [(section.pattern.casefold(), place) for place, section in enumerate(self.users)]
        object.__setattr__(self, "_exact", dict(reversed(patterns)))
        globs = tuple(each for each in patterns if set(each[0]) & set("*?["))
        object.__setattr__(self, "_patterns", globs)

    def for_user(self, addresses: tuple[str, ...]) -> UserSettings:
        """The settings of the user with these addresses.

        The exact address wins over globs, then the first section in the file; one section applies,
        not a mixture (settings.md). Addresses are compared casefolded, in whatever order they come.
        """
        section = self._section_of(tuple(address.casefold() for address in addresses))
        if section is None:
            return UserSettings(
                sync=True,
                subject_shown=self.presence.subject_shown,
                language=self.presence.language,
                timezone=self.presence.timezone,
                mapping=self.mapping,
            )
        own: dict[str, Any] = dict(section.mapping)
        return UserSettings(
            sync=True if section.sync is None else section.sync,
            subject_shown=self.presence.subject_shown
            if section.subject_shown is None
            else section.subject_shown,
            language=section.language or self.presence.language,
            timezone=section.timezone or self.presence.timezone,
            mapping=replace(self.mapping, **own),
            section=section.pattern,
        )

    def _section_of(self, folded: tuple[str, ...]) -> UserSection | None:
        if named := [self._exact[address] for address in folded if address in self._exact]:
            return self.users[min(named)]
        for pattern, place in self._patterns:
            if any(fnmatchcase(address, pattern) for address in folded):
                return self.users[place]
        return None
