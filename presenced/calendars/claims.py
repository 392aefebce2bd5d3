"""What is written in tokens and challenges: reading only, no verdict hangs on it.

A claims challenge tells what the next token must carry; it is handed on as it came. The permissions in
an access token are a hint for people: that text belongs to Exchange, which may change or encrypt it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable

_LONGEST = 65_536
_CLAIMS = re.compile(r'(?:^|[\s,])claims\s*=\s*"([A-Za-z0-9+/_=-]+)"', re.IGNORECASE)


def find_claims(challenges: Iterable[str]) -> str:
    """The claims that WWW-Authenticate headers ask for, as JSON text; "" where they ask for none.

    Source: Entra, "Claims challenges, claims requests": `Bearer error="insufficient_claims", claims="…"`,
    the value base64 of a JSON object.
    """
    for challenge in challenges:
        found = _CLAIMS.search(challenge[:_LONGEST])
        text = _decode(found[1]) if found else ""
        if text and isinstance(_parse(text), dict):
            return text
    return ""


def find_permissions(token: str) -> frozenset[str]:
    """The application and delegated permissions an access token names; none where it can't be read."""
    parts = token.split(".")
    payload = _parse(_decode(parts[1])) if len(parts) == 3 and len(token) <= _LONGEST else None
    if not isinstance(payload, dict):
        return frozenset()
    roles, scopes = payload.get("roles"), payload.get("scp")
    found = [role for role in roles if isinstance(role, str)] if isinstance(roles, list) else []
    return frozenset(found + (scopes.split() if isinstance(scopes, str) else []))


def _decode(text: str) -> str:
    """Base64 in either alphabet, with or without padding; "" where it is none."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
    except ValueError:
        return ""


def _parse(text: str) -> object:
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed
