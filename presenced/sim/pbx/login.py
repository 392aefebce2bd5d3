"""Logging in over AppWebsocket, from the PBX's side (pbx-link.md section 2). Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

CHALLENGE_LENGTH = 16
LOGIN_PARTS = ("app", "domain", "sip", "guid", "dn")


def spell(value: object) -> str:
    """JSON without white space or needless escapes, keys as they come."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def digest(message: Mapping[str, Any], challenge: str, password: str) -> str:
    """The digest of an AppLogin or AppCheckLogin: lower-case hex SHA-256 of the parts joined by colons.

    Missing strings count as ""; without an `info` member that part and its colon are left out.
    """
    parts = [str(message.get(name, "")) for name in LOGIN_PARTS]
    if "info" in message:
        parts.append(spell(message["info"]))
    return hashlib.sha256(":".join((*parts, challenge, password)).encode()).hexdigest()


def app_login(
    *,
    app: str,
    domain: str,
    pbx: str,
    info: Mapping[str, object] | None,
    challenge: str,
    password: str,
) -> dict[str, Any]:
    """The AppLogin of a PBX whose App object has the Websocket check mark."""
    message: dict[str, Any] = {
        "mt": "AppLogin",
        "app": app,
        "domain": domain,
        "sip": app,
        "guid": hashlib.sha256(f"{pbx}.{domain}".encode()).hexdigest()[:32],
        "dn": f"Presence ({pbx})",
    }
    if info is not None:
        message["info"] = dict(info)
    return message | {"digest": digest(message, challenge, password)}


def check_challenge(challenge: object) -> str:
    """What is wrong with a challenge, "" where nothing is."""
    if not isinstance(challenge, str) or not challenge:
        return f"the challenge {challenge!r} is no string with something in it"
    if len(challenge) > CHALLENGE_LENGTH:
        return f"the challenge has {len(challenge)} characters, {CHALLENGE_LENGTH} are allowed"
    return ""
