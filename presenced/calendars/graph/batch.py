"""Several questions in one request ("Combine multiple HTTP requests using JSON batching"). Values only.

A batch answers as a whole with 200 and in any order, each part with a status of its own, so each is held
against the question it belongs to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from presenced.calendars.graph.questions import Question
from presenced.calendars.graph.wire import Answer, Unreadable

MOST = 20
"""parts of a batch"""


@dataclass(frozen=True, slots=True)
class Part:
    """The answer to one question of a batch."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """names in lower case"""
    body: Answer = field(default_factory=dict)


MISSING = Part(0)
"""what a batch did not answer"""


def write_batch(questions: Sequence[Question]) -> bytes:
    """The body of a batch of at most `MOST` questions; a part's id is its place."""
    return json.dumps({"requests": [_part(place, one) for place, one in enumerate(questions)]}).encode()


def _part(place: int, question: Question) -> dict[str, object]:
    part: dict[str, object] = {"id": str(place), "method": question.method, "url": question.path}
    headers = dict(question.headers)
    if question.body is not None:
        headers["Content-Type"] = "application/json"
        part["body"] = dict(question.body)
    if headers:
        part["headers"] = headers
    return part


def read_batch(answer: Answer, count: int) -> list[Part]:
    """The parts in the order they were asked; `MISSING` for what is not there. Raises Unreadable."""
    responses = answer.get("responses")
    if not isinstance(responses, list):
        raise Unreadable("the batch has no list of responses")
    parts = [MISSING] * count
    for one in responses:
        place = _place(one, count)
        if place is not None:
            parts[place] = _read_part(one)
    return parts


def _place(one: Any, count: int) -> int | None:
    identity = one.get("id") if isinstance(one, dict) else None
    if isinstance(identity, str) and identity.isascii() and identity.isdigit() and len(identity) < 4:
        return int(identity) if int(identity) < count else None
    return None


def _read_part(one: Mapping[str, Any]) -> Part:
    status, headers, body = one.get("status"), one.get("headers"), one.get("body")
    return Part(
        status if isinstance(status, int) else 0,
        {str(name).lower(): str(value) for name, value in headers.items()}
        if isinstance(headers, dict)
        else {},
        body if isinstance(body, dict) else {},
    )
