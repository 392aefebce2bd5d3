"""Autodiscover messages: what is written, what is read, and that nothing else gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from presenced.calendars.discovery import wire
from presenced.calendars.discovery.wire import Malformed, SettingsAnswer, UserAnswer
from tests.calendars.discovery.landscape import pox, soap

NS = {
    "s": "http://schemas.xmlsoap.org/soap/envelope/",
    "w": "http://www.w3.org/2005/08/addressing",
    "a": "http://schemas.microsoft.com/exchange/2010/Autodiscover",
    "p": "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006",
}


def test_the_request_for_settings() -> None:
    root = etree.fromstring(wire.render_user_settings(["ann@example.com", "b&c@example.com"], "https://x/"))

    def read(path: str) -> list[str]:
        return [one.text for one in root.findall(path, NS)]

    assert read("s:Header/a:RequestedServerVersion") == ["Exchange2013"]
    assert read("s:Header/w:Action") == [wire.SOAP_ACTION]
    assert read("s:Header/w:To") == ["https://x/"]
    request = "s:Body/a:GetUserSettingsRequestMessage/a:Request"
    assert read(f"{request}/a:Users/a:User/a:Mailbox") == ["ann@example.com", "b&c@example.com"]
    assert read(f"{request}/a:RequestedSettings/a:Setting") == [
        "AutoDiscoverSMTPAddress",
        "ExternalEwsUrl",
        "InternalEwsUrl",
        "EwsSupportedSchemas",
        "GroupingInformation",
    ]


def test_the_answer_has_each_user_in_order() -> None:
    answer = wire.parse_user_settings(
        soap(
            """<ErrorCode>NoError</ErrorCode><ErrorMessage /><UserResponses>
            <UserResponse><ErrorCode>NoError</ErrorCode><ErrorMessage>No error.</ErrorMessage><RedirectTarget/>
              <UserSettingErrors><UserSettingError><ErrorCode>SettingIsNotAvailable</ErrorCode>
                <ErrorMessage>no</ErrorMessage><SettingName>ExternalEwsUrl</SettingName></UserSettingError>
              </UserSettingErrors>
              <UserSettings><UserSetting><Name>InternalEwsUrl</Name><Value> https://in/ </Value></UserSetting>
              <UserSetting><Name>Empty</Name><Value/></UserSetting></UserSettings></UserResponse>
            <UserResponse><ErrorCode>InvalidUser</ErrorCode><ErrorMessage>no such user</ErrorMessage></UserResponse>
            <UserResponse><ErrorCode>RedirectAddress</ErrorCode><RedirectTarget>ann@x.org</RedirectTarget></UserResponse>
            </UserResponses>"""
        ).body
    )
    assert answer == SettingsAnswer(
        "NoError",
        "",
        (
            UserAnswer("NoError", "No error.", settings={"InternalEwsUrl": "https://in/"}),
            UserAnswer("InvalidUser", "no such user"),
            UserAnswer("RedirectAddress", target="ann@x.org"),
        ),
    )


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (
            b"""<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault>
            <faultcode>e:Client</faultcode><faultstring>The request
            failed.</faultstring></e:Fault></e:Body></e:Envelope>""",
            SettingsAnswer("Fault", "The request failed."),
        ),
        (
            b"""<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><e:Fault><e:Reason>
            <e:Text>no</e:Text></e:Reason></e:Fault></e:Body></e:Envelope>""",
            SettingsAnswer("Fault", "no"),
        ),
        (
            soap("<ErrorCode>InvalidRequest</ErrorCode><ErrorMessage>too many</ErrorMessage>").body,
            SettingsAnswer("InvalidRequest", "too many"),
        ),
    ],
)
def test_answers_without_users(body: bytes, answer: SettingsAnswer) -> None:
    assert wire.parse_user_settings(body) == answer


def test_the_pox_request() -> None:
    root = etree.fromstring(wire.render_pox("ann@example.com"))
    assert root.findtext("p:Request/p:EMailAddress", namespaces=NS) == "ann@example.com"
    schema = root.findtext("p:Request/p:AcceptableResponseSchema", namespaces=NS)
    assert schema == "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (
            (
                "<User><AutoDiscoverSMTPAddress>Ann@example.com</AutoDiscoverSMTPAddress></User><Account>"
                "<Action>settings</Action><Protocol><Type>EXCH</Type><EwsUrl>https://in/</EwsUrl></Protocol>"
                "<Protocol><Type>EXPR</Type><ASUrl>https://out/</ASUrl></Protocol>"
                '<Protocol Type="EXHTTP"><EwsUrl>https://other/</EwsUrl></Protocol></Account>'
            ),
            UserAnswer(
                "NoError",
                settings={
                    "AutoDiscoverSMTPAddress": "Ann@example.com",
                    "InternalEwsUrl": "https://in/",
                    "ExternalEwsUrl": "https://out/",
                },
            ),
        ),
        (
            "<Account><Action>redirectAddr</Action><RedirectAddr>ann@x.org</RedirectAddr></Account>",
            UserAnswer("RedirectAddress", target="ann@x.org"),
        ),
        (
            "<Account><Action>redirectUrl</Action><RedirectUrl>https://x.org/</RedirectUrl></Account>",
            UserAnswer("RedirectUrl", target="https://x.org/"),
        ),
        (
            '<Error Time="1" Id="2"><ErrorCode>500</ErrorCode><Message>unknown</Message><DebugData/></Error>',
            UserAnswer("500", "unknown"),
        ),
        ("<Account><Action>settings</Action></Account>", UserAnswer("NoError")),
    ],
)
def test_pox_answers(response: str, answer: UserAnswer) -> None:
    assert wire.parse_pox(pox(response).body) == answer


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"Protocol":"EWS","Url":"https://x/"}', UserAnswer("NoError", settings={"Url": "https://x/"})),
        (
            b'{"ErrorCode":"UserNotFound","ErrorMessage":"no"}',
            UserAnswer("UserNotFound", "no"),
        ),
    ],
)
def test_json_answers(body: bytes, answer: UserAnswer) -> None:
    assert wire.parse_json(body) == answer


PARSERS = [wire.parse_user_settings, wire.parse_pox, wire.parse_json]
PIECES = st.sampled_from(
    [
        "<",
        ">",
        "</",
        "Autodiscover",
        "Response",
        "Account",
        " ",
        "UserResponses",
        "&",
        "&x;",
        "x:",
        "\0",
        '"',
        "{",
    ]
)


@pytest.mark.parametrize("parse", PARSERS)
@given(body=st.binary(max_size=60) | st.lists(PIECES).map("".join).map(str.encode))
def test_anything_is_read_or_named_malformed(parse: object, body: bytes) -> None:
    assert callable(parse)
    try:
        parse(body)
    except Malformed as problem:
        assert str(problem)


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Welcome</body></html>",
        b"[" * 100_000,
        b"<a>" * 100_000,
        b'{"Url": 1}',
        b"[]",
        b"null",
        b'<?xml version="1.0" encoding="unheard-of"?><a/>',
        b'<?xml version="1.0" encoding="utf-16"?><a/>',
    ],
)
def test_what_is_no_answer(parse: object, body: bytes) -> None:
    assert callable(parse)
    with pytest.raises(Malformed):
        parse(body)


@pytest.mark.parametrize("parse", [wire.parse_user_settings, wire.parse_pox])
@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE a [<!ENTITY x "NoError">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd">',
    ],
)
def test_document_types_are_refused(parse: object, doctype: str) -> None:
    assert callable(parse)
    known = soap("<ErrorCode>&x;</ErrorCode>").body.decode().strip()
    with pytest.raises(Malformed):
        parse((doctype + known.replace("&x;", "&x;" if "x " in doctype else "")).encode())
    with pytest.raises(Malformed):
        parse((doctype + pox("<Account/>").body.decode().partition("?>")[2].strip()).encode())


@given(
    code=st.sampled_from(["NoError", "InvalidUser"]),
    users=st.lists(st.from_regex(r"[a-z]{1,8}@example\.com", fullmatch=True), max_size=5),
    prefix=st.sampled_from(["", "a:", "ns1:"]),
)
def test_any_prefix_will_do(code: str, users: list[str], prefix: str) -> None:
    def tag(name: str, content: str) -> str:
        return f"<{prefix}{name}>{content}</{prefix}{name}>"

    each = "".join(
        tag(
            "UserResponse",
            tag("ErrorCode", code)
            + tag("UserSettings", tag("UserSetting", tag("Name", wire.ADDRESS) + tag("Value", user))),
        )
        for user in users
    )
    declared = f"xmlns{':' + prefix[:-1] if prefix else ''}='urn:any'"
    inner = tag("Response", tag("ErrorCode", "NoError") + tag("UserResponses", each))
    answer = wire.parse_user_settings(f"<E {declared}>{inner}</E>".encode())
    assert [(user.code, user.settings) for user in answer.users] == [
        (code, {wire.ADDRESS: user}) for user in users
    ]
