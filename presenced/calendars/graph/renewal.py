"""How long a subscription lives and when it is renewed. Values only.

Graph ends a subscription to appointments after 10,080 minutes at the latest ("subscription resource type",
maximum length). It is renewed at two thirds of its life, so that a server that is away for two days costs
no notices; a share of chance keeps those made together from being renewed together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST = timedelta(minutes=10_080)
SLACK = timedelta(minutes=10)
"""asked for less than the longest life: our clock may be ahead of Graph's"""
SPREAD = 0.1
"""the share of two thirds of its life by which a renewal may come earlier"""


@dataclass(frozen=True, slots=True)
class Lease:
    """A subscription that Graph granted."""

    subscription: str
    granted_at: datetime
    expires_at: datetime


def wish(now: datetime) -> datetime:
    """The end of life to ask for."""
    return now + LONGEST - SLACK


def renew_at(lease: Lease, chance: float = 0.0) -> datetime:
    """When to renew it; `chance` in [0, 1) brings that forward by up to `SPREAD`."""
    life = max(lease.expires_at - lease.granted_at, timedelta())
    return lease.granted_at + life * 2 / 3 * (1 - SPREAD * chance)


def is_over(lease: Lease, now: datetime) -> bool:
    """It sends no notices any more."""
    return now >= lease.expires_at
