"""What a request is called, so that it can be found again in the server's log.

Microsoft's doors want a GUID in `client-request-id`. Ours tell by their beginning which process asked, and by
their end in which order.
"""

from __future__ import annotations

from itertools import count
from uuid import uuid4

_PROCESS = str(uuid4())[:-12]
_NUMBERS = count(1)


def request_id_headers() -> dict[str, str]:
    """A GUID no other request has, and the wish to read it in the answer."""
    return {
        "client-request-id": f"{_PROCESS}{next(_NUMBERS):012x}",
        "return-client-request-id": "true",
    }
