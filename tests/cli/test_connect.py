"""`check --connect` between the simulators: all is well, then one fault at a time with verdict and remedy."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner

from presenced import __version__
from presenced.cli.connect.course import Step, Verdict
from presenced.cli.connect.network import in_words
from presenced.cli.main import main
from presenced.config.loading import load
from presenced.core.replica import PbxUser
from presenced.daemon.clock import SystemClock
from presenced.daemon.supervisor import Supervisor
from presenced.sim.exchange.faults import Trouble
from presenced.sim.stage import USER
from presenced.store.sqlite import open_store
from tests.cli.chain import ANN, Chain, free_port
from tests.config.sample import SMALL
from tests.names import CLOSED, Names

OK, FAIL, NOTE, SKIP = Verdict.OK, Verdict.FAIL, Verdict.NOTE, Verdict.SKIP
EXCHANGE = tuple(
    f"exchange {step}"
    for step in ("dns", "tcp", "tls", "sign-in", "autodiscover", "impersonation", "read", "subscription")
)


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    chain = Chain(tmp_path)
    yield chain
    await chain.close()
    assert list(chain.pbx.client_bugs) == []
    assert list(chain.stage.exchange.client_bugs) == []


def verdicts(steps: dict[str, list[Step]]) -> dict[str, Verdict]:
    """Of the steps that were taken once."""
    return {name: each[0].verdict for name, each in steps.items() if len(each) == 1}


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


async def refused(chain: Chain, step: str, user: str = ANN, pace: float = 0.1) -> Step:
    """Check; this step failed, and nothing that stands on it was tried."""
    steps = await chain.check(user, pace=timedelta(seconds=pace))
    [failed] = steps[step]
    assert failed.verdict is FAIL, failed
    assert failed.remedy
    assert chain.failures == 1
    after = EXCHANGE[EXCHANGE.index(step) + 1 :] if step in EXCHANGE else ()
    assert {steps[name][0].verdict for name in after} <= {SKIP}
    assert all(one.what.startswith("not tried: ") for name in after for one in steps[name])
    return failed


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


# --- the PBX --------------------------------------------------------------------------------------


async def test_wrong_app_password_when_dialling(chain: Chain) -> None:
    await chain.open_exchange()
    await chain.serve_pbx()
    (chain.folder / "pbx").touch(mode=0o600)
    (chain.folder / "pbx").write_text("not-the-password")
    steps = await chain.check(ANN)
    [login] = steps["pbx login"]
    assert login.verdict is FAIL
    assert "refused the login of App object presenced" in login.what
    assert login.remedy == "enter name and password of the App object in app_name and app_password of [pbx]"
    assert steps["exchange subscription"][0].verdict is OK, "the other door is looked at all the same"
    assert chain.failures == 1


async def test_pbx_is_not_reachable(chain: Chain) -> None:
    chain.pbx_keys = {"mode": "dial", "url": f"wss://127.0.0.1:{CLOSED}/PBX0/APPS/websocket"}
    chain.exchange_keys = {"sync_type": "disabled", "password": "", "user": ""}
    steps = await chain.check()
    assert steps["pbx tcp"][0].verdict is FAIL
    assert "firewall" in steps["pbx tcp"][0].remedy
    assert steps["pbx login"][0].what == f"not tried: the PBX at 127.0.0.1:{CLOSED} can't be reached"
    assert chain.failures == 1


async def test_pbx_shows_a_certificate_nobody_knows(chain: Chain) -> None:
    await chain.serve_pbx()
    del chain.pbx_keys["tls_ca"]
    chain.exchange_keys = {"sync_type": "disabled", "password": "", "user": ""}
    steps = await chain.check()
    assert steps["pbx tls"][0].verdict is FAIL
    assert "tls_ca" in steps["pbx tls"][0].remedy
    assert steps["pbx login"][0].verdict is SKIP


async def test_users_may_not_be_copied(chain: Chain) -> None:
    await chain.serve_pbx()
    chain.pbx.faults.start_error = 1
    chain.exchange_keys = {"sync_type": "disabled", "password": "", "user": ""}
    steps = await chain.check(pace=timedelta(seconds=0.3))
    [login] = steps["pbx login"]
    assert login.verdict is FAIL
    assert "TableUsers" in login.remedy


async def listening(chain: Chain, **more: str) -> dict[str, list[Step]]:
    """Check with a PBX that dials; Exchange is left out."""
    port = free_port()
    chain.pbx_keys = {"listen": f"127.0.0.1:{port}"} | more
    chain.exchange_keys = {"sync_type": "disabled", "password": "", "user": ""}
    chain.dial(port)
    return await chain.check()


async def test_a_pbx_dials(chain: Chain) -> None:
    steps = await listening(chain)
    port = chain.pbx_keys["listen"].partition(":")[2]
    [socket_step] = steps["pbx listening"]
    assert socket_step.verdict is OK
    url = f"https://localhost:{port}/DOMAIN/presenced/presenced"
    assert f"URL of the App object: {url}" in socket_step.what
    assert steps["pbx certificate"][0].verdict is OK
    assert "certificate for localhost, 127.0.0.1" in steps["pbx certificate"][0].what
    [login] = steps["pbx login"]
    assert login.what == "PBX master 14r2 logged in; 2 users, 2 with a mail address"
    assert chain.failures == 0


async def test_the_users_of_a_pbx_that_dials_are_tried(chain: Chain) -> None:
    await chain.open_exchange()
    port = free_port()
    chain.pbx_keys = {"listen": f"127.0.0.1:{port}"}
    chain.dial(port)
    chain.pbx.remove_user("guid-hunt")
    steps = await chain.check()
    assert steps["user"][0].what == "ann (annie@example.com, ann@example.com), the first user of the PBX"
    assert f"mailbox {ANN} at" in steps["exchange autodiscover"][0].what
    assert chain.failures == 0


async def test_nobody_dials_and_nobody_is_known(chain: Chain) -> None:
    await chain.open_exchange()
    steps = await chain.check()
    assert steps["user"][0].verdict is FAIL
    assert steps["user"][0].remedy == "name a mailbox with --user ADDRESS"
    assert steps["exchange tls"][0].verdict is OK
    assert steps["exchange sign-in"][0].verdict is SKIP
    [login] = steps["pbx login"]
    assert login.verdict is NOTE
    assert login.what == "no PBX has dialled within 10 s"
    assert "enter the URL https://localhost:" in login.remedy
    assert "check marks Websocket, PBX and TableUsers" in login.remedy
    assert chain.failures == 1


async def test_the_first_user_of_the_store(chain: Chain) -> None:
    await chain.open_exchange()
    store = await open_store(chain.folder / "store.db", chain.clock)
    await store.keep_user(PbxUser("guid-1", "nobody"))
    await store.keep_user(PbxUser("guid-2", "ann", addresses=("annie@example.com",)))
    await store.close()
    before = (chain.folder / "store.db").stat().st_mtime_ns, sorted(chain.folder.glob("store.db*"))
    steps = await chain.check()
    assert steps["user"][0].what == f"ann (annie@example.com), the first user of the store {store_of(chain)}"
    assert chain.failures == 0
    after = (chain.folder / "store.db").stat().st_mtime_ns, sorted(chain.folder.glob("store.db*"))
    assert after == before, "a check leaves no trace in the store"


def store_of(chain: Chain) -> Path:
    return chain.folder / "store.db"


async def test_wrong_pbx_name(chain: Chain) -> None:
    chain.pbx.faults.slave = True
    steps = await listening(chain, master_pbx_name="headquarters")
    [login] = steps["pbx login"]
    assert login.verdict is FAIL
    assert login.what == "PBX master logged in, but master_pbx_name is headquarters"
    assert login.remedy.startswith("set master_pbx_name = master in [pbx]")


async def test_wrong_app_password_of_a_pbx_that_dials(chain: Chain) -> None:
    chain.pbx.faults.wrong_password = True
    steps = await listening(chain)
    [login] = steps["pbx login"]
    assert login.verdict is FAIL
    assert "its login was refused" in login.what
    assert "app_password" in login.remedy


async def test_check_marks_are_missing(chain: Chain) -> None:
    chain.pbx.faults.without_table_users = True
    steps = await listening(chain)
    [login] = steps["pbx login"]
    assert login.verdict is FAIL
    assert "set the check mark TableUsers in the App object presenced" in login.what


async def test_the_port_is_taken(chain: Chain) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        chain.pbx_keys["listen"] = f"127.0.0.1:{port}"
        chain.exchange_keys = {"sync_type": "disabled", "password": "", "user": ""}
        steps = await chain.check()
    [taken] = steps["pbx listening"]
    assert taken.verdict is FAIL
    begins = f"127.0.0.1:{port} is taken, and not by a daemon with this configuration that answers here ("
    assert taken.what.startswith(begins)
    assert f"sport = :{port}" in taken.remedy
    assert steps["pbx login"][0].verdict is SKIP


async def test_own_certificate_has_expired(chain: Chain) -> None:
    chain.show_certificate(days=-1)
    chain.exchange_keys = {"sync_type": "disabled", "password": "", "user": ""}
    steps = await chain.check()
    [shown] = steps["pbx certificate"]
    assert shown.verdict is FAIL
    assert "certificate has expired" in shown.what


# --- what the command prints ----------------------------------------------------------------------


def test_the_command(tmp_path: Path) -> None:
    ini = tmp_path / "presenced.ini"
    ini.write_text(
        f"[pbx]\nmode = dial\nurl = wss://127.0.0.1:{CLOSED}/PBX0/APPS/websocket\napp_name = presenced\n"
        "app_password = env:APP_SECRET\nmaster_pbx_name = master\n[presence]\ntimezone = Europe/Berlin\n"
        f"[exchange]\nsync_type = on-premises\nuser = EXAMPLE\\svc\npassword = env:EXCHANGE_SECRET\n"
        f"autodiscover_url = https://127.0.0.1:{CLOSED}\n[store]\nurl = sqlite:///{tmp_path}/store.db\n"
    )
    arguments = ["check", "-c", str(ini), "--connect", "--user", ANN]
    secrets = {"APP_SECRET": "app-planted", "EXCHANGE_SECRET": "exchange-planted"}
    result = CliRunner().invoke(main, arguments, env=secrets)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert re.fullmatch(
        r"ok    pbx dns                 \(\d+ ms\) +127\.0\.0\.1 is an address itself", lines[0]
    )
    assert re.fullmatch(r"FAIL  pbx tcp +\(\d+ ms\) +nothing listens on 127\.0\.0\.1:1: .*", lines[1])
    assert lines[2].startswith("      check the port")
    assert lines[3] == f"skip  {'pbx tls':<22}  {'':<9}  not tried: pbx tcp failed for 127.0.0.1"
    assert lines[-1] == f"{ini}: 2 steps failed"
    as_json = CliRunner().invoke(main, [*arguments, "--json"], env=secrets)
    assert as_json.exit_code == 1
    told = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert {tuple(one) for one in told} == {("step", "verdict", "seconds", "what", "remedy")}
    assert [one["verdict"] for one in told[:3]] == ["ok", "fail", "skip"]
    assert told[2]["seconds"] is None
    assert "planted" not in result.output + as_json.output


async def test_the_command_when_all_is_well(tmp_path: Path) -> None:
    chain = Chain(tmp_path, keep_alive=timedelta(milliseconds=200), clock=SystemClock())
    await chain.open_exchange()
    await chain.serve_pbx()
    arguments = ["check", "-c", str(chain.write_ini()), "--connect"]
    try:
        text = await asyncio.to_thread(CliRunner().invoke, main, arguments)
        as_json = await asyncio.to_thread(CliRunner().invoke, main, [*arguments, "--json"])
    finally:
        await chain.close()
    assert text.exit_code == 0, text.output
    assert [line[:4] for line in text.stdout.splitlines()[:-1]] == ["ok  "] * 13
    assert text.stdout.splitlines()[-1] == f"{tmp_path / 'presenced.ini'}: ok"
    assert as_json.exit_code == 0
    assert {json.loads(line)["verdict"] for line in as_json.stdout.splitlines()} == {"ok"}


def test_user_is_for_connect(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["check", "-c", str(tmp_path), "--user", ANN])
    assert (result.exit_code, result.stderr) == (2, "--user is for --connect\n")


def test_problems_of_the_file_come_first(tmp_path: Path) -> None:
    path = tmp_path / "x.ini"
    path.write_text(SMALL + "frob = 2\n")
    result = CliRunner().invoke(main, ["check", "-c", str(path), "--connect"])
    assert (result.exit_code, result.stdout) == (78, "")


async def test_the_daemon_is_running(chain: Chain) -> None:
    """It has the port, and knows how the PBX stands and whom to try."""
    await chain.open_exchange()
    chain.pbx_keys["listen"] = f"127.0.0.1:{free_port()}"
    supervisor = Supervisor(load(chain.write_ini()), chain.clock)
    running = asyncio.create_task(supervisor.run())
    try:
        await chain.until(supervisor.ready.is_set)
        assert supervisor.engine is not None
        roster = supervisor.engine.roster
        before = await chain.check()
        assert before["pbx listening"][0].verdict is NOTE
        assert f"the running daemon (presenced {__version__}) listens on" in before["pbx listening"][0].what
        [login] = before["pbx login"]
        assert login.verdict is FAIL
        assert login.what == "the running daemon has no link to the PBX: no PBX has connected yet"
        chain.dial(supervisor.link.port)
        await chain.until(lambda: any(keeper.mailbox for keeper in roster.keepers.values()))
        chain.steps.clear()
        after = await chain.check()
        assert after["pbx login"][0].what == "the running daemon is linked to master"
        assert after["user"][0].what == f"ann ({ANN}), the first user of the running daemon"
        assert after["pbx certificate"][0].verdict is OK
        assert chain.failures == 0
    finally:
        supervisor.stop()
        await chain.until(running.done)
        await running


async def test_a_user_who_is_not_to_be_synchronised(chain: Chain) -> None:
    await chain.open_exchange()
    chain.more = f"[user {ANN}]\nsync = no\n"
    steps = await chain.check(ANN)
    assert steps["user"][0].verdict is NOTE
    assert f"[user {ANN}] says sync = no" in steps["user"][0].what
    assert chain.failures == 0
