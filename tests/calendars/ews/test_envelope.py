from collections import deque
from datetime import timedelta

import pytest

from presenced.calendars.ews.envelope import (
    POLICY,
    Refused,
    Trouble,
    Unreadable,
    accepted,
    http_trouble,
    parse,
    response_messages,
)
from tests.calendars.ews.answers import S, answer, backoff_xml, envelope, fault


def refusal_of(body: bytes) -> Trouble:
    with pytest.raises(Refused) as caught:
        deque(map(accepted, response_messages(parse(body))))
    return caught.value.trouble


BARE = (
    b'<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><GetItemResponse xmlns="">'
    b'<ResponseMessages><GetItemResponseMessage ResponseClass="Error"><MessageText>gone</MessageText>'
    b"<ResponseCode>ErrorItemNotFound</ResponseCode></GetItemResponseMessage></ResponseMessages>"
    b"</GetItemResponse></Body></Envelope>"
)
SOAP12 = (
    b'<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><e:Fault><e:Code>'
    b"<e:Value>e:Sender</e:Value></e:Code><e:Reason><e:Text>what?</e:Text></e:Reason>"
    b"</e:Fault></e:Body></e:Envelope>"
)
OTHER_NAMESPACES = answer("FindItem", code="ErrorServerBusy", text="later", xml=backoff_xml(5000)).replace(
    b"services/2006/messages", b"services/2099/whatever"
)

BUSY = Trouble("ErrorServerBusy", "later", 200, timedelta(seconds=5))


@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        pytest.param(answer("FindItem", code="ErrorAccessDenied", text="no\n  way"),
                     Trouble("ErrorAccessDenied", "no way"), id="message"),
        pytest.param(answer("FindItem", code="ErrorServerBusy", text="later", xml=backoff_xml(5000)), BUSY,
                     id="busy, as a message"),
        pytest.param(answer("FindItem", code="ErrorInternalServerError", text="oops",
                            xml=backoff_xml(5000, InnerErrorResponseCode="ErrorServerBusy",
                                            InnerErrorMessageText="later")), BUSY, id="busy, wrapped"),
        pytest.param(fault("ErrorServerBusy", "later", backoff=5000), BUSY, id="busy, as a fault with 200"),
        pytest.param(answer("FindItem", code="ErrorServerBusy", xml=backoff_xml(0)),
                     Trouble("ErrorServerBusy", "", 200, timedelta()), id="busy, back-off zero"),
        pytest.param(answer("FindItem", code="ErrorServerBusy", xml=backoff_xml(7).replace("7", "x")),
                     Trouble("ErrorServerBusy"), id="busy, back-off garbled"),
        pytest.param(OTHER_NAMESPACES, BUSY, id="children in another namespace"),
        pytest.param(BARE, Trouble("ErrorItemNotFound", "gone"), id="children in no namespace"),
        pytest.param(SOAP12, Trouble("Sender", "what?"), id="SOAP 1.2 fault"),
        pytest.param(fault("ErrorInvalidRequest", "bad", prefix="soap"),
                     Trouble("ErrorInvalidRequest", "bad"), id="fault"),
        pytest.param(envelope('<m:XResponse ResponseClass="Error"/>'), Trouble("ErrorUnknown"),
                     id="no code at all"),
    ],
)  # fmt: skip
def test_every_shape_of_no_is_understood(body: bytes, trouble: Trouble) -> None:
    assert refusal_of(body) == trouble


def test_dead_subscriptions_are_named_in_whatever_namespace() -> None:
    content = (
        "<m:ErrorSubscriptionIds><t:SubscriptionId>a</t:SubscriptionId>"
        "<m:SubscriptionId>b</m:SubscriptionId></m:ErrorSubscriptionIds>"
    )
    body = answer("GetStreamingEvents", content, code="ErrorInvalidSubscription")
    assert refusal_of(body).subscriptions == ("a", "b")


@pytest.mark.parametrize(
    ("status", "headers", "body", "trouble"),
    [
        (403, {"X-EWS-Policy-Reason": "EWS is disabled for this user or tenant"}, b"",
         Trouble(POLICY, "EWS is disabled for this user or tenant", 403)),
        (403, {}, b"<html>Forbidden</html>", Trouble("Http403", "HTTP status 403", 403)),
        (500, {}, fault("ErrorServerBusy", "later", backoff=297749),
         Trouble("ErrorServerBusy", "later", 500, timedelta(milliseconds=297749))),
        (503, {"Retry-After": "30"}, b"", Trouble("Http503", "HTTP status 503", 503, timedelta(seconds=30))),
        (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"",
         Trouble("Http503", "HTTP status 503", 503)),
        (500, {"Retry-After": "7"}, fault("ErrorServerBusy", "later"),
         Trouble("ErrorServerBusy", "later", 500, timedelta(seconds=7))),
        (500, {"X-CasErrorCode": "ServerNotFound"}, b"", Trouble("ServerNotFound", "HTTP status 500", 500)),
        (500, {}, b"not xml", Trouble("Http500", "HTTP status 500", 500)),
    ],
)  # fmt: skip
def test_http_refusals(status: int, headers: dict[str, str], body: bytes, trouble: Trouble) -> None:
    assert http_trouble(status, headers, body) == trouble


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Sign in</body></html>",
        b"not xml",
        f'<s:Envelope xmlns:s="{S}"><s:Body/></s:Envelope>'.encode(),
        f'<s:Envelope xmlns:s="{S}"/>'.encode(),
        b'<!DOCTYPE x [<!ENTITY e "boom">]><x>&e;</x>',
        b'<!DOCTYPE Envelope SYSTEM "http://example.com/x.dtd"><Envelope/>',
        envelope("<m:FindItemResponse>&undefined;</m:FindItemResponse>"),
    ],
)
def test_what_is_no_answer_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        list(response_messages(parse(body)))


def test_entities_are_never_expanded(tmp_path: object) -> None:
    bomb = b'<!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><Envelope><Body>&b;</Body></Envelope>'
    with pytest.raises(Unreadable, match="document type"):
        parse(bomb)


@pytest.mark.parametrize("reference", ["&#x1F;", "&#31;", "&#x0;", "&#xB;", "\x0b", "&#x001f;"])
def test_control_characters_in_titles_do_not_cost_the_answer(reference: str) -> None:
    body = envelope(f"<m:R><m:Subject>a{reference}b &#x41; &amp;</m:Subject></m:R>")
    assert parse(body).findtext(".//{*}Subject") == "ab A &"


def test_a_servers_own_words_are_kept_short() -> None:
    assert len(refusal_of(answer("FindItem", code="ErrorX", text="x" * 5000)).text) == 300
