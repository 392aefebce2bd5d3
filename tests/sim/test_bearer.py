"""Exchange Online and the Graph put together with the identity provider: whose token opens which door."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from presenced.sim.bearer import ExchangeTokens, GraphTokens
from presenced.sim.entra.tenants import EXCHANGE, GRAPH, Tenant
from presenced.sim.exchange.organisation import Organisation, SimulatedMailbox
from presenced.sim.graph.server import SimulatedGraph
from presenced.sim.stage import HOST, Stage
from tests.clock import FakeClock
from tests.sim.entra.house import TENANT, USER_SCOPE, House, opened
from tests.sim.test_autodiscover import envelope, responses, values
from tests.sim.test_signin import ask, one_connection, shake_hands

ANN = "ann@example.com"
EWS = """<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
            xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"
            xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types">
  <s:Header>{impersonation}</s:Header>
  <s:Body><m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>
    <m:FolderIds><t:DistinguishedFolderId Id="calendar"/></m:FolderIds></m:GetFolder></s:Body>
</s:Envelope>"""
AS_ANN = f"""<t:ExchangeImpersonation><t:ConnectingSID><t:PrimarySmtpAddress>{ANN}</t:PrimarySmtpAddress>
</t:ConnectingSID></t:ExchangeImpersonation>"""


class Online(House):
    """The house, and Exchange Online beside it."""

    stage: Stage
    organisation: Organisation

    async def call(self, token: str, impersonation: str = AS_ANN) -> tuple[int, str, str]:
        """Status, diagnostics and body of a GetFolder."""
        headers = {"Content-Type": "text/xml", "Authorization": f"Bearer {token}"}
        body = EWS.format(impersonation=impersonation)
        url = self.stage.exchange.ews_url
        async with self.session.post(url, data=body, headers=headers) as answer:
            return answer.status, answer.headers.get("x-ms-diagnostics", ""), await answer.text()


@pytest.fixture
async def online(tmp_path: Path) -> AsyncIterator[Online]:
    async with opened(tmp_path, Online) as house:
        house.organisation = Organisation()
        for address in (ANN, "svc@example.com"):
            house.organisation.add(SimulatedMailbox(address))
        house.stage = Stage(
            house.organisation,
            house.clock,
            tmp_path,
            password="unused",
            tokens=ExchangeTokens(house.entra.grants, TENANT),
            certificates=house.certificates,
        )
        await house.stage.open()
        yield house
        await house.stage.close()


async def app_token(house: House, scope: str = f"{EXCHANGE}/.default") -> str:
    return str((await house.ask(scope=scope)).told["access_token"])


async def user_token(house: House, scope: str = USER_SCOPE, first: str = USER_SCOPE) -> str:
    refresh = (await house.sign_in(scope=f"{first} offline_access")).told["refresh_token"]
    return str((await house.refresh(refresh, scope=scope)).told["access_token"])


async def test_an_application_acts_for_every_mailbox(online: Online) -> None:
    status, _, body = await online.call(await app_token(online))
    assert status == 200
    assert "NoError" in body


async def test_a_user_acts_for_himself_and_for_others_where_granted(online: Online) -> None:
    token = await user_token(online)
    assert "NoError" in (await online.call(token, ""))[2]
    status, _, body = await online.call(token)
    assert (status, "ErrorImpersonateUserDenied" in body) == (500, True)
    online.organisation.service_accounts.add("svc@example.com")
    assert "NoError" in (await online.call(token))[2]


async def test_what_exchange_refuses(online: Online) -> None:
    online.application.roles[EXCHANGE] = {"Calendars.Read"}
    too_little = await app_token(online)
    online.public.scopes[EXCHANGE] = {"Calendars.Read"}
    other_scope = await user_token(online, f"{EXCHANGE}/.default", f"{EXCHANGE}/Calendars.Read")
    online.application.roles[EXCHANGE] = {"full_access_as_app"}
    good = await app_token(online)
    cases = {
        "not enough scope": [too_little, other_scope],
        "audience": [await app_token(online, f"{GRAPH}/.default")],
        "malformed": ["x.y.z"],
    }
    for reason, tokens in cases.items():
        for token in tokens:
            status, diagnostics, _ = await online.call(token)
            assert status == 401
            assert reason in diagnostics
    assert (await online.call(good))[0] == 200
    online.entra.tokens.revoke()
    assert "revoked" in (await online.call(good))[1]
    again = await app_token(online)
    await online.clock.advance(timedelta(hours=1))
    assert "expired" in (await online.call(again))[1]


async def test_a_token_of_another_tenant_opens_nothing_here(online: Online) -> None:
    other = Tenant("77777777-2222-3333-4444-555555555555", "other.example")
    other.register(online.application)
    online.entra.grants.tenants.append(other)
    token = str((await online.ask("other.example")).told["access_token"])
    status, diagnostics, _ = await online.call(token)
    assert (status, "tenant" in diagnostics) == (401, True)


async def test_nothing_but_a_token_opens_exchange_online(online: Online) -> None:
    base = online.stage.exchange.base_url
    pair = base64.b64encode(b"calendar-service:unused").decode()
    for path in ("EWS/Exchange.asmx", "autodiscover/autodiscover.svc", "autodiscover/autodiscover.xml"):
        async with online.session.post(
            f"{base}/{path}", data=b"", headers={"Authorization": f"Basic {pair}", "Content-Type": "text/xml"}
        ) as answer:
            assert answer.status == 401
            (challenge,) = answer.headers.getall("WWW-Authenticate")
            assert challenge.startswith("Bearer client_id=")


async def test_autodiscover_of_exchange_online(online: Online) -> None:
    base, token = online.stage.exchange.base_url, await app_token(online)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/xml; charset=utf-8"}
    url = f"{base}/autodiscover/autodiscover.svc"
    async with online.session.post(url, data=envelope([ANN]), headers=headers) as answer:
        (user,) = responses(await answer.read())
    assert values(user)["ExternalEwsUrl"] == online.stage.exchange.ews_url
    async with online.session.get(f"{base}/autodiscover/autodiscover.json/v1.0/{ANN}?Protocol=EWS") as answer:
        assert (await answer.json())["Url"] == online.stage.exchange.ews_url


async def test_the_graph_takes_its_own_tokens_and_challenges_for_more(online: Online) -> None:
    graph = SimulatedGraph(
        online.organisation, clock=online.clock, tokens=GraphTokens(online.entra.grants, TENANT)
    )
    await graph.start(HOST, 0, online.certificates.for_server())
    when = "startDateTime=2026-11-16T00:00:00Z&endDateTime=2026-11-17T00:00:00Z"
    ann = online.organisation.find(ANN)
    assert ann is not None
    url = f"{graph.base_url}/users/{graph.resources.directory.id_of(ann)}/calendarView?{when}"

    async def read(token: str) -> tuple[int, str]:
        async with online.session.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
            return answer.status, answer.headers.get("WWW-Authenticate", "")

    try:
        assert (await read(await app_token(online)))[0] == 401
        claims = '{"access_token":{"xms_cc":{"values":["cp1"]}}}'
        answer = await online.ask(scope=f"{GRAPH}/.default", claims=claims)
        token = str(answer.told["access_token"])
        assert (await read(token))[0] == 200
        online.entra.tokens.revoke()
        status, challenge = await read(token)
        assert (status, 'error="insufficient_claims"' in challenge) == (401, True)
        assert (await read(await app_token(online, f"{GRAPH}/.default")))[0] == 200
    finally:
        await graph.stop()


async def test_whose_handshake_is_over_hears_that_the_connection_is_his(tmp_path: Path) -> None:
    """Persistent-Auth on each answer of the whole server, as IIS sends it."""
    organisation = Organisation()
    organisation.add(SimulatedMailbox(ANN))
    stage = Stage(organisation, FakeClock(), tmp_path, password="secret-word")
    await stage.open()
    try:
        context = stage.certificates.for_client()
        async with one_connection(context) as session:
            url = stage.exchange.ews_url
            status, _, challenges = await shake_hands(
                session, url, "EXAMPLE\\calendar-service", "secret-word", scheme="Negotiate"
            )
            assert (status, len(challenges)) == (415, 1), "SPNEGO's last token comes with the first answer"
            async with session.post(url, data=b"<x/>") as answer:
                assert answer.headers["Persistent-Auth"] == "true"
                assert "WWW-Authenticate" not in answer.headers
        async with one_connection(context) as session:
            status, _, challenges = await ask(session, url)
            assert (status, len(challenges)) == (401, 3)
    finally:
        await stage.close()
