"""What can be made to go wrong at the identity provider, as switches a test turns while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from presenced.sim.switches import Switchboard


class Trouble(StrEnum):
    """What happens instead of an answer, or to it."""

    THROTTLED = "throttled"
    """HTTP 429; Retry-After where `back_off` is positive"""
    OUTAGE = "outage"
    """HTTP 503; Retry-After where `back_off` is positive"""
    BROKEN = "broken"
    """HTTP 500 with an HTML page"""
    NOT_JSON = "not-json"
    """HTTP 200 with an HTML page, as a proxy's sign-in page"""
    RESET = "reset"
    """the connection is cut without an answer"""
    SLOW = "slow"
    """the answer waits for `delay`; goes together with any other trouble"""


@dataclass(slots=True)
class Switch:
    """One trouble that is switched on."""

    trouble: Trouble
    endpoint: str = ""
    """`token`, `devicecode`, `discovery`, `instance`, `keys`; "" for every one"""
    grant: str = ""
    """grant_type of a token request; "" for every one"""
    times: int | None = None
    """how many requests still meet it; None: until it is switched off"""
    back_off: timedelta = timedelta()
    delay: timedelta = timedelta()

    def meets(self, endpoint: str, grant: str) -> bool:
        """Whether such a request gets into the trouble."""
        return self.endpoint in {"", endpoint} and self.grant in {"", grant}


@dataclass(slots=True)
class EntraFaults(Switchboard[Switch]):
    """All that can be made to go wrong. Expired secrets and lost consents are in `tenants`, as for real."""

    skew: timedelta = timedelta()
    """how far the provider's clock is ahead of everybody else's"""
    tolerance: timedelta = timedelta(minutes=5)
    """by how much an assertion's times may be off"""
    single_use_refresh_tokens: bool = False
    """a refresh token is void once used (the real service leaves the old one valid)"""
    single_use_assertions: bool = False
    """a jti is taken once only, as RFC 7523 allows (the real service lets msal use one for nine minutes)"""

    def on(
        self,
        trouble: Trouble,
        *,
        endpoint: str = "",
        grant: str = "",
        times: int | None = None,
        back_off: timedelta = timedelta(),
        delay: timedelta = timedelta(),
    ) -> Switch:
        """Switch a trouble on; the first one switched on is met first."""
        switch = Switch(trouble, endpoint, grant, times, back_off, delay)
        self.switches.append(switch)
        return switch

    def meet(self, endpoint: str, grant: str) -> tuple[Switch | None, timedelta]:
        """The trouble this request gets into, if any, and how long its answer waits; counts it."""
        trouble: Switch | None = None
        delay = timedelta()
        for switch in self.usable():
            if not switch.meets(endpoint, grant):
                continue
            if switch.trouble is Trouble.SLOW:
                delay += switch.delay
            elif trouble is None:
                trouble = switch
            else:
                continue
            self.use(switch)
        return trouble, delay
