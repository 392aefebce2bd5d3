"""Requests as foreign clients write them, and those no server would look at."""

from __future__ import annotations

import io
import ssl

import pytest
import trustme
from aiohttp import ClientSession, TCPConnector, web

from presenced.sim.exchange.organisation import Organisation, SimulatedMailbox
from presenced.sim.exchange.ports import Account
from presenced.sim.exchange.server import SimulatedExchange
from tests.clock import FakeClock
from tests.sim.exchange.raw import CALENDAR, SOAP, M, RawClient, T, find_item, request

ALICE = "alice@example.com"
UNPREFIXED = (
    f'<Envelope xmlns="{SOAP}"><Header><RequestServerVersion Version="Exchange2013" xmlns="{T}"/>'
    f'<ExchangeImpersonation xmlns="{T}"><ConnectingSID><SmtpAddress>{ALICE}</SmtpAddress></ConnectingSID>'
    f'</ExchangeImpersonation></Header><Body><FindItem xmlns="{M}" xmlns:x="{T}" Traversal="Shallow">'
    "<ItemShape><x:BaseShape>Default</x:BaseShape></ItemShape>"
    '<CalendarView StartDate="2026-11-16T00:00:00Z" EndDate="2026-11-17T00:00:00Z"/>'
    '<ParentFolderIds><x:DistinguishedFolderId Id="calendar"/></ParentFolderIds></FindItem></Body></Envelope>'
)
ODDLY_PREFIXED = (
    request(find_item(), mailbox=ALICE)
    .decode()
    .replace("s:", "soap-env:")
    .replace("xmlnsoap-env:", "xmlns:")
    .replace("xmlns:s=", "xmlns:soap-env=")
    .replace("m:", "msg:")
    .replace("itemsg:", "item:")
    .replace("xmlns:m=", "xmlns:msg=")
)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(request(find_item(), mailbox=ALICE, version=""), id="no version"),
        pytest.param(request(find_item(), mailbox=ALICE, version="Exchange2007_SP1"), id="old version"),
        pytest.param(request(find_item(), mailbox=ALICE, version="V2018_01_08"), id="dated version"),
        pytest.param(UNPREFIXED.encode(), id="no prefixes"),
        pytest.param(ODDLY_PREFIXED.encode(), id="other prefixes"),
        pytest.param(b"\xef\xbb\xbf" + request(find_item(), mailbox=ALICE), id="byte order mark"),
        pytest.param(
            request(find_item(), mailbox=ALICE).decode().replace("utf-8", "utf-16").encode("utf-16"),
            id="utf-16",
        ),
        pytest.param(
            request(find_item(), mailbox=ALICE).replace(b"<s:Body>", b"<s:Body><!-- x -->"), id="comment"
        ),
    ],
)
async def test_every_way_of_writing_it_is_understood(client: RawClient, body: bytes) -> None:
    answer = await client.send(body)
    assert answer.codes == ["NoError"]
    assert len(answer.all("//t:CalendarItem")) == 2


@pytest.mark.parametrize(
    "headers",
    [{"SOAPAction": '"x"'}, {"Content-Type": "text/xml"}, {"Content-Type": 'TEXT/XML; charset="UTF-8"'}],
)
async def test_headers_matter_little(client: RawClient, headers: dict[str, str]) -> None:
    assert (await client.send(find_item(), mailbox=ALICE, headers=headers)).codes == ["NoError"]


async def test_the_path_is_found_in_any_case(client: RawClient, exchange: SimulatedExchange) -> None:
    answer = await client.send(find_item(), mailbox=ALICE, url=f"{exchange.base_url}/ews/exchange.asmx")
    assert answer.codes == ["NoError"]


async def test_soap_of_another_kind_is_not_served(client: RawClient, exchange: SimulatedExchange) -> None:
    answer = await client.send(find_item(), headers={"Content-Type": "application/soap+xml"})
    assert answer.status == 415
    assert len(exchange.client_bugs) == 1


ENTITY = b'<!DOCTYPE x [<!ENTITY e "boom">]>'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "ErrorSchemaValidation"),
        (b"no xml", "ErrorSchemaValidation"),
        (b"<a/>", "ErrorSchemaValidation"),
        (request(""), "ErrorSchemaValidation"),
        (request("<m:MakeCoffee/>"), "ErrorSchemaValidation"),
        (request("<other/>"), "ErrorSchemaValidation"),
        (request("<m:FindItem/>"), "ErrorSchemaValidation"),
        (request(find_item(), version="Exchange1999"), "ErrorInvalidServerVersion"),
        (
            request(find_item(), mailbox=ALICE).replace(b"<s:Env", ENTITY + b"<s:Env", 1),
            "ErrorSchemaValidation",
        ),
        (request(find_item("yesterday"), mailbox=ALICE), None),
    ],
)
async def test_what_is_no_request_is_refused_and_blamed(
    client: RawClient, exchange: SimulatedExchange, body: bytes, code: str | None
) -> None:
    answer = await client.send(body)
    assert answer.codes[0] != "NoError"
    if code:
        assert (answer.status, answer.codes) == (500, [code])
        assert answer.text("//s:Fault/faultcode") == f"a:{code}"
    assert len(exchange.client_bugs) == 1


async def test_a_request_may_not_be_boundless(client: RawClient) -> None:
    answer = await client.send(io.BytesIO(b"<a>" + b" " * 5_000_000 + b"</a>"))
    assert answer.status == 413


async def test_the_answer_says_which_server_it_is(client: RawClient) -> None:
    answer = await client.send(find_item(), mailbox=ALICE)
    (version,) = answer.all("//s:Header/t:ServerVersionInfo")
    assert (version.get("MajorVersion"), version.get("MinorVersion")) == ("15", "2")


async def test_the_clients_request_id_comes_back(client: RawClient) -> None:
    headers = {"client-request-id": "c-1", "return-client-request-id": "true"}
    answer = await client.send(find_item(), mailbox=ALICE, headers=headers)
    assert answer.headers["client-request-id"] == "c-1"


async def test_counters_and_the_record_tell_who_asked_what(
    client: RawClient, exchange: SimulatedExchange
) -> None:
    await client.send(find_item(), mailbox="A.LIDDELL@example.com", headers={"User-Agent": "x/1"})
    assert exchange.counters == {"FindItem": 1}
    (seen,) = exchange.seen
    assert (seen.operation, seen.mailbox, seen.headers["user-agent"]) == (
        "FindItem",
        "Alice@example.com",
        "x/1",
    )


async def test_who_is_not_let_in_gets_the_authenticators_answer(
    client: RawClient, exchange: SimulatedExchange
) -> None:
    class Closed:
        async def authenticate(self, request: web.Request) -> web.StreamResponse:
            return web.Response(status=401, headers={"WWW-Authenticate": "NTLM"})

    exchange.authenticator = Closed()
    answer = await client.send(find_item(), mailbox=ALICE)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "NTLM")
    assert list(exchange.seen) == []


async def test_other_services_share_the_address_and_the_certificate(
    organisation: Organisation, clock: FakeClock
) -> None:
    async def discover(_: web.Request) -> web.Response:
        return web.Response(text="over here")

    authority = trustme.CA()
    server, known = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(known)
    exchange = SimulatedExchange(organisation, clock=clock)
    exchange.add_routes([web.get("/autodiscover", discover)])
    await exchange.start(tls=server)
    try:
        async with ClientSession(connector=TCPConnector(ssl=known)) as session:
            assert exchange.ews_url == f"https://127.0.0.1:{exchange.port}/EWS/Exchange.asmx"
            client = RawClient(session, exchange)
            assert (await client.send(find_item(), mailbox=ALICE)).codes == ["NoError"]
            async with session.get(f"{exchange.base_url}/autodiscover") as response:
                assert await response.text() == "over here"
    finally:
        await exchange.stop()


# --- acting for others ----------------------------------------------------------------------------


async def test_an_unknown_mailbox_cannot_be_impersonated(client: RawClient) -> None:
    answer = await client.send(find_item(), mailbox="nobody@example.com")
    assert (answer.status, answer.codes) == (500, ["ErrorNonExistentMailbox"])


async def test_any_address_of_a_mailbox_can(client: RawClient) -> None:
    answer = await client.send(find_item(), mailbox="A.LIDDELL@example.com")
    assert len(answer.all("//t:CalendarItem")) == 2


async def test_without_mailbox_a_folder_needs_one(client: RawClient, exchange: SimulatedExchange) -> None:
    assert (await client.send(find_item())).codes == ["ErrorMissingEmailAddress"]
    assert len(exchange.client_bugs) == 1


def folder_of(address: str) -> str:
    return CALENDAR.replace(
        "/>", f"><t:Mailbox><t:EmailAddress>{address}</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>"
    )


@pytest.mark.parametrize(
    ("address", "code"),
    [
        (ALICE, "NoError"),
        ("a.liddell@example.com", "ErrorNonPrimarySmtpAddress"),
        ("nobody@example.com", "ErrorNonExistentMailbox"),
    ],
)
async def test_a_folder_may_name_its_mailbox_by_its_primary_address(
    client: RawClient, address: str, code: str
) -> None:
    answer = await client.send(find_item(folder=folder_of(address)))
    assert answer.codes == [code]
    if code == "ErrorNonPrimarySmtpAddress":
        assert answer.value("Primary") == "Alice@example.com"


class SignedIn:
    """An authenticator that lets everybody in as one account."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def authenticate(self, request: object) -> Account:
        return self.account


@pytest.mark.parametrize(
    ("account", "mailbox", "codes"),
    [
        (Account("svc", impersonates=True), ALICE, ["NoError"]),
        (Account("Listed"), ALICE, ["NoError"]),
        (Account("somebody", "bob@example.com"), ALICE, ["ErrorImpersonateUserDenied"]),
        (Account("somebody", "bob@example.com"), "", ["NoError"]),
        (Account("svc", impersonates=True), "", ["ErrorMissingEmailAddress"]),
    ],
)
async def test_only_service_accounts_impersonate(
    client: RawClient, exchange: SimulatedExchange, account: Account, mailbox: str, codes: list[str]
) -> None:
    exchange.organisation.service_accounts.add("listed")
    exchange.authenticator = SignedIn(account)
    assert (await client.send(find_item(), mailbox=mailbox)).codes == codes


async def test_nobody_opens_a_strangers_calendar(client: RawClient, exchange: SimulatedExchange) -> None:
    exchange.authenticator = SignedIn(Account("somebody", "bob@example.com"))
    assert (await client.send(find_item(folder=folder_of(ALICE)))).codes == ["ErrorAccessDenied"]


async def test_a_mailbox_at_home_elsewhere_is_not_served(
    client: RawClient, organisation: Organisation, exchange: SimulatedExchange
) -> None:
    organisation.add(SimulatedMailbox("dora@example.com", home="other"))
    answer = await client.send(find_item(), mailbox="dora@example.com")
    assert (answer.status, answer.codes) == (500, ["ErrorProxyRequestNotAllowed"])
    answer = await client.send(find_item(folder=folder_of("dora@example.com")))
    assert answer.codes == ["ErrorProxyRequestNotAllowed"]
