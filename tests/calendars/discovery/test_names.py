"""ResolveNames: one address asked, and that mailbox or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from presenced.calendars.discovery.names import parse_resolve_names, render_resolve_names
from presenced.calendars.discovery.wire import Malformed

ASKED = "ann@example.com"
NONE = ""


def entry(address: str, routing: str = "SMTP", kind: str = "Mailbox") -> str:
    return (
        f"<t:Resolution><t:Mailbox><t:Name>Ann</t:Name><t:EmailAddress>{address}</t:EmailAddress>"
        f"<t:RoutingType>{routing}</t:RoutingType><t:MailboxType>{kind}</t:MailboxType></t:Mailbox></t:Resolution>"
    )


def answer(code: str, *entries: str, message: str = "") -> bytes:
    return f"""<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
      xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"
      xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Body><m:ResolveNamesResponse>
      <m:ResponseMessages><m:ResolveNamesResponseMessage ResponseClass="Warning">
      <m:MessageText>{message}</m:MessageText><m:ResponseCode>{code}</m:ResponseCode>
      <m:ResolutionSet TotalItemsInView="{len(entries)}" IncludesLastItemInRange="true">{"".join(entries)}
      </m:ResolutionSet></m:ResolveNamesResponseMessage></m:ResponseMessages></m:ResolveNamesResponse>
      </s:Body></s:Envelope>""".encode()


@pytest.mark.parametrize(
    ("body", "code", "address"),
    [
        (answer("NoError", entry("Ann@Example.com")), "NoError", "Ann@Example.com"),
        (answer("NoError", entry("a.smith@example.com")), "NoError", "a.smith@example.com"),
        (answer("NoError", entry("ann@example.com.au")), "ErrorNameResolutionNoResults", NONE),
        (answer("NoError", entry("/o=x/cn=ann", "EX")), "ErrorNameResolutionNoResults", NONE),
        (answer("NoError", entry(ASKED, kind="PublicDL")), "ErrorNameResolutionNoResults", NONE),
        (answer("NoError", entry(ASKED, kind="Contact")), "ErrorNameResolutionNoResults", NONE),
        (answer("NoError"), "ErrorNameResolutionNoResults", NONE),
        (
            answer(
                "ErrorNameResolutionMultipleResults", entry("joann@example.com"), entry("ANN@example.com")
            ),
            "NoError",
            "ANN@example.com",
        ),
        (
            answer(
                "ErrorNameResolutionMultipleResults", entry("ann1@example.com"), entry("ann2@example.com")
            ),
            "Ambiguous",
            NONE,
        ),
        (answer("ErrorNameResolutionNoResults", message="none"), "ErrorNameResolutionNoResults", NONE),
        (answer("ErrorNonExistentMailbox"), "ErrorNonExistentMailbox", NONE),
        (
            b"""<Envelope><Body><Fault><faultcode>a:ErrorServerBusy</faultcode><faultstring>busy</faultstring><detail>
            <e:ResponseCode xmlns:e="urn:e">ErrorServerBusy</e:ResponseCode></detail></Fault></Body></Envelope>""",
            "ErrorServerBusy",
            NONE,
        ),
        (b"<Envelope><Body><Fault><faultstring>x</faultstring></Fault></Body></Envelope>", "Fault", NONE),
    ],
)
def test_answers(body: bytes, code: str, address: str) -> None:
    said = parse_resolve_names(body, ASKED)
    assert (said.code, said.settings.get("EmailAddress", "")) == (code, address)


@given(st.binary(max_size=80))
def test_anything_is_read_or_named_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_resolve_names(body, ASKED)


@pytest.mark.parametrize("impersonated", [True, False])
def test_the_request_fits_the_schema(impersonated: bool) -> None:
    default = Path(__file__).parents[3].parent / "shared" / "ews-schema"
    folder = Path(os.environ.get("PRESENCED_EWS_SCHEMA", default))
    if not (folder / "messages.xsd").exists():
        pytest.skip("the EWS schema is not here: name its folder in PRESENCED_EWS_SCHEMA")
    schema = etree.XMLSchema(etree.parse(folder / "messages.xsd"))
    root = etree.fromstring(render_resolve_names(ASKED, impersonated=impersonated))
    header, body = root
    for element in (*header, *body):
        schema.assertValid(element)
    assert [one.text for one in root.iter("{*}UnresolvedEntry")] == [f"smtp:{ASKED}"]
    assert [one.text for one in root.iter("{*}SmtpAddress")] == [ASKED] * impersonated
