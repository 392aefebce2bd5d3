"""$batch: up to twenty requests in one, each answered for itself.

Source: Microsoft Graph documentation, "Combine multiple HTTP requests using JSON batching". Answers come in
any order, so they are turned round here: who goes by position instead of id is wrong at once.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from presenced.sim.graph.problems import Reply, bad_request

MOST = 20
AT_A_TIME = 4
"""requests to one mailbox that run at the same time inside a batch"""
_METHODS = frozenset({"GET", "POST", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch, or one on its own."""

    method: str
    url: str
    """relative to the version"""
    headers: Mapping[str, str] = field(default_factory=dict)
    """names in lower case"""
    body: Mapping[str, Any] | None = None
    id: str = ""


def read_parts(body: object) -> list[Part]:
    """The requests of a batch; raises GraphProblem for a batch that is none."""
    if not isinstance(body, dict) or set(body) != {"requests"} or not isinstance(body["requests"], list):
        raise bad_request("Invalid batch payload format.")
    requests = body["requests"]
    if not 0 < len(requests) <= MOST:
        raise bad_request(f"Number of batch request steps exceeds the max value of {MOST}.")
    parts = [_read(request) for request in requests]
    if len({part.id for part in parts}) != len(parts):
        raise bad_request("Request id must be unique.")
    return parts


def _read(request: object) -> Part:
    if not isinstance(request, dict):
        raise bad_request("Invalid batch payload format.")
    id_, method, url = request.get("id"), request.get("method"), request.get("url")
    if not isinstance(id_, str) or not id_:
        raise bad_request("Request id must be a text.")
    if not isinstance(method, str) or method.upper() not in _METHODS:
        raise bad_request("Request method is missing or not allowed.")
    if not isinstance(url, str) or not url or "://" in url or url.strip("/").startswith(("v1.0", "beta")):
        raise bad_request("Request url must be relative to the version.")
    headers = request.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise bad_request("Request headers must be texts.")
    headers = {str(name).lower(): value for name, value in headers.items()}
    body = request.get("body")
    if body is not None and headers.get("content-type", "").partition(";")[0] != "application/json":
        raise bad_request("A request with a body needs the header Content-Type.")
    unknown = set(request) - {"id", "method", "url", "headers", "body"}
    if unknown:
        raise bad_request(f"'{min(unknown)}' is not supported here.")
    return Part(method.upper(), url, headers, body, id_)


async def run(parts: list[Part], answer: Callable[[Part], Awaitable[Reply]]) -> dict[str, Any]:
    """All answers; those to one mailbox four at a time."""
    turns: dict[str, asyncio.Semaphore] = {}

    async def take(part: Part) -> dict[str, Any]:
        whose = "/".join(part.url.strip("/").split("/")[:2]).casefold()
        async with turns.setdefault(whose, asyncio.Semaphore(AT_A_TIME)):
            reply = await answer(part)
        shown: dict[str, Any] = {"id": part.id, "status": reply.status, "headers": reply.headers}
        return shown if reply.body is None else shown | {"body": reply.body}

    answers = await asyncio.gather(*(take(part) for part in parts))
    return {"responses": list(reversed(answers))}


def claims_header(claims: str) -> str:
    """WWW-Authenticate of a challenge that asks for claims."""
    encoded = base64.b64encode(json.dumps(json.loads(claims)).encode()).decode()
    return (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
        f'client_id="00000003-0000-0000-c000-000000000000", error="insufficient_claims", claims="{encoded}"'
    )
