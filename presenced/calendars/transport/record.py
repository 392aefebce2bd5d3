"""What an observer is told of every exchange: enough to find it again in both logs, nothing secret.

The transport knows no SOAP; it looks for two names in the first octets of what it carries, because a list
of requests that all read "POST /EWS/Exchange.asmx 200" would help nobody.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple

from presenced.calendars.transport.transcript import mask

_LOOKED_AT = 4096
_SHOWN = 4000
_OPERATION = re.compile(rb"<(?:[\w.-]+:)?Body\b[^<>]*>\s*<(?:[\w.-]+:)?(\w+)")
_CODE = re.compile(rb"<(?:[\w.-]+:)?(?:ResponseCode|ErrorCode)\b[^<>]*>\s*(\w+)")
_JSON_CODE = re.compile(rb'"error"\s*:\s*\{\s*"code"\s*:\s*"([\w.-]+)"')
_NO_ERROR = "NoError"


class RequestRecord(NamedTuple):
    """One exchange as an observer sees it: enough for a list of the last requests, nothing secret."""

    at: datetime
    mailbox: str
    path: str
    status: int
    """0 where there was no answer"""
    duration: timedelta
    """from the slot to the whole answer; of a stream to its head"""
    request_id: str
    """the server's, to find the request in its log"""
    problem: str = ""
    """kind of the CarrierProblem"""
    operation: str = ""
    """what was asked in SOAP, "" where it was no SOAP"""
    code: str = ""
    """the first code in an answer of SOAP or JSON that is no success"""
    sent: str = ""
    """the beginning of the body, masked; only where the protocol is debugged"""
    received: str = ""


def operation_of(body: bytes) -> str:
    """What a SOAP request asks for."""
    found = _OPERATION.search(body, 0, _LOOKED_AT)
    return found[1].decode("ascii", "replace") if found else ""


def code_of(body: bytes) -> str:
    """How an answer says no, in SOAP or JSON; "" where its first message says yes."""
    found = _CODE.search(body, 0, _LOOKED_AT) or _JSON_CODE.search(body, 0, _LOOKED_AT)
    code = found[1].decode("ascii", "replace") if found else ""
    return "" if code == _NO_ERROR else code


def excerpt(body: bytes) -> str:
    """The beginning of a message, titles and secrets masked."""
    return mask(body)[:_SHOWN]
