"""What Entra answers instead of a token: the error of RFC 6749 with an AADSTS number and a sentence.

Clients go by `error`, people by the number; both must be those of the real service, or a test of what an
admin is told proves nothing. Source: "Microsoft Entra authentication and authorization error codes", and the
pages of the grants. The sentences are those seen in the wild, shortened. Not confirmed, as no document gives
them: the numbers of slow_down and of what goes wrong with a device code.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple


class _Kind(NamedTuple):
    error: str
    status: int
    text: str
    suberror: str = ""


_KINDS: Final[Mapping[int, _Kind]] = MappingProxyType(
    {
        28000: _Kind(
            "invalid_scope",
            400,
            "Provided value for the input parameter scope is not valid because it contains more than"
            " one resource.",
        ),
        50013: _Kind(
            "invalid_grant",
            400,
            "Assertion failed signature validation. [Reason - {0}]",
        ),
        50027: _Kind(
            "invalid_request",
            400,
            "JWT token is invalid or malformed. {0}",
        ),
        50049: _Kind(
            "invalid_instance",
            400,
            "Unknown or invalid instance.",
        ),
        50057: _Kind(
            "invalid_grant",
            400,
            "The user account is disabled.",
        ),
        50059: _Kind(
            "invalid_request",
            400,
            "No tenant-identifying information found in either the request or implied by any provided"
            " credentials.",
        ),
        50173: _Kind(
            "invalid_grant",
            400,
            "The provided grant has expired due to it being revoked, a fresh auth token is needed."
            " The user might have changed or reset their password. The grant was issued on '{0}' and"
            " the TokensValidFrom date (before which tokens are not valid) for this user is '{1}'.",
            "bad_token",
        ),
        50194: _Kind(
            "invalid_request",
            400,
            "Application '{0}'({1}) is not configured as a multi-tenant application. Usage of the"
            " /common endpoint is not supported for such apps created after '10/15/2018'. Use a"
            " tenant-specific endpoint or configure the application to be multi-tenant.",
        ),
        65001: _Kind(
            "invalid_grant",
            400,
            "The user or administrator has not consented to use the application with ID '{0}' named"
            " '{1}'. Send an interactive authorization request for this user and resource.",
            "consent_required",
        ),
        65004: _Kind(
            "authorization_declined",
            400,
            "User declined to consent to access the app.",
        ),
        70000: _Kind(
            "invalid_grant",
            400,
            "Provided grant is invalid or malformed. The provided value for the input parameter '{0}'"
            " is not valid.",
        ),
        70003: _Kind(
            "unsupported_grant_type",
            400,
            "The app requested an unsupported grant type '{0}'.",
        ),
        70011: _Kind(
            "invalid_scope",
            400,
            "The provided request must include a 'scope' input parameter. The provided value for the"
            " input parameter 'scope' is not valid. The scope {0} is not valid.",
        ),
        70016: _Kind(
            "authorization_pending",
            400,
            "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
        ),
        70018: _Kind(
            "bad_verification_code",
            400,
            "Invalid verification code: the device_code is not known.",
        ),
        70020: _Kind(
            "expired_token",
            400,
            "The provided value for the input parameter 'device_code' is not valid. This device code"
            " has expired.",
        ),
        70022: _Kind(
            "slow_down",
            400,
            "The device code is polled more often than the interval allows.",
        ),
        70025: _Kind(
            "invalid_client",
            401,
            "The client '{0}'({1}) has no configured federated identity credentials.",
        ),
        90002: _Kind(
            "invalid_request",
            400,
            "Tenant '{0}' not found. Check to make sure you have the correct tenant ID and are"
            " signing into the correct cloud. Check with your subscription administrator, this may"
            " happen if there are no active subscriptions for the tenant.",
        ),
        90033: _Kind(
            "temporarily_unavailable",
            503,
            "A transient error has occurred. Please try again.",
        ),
        90055: _Kind(
            "temporarily_unavailable",
            429,
            "The request was throttled due to too many requests.",
        ),
        500011: _Kind(
            "invalid_resource",
            400,
            "The resource principal named {0} was not found in the tenant named {1}. This can happen"
            " if the application has not been installed by the administrator of the tenant or"
            " consented to by any user in the tenant. You might have sent your authentication request"
            " to the wrong tenant.",
        ),
        650053: _Kind(
            "invalid_scope",
            400,
            "The application '{0}' asked for scope '{1}' that doesn't exist on the resource '{2}'."
            " Contact the app vendor.",
        ),
        700016: _Kind(
            "unauthorized_client",
            400,
            "Application with identifier '{0}' was not found in the directory '{1}'. This can happen"
            " if the application has not been installed by the administrator of the tenant or"
            " consented to by any user in the tenant. You may have sent your authentication request to"
            " the wrong tenant.",
        ),
        700021: _Kind(
            "invalid_client",
            401,
            "Client assertion application identifier doesn't match 'client_id' parameter.",
        ),
        700023: _Kind(
            "invalid_client",
            401,
            "Client assertion audience claim does not match Realm issuer. Review the documentation at"
            " https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-"
            "credentials .",
        ),
        700024: _Kind(
            "invalid_client",
            401,
            "Client assertion is not within its valid time range. Current time: {0}, assertion valid"
            " from {1}, expiry time of assertion {2}.",
        ),
        700025: _Kind(
            "invalid_client",
            401,
            "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
        ),
        700027: _Kind(
            "invalid_client",
            401,
            "The certificate with identifier used to sign the client assertion is not registered on"
            " application. [Reason - {0}, Thumbprint of key used by client: '{1}']",
        ),
        700082: _Kind(
            "invalid_grant",
            400,
            "The refresh token has expired due to inactivity. The token was issued on {0} and was"
            " inactive for {1}.",
        ),
        700211: _Kind(
            "invalid_client",
            401,
            "No matching federated identity record found for presented assertion issuer '{0}'.",
        ),
        700212: _Kind(
            "invalid_client",
            401,
            "No matching federated identity record found for presented assertion audience '{0}'.",
        ),
        700213: _Kind(
            "invalid_client",
            401,
            "No matching federated identity record found for presented assertion subject '{0}'.",
        ),
        900144: _Kind(
            "invalid_request",
            400,
            "The request body must contain the following parameter: '{0}'.",
        ),
        900561: _Kind(
            "invalid_request",
            400,
            "The endpoint only accepts {0} requests. Received a {1} request.",
        ),
        901002: _Kind(
            "invalid_request",
            400,
            "The 'resource' request parameter is not supported.",
        ),
        1002012: _Kind(
            "invalid_scope",
            400,
            "The provided value for scope {0} is not valid. Client credential flows must have a scope"
            " value with /.default suffixed to the resource identifier (application ID URI).",
        ),
        7000112: _Kind(
            "unauthorized_client",
            400,
            "Application '{0}'({1}) is disabled.",
        ),
        7000215: _Kind(
            "invalid_client",
            401,
            "Invalid client secret provided. Ensure the secret being sent in the request is the"
            " client secret value, not the client secret ID, for a secret added to app '{0}'.",
        ),
        7000218: _Kind(
            "invalid_client",
            401,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        ),
        7000222: _Kind(
            "invalid_client",
            401,
            "The provided client secret keys for app '{0}' are expired. Visit the Azure portal to"
            " create new keys for your app: https://aka.ms/NewClientSecret, or consider using"
            " certificate credentials for added security: https://aka.ms/certCreds.",
        ),
        9000411: _Kind(
            "invalid_request",
            400,
            "The request is not properly formatted. The parameter '{0}' is duplicated.",
        ),
        9002313: _Kind(
            "invalid_request",
            400,
            "Invalid request. Request is malformed or invalid. {0}",
        ),
    }
)


class Refused(Exception):
    """No token: the number of the reason, and what its sentence mentions."""

    def __init__(self, code: int, *mentioned: object) -> None:
        kind = _KINDS[code]
        self.code = code
        self.error = kind.error
        self.status = kind.status
        self.suberror = kind.suberror
        self.text = kind.text.format(*(*mentioned, "", "", "") if "{" in kind.text else ())
        super().__init__(f"AADSTS{code}: {self.text}")

    def body(self, now: datetime, correlation: str) -> dict[str, object]:
        """The JSON of the answer; `correlation` is the client's request id, "" for one of ours."""
        trace, correlation = str(uuid.uuid4()), correlation or str(uuid.uuid4())
        stamp = f"{now:%Y-%m-%d %H:%M:%S}Z"
        told: dict[str, object] = {
            "error": self.error,
            "error_description": f"{self} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}",
            "error_codes": [self.code],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.code}",
        }
        return told | ({"suberror": self.suberror} if self.suberror else {})
