"""Entra's numbers in our words: what each means here, and what the admin does about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.calendars.signin.causes import BY_ERROR, BY_NUMBER
from presenced.calendars.signin.refusals import Refused, explain, read_refusal
from presenced.config.settings import ExchangeSettings, Secret, SyncType

APP = ExchangeSettings(
    sync_type=SyncType.CLOUD_APP_ONLY,
    client_id="app-id",
    tenant_id="contoso.com",
    client_secret=Secret("planted"),
)
ACCOUNT = replace(APP, sync_type=SyncType.CLOUD, client_secret=Secret(""), user="svc@contoso.com")


def refused(number: int, error: str = "invalid_client") -> Refused:
    return read_refusal(
        {"error": error, "error_codes": [number], "error_description": f"AADSTS{number}: planted words"}
    )


@pytest.mark.parametrize(
    ("number", "reason", "remedy"),
    [
        (7000215, "the client secret of app app-id is wrong", "copy the Value, not the Secret ID"),
        (7000222, "the client secret of app app-id has expired", "make a new one"),
        (700016, "there is no app app-id in tenant contoso.com", "check client_id and tenant_id"),
        (90002, "tenant contoso.com does not exist in the global cloud", "check tenant_id and cloud"),
        (900382, "belongs to another cloud than global", "set cloud"),
        (65001, "nobody has consented that app app-id may use full_access_as_app", "Grant admin consent"),
        (700027, "the certificate is not one of app app-id", "upload the certificate"),
        (700024, "is not valid at this time", "check the clock of this machine"),
        (700213, "no federated credential", "issuer, subject (case counts) and audience"),
        (7000112, "app app-id is disabled in tenant contoso.com", "enable the enterprise application"),
        (50194, "for its own organisation only", "set tenant_id"),
        (
            500011,
            "does not know the service behind https://outlook.office365.com/.default",
            "Exchange Online",
        ),
        (53003, "a Conditional Access policy or security default blocks the app", "Entra's sign-in logs"),
        (50196, "takes no more sign-ins", "look for other programs"),
        (500212, "keep this network out of tenant contoso.com", "Restrict-Access-To-Tenants"),
    ],
)
def test_what_an_admin_does_for_an_app(number: int, reason: str, remedy: str) -> None:
    problem = explain(refused(number), APP)
    assert reason in problem.reason
    assert f"(AADSTS{number})" in problem.reason
    assert remedy in problem.remedy
    assert problem.lasting is (number != 50196)
    assert "planted" not in problem.reason + problem.remedy


@pytest.mark.parametrize(
    ("number", "reason", "remedy"),
    [
        (50076, "svc@contoso.com must prove who it is once more", "run presenced signin again"),
        (50079, "multifactor", "exempt the account"),
        (53003, "Conditional Access policy or security default blocks svc@contoso.com", "sign-in logs"),
        (65001, "may use EWS.AccessAsUser.All", "Grant admin consent"),
        (700082, "the sign-in of svc@contoso.com has ended", "signing in as svc@contoso.com"),
        (50173, "the sign-in of svc@contoso.com has ended", "run presenced signin again"),
        (50055, "the password of svc@contoso.com has expired", "set a new one"),
        (50057, "svc@contoso.com is locked or disabled", "unlock or enable"),
        (50105, "svc@contoso.com is not assigned to app app-id", "Assignment required"),
        (50020, "svc@contoso.com is no account of tenant contoso.com", "supported_accounts = multiple"),
        (7000218, "app app-id may not sign in without a secret", "Allow public client flows"),
    ],
)
def test_what_an_admin_does_for_an_account(number: int, reason: str, remedy: str) -> None:
    problem = explain(refused(number, "invalid_grant"), ACCOUNT)
    assert reason in problem.reason
    assert remedy in problem.remedy


def test_who_signed_in_is_named_rather_than_who_should_have() -> None:
    assert "of me@contoso.com" in explain(refused(700082), ACCOUNT, account="me@contoso.com").reason


def test_a_secret_id_is_known_by_its_looks() -> None:
    wrong = replace(APP, client_secret=Secret("0d5d5e2c-5f2e-4b5e-9d0a-6f6a6c7b1a11"))
    problem = explain(refused(7000215), wrong)
    assert problem.reason.startswith("client_secret holds the Secret ID of a secret, not its Value")


def test_a_certificate_that_is_none_is_a_federated_token() -> None:
    federated = replace(APP, client_secret=Secret(""), federated_token_file=Path("/run/token"))
    assert "federated credential" in explain(refused(700027), federated).reason


@pytest.mark.parametrize("number", [0, 9999999])
def test_numbers_nobody_knows(number: int) -> None:
    problem = explain(Refused("odd_error", (number,) if number else ()), APP)
    assert "Entra refused the sign-in" in problem.reason
    assert "sign-in logs" in problem.remedy


def test_oauths_own_words_serve_where_there_is_no_number() -> None:
    assert "refused the credential" in explain(Refused("invalid_client"), APP).reason
    assert "refused the credential" in explain(Refused("invalid_grant"), APP).reason
    assert "has ended" in explain(Refused("invalid_grant"), ACCOUNT).reason
    assert not explain(Refused("temporarily_unavailable"), APP).lasting


@pytest.mark.parametrize(
    "given", [APP, ACCOUNT, replace(APP, sync_type=SyncType.GRAPH)], ids=["app", "account", "graph"]
)
def test_every_cause_is_one_sentence_with_a_remedy(given: ExchangeSettings) -> None:
    problems = [explain(refused(number), given) for number in BY_NUMBER]
    problems += [explain(Refused(error), given) for error in BY_ERROR]
    for problem in problems:
        assert problem.remedy
        for text in (problem.reason, problem.remedy):
            assert not set("{}\n") & set(text)
            assert not text.endswith(".")


@given(
    st.dictionaries(
        st.sampled_from(["error", "error_codes", "error_description", "correlation_id", "suberror"]),
        st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5),
    )
)
@settings(max_examples=60)
def test_any_answer_is_a_refusal_that_can_be_told(answer: dict[str, object]) -> None:
    problem = explain(read_refusal(answer), APP)
    assert problem.reason.isprintable()
    assert len(problem.reason) < 400
