"""What the debug log shows, and what it must never show."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from presenced.calendars.transport import HttpCarrier
from presenced.calendars.transport.transcript import mask
from presenced.config.settings import ExchangeSettings, Secret, SyncType
from tests.calendars.site import Seen, Site
from tests.clock import FakeClock


@pytest.mark.parametrize(
    "message",
    [
        "<t:Subject>TITLE</t:Subject>",
        "<Subject xmlns='x'>TITLE</Subject>",
        "<t:Subject>a &lt;b&gt; > TITLE</t:Subject>",
        "<t:Subject><![CDATA[<b>TITLE</b>]]> TITLE</t:Subject>",
        "<t:Subject><![CDATA[<b>TITLE",
        "<t:Subject>TIT",
        "<t:Location>TITLE</t:Location><t:Start>2026</t:Start>",
        '<t:Body BodyType="HTML">&lt;p&gt;TITLE</t:Body>',
        "<t:Categories><t:String>TITLE</t:String></t:Categories>",
        '{"subject": "TITLE \\" TITLE", "start": 1}',
        '{"location":{"displayName":"TITLE"},"bodyPreview" : "TITLE"}',
        '{"Subject":"TIT',
        '{"access_token":"TITLE"}',
        '{"onlineMeeting":{"joinUrl":"https://teams.example.com/TITLE"},"webLink":"TITLE"}',
    ],
)
def test_titles_and_secrets_are_masked(message: str) -> None:
    shown = mask(message.encode())
    assert "TIT" not in shown
    assert "***" in shown


def test_the_rest_stays_readable() -> None:
    message = b"<s:Envelope><s:Body><m:FindItem><t:Start>2026-11-16T08:00:00Z</t:Start></m:FindItem></s:Body></s:Envelope>"
    assert mask(message) == message.decode()


@given(st.binary(max_size=300))
def test_anything_may_be_masked(message: bytes) -> None:
    assert isinstance(mask(message), str)


@given(title=st.text(st.characters(exclude_characters="<", exclude_categories=["Cs"]), min_size=1))
def test_no_title_is_ever_shown(title: str) -> None:
    marked = f"Q7Q{title}Q7Q"
    assert "Q7Q" not in mask(f"<a:Subject>{marked}</a:Subject>".encode())


@pytest.mark.parametrize("on", [True, False])
async def test_requests_and_answers_are_written(on: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def answer(seen: Seen) -> web.StreamResponse:
        reply = web.Response(body=b"<t:Subject>TITLE</t:Subject><t:Start>then</t:Start></Envelope>")
        reply.set_cookie("exchangecookie", "COOKIE")
        return reply

    caplog.set_level(logging.DEBUG, "presenced")
    async with Site(answer) as site:
        settings = ExchangeSettings(
            sync_type=SyncType.ON_PREMISES,
            user="svc",
            password=Secret("PASSWORD"),
            authentication="basic",
            ews_url=site.url(),
            debug_protocol=on,
        )
        async with HttpCarrier(settings, FakeClock()) as carrier:
            await carrier.send("POST", site.url(), body=b"<m:FindItem/>", headers={"Cookie": "COOKIE"})
            assert [piece async for piece in read(carrier, site.url())]
    text = caplog.text
    assert ("<m:FindItem/>" in text) is ("<m:GetStreamingEvents/>" in text) is on
    assert (text.count("<t:Start>then") == 2) is on
    assert not any(secret in text for secret in ("TITLE", "COOKIE", "PASSWORD", "Basic "))


async def read(carrier: HttpCarrier, url: str) -> AsyncIterator[bytes]:
    async with carrier.open_stream(url, body=b"<m:GetStreamingEvents/>") as stream:
        assert stream.status == 200
        assert "exchangecookie" in stream.cookies
        async for piece in stream.chunks():
            yield piece
