"""What autodiscover says in SOAP and POX, asked as clients ask and as they shouldn't."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from exchangelib.services import GetUserSettings
from exchangelib.version import EXCHANGE_2013, Version
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from presenced.sim.exchange.autodiscover import pox, soap
from presenced.sim.exchange.autodiscover.directory import Directory
from presenced.sim.exchange.organisation import Organisation, SimulatedMailbox
from tests.clock import FakeClock

A = "{http://schemas.microsoft.com/exchange/2010/Autodiscover}"
O = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"  # noqa: E741
R = "{http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006}"
EWS = "https://mail.example.com/EWS/Exchange.asmx"
SETTINGS = ("AutoDiscoverSMTPAddress", "ExternalEwsUrl", "GroupingInformation")


def directory() -> Directory:
    organisation = Organisation()
    organisation.add(
        SimulatedMailbox("Anna.Ärmel@example.com", aliases=("anna@example.com",), name="Anna & Co")
    )
    organisation.add(SimulatedMailbox("ben@example.com", home="second"))
    organisation.endpoints.update({"": EWS, "second": EWS.replace("mail", "mail2")})
    return Directory(organisation)


def envelope(users: Sequence[str], wanted: Sequence[str] = SETTINGS, **replaced: str) -> bytes:
    """A request as the client developer pages show it; parts may be `replaced`."""
    parts = {
        "version": "<a:RequestedServerVersion>Exchange2013</a:RequestedServerVersion>",
        "action": f"<w:Action>{soap.ACTION}</w:Action>",
        "to": "<w:To>https://autodiscover.example.com/autodiscover/autodiscover.svc</w:To>",
        "envelope": soap.SOAP,
        "request": "Request",
        **replaced,
    }
    mailboxes = "".join(f"<a:User><a:Mailbox>{user}</a:Mailbox></a:User>" for user in users)
    asked = "".join(f"<a:Setting>{setting}</a:Setting>" for setting in wanted)
    return (
        f'<s:Envelope xmlns:s="{parts["envelope"]}" xmlns:a="{soap.AUTODISCOVER}" '
        f'xmlns:w="{soap.ADDRESSING}">'
        f"<s:Header>{parts['version']}{parts['action']}{parts['to']}</s:Header><s:Body>"
        f"<a:GetUserSettingsRequestMessage><a:{parts['request']}><a:Users>{mailboxes}</a:Users>"
        f"<a:RequestedSettings>{asked}</a:RequestedSettings></a:{parts['request']}>"
        f"</a:GetUserSettingsRequestMessage></s:Body></s:Envelope>"
    ).encode()


def text(element: etree._Element, path: str) -> str:
    return str(element.findtext(path, ""))


def responses(body: bytes) -> list[etree._Element]:
    root = etree.fromstring(body)
    assert text(root, f".//{A}Response/{A}ErrorCode") == "NoError"
    return list(root.iterfind(f".//{A}UserResponse"))


def values(user: etree._Element) -> dict[str, str]:
    return {
        text(found, f"{A}Name"): text(found, f"{A}Value") for found in user.iterfind(f".//{A}UserSetting")
    }


# --- SOAP ------------------------------------------------------------------------------------------


def test_a_batch_is_answered_in_order_each_user_for_himself() -> None:
    known = directory()
    known.address_redirections["moved@example.com"] = "moved@cloud.example.com"
    known.url_redirections["@sub.example.com"] = "https://sub.example.com/autodiscover/autodiscover.svc"
    known.failures["@elsewhere.example"] = "NotFederated"
    known.failures["busy@example.com"] = "ServerBusy"
    users = [
        "nobody@example.com",
        "ANNA@example.com",
        "moved@example.com",
        "x@sub.example.com",
        "y@elsewhere.example",
        "busy@example.com",
        "",
        "ben@example.com",
    ]
    found = responses(soap.answer(envelope(users), known).body)
    assert [(text(user, f"{A}ErrorCode"), text(user, f"{A}RedirectTarget")) for user in found] == [
        ("InvalidUser", ""),
        ("NoError", ""),
        ("RedirectAddress", "moved@cloud.example.com"),
        ("RedirectUrl", "https://sub.example.com/autodiscover/autodiscover.svc"),
        ("NotFederated", ""),
        ("ServerBusy", ""),
        ("InvalidUser", ""),
        ("NoError", ""),
    ]
    assert values(found[1]) == {
        "AutoDiscoverSMTPAddress": "Anna.Ärmel@example.com",
        "ExternalEwsUrl": EWS,
        "GroupingInformation": "Default",
    }
    assert values(found[7])["ExternalEwsUrl"] == "https://mail2.example.com/EWS/Exchange.asmx"
    assert values(found[7])["GroupingInformation"] == "second"
    assert not any(values(user) for user in (*found[:1], *found[2:7]))


def test_only_the_settings_asked_for_come_and_errors_for_those_there_are_not() -> None:
    wanted = ["UserDisplayName", "PublicFolderServer", "Nonsense", "EwsSupportedSchemas", "UserDisplayName"]
    [user] = responses(soap.answer(envelope(["anna@example.com"], wanted), directory()).body)
    assert list(values(user)) == ["UserDisplayName", "EwsSupportedSchemas"]
    assert values(user)["UserDisplayName"] == "Anna & Co"
    errors = {
        text(error, f"{A}SettingName"): text(error, f"{A}ErrorCode")
        for error in user.iterfind(f".//{A}UserSettingError")
    }
    assert errors == {"PublicFolderServer": "SettingIsNotAvailable", "Nonsense": "InvalidSetting"}


def test_internal_and_external_urls_may_differ() -> None:
    known = directory()
    known.internal_endpoints[""] = "https://exch1.corp.example.com/EWS/Exchange.asmx"
    [user] = responses(
        soap.answer(envelope(["anna@example.com"], ["InternalEwsUrl", "ExternalEwsUrl"]), known).body
    )
    assert values(user) == {"InternalEwsUrl": known.internal_endpoints[""], "ExternalEwsUrl": EWS}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (envelope(["a@example.com"], version=""), "RequestedServerVersion"),
        (
            envelope(["a@b.c"], version="<a:RequestedServerVersion>Exchange2099</a:RequestedServerVersion>"),
            "RequestedServerVersion",
        ),
        (envelope([]), "users"),
        (envelope(["a@example.com"], []), "settings"),
        (envelope(["a@example.com"], request="Ask"), "request"),
        (envelope([f"user{number}@example.com" for number in range(101)]), "maximum of 100"),
    ],
)
def test_a_wrong_request_is_answered_as_a_whole(body: bytes, said: str) -> None:
    reply = soap.answer(body, directory())
    root = etree.fromstring(reply.body)
    assert reply.status == 200
    assert text(root, f".//{A}Response/{A}ErrorCode") == "InvalidRequest"
    assert said in text(root, f".//{A}Response/{A}ErrorMessage")
    assert not root.findall(f".//{A}UserResponse")


def test_the_largest_batch_is_answered() -> None:
    users = [f"user{number}@example.com" for number in range(100)]
    assert len(responses(soap.answer(envelope(users), directory()).body)) == 100


@pytest.mark.parametrize(
    ("body", "soap_action", "code"),
    [
        (envelope(["a@example.com"], action=""), "", "a:MessageAddressingHeaderRequired"),
        (envelope(["a@example.com"], to=""), "", "a:MessageAddressingHeaderRequired"),
        (envelope(["a@example.com"], action="<w:Action>urn:GetMail</w:Action>"), "", "a:ActionNotSupported"),
        (envelope(["a@example.com"]), '"urn:other"', "a:ActionMismatch"),
        (
            envelope(["a@example.com"], envelope="http://www.w3.org/2003/05/soap-envelope"),
            "",
            "s:VersionMismatch",
        ),
    ],
)
def test_a_wrong_envelope_is_a_fault(body: bytes, soap_action: str, code: str) -> None:
    reply = soap.answer(body, directory(), soap_action=soap_action)
    assert reply.status == 500
    assert text(etree.fromstring(reply.body), ".//faultcode") == code


@pytest.mark.parametrize(
    "body",
    [b"", b"not xml", b"<a>", b'<!DOCTYPE x [<!ENTITY e "v">]><x>&e;</x>', envelope(["a@example.com"])[:-1]],
)
def test_what_is_not_xml_is_a_bad_request(body: bytes) -> None:
    assert soap.answer(body, directory()) == soap.Reply(400, b"")


def test_exchangelib_understands_and_is_understood() -> None:
    """A client of other people's, as a second reading of the same documents."""
    known = directory()
    known.address_redirections["moved@example.com"] = "moved@cloud.example.com"
    protocol = SimpleNamespace(
        credentials=None, version=Version(EXCHANGE_2013), service_endpoint="https://mail.example.com/a.svc"
    )
    client = GetUserSettings(protocol=protocol)
    users = ["anna@example.com", "nobody@example.com", "moved@example.com"]
    payload = client.get_payload(users=users, settings=["auto_discover_smtp_address", "external_ews_url"])
    reply = soap.answer(client.wrap(content=payload, api_version="Exchange2013"), known)
    found, missing, moved = client.parse(reply.body)
    assert found.autodiscover_smtp_address == "Anna.Ärmel@example.com"
    assert found.ews_url == EWS
    assert missing.error_code == "InvalidUser"
    assert moved.redirect_address == "moved@cloud.example.com"


@settings(max_examples=60)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=40))
def test_any_address_comes_back_as_xml(address: str) -> None:
    escaped = address.replace("&", "&amp;").replace("<", "&lt;")
    [user] = responses(soap.answer(envelope([escaped]), directory()).body)
    assert text(user, f"{A}ErrorMessage") == f"Invalid user: '{address.strip()}'"


@settings(max_examples=100)
@given(st.data())
def test_no_request_breaks_either_dialect(data: st.DataObject) -> None:
    body = bytearray(data.draw(st.sampled_from([envelope(["anna@example.com"]), request()])))
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=6)):
        body[at] = data.draw(st.integers(0, 255))
    assert soap.answer(bytes(body), directory()).status in {200, 400, 500}
    assert etree.fromstring(pox.answer(bytes(body), directory(), FakeClock().now())).tag == f"{R}Autodiscover"


# --- POX -------------------------------------------------------------------------------------------


def request(
    address: str = "anna@example.com", schema: str = pox.OUTLOOK, namespace: str = pox.REQUEST
) -> bytes:
    return (
        f'<?xml version="1.0"?><Autodiscover xmlns="{namespace}"><Request>'
        f"<EMailAddress>{address}</EMailAddress>"
        f"<AcceptableResponseSchema>{schema}</AcceptableResponseSchema></Request></Autodiscover>"
    ).encode()


def test_pox_gives_the_settings_of_one_address() -> None:
    known = directory()
    known.internal_endpoints[""] = "https://exch1.corp.example.com/EWS/Exchange.asmx"
    root = etree.fromstring(pox.answer(request(), known, FakeClock().now()))
    assert root.tag == f"{R}Autodiscover"
    assert text(root, f".//{O}AutoDiscoverSMTPAddress") == "Anna.Ärmel@example.com"
    assert text(root, f".//{O}Account/{O}Action") == "settings"
    urls = {text(one, f"{O}Type"): text(one, f"{O}EwsUrl") for one in root.iterfind(f".//{O}Protocol")}
    assert urls == {"EXCH": known.internal_endpoints[""], "EXPR": EWS}
    assert text(root, f".//{O}GroupingInformation") == "Default"


def test_pox_redirects() -> None:
    known = directory()
    known.address_redirections["moved@example.com"] = "moved@cloud.example.com"
    known.url_redirections["sub@example.com"] = (
        "https://sub.example.com/autodiscover/autodiscover.xml?a=1&b=2"
    )
    root = etree.fromstring(pox.answer(request("moved@example.com"), known, FakeClock().now()))
    assert (text(root, f".//{O}Action"), text(root, f".//{O}RedirectAddr")) == (
        "redirectAddr",
        "moved@cloud.example.com",
    )
    root = etree.fromstring(pox.answer(request("sub@example.com"), known, FakeClock().now()))
    assert (text(root, f".//{O}Action"), text(root, f".//{O}RedirectUrl")) == (
        "redirectUrl",
        "https://sub.example.com/autodiscover/autodiscover.xml?a=1&b=2",
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (request("nobody@example.com"), "500"),
        (request("busy@example.com"), "501"),
        (request(""), "600"),
        (request("nobody"), "600"),
        (request(namespace="urn:other"), "600"),
        (request(schema=""), "601"),
        (
            request(
                schema="http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"
            ),
            "601",
        ),
        (b"{}", "600"),
        (b"", "600"),
        (b'<!DOCTYPE x [<!ENTITY e "v">]>' + request().partition(b"?>")[2], "600"),
    ],
)
def test_pox_errors_come_inside(body: bytes, code: str) -> None:
    known = directory()
    known.failures["busy@example.com"] = "ServerBusy"
    root = etree.fromstring(pox.answer(body, known, FakeClock().now()))
    assert text(root, f"{R}Response/{R}Error/{R}ErrorCode") == code
    assert root.find(f"{R}Response/{R}Error").get("Time") == "08:00:00.0000000"
