"""What the person reads who must act, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from presenced.daemon.alerts.cases import Case
from presenced.daemon.alerts.kept import from_bytes, to_bytes
from presenced.daemon.alerts.wording import members_of, subject_of, text_of
from tests.daemon.alerts.notices import BEGUN, DOWN, ORIGIN, OVER

TEXT = """\
No link to the PBX main: since 2026-11-16 09:00 CET.

What:        The PBX closed the connection (code 1001).
Where:       presenced on calhost for the PBX main, settings /etc/presenced/presenced.ini
Effect:      Everybody's presence stays as it was.
What to do:  Check that the PBX main is up.

Details:
  slave at 10.0.0.7:4711 (other)

Another mail follows when this is over; until then there are no more about it.
"""


def test_the_text_says_what_where_since_when_and_what_to_do() -> None:
    assert text_of(BEGUN, ORIGIN) == TEXT
    assert subject_of(BEGUN, ORIGIN) == "[presenced main] no link to the PBX main"


def test_over() -> None:
    text = text_of(OVER, ORIGIN)
    assert "over since 2026-11-16 09:50 CET, it began 2026-11-16 09:00 CET" in text
    assert "Nothing needs to be done" in text
    assert subject_of(OVER, ORIGIN) == "[presenced main] over: no link to the PBX main"


def test_what_expires_is_told_without_a_since() -> None:
    expiring = replace(BEGUN, cause=replace(DOWN, summary="the certificate expires in 7 days", patient=False))
    text = text_of(expiring, ORIGIN)
    assert text.startswith("The certificate expires in 7 days.\n")
    assert "as the day comes nearer" in text


def test_flapping_is_said() -> None:
    assert "on and off since" in text_of(replace(BEGUN, flapped=True), ORIGIN)


def test_members() -> None:
    assert members_of(OVER, ORIGIN) == {
        "type": "alert.over",
        "timestamp": "2026-11-16T09:00:00Z",
        "data": {
            "id": "1e" * 16,
            "case": "0f" * 16,
            "cause": "pbx",
            "summary": "no link to the PBX main",
            "reason": "The PBX closed the connection (code 1001).",
            "effect": "Everybody's presence stays as it was.",
            "remedy": "Check that the PBX main is up.",
            "details": ["slave at 10.0.0.7:4711 (other)"],
            "since": "2026-11-16T08:00:00Z",
            "until": "2026-11-16T08:50:00Z",
            "on_and_off": False,
            "host": "calhost",
            "pbx": "main",
            "settings": "/etc/presenced/presenced.ini",
        },
    }


def test_a_talkative_server_can_not_write_our_lines() -> None:
    talk = replace(DOWN, summary="a\r\nBcc: x@example.com\x00\x1b[31m", reason="b\n\nWhat to do: pay " * 200)
    notice = replace(BEGUN, cause=talk)
    assert subject_of(notice, ORIGIN) == "[presenced main] a Bcc: x@example.com [31m"
    assert "\nWhat to do: pay" not in text_of(notice, ORIGIN)
    assert max(map(len, text_of(notice, ORIGIN).splitlines())) < 700
    assert len(members_of(notice, ORIGIN)["data"]["reason"]) == 600


def test_what_is_kept_comes_back() -> None:
    cases = {"pbx": Case(DOWN, BEGUN.since, BEGUN.at - BEGUN.since, gone_at=OVER.until, told=0)}
    kept = from_bytes(to_bytes(cases, {"mail": [BEGUN, OVER]}))
    assert (kept.cases, kept.undelivered) == (cases, {"mail": [BEGUN, OVER]})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"1",
        b'{"version": 2}',
        b'{"version": 1, "cases": [{}], "undelivered": {}}',
        b"\xff",
        b"[" * 9999,
    ],
)
def test_what_is_something_else_is_not_taken(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not|known|JSON|Expecting|decode|delimiter|maximum"):
        from_bytes(data)
