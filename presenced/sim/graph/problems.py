"""How Graph says no: an HTTP status and an error object with a code.

Source: Microsoft Graph documentation, "Microsoft Graph error responses and resource types".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class GraphProblem(Exception):
    """A refusal: status, code and text; `headers` go with it."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


@dataclass(slots=True)
class Reply:
    """One answer, on its own or as a part of a batch."""

    status: int
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def bad_request(message: str, code: str = "BadRequest") -> GraphProblem:
    """HTTP 400: the client wrote something that makes no sense."""
    return GraphProblem(400, code, message)


def no_such_user(name: str) -> GraphProblem:
    """HTTP 404 of the directory."""
    return GraphProblem(
        404,
        "Request_ResourceNotFound",
        f"Resource '{name}' does not exist or one of its queried reference-property objects are not present.",
    )


def access_denied() -> GraphProblem:
    """HTTP 403 of a mailbox outside what the caller may read."""
    return GraphProblem(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


def error_body(problem: GraphProblem, request_id: str, client_request_id: str, date: str) -> dict[str, Any]:
    """The JSON of a refusal."""
    return {
        "error": {
            "code": problem.code,
            "message": problem.message,
            "innerError": {
                "date": date,
                "request-id": request_id,
                "client-request-id": client_request_id or request_id,
            },
        }
    }
