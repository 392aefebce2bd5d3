"""The secret that webhooks are signed with."""

from __future__ import annotations

import pytest

from presenced.config.settings import Secret
from tests.config.sample import SMALL, Machine, read, wrong

HOOK = SMALL + "[alerts]\nwebhook_url = https://hooks.example.com/x\n"


@pytest.mark.parametrize(
    "secret", ["x" * 24, "a text with spaces, long enough", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
)
def test_good_secrets(secret: str) -> None:
    settings = read(f"{HOOK}webhook_secret = {secret}\n", Machine())
    assert settings.alerts.webhook_secret == Secret(secret)
    assert settings.notices == ()


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("x" * 23, "too short"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==", "too short"),
        ("whsec_what is this supposed to be?", "no base64"),
    ],
)
def test_useless_secrets_are_told_without_repeating_them(secret: str, words: str) -> None:
    (problem,) = wrong(f"{HOOK}webhook_secret = {secret}\n", Machine())
    assert problem.startswith("x.ini:8: webhook_secret: ")
    assert words in problem
    assert secret not in problem


def test_a_webhook_without_a_secret_is_noted() -> None:
    (notice,) = read(HOOK, Machine()).notices
    assert str(notice).startswith("x.ini:7: what goes to webhook_url is not signed")


def test_a_secret_without_a_webhook_is_noted() -> None:
    (notice,) = read(f"{SMALL}[alerts]\nwebhook_secret = {'x' * 24}\n", Machine()).notices
    assert "has no effect without webhook_url" in str(notice)
