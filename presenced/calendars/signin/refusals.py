"""From Entra's error answer to a problem with a remedy.

Nothing Entra writes is repeated but numbers and OAuth's error words, so that nothing secret, and nothing
that changes from try to try, gets into a notice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from presenced.calendars.signin.causes import BY_ERROR, BY_NUMBER, Cause
from presenced.calendars.signin.clouds import is_delegated, permission_of, scope_of
from presenced.calendars.signin.problems import SignInProblem
from presenced.config.settings import ExchangeSettings

_NUMBER = re.compile(r"AADSTS(\d{4,9})\b")
_WORD = re.compile(r"[a-z_]{1,40}")
_ID = re.compile(r"[0-9a-fA-F-]{8,64}")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Refused(Exception):
    """The token endpoint said no: OAuth's word for it and Entra's numbers."""

    def __init__(self, error: str, numbers: tuple[int, ...] = (), correlation: str = "") -> None:
        self.error = error
        self.numbers = numbers
        self.correlation = correlation
        """the id under which Entra's sign-in log has this try"""
        super().__init__(f"{error} {', '.join(map(str, numbers))}".strip())


def read_refusal(answer: Mapping[str, object]) -> Refused:
    """An error answer (RFC 6749 section 5.2, with Entra's error_codes) without what may be secret in it."""
    error = answer.get("error")
    codes = answer.get("error_codes")
    numbers = [code for code in codes if isinstance(code, int)] if isinstance(codes, list) else []
    told = answer.get("error_description")
    numbers += [int(found) for found in _NUMBER.findall(told)] if isinstance(told, str) else []
    correlation = answer.get("correlation_id")
    return Refused(
        error if isinstance(error, str) and _WORD.fullmatch(error) else "unknown",
        tuple(dict.fromkeys(numbers)),
        correlation if isinstance(correlation, str) and _ID.fullmatch(correlation) else "",
    )


def explain(refused: Refused, settings: ExchangeSettings, *, account: str = "") -> SignInProblem:
    """What a refusal means here, and what to do; `account` is who signed in, where that is known."""
    number = next((each for each in refused.numbers if each in BY_NUMBER), None)
    cause = BY_ERROR.get(refused.error) if number is None else BY_NUMBER[number]
    named = _name(refused, number)
    if cause is None:
        return SignInProblem(
            f"Entra refused the sign-in ({named})", remedy=_look_up(refused.numbers), lasting=True
        )
    cause = _sharpen(cause, number, settings)
    words = _Words(settings, account)
    return SignInProblem(
        f"{words.fill(cause.reason)} ({named})", remedy=words.fill(cause.remedy), lasting=cause.lasting
    )


@dataclass(frozen=True, slots=True)
class _Words:
    settings: ExchangeSettings
    account: str

    def fill(self, text: str) -> str:
        settings = self.settings
        app_itself = "the app" if not is_delegated(settings) else "the account"
        return text.format(
            app=settings.client_id,
            tenant=settings.tenant_id or "of any organisation",
            cloud=settings.cloud,
            user=self.account or (is_delegated(settings) and settings.user) or app_itself,
            permission=permission_of(settings),
            scope=scope_of(settings),
        )


def _sharpen(cause: Cause, number: int | None, settings: ExchangeSettings) -> Cause:
    """Where the settings themselves show what went wrong, or another credential is used, say so."""
    if number == 7000215 and _GUID.fullmatch(settings.client_secret.reveal().strip()):
        return Cause("client_secret holds the Secret ID of a secret, not its Value", cause.remedy)
    if number in {700027, 50012, 50013, 50027} and settings.federated_token_file is not None:
        return BY_NUMBER[70021]
    if cause is BY_ERROR["invalid_grant"] and not is_delegated(settings):
        return BY_ERROR["invalid_client"]
    return cause


def _name(refused: Refused, number: int | None) -> str:
    first = number if number is not None else next(iter(refused.numbers), None)
    return refused.error if first is None else f"AADSTS{first}"


def _look_up(numbers: tuple[int, ...]) -> str:
    if not numbers:
        return "look up the failed sign-in in Entra's sign-in logs"
    return f"see https://login.microsoftonline.com/error?code={numbers[0]} and Entra's sign-in logs"
