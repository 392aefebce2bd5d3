"""Claims challenges and the permissions in tokens."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presenced.calendars.claims import find_claims, find_permissions

CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1726077595"},"xms":{"value":"~~~???"}}}'
STANDARD = b64encode(CLAIMS.encode()).decode()
URL_SAFE = urlsafe_b64encode(CLAIMS.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("challenges", "claims"),
    [
        ([f'Bearer realm="", error="insufficient_claims", claims="{STANDARD}"'], CLAIMS),
        ([f'Bearer claims="{URL_SAFE}", error="insufficient_claims"'], CLAIMS),
        (["Negotiate", f'Bearer Claims = "{STANDARD}"'], CLAIMS),
        ([f'Bearer authorization_uri="https://login.example/",claims="{STANDARD}"'], CLAIMS),
        (['Bearer client_id="00000002", trusted_issuers="a@*,b@*"'], ""),
        ([f'Bearer unclaims="{STANDARD}"'], ""),
        (['Bearer claims="not base64!"'], ""),
        (['Bearer claims="' + b64encode(b"[1]").decode() + '"'], ""),
        (['Bearer claims="' + b64encode(b"\xff\xfe").decode() + '"'], ""),
        ([], ""),
    ],
)
def test_claims_of_challenges(challenges: list[str], claims: str) -> None:
    assert find_claims(challenges) == claims


def token(payload: object) -> str:
    return f"e30.{urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip('=')}.sig"


@pytest.mark.parametrize(
    ("text", "permissions"),
    [
        (
            token({"roles": ["full_access_as_app", "Calendars.Read"]}),
            {"full_access_as_app", "Calendars.Read"},
        ),
        (token({"scp": "EWS.AccessAsUser.All openid"}), {"EWS.AccessAsUser.All", "openid"}),
        (token({"roles": [1, None], "scp": 7}), set()),
        (token(["roles"]), set()),
        (token({}), set()),
        ("opaque", set()),
        ("a.b", set()),
        ("..", set()),
        ("e30." + "A" * 100_000 + ".sig", set()),
    ],
)
def test_permissions_of_tokens(text: str, permissions: set[str]) -> None:
    assert find_permissions(text) == permissions


@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_unreadable_is_fatal(first: str, second: str) -> None:
    assert find_claims([f'Bearer claims="{first}"', second]) in {"", "{}"}
    find_permissions(f"{first}.{second}.{first}")
