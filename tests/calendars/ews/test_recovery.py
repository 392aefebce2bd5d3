from datetime import timedelta

import pytest
from exchangelib import errors

from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.ews.envelope import DYING, POLICY, UNREADABLE, Trouble
from presenced.calendars.ews.recovery import (
    _TABLE,
    Step,
    door_problem,
    in_words,
    mailbox_problem,
    recovery_for,
)
from presenced.calendars.problems import carried_problem
from presenced.core.ports import DoorProblem, MailboxProblem, MailboxState
from tests.calendars.ews.schema import schema_folder

OURS = {POLICY, UNREADABLE, DYING}


@pytest.mark.parametrize(
    ("code", "step"),
    [
        ("ErrorSubscriptionNotFound", Step.RESUBSCRIBE),
        ("ErrorInvalidSubscription", Step.RESUBSCRIBE),
        ("ErrorExpiredSubscription", Step.RESUBSCRIBE),
        ("ErrorReadEventsFailed", Step.RESUBSCRIBE),
        ("ErrorMissedNotificationEvents", Step.RESUBSCRIBE),
        ("ErrorProxyRequestNotAllowed", Step.REDISCOVER),
        ("ErrorMailboxMoveInProgress", Step.REDISCOVER),
        ("ErrorMailboxStoreUnavailable", Step.REDISCOVER),
        ("ErrorNonExistentMailbox", Step.REDISCOVER),
        ("Http404", Step.REDISCOVER),
        ("ErrorExceededConnectionCount", Step.OTHER_ANCHOR),
        ("ErrorExceededSubscriptionCount", Step.POLL),
        ("ErrorServerBusy", Step.BACK_OFF),
        ("ErrorTooManyObjectsOpened", Step.BACK_OFF),
        ("Http503", Step.BACK_OFF),
        ("ErrorExceededFindCountLimit", Step.NARROW),
        (POLICY, Step.BLOCK),
        ("Http403", Step.BLOCK),
        ("ErrorAccessDenied", Step.BLOCK),
        ("ErrorImpersonateUserDenied", Step.BLOCK),
        ("ErrorItemNotFound", Step.BLOCK),
        ("Http401", Step.SIGN_IN),
        ("ErrorInternalServerError", Step.FAIL),
        ("ErrorNobodyKnows", Step.FAIL),
        ("Http500", Step.FAIL),
    ],
)
def test_what_is_done_about_each(code: str, step: Step) -> None:
    assert recovery_for(Trouble(code)).step is step


@pytest.mark.parametrize(
    "code", [code for code in _TABLE if not code.startswith("Http") and code not in OURS]
)
def test_every_code_in_the_table_is_one_of_exchanges(code: str) -> None:
    if isinstance(known := getattr(errors, code, None), type) and issubclass(
        known, errors.ResponseMessageError
    ):
        return
    schema = schema_folder() / "messages.xsd"
    if not schema.exists():
        pytest.skip("no EWS schema: set PRESENCED_EWS_SCHEMA or put it in ../shared/ews-schema")
    assert f'value="{code}"' in schema.read_text()


@pytest.mark.parametrize("code", [code for code, line in _TABLE.items() if line.step is Step.BLOCK])
def test_whoever_is_blocked_reads_what_to_do_and_is_looked_at_hourly(code: str) -> None:
    problem = mailbox_problem(Trouble(code, "because"))
    assert problem.state is MailboxState.BLOCKED
    assert problem.remedy
    assert problem.retry_after == timedelta(hours=1)
    assert not problem.rediscover


def test_a_policy_names_its_value_and_the_cmdlets() -> None:
    problem = mailbox_problem(Trouble(POLICY, "EWS is disabled for this user or tenant", 403))
    assert "EWS is disabled for this user or tenant" in problem.reason
    for word in ("Set-OrganizationConfig -EwsEnabled $true", "EWSAllowedAppIDs",
                 "Set-CASMailbox -EwsEnabled $true"):  # fmt: skip
        assert word in problem.remedy


@pytest.mark.parametrize(
    ("code", "state", "rediscover"),
    [
        ("ErrorNonExistentMailbox", MailboxState.UNRESOLVED, True),
        ("ErrorMailboxMoveInProgress", MailboxState.FAILING, True),
        ("ErrorExceededSubscriptionCount", MailboxState.POLLED, False),
        ("ErrorInternalServerError", MailboxState.FAILING, False),
    ],
)
def test_the_state_of_the_mailbox(code: str, state: MailboxState, rediscover: bool) -> None:
    problem = mailbox_problem(Trouble(code))
    assert (problem.state, problem.rediscover) == (state, rediscover)


def test_the_servers_own_words_stand_beside_ours() -> None:
    assert in_words(Trouble("ErrorAccessDenied", "Access is denied.")) == (
        "the account may not impersonate this mailbox (ErrorAccessDenied: Access is denied.)"
    )
    assert in_words(Trouble("Http401")) == "Exchange refuses the account (Http401)"
    assert door_problem(Trouble("Http401")).remedy


@pytest.mark.parametrize(
    ("kind", "alone", "whose", "rediscover"),
    [
        ("connect", False, DoorProblem, None),
        ("dns", False, DoorProblem, None),
        ("tls", False, DoorProblem, None),
        ("sign-in", False, DoorProblem, None),
        ("sign-in", True, DoorProblem, None),
        ("connect", True, MailboxProblem, True),
        ("timeout", False, MailboxProblem, False),
        ("broken", False, MailboxProblem, False),
        ("too-large", False, MailboxProblem, False),
        ("held", False, MailboxProblem, False),
    ],
)
def test_whose_problem_a_request_is_that_was_not_carried(
    kind: str,
    alone: bool,
    whose: type,
    rediscover: bool | None,
) -> None:
    problem = carried_problem(CarrierProblem(kind, "no"), alone=alone)
    assert type(problem) is whose
    assert getattr(problem, "rediscover", None) == rediscover
