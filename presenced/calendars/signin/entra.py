"""msal, and nothing else knows it: requests for tokens, blocking, one application object each time.

A fresh application with an empty memory is what makes a token really new: msal answers from its cache
until shortly before expiry (its refusals for a minute), has no way to force an app's token, and would go
on signing with a certificate that has been replaced. Who may ask, and when, is decided in tokens.py.
msal's own device code loop sleeps in its thread; ours polls once and leaves the waiting to the clock.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msal

from presenced import __version__
from presenced.calendars.signin.clouds import authority_of, scope_of
from presenced.calendars.signin.credentials import Certificate, Credential, FederatedToken
from presenced.calendars.signin.http import Http, Trust
from presenced.calendars.signin.problems import SignInProblem
from presenced.calendars.signin.refusals import read_refusal
from presenced.config.settings import ExchangeSettings, Secret

_log = logging.getLogger(__name__)
logging.getLogger("msal").setLevel(logging.WARNING)  # below that it writes device codes and accounts

_PENDING = ("authorization_pending", "slow_down")
_USUAL_LIFETIME = 600
"""seconds, of a token that does not say how long it lives; msal's guess"""


@dataclass(frozen=True, slots=True)
class Grant:
    """What the token endpoint gave."""

    token: Secret
    lifetime: timedelta
    account: str = ""
    """who signed in; "" for the app itself"""
    memory: Secret = Secret("")
    """msal's cache with the refresh token, to be kept; "" for the app itself"""


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """An invitation to sign in with a browser, anywhere (RFC 8628)."""

    url: str
    code: str
    """for the person to type"""
    lifetime: timedelta
    interval: timedelta
    flow: dict[str, Any] = field(repr=False)
    """msal's notes, the secret device code among them"""


class Entra:
    """The token endpoint for these settings. `host` stands in for the cloud's own authority."""

    def __init__(self, settings: ExchangeSettings, *, host: str = "") -> None:
        self._settings = settings
        self._authority = authority_of(settings, host)
        self._trust = Trust(settings)
        self._scopes = [scope_of(settings)]

    def grant_to_app(self, credential: Credential, claims: str, now: datetime) -> Grant:
        """A new token for the app itself. Raises Refused or SignInProblem."""
        with self._http(now) as http:
            app = msal.ConfidentialClientApplication(
                client_credential=_for_msal(credential), azure_region=False, **self._common(http)
            )
            result = app.acquire_token_for_client(self._scopes, claims_challenge=claims or None)
            return self._read(result)

    def grant_to_account(self, memory: Secret, claims: str, now: datetime) -> Grant:
        """A new token for the account that signed in once, and the memory to keep in place of `memory`.

        Raises Refused or SignInProblem; the latter, too, where the memory holds no sign-in of this app.
        """
        with self._http(now) as http:
            cache = _remember(memory)
            app = msal.PublicClientApplication(token_cache=cache, **self._common(http))
            accounts = app.get_accounts()
            result = None
            if accounts:
                result = app.acquire_token_silent_with_error(
                    self._scopes, accounts[0], force_refresh=True, claims_challenge=claims or None
                )
            if result is None:
                raise SignInProblem(
                    f"nobody has signed in for app {self._settings.client_id} yet",
                    remedy="run presenced signin",
                    lasting=True,
                )
            return self._read(result, str(accounts[0]["username"]), cache)

    def invite(self, now: datetime) -> DeviceCode:
        """Begin a sign-in by device code. Raises Refused or SignInProblem."""
        with self._http(now) as http:
            app = msal.PublicClientApplication(**self._common(http))
            flow = app.initiate_device_flow(self._scopes)
        if "user_code" not in flow:
            raise read_refusal(flow)
        return DeviceCode(
            url=str(flow.get("verification_uri") or flow.get("verification_url") or ""),
            code=str(flow["user_code"]),
            lifetime=timedelta(seconds=flow["expires_in"]),
            interval=timedelta(seconds=flow["interval"]),
            flow=flow,
        )

    def poll(self, invitation: DeviceCode, now: datetime) -> Grant | timedelta:
        """The grant, or how long to wait before asking again. Raises Refused or SignInProblem."""
        flow = invitation.flow
        flow["latest_attempt_at"] = 0  # the clock is ours, so msal cannot know whether it is too soon
        with self._http(now) as http:
            cache = msal.SerializableTokenCache()
            app = msal.PublicClientApplication(token_cache=cache, **self._common(http))
            result = app.acquire_token_by_device_flow(flow, exit_condition=lambda flow: True)
            if result.get("error") in _PENDING:
                return timedelta(seconds=flow["interval"])
            accounts = app.get_accounts()
            return self._read(result, str(accounts[0]["username"]) if accounts else "", cache)

    def _common(self, http: Http) -> dict[str, Any]:
        """No question to Microsoft whether the authority is one: it comes from our own table.

        cp1 says that a 401 with a claims challenge is understood (authentication.py): only then is a
        token that was revoked refused at once, and not when it ends (continuous access evaluation).
        """
        return {
            "client_id": self._settings.client_id,
            "authority": self._authority,
            "http_client": http,
            "instance_discovery": False,
            "client_capabilities": ["cp1"],
            "app_name": "presenced",
            "app_version": __version__,
        }

    @contextmanager
    def _http(self, now: datetime) -> Iterator[Http]:
        http = Http(self._trust, now)
        try:
            yield http
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            _log.debug("msal could not read an answer error=%s", type(error).__name__)
            raise SignInProblem(
                f"{self._authority} gave an answer that makes no sense",
                remedy="look for a proxy that changes answers, and check cloud and tenant_id",
            ) from None
        finally:
            http.close()

    def _read(
        self, result: Mapping[str, Any], account: str = "", cache: msal.SerializableTokenCache | None = None
    ) -> Grant:
        token = result.get("access_token")
        if not isinstance(token, str) or not token:
            raise read_refusal(result)
        return Grant(
            token=Secret(token),
            lifetime=timedelta(seconds=int(result.get("expires_in", _USUAL_LIFETIME))),
            account=account,
            memory=Secret(cache.serialize() if cache is not None else ""),
        )


def _for_msal(credential: Credential) -> str | dict[str, Any]:
    """A credential as msal wants it; with a certificate it signs (PS256) and sends x5t#S256 and x5c."""
    if isinstance(credential, Certificate):
        return {"private_key": credential.key, "public_certificate": credential.pem}
    if isinstance(credential, FederatedToken):
        return {"client_assertion": credential.value.reveal}
    return credential.value.reveal()


def _remember(memory: Secret) -> msal.SerializableTokenCache:
    cache = msal.SerializableTokenCache()
    try:
        cache.deserialize(memory.reveal())
    except ValueError:
        raise SignInProblem(
            "the stored sign-in is damaged", remedy="run presenced signin", lasting=True
        ) from None
    return cache
