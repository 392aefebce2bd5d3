"""`check --connect` towards Exchange: all is well, then one fault at a time with verdict and remedy."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta

import pytest
import trustme

from presenced.cli.connect.network import in_words
from presenced.sim.exchange.faults import Trouble
from presenced.sim.stage import USER
from tests.cli.chain import ANN, EXCHANGE, FAIL, NOTE, OK, SKIP, Chain, refused, verdicts
from tests.names import CLOSED, Names


async def test_all_is_well_when_dialling(chain: Chain) -> None:
    await chain.open_exchange()
    await chain.serve_pbx()
    steps = await chain.check()
    names = ("pbx dns", "pbx tcp", "pbx tls", "pbx login", "user", *EXCHANGE)
    assert tuple(steps) == names
    assert set(verdicts(steps).values()) == {OK}
    assert chain.failures == 0
    [login] = steps["pbx login"]
    assert login.what == "PBX master logged in; 2 users, 1 with a mail address"
    [tls] = steps["exchange tls"]
    assert "TLSv1.3, certificate for 127.0.0.1 issued by" in tls.what
    [user] = steps["user"]
    assert user.what.endswith("the first user of the PBX")
    [found] = steps["exchange autodiscover"]
    assert f"mailbox {ANN} at {chain.stage.exchange.ews_url}" in found.what
    assert chain.stage.exchange.counters["Unsubscribe"] == 1
    assert not chain.pbx.writes


# --- the way to Exchange --------------------------------------------------------------------------


async def test_unknown_host(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch)
    chain.exchange_keys["autodiscover_url"] = "https://nowhere.example.com"
    failed = await refused(chain, "exchange dns")
    assert failed.what == "there is no host nowhere.example.com in DNS: Name or service not known"
    assert "check the spelling" in failed.remedy


async def test_no_name_server(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch).failure = socket.EAI_AGAIN
    chain.exchange_keys["autodiscover_url"] = "https://mail.example.com"
    failed = await refused(chain, "exchange dns")
    assert "resolv.conf" in failed.remedy


async def test_port_closed(chain: Chain) -> None:
    chain.exchange_keys["autodiscover_url"] = f"https://127.0.0.1:{CLOSED}"
    failed = await refused(chain, "exchange tcp")
    assert failed.what == f"nothing listens on 127.0.0.1:{CLOSED}: connection refused"
    assert "firewall" in failed.remedy


@pytest.mark.parametrize(
    ("names", "days", "strange", "what", "remedy"),
    [
        (["127.0.0.1"], 90, True, "an authority this machine does not trust", "tls_ca"),
        (["mail.example.com"], 90, False, "is not for this IP address", "name"),
        (["127.0.0.1"], -1, False, "has expired", "renew the certificate"),
    ],
    ids=["unknown CA", "wrong name", "expired"],
)
async def test_bad_certificate(
    chain: Chain, names: list[str], days: float, *, strange: bool, what: str, remedy: str
) -> None:
    authority = trustme.CA() if strange else None
    await chain.open_exchange(chain.certificate(*names, days=days, authority=authority))
    failed = await refused(chain, "exchange tls")
    assert failed.what.startswith("the certificate of 127.0.0.1 ")
    assert what in failed.what
    assert remedy in failed.remedy


async def test_wrong_name(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    await chain.open_exchange(chain.certificate("other.example.com", days=90))
    Names(monkeypatch).put("mail.example.com", 443, at=chain.stage.exchange.port)
    chain.exchange_keys["autodiscover_url"] = "https://mail.example.com"
    failed = await refused(chain, "exchange tls")
    assert failed.what == "the certificate of mail.example.com is for another name"


async def test_certificate_ends_soon(chain: Chain) -> None:
    await chain.open_exchange(chain.certificate("127.0.0.1", days=12))
    steps = await chain.check(ANN)
    [tls] = steps["exchange tls"]
    assert tls.verdict is NOTE
    assert "(12 days)" in tls.what
    assert "renew the certificate of 127.0.0.1" in tls.remedy
    assert chain.failures == 0
    assert steps["exchange subscription"][0].verdict is OK


async def test_certificates_are_not_checked(chain: Chain) -> None:
    await chain.open_exchange(chain.certificate("127.0.0.1", days=90, authority=trustme.CA()))
    chain.exchange_keys["tls_verify"] = "no"
    steps = await chain.check(ANN)
    [tls] = steps["exchange tls"]
    assert tls.verdict is NOTE
    assert "checked, it would fail: the certificate of 127.0.0.1 was issued by" in tls.what
    assert chain.failures == 0


async def test_no_tls_there(chain: Chain) -> None:
    await chain.stage.exchange.start("127.0.0.1")
    chain.exchange_keys["autodiscover_url"] = f"https://127.0.0.1:{chain.stage.exchange.port}"
    failed = await refused(chain, "exchange tls")
    assert "answered without TLS" in failed.what


@pytest.mark.parametrize(
    ("closes", "what"), [(False, "no TLS handshake within 10 s"), (True, "broke off the TLS handshake")]
)
async def test_no_handshake(chain: Chain, *, closes: bool, what: str) -> None:
    """Something takes the connection, and says nothing or goes."""

    writers: list[asyncio.StreamWriter] = []

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if closes:
            writer.transport.abort()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    chain.exchange_keys["autodiscover_url"] = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    failed = await refused(chain, "exchange tls")
    assert what in failed.what
    for writer in writers:
        writer.transport.abort()
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("problem", "words", "numbers"),
    [
        (OSError(111, "Connect call failed ('127.0.0.1', 1)"), "Connection refused", {111}),
        (
            OSError(
                "Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0), "
                "[Errno 111] Connect call failed ('127.0.0.1', 1)"
            ),
            "Connection refused",
            {111},
        ),
        (
            OSError("Multiple exceptions: [Errno 101] Connect call failed (), [Errno 111] x"),
            "Network is unreachable, Connection refused",
            {101, 111},
        ),
        (ConnectionResetError(), "connection lost", set()),
    ],
)
def test_why_a_connection_fails(problem: OSError, words: str, numbers: set[int]) -> None:
    assert in_words(problem) == (words, frozenset(numbers))


# --- sign-in and autodiscover ---------------------------------------------------------------------


async def test_wrong_password(chain: Chain) -> None:
    await chain.open_exchange()
    (chain.folder / "exchange").touch(mode=0o600)
    (chain.folder / "exchange").write_text("not-the-password")
    failed = await refused(chain, "exchange sign-in")
    assert f"refused user and password of {USER} (NTLM)" in failed.what
    assert "locked" in failed.remedy
    assert chain.stage.signin.counters["handshakes"] == 1, "one wrong password, so that no account is locked"


async def test_basic_is_off(chain: Chain) -> None:
    await chain.open_exchange()
    del chain.stage.signin._schemes["basic"]
    chain.exchange_keys["authentication"] = "basic"
    failed = await refused(chain, "exchange sign-in")
    assert "does not take a Basic sign-in (it offers negotiate, ntlm)" in failed.what
    assert "choose another authentication" in failed.remedy


async def test_autodiscover_is_refused(chain: Chain) -> None:
    await chain.open_exchange()
    chain.stage.autodiscover.statuses = dict.fromkeys(("soap", "pox", "json"), 403)
    failed = await refused(chain, "exchange autodiscover")
    base = chain.stage.exchange.base_url
    assert f"{base}/autodiscover/autodiscover.svc: HTTP 403" in failed.what


async def test_no_such_mailbox(chain: Chain) -> None:
    await chain.open_exchange()
    failed = await refused(chain, "exchange autodiscover", "ghost@example.com")
    assert "ghost@example.com: 127.0.0.1: InvalidUser" in failed.what
    assert "--user" in failed.remedy


async def test_redirect_loop(chain: Chain) -> None:
    await chain.open_exchange()
    chain.stage.directory.address_redirections = {ANN: "eve@example.com", "eve@example.com": ANN}
    failed = await refused(chain, "exchange autodiscover")
    assert "which leads nowhere" in failed.what


async def test_published_order(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without autodiscover_url: a server that is not there does no harm as long as another one answers."""
    await chain.open_exchange(chain.certificate("example.com", "127.0.0.1", days=90))
    Names(monkeypatch).put("example.com", 443, at=chain.stage.exchange.port)
    chain.exchange_keys["autodiscover_url"] = ""
    steps = await chain.check(ANN)
    first, second, ews = steps["exchange dns"]
    assert (first.verdict, second.verdict, ews.verdict) == (NOTE, OK, OK)
    assert first.what.startswith("there is no host autodiscover.example.com in DNS")
    assert first.what.endswith("(autodiscover goes on to the next server)")
    assert chain.failures == 0
    assert steps["exchange subscription"][0].verdict is OK


async def test_nobody_answers_in_the_published_order(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch)
    chain.exchange_keys["autodiscover_url"] = ""
    steps = await chain.check(ANN)
    [failed] = steps["exchange autodiscover"]
    assert failed.verdict is FAIL
    assert failed.remedy
    for place in (
        "https://autodiscover.example.com",
        "https://example.com",
        "http://autodiscover.example.com",
    ):
        assert f"{place}/autodiscover/autodiscover" in failed.what
    assert chain.failures == 1


async def test_ews_url_is_set(chain: Chain) -> None:
    await chain.open_exchange()
    chain.exchange_keys |= {"autodiscover_url": "", "ews_url": chain.stage.exchange.ews_url}
    steps = await chain.check(ANN)
    assert chain.failures == 0
    assert "by ResolveNames" in steps["exchange autodiscover"][0].what
    assert steps["exchange sign-in"][0].what == f"{USER} (ntlm) accepted at {chain.stage.exchange.ews_url}"


# --- one mailbox ----------------------------------------------------------------------------------


async def test_impersonation_is_refused(chain: Chain) -> None:
    await chain.open_exchange()
    chain.stage.faults.on(Trouble.FAULT, code="ErrorImpersonateUserDenied")
    failed = await refused(chain, "exchange impersonation")
    assert "may not impersonate this mailbox (ErrorImpersonateUserDenied" in failed.what
    assert "ApplicationImpersonation" in failed.remedy


async def test_mailbox_is_blocked(chain: Chain) -> None:
    await chain.open_exchange()
    chain.stage.faults.on(Trouble.BLOCKED, mailbox=ANN)
    failed = await refused(chain, "exchange read")
    assert "EWS is disabled for this user or tenant" in failed.what
    assert "Set-CASMailbox -EwsEnabled $true" in failed.remedy


async def test_the_read_takes_too_long(chain: Chain) -> None:
    await chain.open_exchange()
    chain.stage.faults.on(Trouble.SLOW, operation="FindItem", delay=timedelta(minutes=5))
    failed = await refused(chain, "exchange read", pace=0.5)
    assert failed.what.endswith("did not answer within 60 s")
    assert "load" in failed.remedy
    assert failed.took is not None
    assert failed.took >= timedelta(seconds=60)


@pytest.mark.parametrize(
    ("trouble", "what"),
    [
        (Trouble.STALL, "no status event came within 100 s"),
        (Trouble.EOF, "the server ended the connection without saying so"),
        (Trouble.CLOSED, "the server closes the connection at once"),
    ],
)
async def test_no_status_event(chain: Chain, trouble: Trouble, what: str) -> None:
    await chain.open_exchange()
    chain.stage.faults.on(trouble, operation="GetStreamingEvents")
    failed = await refused(chain, "exchange subscription", pace=0.5)
    assert what in failed.what
    assert "proxies" in failed.remedy or "proxy" in failed.remedy


async def test_subscribing_is_refused(chain: Chain) -> None:
    await chain.open_exchange()
    chain.stage.faults.on(Trouble.ERROR, operation="Subscribe", code="ErrorSubscriptionAccessDenied")
    failed = await refused(chain, "exchange subscription")
    assert "ErrorSubscriptionAccessDenied" in failed.what


async def test_polling(chain: Chain) -> None:
    await chain.open_exchange()
    chain.exchange_keys["follow"] = "polling"
    steps = await chain.check(ANN)
    assert steps["exchange subscription"][0].what == "asked for changes every 60 s"
    assert chain.failures == 0


async def test_calendars_are_disabled(chain: Chain) -> None:
    chain.exchange_keys = {"sync_type": "disabled", "password": "", "user": ""}
    steps = await chain.check()
    assert steps["exchange"][0].verdict is NOTE
    assert chain.failures == 0


async def test_what_failed_earlier_does_not_hide_what_fails_later(chain: Chain) -> None:
    """Another server is named for the mailbox, and that one's certificate is bad."""
    await chain.open_exchange()
    other = chain.stage.exchange.ews_url.replace("127.0.0.1", "localhost").replace("https", "http")
    chain.organisation.endpoints["away"] = other.replace("http", "https").replace("localhost", "[::1]")
    mailbox = chain.organisation.find(ANN)
    assert mailbox is not None
    mailbox.home = "away"
    steps = await chain.check(ANN)
    assert [step.verdict for step in steps["exchange tcp"]] == [OK, FAIL]
    assert steps["exchange read"][0].verdict is SKIP
    assert chain.failures == 1
