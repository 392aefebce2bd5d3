"""Discovery over the real carrier: a server on loopback, a sign-in, and nothing between."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import pytest
from aiohttp import web

from presenced.calendars.discovery import Finder
from presenced.calendars.transport import HttpCarrier
from presenced.config.settings import ExchangeSettings, Secret, SyncType
from presenced.core.ports import DoorProblem
from tests.calendars.discovery.landscape import Exchange, Request, User
from tests.calendars.site import Seen, Site
from tests.clock import FakeClock

GOOD = "Basic " + b64encode(b"svc@example.com:secret").decode()


class Office:
    """An Exchange that asks for a sign-in and knows many users."""

    def __init__(self, number: int) -> None:
        users = {
            f"user{each}@example.com": User(external="https://mail.example.com/EWS") for each in range(number)
        }
        self.exchange = Exchange(users, most=40)

    async def __call__(self, seen: Seen) -> web.StreamResponse:
        if seen.authorization != GOOD:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="mail"'})
        request = Request(seen.method, f"http://here{seen.path}", seen.body, seen.headers, "", signed_in=True)
        reply = self.exchange(request)
        return web.Response(status=reply.status, body=reply.body, content_type="text/xml")


def configure(site: Site, password: str = "secret") -> ExchangeSettings:
    return ExchangeSettings(
        sync_type=SyncType.ON_PREMISES,
        user="svc@example.com",
        password=Secret(password),
        authentication="basic",
        autodiscover_url=site.url("/"),
        requests_in_flight=4,
    )


async def test_a_thousand_users_are_found() -> None:
    clock = FakeClock()
    users = [[f"nobody{each}@pbx.local", f"user{each}@example.com"] for each in range(1000)]
    async with Site(Office(1000)) as site, HttpCarrier(configure(site), clock) as carrier:
        finder = Finder(configure(site), carrier, clock)
        halves = await asyncio.gather(
            finder.fetch_mailboxes(users[:500]), finder.fetch_mailboxes(users[500:])
        )
        assert carrier.counters()["in_flight"] == 0
    found = [one.mailbox.address for half in halves for one in half if one.mailbox is not None]
    assert found == [f"user{each}@example.com" for each in range(1000)]
    assert len(site.seen) < 150
    assert {seen.authorization for seen in site.seen} == {GOOD}


async def test_a_wrong_password_is_told_and_tried_once() -> None:
    clock = FakeClock()
    async with Site(Office(9)) as site, HttpCarrier(configure(site, "wrong"), clock) as carrier:
        finder = Finder(configure(site, "wrong"), carrier, clock)
        for _ in range(2):
            with pytest.raises(DoorProblem, match=r"refused user and password of svc@example\.com") as caught:
                await finder.fetch_mailboxes([["user1@example.com"], ["user2@example.com"]])
            assert "locked" in caught.value.remedy
            assert caught.value.retry_after is not None
    assert len(site.seen) == 1
