from __future__ import annotations

from datetime import timedelta

import pytest

from presenced.calendars.graph.recovery import (
    Step,
    Trouble,
    door_problem,
    find_trouble,
    mailbox_problem,
    recovery_for,
)
from presenced.core.ports import MailboxState


@pytest.mark.parametrize(
    ("status", "code", "step"),
    [
        (410, "syncStateNotFound", Step.RESYNC),
        (410, "somethingNew", Step.RESYNC),
        (400, "SyncStateInvalid", Step.RESYNC),
        (403, "ErrorAccessDenied", Step.BLOCK),
        (403, "Authorization_RequestDenied", Step.BLOCK),
        (403, "", Step.BLOCK),
        (404, "MailboxNotEnabledForRESTAPI", Step.BLOCK),
        (404, "Request_ResourceNotFound", Step.REDISCOVER),
        (404, "ErrorInvalidUser", Step.REDISCOVER),
        (429, "ErrorAccessDenied", Step.BACK_OFF),
        (429, "", Step.BACK_OFF),
        (503, "serviceNotAvailable", Step.BACK_OFF),
        (504, "", Step.FAIL),
        (500, "generalException", Step.FAIL),
        (423, "ErrorMailboxMoveInProgress", Step.FAIL),
        (401, "InvalidAuthenticationToken", Step.SIGN_IN),
        (0, "Missing", Step.FAIL),
    ],
)
def test_what_is_done_about_each_refusal(status: int, code: str, step: Step) -> None:
    trouble = find_trouble(status, {}, {"error": {"code": code, "message": "m"}}, None)
    assert recovery_for(trouble).step is step


def test_an_admin_reads_reason_words_and_remedy() -> None:
    problem = mailbox_problem(Trouble(403, "ErrorAccessDenied", "Access is denied."))
    assert problem.reason == "the app may not read this mailbox (ErrorAccessDenied: Access is denied)"
    assert "RBAC" in problem.remedy
    assert problem.state is MailboxState.BLOCKED
    assert problem.retry_after == timedelta(hours=1)


@pytest.mark.parametrize("body", [{}, {"error": "x"}, {"error": {"code": None}}, {"error": {}}])
def test_a_refusal_without_words_is_named_by_its_status(body: dict[str, object]) -> None:
    assert find_trouble(502, {}, body, None).code == "Http502"


@pytest.mark.parametrize(
    ("scope", "everybody"),
    [
        ("Tenant_Application/ReadWrite/1/2", True),
        ("Application/Read/1", True),
        ("User_Application/Read/1/2", False),
        ("", False),
    ],
)
def test_whom_a_back_off_is_meant_for(scope: str, everybody: bool) -> None:
    assert find_trouble(429, {"x-ms-throttle-scope": scope}, {}, None).everybody is everybody


def test_everybodys_problem_waits_as_long_as_asked() -> None:
    problem = door_problem(Trouble(503, "x", backoff=timedelta(minutes=2)))
    assert problem.retry_after == timedelta(minutes=2)
