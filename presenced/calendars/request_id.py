"""What a request is called, so that it can be found again in the server's log.

Microsoft's doors want a GUID in `client-request-id`. Ours tell by their beginning which process asked, and by
their end in which order.
"""

from __future__ import annotations

from itertools import count
from uuid import uuid4

_PROCESS = str(uuid4())[:-12]
_NUMBERS = count(1)


def next_request_id() -> str:
    """A GUID no other request has."""
    return f"{_PROCESS}{next(_NUMBERS):012x}"
