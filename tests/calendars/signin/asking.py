"""One question for a token, answered or refused."""

from __future__ import annotations

import pytest

from presenced.calendars.signin.problems import SignInProblem
from presenced.calendars.signin.tokens import build_tokens
from presenced.config.settings import ExchangeSettings
from tests.calendars.signin.authority import Authority
from tests.clock import FakeClock


async def fetch(settings: ExchangeSettings, authority: Authority, claims: str = "") -> str:
    tokens = build_tokens(settings, FakeClock(), None, authority_host=authority.host)
    return await tokens.fetch_token(refresh=False, claims=claims)


async def refusal(settings: ExchangeSettings, authority: Authority) -> SignInProblem:
    with pytest.raises(SignInProblem) as caught:
        await fetch(settings, authority)
    assert caught.value.kind == "sign-in"
    return caught.value
