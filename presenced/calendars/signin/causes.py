"""What Entra's error numbers (AADSTS…) mean for this program, and what an admin does about each.

The words are ours: Entra's own speak to developers, name what differs from try to try (times, trace
ids) and so would make a new notice of an old cause. Braces are filled in by refusals.py. Source of the
numbers: "Microsoft Entra authentication and authorization error codes"; those of federated credentials
and of the device code (70020) from the messages themselves.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause: `lasting` ends only by somebody's doing; otherwise the next try may succeed."""

    reason: str
    remedy: str
    lasting: bool = True


AGAIN = "run presenced signin again, signing in as {user}"

_REGISTRATION = "in the app's registration in Entra"
_EITHER_ID = "check client_id and tenant_id against the overview of the app's registration, and cloud"
_CONSENT = Cause(
    "nobody has consented that app {app} may use {permission}",
    "add {permission} under API permissions " + _REGISTRATION + " and click Grant admin consent",
)
_TENANT = Cause("tenant {tenant} does not exist in the {cloud} cloud", "check tenant_id and cloud")
_WRONG_CLOUD = Cause("tenant {tenant} belongs to another cloud than {cloud}", "set cloud to the tenant's own")
_APP = Cause(
    "there is no app {app} in tenant {tenant}",
    _EITHER_ID + "; an app of another organisation needs its admin consent in this tenant first",
)
_CERTIFICATE = Cause(
    "the certificate is not one of app {app}, or not made for its key",
    "upload the certificate of the file in certificate under Certificates & secrets " + _REGISTRATION,
)
_FEDERATION = Cause(
    "no federated credential of app {app} fits the token in federated_token_file",
    "compare issuer, subject (case counts) and audience of that token with Federated credentials under "
    "Certificates & secrets " + _REGISTRATION,
)
_ENDED = Cause("the sign-in of {user} has ended", AGAIN)
_MFA = Cause(
    "{user} must prove who it is once more (multifactor authentication)",
    AGAIN + "; if that comes again and again, exempt the account from the policy that asks",
)
_POLICY = Cause(
    "a Conditional Access policy or security default blocks {user}",
    "look up the failed sign-in in Entra's sign-in logs and let the policy admit this app from this server",
)
_ACCOUNT = Cause(
    "{user} is no account of tenant {tenant}",
    "sign in with an account of that tenant, or correct tenant_id (with supported_accounts = multiple it "
    "may stay empty)",
)
_LOCKED = Cause("{user} is locked or disabled", "unlock or enable the account in Entra")
_PASSWORD = Cause("the password of {user} has expired or is wrong", "set a new one, then " + AGAIN)
_ASSIGNMENT = Cause(
    "{user} is not assigned to app {app}",
    "assign the account to the enterprise application, or set Assignment required to No there",
)
_DISABLED = Cause("app {app} is disabled in tenant {tenant}", "enable the enterprise application in Entra")
_RESOURCE = Cause(
    "tenant {tenant} does not know the service behind {scope}",
    "check cloud and tenant_id, and that the tenant has Exchange Online",
)
_NO_TENANT = Cause("Entra can't tell which tenant is meant", "set tenant_id")
_CLIENT_TYPE = Cause(
    "app {app} may not sign in without a secret",
    "set Allow public client flows to Yes under Authentication " + _REGISTRATION,
)
_CODE_EXPIRED = Cause("the code expired before anybody signed in", "run presenced signin again")
_DECLINED = Cause("the sign-in was declined", "run presenced signin again and accept what app {app} asks for")
_BUSY = Cause("Entra is busy or out of order for a moment", "nothing; it is tried again", lasting=False)
_THROTTLED = Cause(
    "Entra takes no more sign-ins of app {app} for a while",
    "nothing if it passes; else look for other programs that use this app",
    lasting=False,
)

_GROUPS: tuple[tuple[Cause, tuple[int, ...]], ...] = (
    (
        Cause(
            "the client secret of app {app} is wrong",
            "copy the Value, not the Secret ID, of a secret under Certificates & secrets " + _REGISTRATION,
        ),
        (7000215, 70002),
    ),
    (
        Cause(
            "the client secret of app {app} has expired",
            "make a new one under Certificates & secrets " + _REGISTRATION + " and put its Value into "
            "client_secret",
        ),
        (7000222,),
    ),
    (_APP, (700016, 700011, 7000229)),
    (_TENANT, (90002, 900023)),
    (_WRONG_CLOUD, (90038, 90051, 900382, 900432)),
    (_NO_TENANT, (50059, 50128, 90019, 90124, 90130, 9001023)),
    (
        Cause(
            "app {app} is for its own organisation only",
            "set tenant_id, or let the app's registration support accounts in any organisation",
        ),
        (50194,),
    ),
    (_CERTIFICATE, (700027, 700030, 50003, 50012, 50013, 50027, 700021)),
    (
        Cause(
            "what proves the app's identity is not valid at this time",
            "check the clock of this machine; with federated_token_file also whether the file is kept fresh",
        ),
        (700024, 500133),
    ),
    (
        Cause("what proves the app's identity was made for another authority", "check tenant_id and cloud"),
        (700023,),
    ),
    (_FEDERATION, (70021, 700211, 700212, 700213, 7002121, 700222, 700227, 700229)),
    (_CLIENT_TYPE, (7000218, 700025)),
    (_DISABLED, (7000112, 70001)),
    (_CONSENT, (65001, 65005, 90008, 90094, 90095, 650056, 650057)),
    (Cause("consent for app {app} was refused", AGAIN + ", and accept"), (65004,)),
    (_RESOURCE, (500011, 50001, 650052, 650053, 650054, 70011, 28000, 28002)),
    (_ACCOUNT, (50034, 50020, 51004, 50014, 16000, 16003, 90072)),
    (_LOCKED, (50053, 50057)),
    (_PASSWORD, (50055, 50126, 50144)),
    (_MFA, (50072, 50074, 50076, 50078, 50079, 50158)),
    (_POLICY, (53000, 53001, 53002, 53003, 53004, 53011, 50005, 50097, 50131)),
    (_POLICY, (530003, 530002, 530032, 530034, 530035)),
    (_ASSIGNMENT, (50105,)),
    (_ENDED, (70000, 70008, 700082, 700084, 70043, 50089, 50132, 50133, 50173)),
    (_CODE_EXPIRED, (70019, 70020)),
    (_DECLINED, (70018,)),
    (
        Cause(
            "a proxy or Entra's tenant restrictions keep this network out of tenant {tenant}",
            "allow the tenant at the proxy (Restrict-Access-To-Tenants), or in the tenant's restrictions",
        ),
        (50002, 500021, 500022, 500212, 500213),
    ),
    (_THROTTLED, (50196, 90055)),
    (_BUSY, (50000, 50033, 50087, 90006, 90012, 90024, 90033, 90090)),
)

BY_NUMBER: dict[int, Cause] = {number: cause for cause, numbers in _GROUPS for number in numbers}

BY_ERROR: dict[str, Cause] = {
    "invalid_client": Cause(
        "Entra refused the credential of app {app}",
        "check the app's credential in [exchange] against Certificates & secrets " + _REGISTRATION,
    ),
    "unauthorized_client": Cause("app {app} is not admitted in tenant {tenant}", _EITHER_ID),
    "invalid_grant": _ENDED,
    "interaction_required": _MFA,
    "login_required": _ENDED,
    "consent_required": _CONSENT,
    "invalid_resource": _RESOURCE,
    "invalid_scope": _RESOURCE,
    "access_denied": _DECLINED,
    "authorization_declined": _DECLINED,
    "expired_token": _CODE_EXPIRED,
    "bad_verification_code": _CODE_EXPIRED,
    "temporarily_unavailable": _BUSY,
    "server_error": _BUSY,
}
"""for numbers not in the table: OAuth's own words (RFC 6749, RFC 8628)"""
