from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenced.calendars.ews.envelope import UNREADABLE, Trouble
from presenced.calendars.ews.stream import (
    MAX_ENVELOPE,
    Connection,
    Failed,
    KeepAlive,
    Notice,
    Notified,
    StreamReader,
    Vigil,
)
from tests.calendars.ews.answers import (
    answer,
    backoff_xml,
    changed,
    envelope,
    fault,
    kept_alive,
    notification,
    streamed,
)

UNPREFIXED = (
    b'<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>'
    b'<GetStreamingEventsResponse xmlns="http://schemas.microsoft.com/exchange/services/2006/messages">'
    b'<ResponseMessages><GetStreamingEventsResponseMessage ResponseClass="Success">'
    b"<ResponseCode>NoError</ResponseCode><Notifications><Notification>"
    b"<SubscriptionId>\xc3\xbc</SubscriptionId><MovedEvent/></Notification></Notifications>"
    b"</GetStreamingEventsResponseMessage></ResponseMessages></GetStreamingEventsResponse></Body></Envelope>"
)
DISTRACTING = envelope(
    "<!-- </s:Envelope> <![CDATA[ --><?pi </s:Envelope>?><m:R><m:ResponseMessages><m:M>"
    "<m:MessageText><![CDATA[</s:Envelope><!--]]></m:MessageText>"
    "<m:ResponseCode>NoError</m:ResponseCode><m:ConnectionStatus>OK</m:ConnectionStatus>"
    "</m:M></m:ResponseMessages></m:R>"
)
PIECES: list[tuple[bytes, list[Notice]]] = [
    (streamed(), [Connection(True)]),
    (b"\r\n \t", []),
    (b"\xef\xbb\xbf", []),
    (b"<?xml version='1.0'?>\n", []),
    (changed("sub-1"), [Notified("sub-1", ("ModifiedEvent",)), Connection(True)]),
    (kept_alive("sub-2"), [KeepAlive("sub-2"), Connection(True)]),
    (UNPREFIXED, [Notified("ü", ("MovedEvent",))]),
    (DISTRACTING, [Connection(True)]),
    (
        streamed(
            notification("a", "CreatedEvent", "FreeBusyChangedEvent") + notification("b", "StatusEvent")
        ),
        [Notified("a", ("CreatedEvent", "FreeBusyChangedEvent")), KeepAlive("b"), Connection(True)],
    ),
    (streamed(status=""), []),
    (streamed(status="Closed"), [Connection(False)]),
]
WHOLE = b"".join(piece for piece, _ in PIECES)
NOTICES = [notice for _, notices in PIECES for notice in notices]


def read_all(pieces: list[bytes]) -> list[Notice]:
    reader = StreamReader()
    return [notice for piece in pieces for notice in reader.feed(piece)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, len(WHOLE)])
def test_any_size_of_piece_gives_the_same_notices(size: int) -> None:
    assert read_all([WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]) == NOTICES


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, len(WHOLE)), max_size=40))
def test_any_cuts_give_the_same_notices(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[left:right] for left, right in pairwise(borders)]
    assert read_all(pieces) == NOTICES


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(range(len(PIECES))), max_size=12).flatmap(
        lambda order: st.tuples(st.just(order), st.integers(1, 300))
    )
)
def test_any_order_of_envelopes_is_read(drawn: tuple[list[int], int]) -> None:
    order, size = drawn
    body = b"".join(PIECES[number][0] for number in order)
    expected = [notice for number in order for notice in PIECES[number][1]]
    assert read_all([body[at : at + size] for at in range(0, len(body), size)]) == expected


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 50))
def test_rubbish_never_raises_and_never_looks_like_a_change(rubbish: bytes, size: int) -> None:
    notices = read_all([rubbish[at : at + size] for at in range(0, len(rubbish), size)])
    assert all(isinstance(one, Failed) for one in notices)


def test_a_notice_comes_with_the_last_byte_of_its_envelope() -> None:
    reader = StreamReader()
    body = changed("sub-1")
    assert reader.feed(body[:-1]) == []
    assert reader.feed(body[-1:])[0] == Notified("sub-1", ("ModifiedEvent",))
    assert reader.pending == 0


@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        (streamed(code="ErrorInvalidSubscription", dead=["a", "b"], status="OK"),
         Trouble("ErrorInvalidSubscription", subscriptions=("a", "b"))),
        (streamed(code="ErrorReadEventsFailed", status="Closed"), Trouble("ErrorReadEventsFailed")),
        (fault("ErrorServerBusy", "later", backoff=0), Trouble("ErrorServerBusy", "later", 200, timedelta())),
        (answer("GetStreamingEvents", code="ErrorServerBusy", xml=backoff_xml(1500)),
         Trouble("ErrorServerBusy", backoff=timedelta(seconds=1.5))),
        (b"<html><body>Please sign in</body></html>" + streamed(), None),
        (b"Service Unavailable", None),
        (b"<?xml version='1.0'" + b" " * 300, None),
        (b"<?xml version='1.0'?><a></Envelope>", None),
    ],
)  # fmt: skip
def test_whatever_is_no_success_ends_the_stream(body: bytes, trouble: Trouble | None) -> None:
    reader = StreamReader()
    (failed,) = reader.feed(body)
    assert isinstance(failed, Failed)
    assert failed.trouble.code == UNREADABLE if trouble is None else failed.trouble == trouble
    assert reader.feed(changed("later")) == []


def test_an_error_after_good_notices_keeps_the_good_ones() -> None:
    notices = StreamReader().feed(changed("a") + streamed(code="ErrorExpiredSubscription") + changed("b"))
    assert [type(one) for one in notices] == [Notified, Connection, Failed]


def test_an_envelope_without_end_is_bounded() -> None:
    reader = StreamReader()
    assert reader.feed(b"<Envelope>") == []
    notices: list[Notice] = []
    for _ in range(MAX_ENVELOPE // 65536 + 2):
        notices += reader.feed(b"x" * 65536)
    assert [type(one) for one in notices] == [Failed]
    assert reader.pending == 0


def test_white_space_for_ever_takes_no_memory() -> None:
    reader = StreamReader()
    for _ in range(100):
        assert reader.feed(b" \n" * 1000) == []
    assert reader.pending == 0


NOW = datetime(2026, 11, 16, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def vigil_with(*gaps: int, patience: int = 90) -> Vigil:
    """A vigil that heard a keep-alive after each of these silences, in seconds."""
    vigil, now = Vigil(NOW, timedelta(minutes=29), patience * SECOND), NOW
    for gap in gaps:
        now += gap * SECOND
        vigil.hear(now, keep_alive=True)
    return vigil


@pytest.mark.parametrize(
    ("gaps", "patience"),
    [
        ((), 90),
        ((45, 45, 45), 90),
        ((60, 60), 120),
        ((10, 10, 10), 90),
        ((120,), 240),
        ((60, 60, 170, 60), 120),
        ((300, 300), 360),
        ((60, 0, 0, 0, 60, 0, 0, 0), 120),
    ],
)
def test_patience_is_twice_the_learned_interval_and_at_least_90_seconds(
    gaps: tuple[int, ...], patience: int
) -> None:
    vigil = vigil_with(*gaps)
    assert vigil.patience == patience * SECOND
    assert vigil.deadline == NOW + (sum(gaps) + patience) * SECOND


def test_a_change_is_a_sign_of_life_but_no_interval() -> None:
    vigil = vigil_with()
    vigil.hear(NOW + 80 * SECOND)
    assert vigil.deadline == NOW + 170 * SECOND
    assert vigil.learned is None


def test_a_server_that_showed_no_keep_alive_may_be_given_more_time() -> None:
    assert vigil_with(patience=180).patience == 180 * SECOND
    assert vigil_with(patience=10).patience == 90 * SECOND


def test_a_connection_is_overdue_a_minute_after_its_lifetime() -> None:
    vigil = vigil_with()
    vigil.hear(NOW + timedelta(minutes=29, seconds=30))
    assert vigil.deadline == NOW + timedelta(minutes=30)


def test_a_connection_is_steady_after_a_minute() -> None:
    assert not vigil_with().is_steady(NOW + 59 * SECOND)
    assert vigil_with().is_steady(NOW + 60 * SECOND)


def test_a_connection_asked_for_a_minute_is_steady_after_half_of_it() -> None:
    vigil = Vigil(NOW, timedelta(minutes=1))
    assert not vigil.is_steady(NOW + 29 * SECOND)
    assert vigil.is_steady(NOW + 30 * SECOND)
