"""What an administrator registers: tenants, their applications with proofs and consents, and their users.

All of it may be changed while the provider runs: a test lets a secret end or takes a consent back as the
administrator would, and sees what the client makes of it.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.x509 import Certificate

from presenced.sim.entra.refusals import Refused

EXCHANGE = "https://outlook.office365.com"
GRAPH = "https://graph.microsoft.com"
TOKEN_EXCHANGE = "api://AzureADTokenExchange"  # noqa: S105 (an audience)
SHARED = frozenset({"common", "organizations"})
"""what stands for "whichever tenant the user belongs to" in a URL"""


@dataclass(frozen=True, slots=True)
class Resource:
    """An API of Microsoft's that tokens are made for."""

    identifier: str
    """application ID URI: the front of its scopes and the audience of its tokens"""
    app_id: str
    roles: frozenset[str]
    """application permissions that exist"""
    scopes: frozenset[str]
    """delegated permissions that exist"""


RESOURCES = (
    Resource(
        EXCHANGE,
        "00000002-0000-0ff1-ce00-000000000000",
        frozenset({"full_access_as_app", "Calendars.Read"}),
        frozenset({"EWS.AccessAsUser.All", "Calendars.Read"}),
    ),
    Resource(
        GRAPH,
        "00000003-0000-0000-c000-000000000000",
        frozenset({"Calendars.Read", "User.Read.All", "User.ReadBasic.All", "MailboxSettings.Read"}),
        frozenset({"Calendars.Read", "Calendars.Read.Shared", "User.Read", "User.ReadBasic.All"}),
    ),
)


@dataclass(slots=True)
class ClientSecret:
    """A password of an application."""

    value: str = field(repr=False)
    ends: datetime | None = None
    """None: never (the real service wants an end)"""


@dataclass(frozen=True, slots=True)
class FederatedCredential:
    """Whose tokens are taken for the application's own proof (workload identity federation)."""

    issuer: str
    subject: str
    audience: str = TOKEN_EXCHANGE


@dataclass(slots=True)
class Application:
    """An app registration with its service principal."""

    client_id: str
    name: str = "presence"
    secrets: list[ClientSecret] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)
    federated: list[FederatedCredential] = field(default_factory=list)
    roles: dict[str, set[str]] = field(default_factory=dict)
    """resource -> application permissions an administrator consented to"""
    scopes: dict[str, set[str]] = field(default_factory=dict)
    """resource -> delegated permissions consented to for everybody"""
    public: bool = False
    """"Allow public client flows": device code, and no proof of the application's own"""
    multi_tenant: bool = False
    disabled: bool = False
    object_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """of its service principal: who a token without a user is about"""

    def check_secret(self, given: str, now: datetime) -> None:
        """Raises Refused where the secret is wrong or has ended."""
        fits = [s for s in self.secrets if hmac.compare_digest(s.value.encode(), given.encode())]
        if not fits:
            raise Refused(7000215, self.client_id)
        if all(secret.ends is not None and secret.ends <= now for secret in fits):
            raise Refused(7000222, self.client_id)

    def end_secrets(self, now: datetime) -> None:
        """All secrets have expired."""
        for secret in self.secrets:
            secret.ends = now


@dataclass(slots=True)
class User:
    """Somebody who can sign in; signing in itself is not simulated, only that it happened."""

    upn: str
    """user principal name"""
    address: str = ""
    """primary address of the own mailbox, "" where there is none"""
    object_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    disabled: bool = False
    sessions_valid_from: datetime | None = None
    """refresh tokens given out before are void"""


class Tenant:
    """A directory of an organisation, known by its id and its domains."""

    def __init__(self, tenant_id: str, *domains: str) -> None:
        self.tenant_id = tenant_id
        self.domains = domains
        self._applications: dict[str, Application] = {}
        self._users: dict[str, User] = {}

    @property
    def applications(self) -> Iterable[Application]:
        """Everything registered or installed here."""
        return self._applications.values()

    def register(self, application: Application) -> Application:
        """Add an application, or replace the one with its id."""
        self._applications[application.client_id.casefold()] = application
        return application

    def unregister(self, client_id: str) -> None:
        """Remove an application; KeyError where there is none."""
        del self._applications[client_id.casefold()]

    def employ(self, user: User) -> User:
        """Add a user."""
        self._users[user.upn.casefold()] = user
        return user

    def application(self, client_id: str) -> Application:
        """The application with this id; raises Refused."""
        found = self._applications.get(client_id.casefold())
        if found is None:
            raise Refused(700016, client_id, self.tenant_id)
        if found.disabled:
            raise Refused(7000112, client_id, found.name)
        return found

    def user(self, upn: str) -> User:
        """The user of this name; KeyError where there is none."""
        return self._users[upn.casefold()]

    def goes_by(self, name: str) -> bool:
        """Whether the tenant is called so in a URL."""
        return name.casefold() in {self.tenant_id.casefold(), *map(str.casefold, self.domains)}
