"""Sign-in of a device without a browser: it shows a code, a user enters it elsewhere, it asks and asks.

Source: RFC 8628, and "Microsoft identity platform and the OAuth 2.0 device authorization grant flow".
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from presenced.sim.entra.refusals import Refused
from presenced.sim.entra.tenants import Tenant, User

PAGE = "https://microsoft.com/devicelogin"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_SLOWER = timedelta(seconds=5)
"""RFC 8628 section 3.5: by how much slow_down stretches the interval"""


class State(StrEnum):
    """How far the user got."""

    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"
    USED = "used"


@dataclass(slots=True)
class Device:
    """One sign-in under way."""

    device_code: str
    user_code: str
    client_id: str
    scope: str
    ends: datetime
    interval: timedelta
    state: State = State.WAITING
    tenant: Tenant | None = None
    """whose user approved"""
    user: User | None = None
    next_poll: datetime | None = None
    """when the device may ask again; None before it first asked"""

    @property
    def message(self) -> str:
        """What the user is to be told."""
        return (
            f"To sign in, use a web browser to open the page {PAGE} and enter the code {self.user_code}"
            " to authenticate."
        )


class Devices:
    """All sign-ins of devices."""

    def __init__(self) -> None:
        self.life = timedelta(minutes=15)
        self.interval = timedelta(seconds=5)
        self._devices: dict[str, Device] = {}

    def __iter__(self) -> Iterator[Device]:
        return iter(self._devices.values())

    def begin(self, client_id: str, scope: str, now: datetime) -> Device:
        """A new pair of codes."""
        device = Device(
            secrets.token_urlsafe(48),
            "".join(secrets.choice(_LETTERS) for _ in range(9)),
            client_id,
            scope,
            now + self.life,
            self.interval,
        )
        self._devices[device.device_code] = device
        return device

    def approve(self, user_code: str, tenant: Tenant, user: User) -> None:
        """The user signed in and entered the code; KeyError where no device shows it."""
        device = self._showing(user_code)
        device.state, device.tenant, device.user = State.APPROVED, tenant, user

    def decline(self, user_code: str) -> None:
        """The user said no; KeyError where no device shows the code."""
        self._showing(user_code).state = State.DECLINED

    def _showing(self, user_code: str) -> Device:
        for device in self._devices.values():
            if device.user_code == user_code and device.state is State.WAITING:
                return device
        raise KeyError(user_code)

    def poll(self, device_code: str, client_id: str, now: datetime) -> Device:
        """The device asks whether the user is done; raises Refused as long as he isn't."""
        device = self._devices.get(device_code)
        if device is None or device.state is State.USED or device.client_id != client_id:
            raise Refused(70018)
        if now >= device.ends:
            raise Refused(70020)
        too_early = device.next_poll is not None and now < device.next_poll
        if too_early:
            device.interval += _SLOWER
        device.next_poll = now + device.interval
        if too_early:
            raise Refused(70022)
        if device.state is State.DECLINED:
            raise Refused(65004)
        if device.state is State.WAITING:
            raise Refused(70016)
        device.state = State.USED
        return device
