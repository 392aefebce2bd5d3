"""What a client may ask for: its scopes and claims taken apart, and held against what it was granted.

Source: "Scopes and permissions in the Microsoft identity platform" and "Claims challenges, claims requests
and client capabilities".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from presenced.sim.entra.refusals import Refused
from presenced.sim.entra.tenants import GRAPH, RESOURCES, Application, Resource, Tenant

DEFAULT = ".default"
IDENTITY_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
"""about the user himself; they belong to no resource"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One resource and what is wanted of it."""

    resource: Resource
    audience: str
    """the resource as the client spelled it"""
    names: frozenset[str]
    """bare names of delegated permissions, or `.default`"""
    identity: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ClaimsRequest:
    """The parameter `claims`, as far as it means something here."""

    knows_challenges: bool = False
    """the client declares the capability `cp1`: it can handle claims challenges"""
    context: str = ""
    """an authentication context (`acrs`) that is demanded"""
    not_before: int = 0
    """the new token must have been made after this (seconds since 1970), 0: no matter"""


def split_scopes(text: str, tenant: Tenant, resources: Sequence[Resource] = RESOURCES) -> Asked:
    """Take the parameter `scope` apart; raises Refused where it makes no sense."""
    identity, found = set[str](), set[str]()
    audiences: dict[str, Resource] = {}
    for scope in text.split():
        if scope in IDENTITY_SCOPES:
            identity.add(scope)
            continue
        audience, slash, name = scope.rpartition("/")
        if not name or (slash and "://" not in audience):
            raise Refused(70011, scope)
        audience = audience if slash else GRAPH
        audiences[audience] = _resource(audience, tenant, resources)
        found.add(name)
    if len({resource.identifier for resource in audiences.values()}) > 1:
        raise Refused(28000)
    if not audiences:
        if not identity:
            raise Refused(70011, text)
        audiences[GRAPH] = _resource(GRAPH, tenant, resources)
        found.add("User.Read")
    audience, resource = next(iter(audiences.items()))
    if DEFAULT in found and len(found) > 1:
        raise Refused(70011, text)
    return Asked(resource, audience.rstrip("/"), frozenset(found), frozenset(identity))


def _resource(audience: str, tenant: Tenant, resources: Sequence[Resource]) -> Resource:
    for resource in resources:
        if audience.rstrip("/").casefold() in {resource.identifier.casefold(), resource.app_id}:
            return resource
    raise Refused(500011, audience, tenant.tenant_id)


def granted_roles(asked: Asked, application: Application, text: str) -> frozenset[str]:
    """The application permissions a token without a user carries; none at all is no error at Entra's."""
    if asked.names != {DEFAULT} or asked.identity:
        raise Refused(1002012, text)
    return frozenset(application.roles.get(asked.resource.identifier, ())) & asked.resource.roles


def granted_scopes(asked: Asked, application: Application) -> frozenset[str]:
    """The delegated permissions a token for a user carries; raises Refused where one was not consented to.

    Whatever was asked for, it is everything consented to at that resource.
    """
    consented = frozenset(application.scopes.get(asked.resource.identifier, ()))
    wanted = asked.names - {DEFAULT}
    if unknown := sorted(wanted - asked.resource.scopes):
        raise Refused(650053, application.name, unknown[0], asked.resource.app_id)
    if not consented or wanted - consented:
        raise Refused(65001, application.client_id, application.name)
    return consented


def read_claims(text: str) -> ClaimsRequest:
    """Take the parameter `claims` apart; raises Refused where it is no JSON object of objects."""
    if not text:
        return ClaimsRequest()
    try:
        told = json.loads(text)
    except ValueError:
        raise Refused(9002313, "The claims parameter is not JSON.") from None
    wanted = told.get("access_token", {}) if isinstance(told, dict) else None
    if not isinstance(wanted, dict):
        raise Refused(9002313, "The claims parameter is not a claims request.")
    moment = _value(wanted, "nbf")
    if moment and not moment.isdecimal():
        raise Refused(9002313, "The claim nbf is no time.")
    capabilities = wanted.get("xms_cc")
    values = capabilities.get("values", []) if isinstance(capabilities, dict) else []
    return ClaimsRequest("cp1" in values, _value(wanted, "acrs"), int(moment or 0))


def _value(wanted: dict[str, Any], name: str) -> str:
    member = wanted.get(name)
    return str(member.get("value", "")) if isinstance(member, dict) else ""
