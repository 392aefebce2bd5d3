"""Basic and Bearer against a server that looks at them; what is sent where, and how often."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from datetime import timedelta

import pytest
from aiohttp import web

from presenced.calendars.carrier import CarrierProblem
from presenced.calendars.transport import HttpCarrier
from presenced.calendars.transport.authentication import find_schemes, is_loopback
from presenced.config.settings import ExchangeSettings, Secret, SyncType
from tests.calendars.site import Seen, Site
from tests.clock import FakeClock

GOOD = "Basic " + b64encode("CORP\\svc:pässword".encode()).decode()


class Asking:
    """Asks for `expected` as Authorization; offers `scheme`."""

    def __init__(self, expected: str = GOOD, scheme: str = 'Basic realm="mail, or calendar"') -> None:
        self.expected = expected
        self.scheme = scheme

    async def __call__(self, seen: Seen) -> web.StreamResponse:
        if seen.authorization == self.expected:
            return web.Response(body=b"in")
        headers = {"WWW-Authenticate": self.scheme} if self.scheme else {}
        return web.Response(status=401, headers=headers)


def basic(password: str = "pässword", **more: object) -> ExchangeSettings:
    return ExchangeSettings(
        sync_type=SyncType.ON_PREMISES,
        user="CORP\\svc",
        password=Secret(password),
        authentication="basic",
        **more,  # type: ignore[arg-type]
    )


async def test_a_configured_server_gets_the_password_at_once() -> None:
    async with Site(Asking()) as site, HttpCarrier(basic(ews_url=site.url()), FakeClock()) as carrier:
        assert (await carrier.send("POST", site.url())).body == b"in"
        assert (await carrier.send("POST", site.url("/autodiscover"))).body == b"in"
        async with carrier.open_stream(site.url(), body=b"") as stream:
            assert [piece async for piece in stream.chunks()] == [b"in"]
        unsigned = await carrier.send("POST", site.url(), signed_in=False)
    assert unsigned.status == 401
    assert [seen.authorization for seen in site.seen] == [GOOD, GOOD, GOOD, ""]


async def test_another_server_gets_it_only_when_it_asks() -> None:
    async def answer(seen: Seen) -> web.StreamResponse:
        if seen.path == "/public":
            return web.Response(status=404)
        return await Asking()(seen)

    async with Site(answer) as site:
        settings = basic(autodiscover_url="http://127.0.0.1:1/")
        async with HttpCarrier(settings, FakeClock()) as carrier:
            assert (await carrier.send("POST", site.url("/public"), body=b"x")).status == 404
            for _ in range(2):
                assert (await carrier.send("POST", site.url("/private"), body=b"x")).body == b"in"
    assert [seen.authorization for seen in site.seen] == ["", "", GOOD, GOOD]


@pytest.mark.parametrize(
    ("scheme", "reason", "tries"),
    [
        ("Basic", r"refused user and password of CORP\\svc", 1),
        ("", r"refused user and password of CORP\\svc", 1),
        ("NTLM", r"does not take a Basic sign-in \(it offers ntlm\)", 1),
    ],
)
async def test_a_refused_password_is_not_tried_again_for_a_while(
    scheme: str, reason: str, tries: int
) -> None:
    clock = FakeClock()
    asking = Asking(scheme=scheme)
    async with Site(asking) as site, HttpCarrier(basic("wrong", ews_url=site.url()), clock) as carrier:

        async def fail() -> CarrierProblem:
            with pytest.raises(CarrierProblem, match=reason) as caught:
                await carrier.send("POST", site.url())
            return caught.value

        problems = await asyncio.gather(*(fail() for _ in range(16)))
        assert len(site.seen) == tries
        assert {problem.kind for problem in problems} == {"sign-in"}
        assert {problem.retry_after for problem in problems} == {timedelta(minutes=1)}
        assert all(problem.remedy for problem in problems)
        for pause in (1, 2, 4, 8, 15, 15):
            await clock.advance(timedelta(minutes=pause, seconds=-1))
            assert (await fail()).retry_after == timedelta(seconds=1)
            await clock.advance(timedelta(seconds=1))
            await fail()
        assert len(site.seen) == tries + 6
        await clock.advance(timedelta(minutes=15))
        asking.expected = "Basic " + b64encode(b"CORP\\svc:wrong").decode()
        assert (await carrier.send("POST", site.url())).body == b"in"
        asking.expected = ""
        assert (await fail()).retry_after == timedelta(minutes=1), "success starts anew"


async def test_a_password_is_never_sent_by_another_scheme_than_offered() -> None:
    async with Site(Asking(scheme="Negotiate")) as site:
        settings = basic(autodiscover_url="http://127.0.0.1:1/")
        async with HttpCarrier(settings, FakeClock()) as carrier:
            with pytest.raises(CarrierProblem, match="it offers negotiate"):
                await carrier.send("POST", site.url())
    assert [seen.authorization for seen in site.seen] == [""]


async def test_a_401_in_mid_life_is_worth_one_more_try() -> None:
    failing = [False, True, False, True, True]

    async def answer(seen: Seen) -> web.StreamResponse:
        return web.Response(status=401 if failing.pop(0) else 200)

    async with Site(answer) as site, HttpCarrier(basic(ews_url=site.url()), FakeClock()) as carrier:
        assert (await carrier.send("POST", site.url())).status == 200
        assert (await carrier.send("POST", site.url())).status == 200
        with pytest.raises(CarrierProblem, match="refused"):
            await carrier.send("POST", site.url())
    assert len(site.seen) == 5


async def test_without_tls_only_this_very_machine_gets_a_password() -> None:
    async with Site(Asking()) as site, HttpCarrier(basic(), FakeClock()) as carrier:
        with pytest.raises(CarrierProblem, match=r"would get the sign-in of .* without TLS"):
            await carrier.send("POST", site.url())
        settings = basic(ews_url="http://mail.example.com/EWS/Exchange.asmx")
        async with HttpCarrier(settings, FakeClock()) as other:
            with pytest.raises(CarrierProblem, match="without TLS"):
                await other.send("POST", settings.ews_url)
            with pytest.raises(CarrierProblem, match="without TLS"):
                await other.send("POST", site.url())
    assert {seen.authorization for seen in site.seen} == {""}


class Tokens:
    """A source that numbers its tokens."""

    def __init__(self) -> None:
        self.number = 1
        self.asked: list[bool] = []
        self.claims: list[str] = []

    async def fetch_token(self, *, refresh: bool, claims: str = "") -> str:
        self.asked.append(refresh)
        self.claims.append(claims)
        self.number += refresh
        return f"token{self.number}"


CLOUD = ExchangeSettings(sync_type=SyncType.CLOUD_APP_ONLY, client_id="app", tenant_id="tenant")


async def test_a_token_refused_in_mid_life_is_refreshed_once() -> None:
    tokens, asking = (
        Tokens(),
        Asking("Bearer token1", 'Bearer client_id="00000002", trusted_issuers="a@*,b@*"'),
    )
    async with Site(asking) as site:
        carrier = HttpCarrier(CLOUD, FakeClock(), token=tokens, trusted=[site.url()])
        async with carrier:
            await carrier.send("POST", site.url())
            asking.expected = "Bearer token2"
            replies = await asyncio.gather(*(carrier.send("POST", site.url()) for _ in range(8)))
            assert {reply.status for reply in replies} == {200}
            assert tokens.asked.count(True) == 1, "one refresh, however many were refused"
            asking.expected = "Bearer token9"
            with pytest.raises(CarrierProblem, match="refused the token of app"):
                await carrier.send("POST", site.url())
            assert tokens.asked.count(True) == 2


async def test_a_first_token_may_be_stale() -> None:
    tokens = Tokens()
    async with Site(Asking("Bearer token2", "Bearer")) as site:
        carrier = HttpCarrier(CLOUD, FakeClock(), token=tokens, trusted=[site.url()])
        async with carrier:
            assert (await carrier.send("POST", site.url())).status == 200
    assert tokens.asked == [False, True]


async def test_a_claims_challenge_goes_to_the_next_token() -> None:
    tokens, claims = Tokens(), '{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}'
    challenge = f'Bearer error="insufficient_claims", claims="{b64encode(claims.encode()).decode()}"'
    asking = Asking("Bearer token1", challenge)
    async with Site(asking) as site:
        carrier = HttpCarrier(CLOUD, FakeClock(), token=tokens, trusted=[site.url()])
        async with carrier:
            await carrier.send("POST", site.url())
            asking.expected = "Bearer token2"
            assert (await carrier.send("POST", site.url())).status == 200
            asking.expected = "Bearer token3"
            assert (await carrier.send("POST", site.url())).status == 200
    assert [each for each in tokens.claims if each] == [claims, claims]


async def test_a_refused_token_says_what_the_server_says() -> None:
    async def answer(seen: Seen) -> web.StreamResponse:
        said = '2000003;reason="The audience claim value is invalid";error_category="invalid_resource"'
        return web.Response(status=401, headers={"x-ms-diagnostics": said})

    async with (
        Site(answer) as site,
        HttpCarrier(CLOUD, FakeClock(), token=Tokens(), trusted=[site.url()]) as carrier,
    ):
        with pytest.raises(CarrierProblem, match="The audience claim value is invalid"):
            await carrier.send("POST", site.url())


async def test_no_token_no_request() -> None:
    class Empty:
        async def fetch_token(self, *, refresh: bool, claims: str = "") -> str:
            raise CarrierProblem("sign-in", "the client secret has expired")

    async with (
        Site(Asking()) as site,
        HttpCarrier(CLOUD, FakeClock(), token=Empty(), trusted=[site.url()]) as carrier,
    ):
        with pytest.raises(CarrierProblem, match="secret has expired"):
            await carrier.send("POST", site.url())
        assert carrier.counters()["errors_sign-in"] == 1
    assert site.seen == []


@pytest.mark.parametrize(
    ("challenges", "schemes"),
    [
        (["Negotiate", "NTLM"], {"negotiate", "ntlm"}),
        (["Negotiate, NTLM"], {"negotiate", "ntlm"}),
        (['Basic realm="a, Digest b"'], {"basic"}),
        (['Bearer client_id="0", trusted_issuers="1@*,2", token_types=\'x\''], {"bearer"}),
        (['Basic realm="x", Bearer authorization_uri="https://x/"'], {"basic", "bearer"}),
        (["NTLM TlRMTVNTUAACAAAA=="], {"ntlm"}),
        (["", " , "], set()),
    ],
)
def test_schemes_of_challenges(challenges: list[str], schemes: set[str]) -> None:
    assert find_schemes(challenges) == schemes


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("mail.example.com", False),
        ("localhost.example.com", False),
        ("10.0.0.1", False),
    ],
)
def test_this_very_machine(host: str, here: bool) -> None:
    assert is_loopback(host) is here
