"""The door that PBXes dial, over loopback WebSockets (pbx-link.md sections 1, 2 and 5)."""

from __future__ import annotations

import asyncio
import logging
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from websockets.exceptions import InvalidMessage

from presenced.config.settings import Address
from presenced.core.ports import DoorProblem, LinkDown, PresenceRefused
from presenced.pbx import link as link_module
from presenced.pbx.peers import COUNTS
from tests.pbx.scripted import BUSY, SETTINGS, Pbx, running, until, write_pem

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
            "users: 2",
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
        await door.master("a")
        assert door.listener.times("replicated") == 1


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
        task, src = await door.write(master)
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
        task, src = await door.write(new)
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
        task, _ = await door.write(master)
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
        task, src = await door.write(pbx)
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
