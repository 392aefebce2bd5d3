"""The errors the endpoint answers with, by their EWS response codes.

EWS knows two depths of error: one part of a request fails (a response message of class Error), or the
request as a whole does (a SOAP fault with HTTP 500). MS-OXWSCDATA ResponseCodeType lists the codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

CLIENT_MISTAKES = frozenset(
    {
        "ErrorCalendarEndDateIsEarlierThanStartDate",
        "ErrorCalendarFolderIsInvalidForCalendarView",
        "ErrorCalendarViewRangeTooBig",
        "ErrorChangeKeyRequiredForWriteOperations",
        "ErrorInvalidIdMalformed",
        "ErrorInvalidOperation",
        "ErrorInvalidPropertyRequest",
        "ErrorInvalidRequest",
        "ErrorInvalidServerVersion",
        "ErrorInvalidSyncStateData",
        "ErrorMissingEmailAddress",
        "ErrorNonPrimarySmtpAddress",
        "ErrorSchemaValidation",
        "ErrorSendMeetingCancellationsRequired",
        "ErrorSendMeetingInvitationsOrCancellationsRequired",
        "ErrorSendMeetingInvitationsRequired",
        "ErrorTimeIntervalTooBig",
        "ErrorUnsupportedPathForQuery",
    }
)
"""codes only a client that is wrong ever sees"""


class Problem(Exception):
    """One part of a request can't be done: its code, a sentence and named values for `MessageXml`."""

    def __init__(self, code: str, text: str, values: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.values = values or {}


class Refusal(Problem):
    """The request as a whole is refused with a SOAP fault."""


def busy(back_off: timedelta) -> Problem:
    """The server has too much to do; `back_off` may be nothing at all."""
    return Problem(
        "ErrorServerBusy",
        "The server cannot service this request right now. Try again later.",
        {"BackOffMilliseconds": str(int(back_off.total_seconds() * 1000))},
    )


def wrapped(inner: Problem) -> Problem:
    """The same trouble with ErrorInternalServerError around it, as some servers answer."""
    return Problem(
        "ErrorInternalServerError",
        f"An internal server error occurred. The operation failed., {inner.text}",
        {"InnerErrorMessageText": inner.text, "InnerErrorResponseCode": inner.code, **inner.values},
    )
