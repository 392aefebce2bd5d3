"""What an observer is told of what was asked and answered."""

from __future__ import annotations

import pytest

from presenced.calendars.transport.record import code_of


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<m:ResponseCode>NoError</m:ResponseCode>", ""),
        (b"<m:ResponseCode>ErrorAccessDenied</m:ResponseCode>", "ErrorAccessDenied"),
        (b'{"error":{"code":"ErrorAccessDenied","message":"no"}}', "ErrorAccessDenied"),
        (b'{"error": {"code": "RequestBroker--ParseUri"}}', "RequestBroker--ParseUri"),
        (b'{"responses":[{"id":"0","status":404,"body":{"error":{"code":"ResourceNotFound"}}}]}', "ResourceNotFound"),
        (b'{"value":[{"subject":"code"}]}', ""),
        (b"", ""),
    ],
)  # fmt: skip
def test_the_code_of_an_answer(body: bytes, code: str) -> None:
    assert code_of(body) == code
