"""The door that PBXes dial, over loopback WebSockets (pbx-link.md sections 1, 2 and 5)."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from websockets.exceptions import InvalidMessage

from presenced.config.settings import Address
from presenced.core.ports import DoorProblem, LinkDown, PresenceRefused
from presenced.core.presence import CLEARED, Presence
from presenced.pbx import link as link_module
from presenced.pbx.peers import COUNTS
from tests.pbx.scripted import SETTINGS, Door, Pbx, running, until, write_pem

BUSY = Presence("busy", "Dentist")


async def _write(
    door: Door, pbx: Pbx, guid: str = "a", presence: Presence = BUSY
) -> tuple[asyncio.Task[None], str]:
    """A write under way: its task and its `src` as the PBX sees it."""
    task = asyncio.create_task(door.link.send_presence(guid, presence))
    src = (await pbx.hear())["src"]
    assert isinstance(src, str)
    return task, src


# --- the whole way -------------------------------------------------------------------------------


async def test_login_replication_change_and_write() -> None:
    async with running() as door:
        pbx = await door.master("a", "b")
        await pbx.say("ReplicateUpdate", api="PbxTableUsers", columns={"guid": "c", "h323": "c"})
        await pbx.say("ReplicateDel", columns={"guid": "b"})
        task = asyncio.create_task(door.link.send_presence("a", BUSY))
        sent = await pbx.hear()
        await pbx.say("SetPresenceResult", api="PbxApi", src=sent["src"])
        await task
        assert {**sent, "src": ""} == {
            "api": "PbxApi",
            "mt": "SetPresence",
            "src": "",
            "guid": "a",
            "contact": "calendar:",
            "activity": "busy",
            "note": "Dentist",
        }
        assert door.listener.heard == [
            ("linked", "master"),
            ("changed", "a"),
            ("changed", "b"),
            ("replicated", {"a", "b"}),
            ("changed", "c"),
            ("removed", "b"),
        ]
        (status,) = door.link.status()
        assert (status.name, status.role, status.version, status.detail) == (
            "master",
            "master",
            "14r2",
            "2 users",
        )
        assert status.peer.startswith("127.0.0.1:")
        counters = door.link.counters()
        assert set(counters) == set(COUNTS)
        assert (counters["logins"], counters["rows"], counters["writes"]) == (1, 2, 1)


@pytest.mark.parametrize("path", ["", "/", "/ex.org/presenced", "/a%20b/?q=1"])
async def test_any_path_is_taken(path: str) -> None:
    async with running() as door:
        pbx = await Pbx.dial(door.link.port, path)
        assert (await pbx.login())["ok"] is True


async def test_the_pbx_is_answered_while_it_is_silent_otherwise() -> None:
    async with running() as door:
        pbx = await door.master()
        await door.clock.advance(timedelta(days=3))
        assert await pbx.ask("KeepAlive") == {"mt": "KeepAlive"}
        await pbx.say("Weather")
        assert (await pbx.ask("AppInfo", app="presenced", src=1))["mt"] == "AppInfoResult"
        assert door.link.counters()["unknown_messages"] == 1


# --- who may come in -----------------------------------------------------------------------------


async def test_a_refused_login_is_told_and_closed() -> None:
    async with running() as door:
        pbx = await door.pbx()
        assert await pbx.login("guess") == {"mt": "AppLoginResult"}
        assert await pbx.gone() == 1008
        await until(lambda: not door.link.status())
        assert door.listener.heard == []
        assert door.link.counters()["logins_refused"] == 1


async def test_a_login_that_does_not_come_is_closed() -> None:
    async with running() as door:
        pbx = await door.pbx()
        await until(lambda: door.clock.sleepers)
        assert [status.role for status in door.link.status()] == ["login"]
        await door.clock.advance(timedelta(seconds=10))
        assert await pbx.gone() == 1008
        await until(lambda: not door.link.status())


async def test_strangers_are_few_and_pbxes_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "STRANGERS_LIMIT", 2)
    async with running() as door:
        await (await door.pbx()).name("branch-1")
        await (await door.pbx()).name("branch-2")
        await until(lambda: [status.role for status in door.link.status()] == ["other", "other"])
        strangers = [await door.pbx(), await door.pbx()]
        with pytest.raises((OSError, InvalidMessage)):
            await door.pbx()
        assert door.link.counters()["turned_away"] == 1
        strangers[0].abort()
        await until(lambda: len(door.link.status()) == 3)
        assert (await (await door.pbx()).login())["ok"] is True


async def test_a_browser_does_no_harm() -> None:
    async with running() as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.link.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"426" in await reader.readline()
        writer.close()
        assert await door.master("a")


async def test_a_message_over_a_mebibyte_ends_the_connection() -> None:
    async with running() as door:
        pbx = await door.master()
        await pbx.say("Novel", text="x" * 1024 * 1024)
        assert await pbx.gone() == 1009
        await until(lambda: door.listener.times("unlinked"))


# --- several PBXes -------------------------------------------------------------------------------


async def test_only_the_master_is_replicated() -> None:
    async with running() as door:
        branch = await door.pbx()
        await branch.name("branch")
        assert (await branch.ask("KeepAlive"))["mt"] == "KeepAlive"
        with pytest.raises(LinkDown, match="PBX master is not connected"):
            await door.link.send_presence("a", BUSY)
        master = await door.master("a")
        assert [(status.name, status.role) for status in door.link.status()] == [
            ("branch", "other"),
            ("master", "master"),
        ]
        branch.abort()
        await until(lambda: len(door.link.status()) == 1)
        assert door.listener.times("unlinked") == 0
        task, src = await _write(door, master)
        await master.say("SetPresenceResult", src=src)
        await task


async def test_a_missing_check_mark_is_said_to_whoever_writes() -> None:
    async with running() as door:
        pbx = await door.pbx()
        await pbx.name(apis=("PbxTableUsers",))
        await until(lambda: any(door.details()))
        assert "check mark PBX in the App object presenced" in door.details()[0]
        with pytest.raises(LinkDown, match="check mark PBX"):
            await door.link.send_presence("a", BUSY)
        assert door.listener.heard == []


async def test_a_new_connection_replaces_a_half_open_one() -> None:
    async with running() as door:
        old = await door.master("a", "b")
        old.socket.transport.pause_reading()
        task = asyncio.create_task(door.link.send_presence("a", BUSY))
        new = await door.master("a")
        with pytest.raises(LinkDown, match="PBX master opened a new connection"):
            await task
        assert [kind for kind, _ in door.listener.heard] == [
            *["linked", "changed", "changed", "replicated"],
            *["unlinked", "linked", "removed", "replicated"],
        ]
        await until(lambda: len(door.link.status()) == 1)
        assert door.link.counters()["replaced"] == 1
        task, src = await _write(door, new)
        await new.say("SetPresenceResult", src=src)
        await task
        assert door.listener.times("unlinked") == 1
        old.abort()


async def test_the_replica_survives_a_reconnect() -> None:
    async with running() as door:
        (await door.master("a", "b")).abort()
        await until(lambda: door.listener.times("unlinked"))
        door.listener.heard.clear()
        await door.master("b", "c")
        assert door.listener.heard == [
            ("linked", "master"),
            ("changed", "c"),
            ("removed", "a"),
            ("replicated", {"b", "c"}),
        ]


# --- socket loss in every state ------------------------------------------------------------------


async def _connected(pbx: Pbx) -> None:
    pass


async def _challenged(pbx: Pbx) -> None:
    await pbx.ask("AppChallenge")


async def _logged_in(pbx: Pbx) -> None:
    await pbx.login()


async def _named(pbx: Pbx) -> None:
    await pbx.name()
    await pbx.hear()


async def _started(pbx: Pbx) -> None:
    await _named(pbx)
    await pbx.ask("ReplicateStartResult", columns={})


async def _copying(pbx: Pbx) -> None:
    await _started(pbx)
    await pbx.ask("ReplicateNextResult", columns={"guid": "a", "h323": "a"})


async def _copied(pbx: Pbx) -> None:
    await pbx.link("a")
    await pbx.ask("KeepAlive")


@pytest.mark.parametrize("politely", [True, False])
@pytest.mark.parametrize(
    ("reach", "linked"),
    [
        (_connected, False),
        (_challenged, False),
        (_logged_in, False),
        (_named, True),
        (_started, True),
        (_copying, True),
        (_copied, True),
    ],
)
async def test_a_loss_is_told_once_where_there_was_a_link(
    reach: Callable[[Pbx], Awaitable[None]], linked: bool, politely: bool
) -> None:
    async with running() as door:
        pbx = await door.pbx()
        await until(door.link.status)
        await reach(pbx)
        if politely:
            await pbx.socket.close(1001, "restart")
        else:
            pbx.abort()
        await until(lambda: not door.link.status())
        told = [reason for kind, reason in door.listener.heard if kind == "unlinked"]
        words = (
            "the PBX closed the connection (code 1001, 'restart')" if politely else "the connection broke off"
        )
        assert told == ([words] if linked else [])
        await door.stop()
        assert door.listener.times("unlinked") == int(linked)


async def test_a_write_under_way_ends_with_the_link() -> None:
    async with running() as door:
        pbx = await door.master("a")
        task, _ = await _write(door, pbx)
        pbx.abort()
        with pytest.raises(LinkDown, match="broke off"):
            await task
        assert (await door.master("a")) is not None


# --- writes --------------------------------------------------------------------------------------


async def test_a_thousand_writes_keep_the_limit() -> None:
    async with running() as door:
        pbx = await door.master("a")
        writes = [asyncio.create_task(door.link.send_presence(f"g{n}", CLEARED)) for n in range(1000)]
        open_srcs: list[object] = []
        most = 0
        for _ in writes:
            open_srcs.append((await pbx.hear())["src"])
            most = max(most, len(open_srcs))
            assert len(set(open_srcs)) == len(open_srcs)
            if len(open_srcs) == 16:
                await door.clock.settle(50)
                await pbx.say("KeepAlive")
                assert (await pbx.hear())["mt"] == "KeepAlive"
                for src in reversed(open_srcs):
                    await pbx.say("SetPresenceResult", api="PbxApi", src=src)
                open_srcs.clear()
        for src in open_srcs:
            await pbx.say("SetPresenceResult", api="PbxApi", src=src)
        await asyncio.gather(*writes)
        assert most == 16
        assert door.link.counters()["writes"] == 1000


async def test_an_error_is_the_writers_alone() -> None:
    async with running() as door:
        pbx = await door.master("a")
        (bad, bad_src), (good, good_src) = await _write(door, pbx), await _write(door, pbx, "b")
        await pbx.say("SetPresenceResult", src=bad_src, error=4, errorText="unknown guid")
        await pbx.say("SetPresenceResult", src=good_src)
        with pytest.raises(PresenceRefused, match="error 4: unknown guid"):
            await bad
        await good
        assert door.listener.times("unlinked") == 0


async def test_an_answer_that_never_comes_is_given_up() -> None:
    async with running(writes_in_flight=1) as door:
        pbx = await door.master("a")
        task, src = await _write(door, pbx)
        waiting = asyncio.create_task(door.link.send_presence("b", BUSY))
        await door.clock.advance(timedelta(seconds=10))
        with pytest.raises(PresenceRefused, match="did not answer SetPresence within 10 s"):
            await task
        second = (await pbx.hear())["src"]
        await pbx.say("SetPresenceResult", src=src)
        await pbx.say("SetPresenceResult", src=second)
        await waiting
        assert door.link.counters()["late_results"] == 1


async def test_who_stops_waiting_keeps_the_slot_until_the_answer() -> None:
    async with running(writes_in_flight=1) as door:
        pbx = await door.master("a")
        task, src = await _write(door, pbx)
        task.cancel()
        other = asyncio.create_task(door.link.send_presence("b", BUSY))
        assert await pbx.ask("KeepAlive") == {"mt": "KeepAlive"}
        await pbx.say("SetPresenceResult", src=src)
        sent = await pbx.hear()
        assert sent["guid"] == "b"
        await pbx.say("SetPresenceResult", src=sent["src"])
        await other


async def test_writers_in_the_queue_learn_that_the_link_is_down() -> None:
    async with running(writes_in_flight=1) as door:
        pbx = await door.master("a")
        writes = [asyncio.create_task(door.link.send_presence("a", BUSY)) for _ in range(5)]
        await pbx.hear()
        pbx.abort()
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert all(isinstance(outcome, LinkDown) for outcome in outcomes)
        task, src = await _write(door, again := await door.master("a"))
        await again.say("SetPresenceResult", src=src)
        await task


async def test_a_presence_too_long_is_refused_and_holds_no_slot() -> None:
    async with running(writes_in_flight=1) as door:
        pbx = await door.master("a")
        with pytest.raises(PresenceRefused, match="takes less than 65536"):
            await door.link.send_presence("a", Presence("busy", "x" * 65_536))
        task, src = await _write(door, pbx)
        await pbx.say("SetPresenceResult", src=src)
        await task


async def test_long_messages_go_in_frames_under_16_kib() -> None:
    async with running() as door:
        pbx = await door.master("a")
        task = asyncio.create_task(door.link.send_presence("a", Presence("busy", "ä" * 20_000)))
        pieces = [piece async for piece in pbx.socket.recv_streaming(decode=False)]
        assert len(b"".join(pieces).decode()) > 20_000
        assert max(map(len, pieces)) < 16 * 1024 - 14
        task.cancel()


async def test_a_row_of_60_kib_in_fragments_is_read() -> None:
    async with running() as door:
        pbx = await door.master()
        emails = ",".join(f'{{"email":"user{number:06}@ex.org"}}' for number in range(2100))
        text = f'{{"mt":"ReplicateAdd","columns":{{"guid":"big","h323":"big","emails":[{emails}]}}}}'
        assert len(text) > 60 * 1024
        await pbx.socket.send(text[start : start + 8000] for start in range(0, len(text), 8000))
        await until(lambda: ("changed", "big") in door.listener.heard)


# --- TLS -----------------------------------------------------------------------------------------


def _certificate(authority: trustme.CA, folder: Path) -> dict[str, Path]:
    issued = authority.issue_cert("localhost")
    chain = [blob.bytes() for blob in issued.cert_chain_pems]
    return {
        "tls_certificate": write_pem(folder, "link.pem", *chain),
        "tls_key": write_pem(folder, "link.key", issued.private_key_pem.bytes()),
    }


def _trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_tls_and_a_certificate_changed_while_running(tmp_path: Path) -> None:
    first, second = trustme.CA(), trustme.CA()
    listen = Address("localhost", 0)
    async with running(listen=listen, **_certificate(first, tmp_path)) as door:
        pbx = await door.pbx(_trusting(first))
        await pbx.link("a")
        _certificate(second, tmp_path)
        door.link.reload_certificate()
        assert (await (await door.pbx(_trusting(second))).login())["ok"] is True
        with pytest.raises(ssl.SSLCertVerificationError):
            await door.pbx(_trusting(first))
        assert (await pbx.ask("KeepAlive"))["mt"] == "KeepAlive"


async def test_a_spoilt_certificate_does_not_replace_the_one_in_use(tmp_path: Path) -> None:
    authority = trustme.CA()
    async with running(listen=Address("localhost", 0), **_certificate(authority, tmp_path)) as door:
        write_pem(tmp_path, "link.key", b"not a key")
        with pytest.raises(DoorProblem, match=r"link\.key"):
            door.link.reload_certificate()
        assert (await (await door.pbx(_trusting(authority))).login())["ok"] is True


async def test_without_its_certificate_the_door_does_not_open(tmp_path: Path) -> None:
    with pytest.raises(DoorProblem, match=r"none\.pem"):
        async with running(tls_certificate=tmp_path / "none.pem"):
            pass


# --- start and stop ------------------------------------------------------------------------------


async def test_a_taken_port_is_a_door_problem() -> None:
    async with running() as door:
        with pytest.raises(DoorProblem, match=r"can't listen for the PBX on 127\.0\.0\.1"):
            async with running(listen=Address("127.0.0.1", door.link.port)):
                pass


async def test_stopping_closes_everything() -> None:
    async with running() as door:
        master, branch = await door.master("a"), await door.pbx()
        await branch.name("branch")
        await until(lambda: len(door.link.status()) == 2)
        task, _ = await _write(door, master)
        assert door.task is not None
        door.task.cancel()
        with pytest.raises(LinkDown, match="presenced is stopping"):
            await task
        assert (await master.gone(), await branch.gone()) == (1001, 1001)
        with pytest.raises(asyncio.CancelledError):
            await door.task
        assert not door.link.listening.is_set()
        assert door.link.status() == []
        assert door.listener.heard[-1] == ("unlinked", "presenced is stopping")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", door.link.port)


async def test_no_title_and_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with running() as door:
        await (await door.pbx()).login("guess")
        pbx = await door.master("a")
        await pbx.say("ReplicateAdd", columns={"guid": 7})
        task, src = await _write(door, pbx)
        await pbx.say("SetPresenceResult", src=src, error=1, errorText="no")
        with pytest.raises(PresenceRefused):
            await task
    logged = " ".join(
        f"{record.getMessage()} {record.__dict__}"
        for record in caplog.records
        if record.name.startswith("presenced")
    )
    assert "users replicated" in logged
    assert "column guid is missing" in logged
    assert "Dentist" not in logged
    assert SETTINGS.app_password.reveal() not in logged
