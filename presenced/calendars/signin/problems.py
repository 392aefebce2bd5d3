"""The problem a failed sign-in is to everybody else."""

from __future__ import annotations

from datetime import timedelta

from presenced.calendars.carrier import CarrierProblem


class SignInProblem(CarrierProblem):
    """There is no token to be had: why, and what to do about it.

    `lasting`: only a person can end it (an admin, or whoever signs in), so asking again soon is vain.
    """

    def __init__(
        self, reason: str, *, remedy: str = "", retry_after: timedelta | None = None, lasting: bool = False
    ) -> None:
        super().__init__("sign-in", reason, remedy=remedy, retry_after=retry_after)
        self.lasting = lasting

    def after(self, pause: timedelta) -> SignInProblem:
        """The same, told with how long to wait from now."""
        return SignInProblem(self.reason, remedy=self.remedy, retry_after=pause, lasting=self.lasting)
