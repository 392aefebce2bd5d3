"""The link in the face of lost sockets, in every state (pbx-link.md section 5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from presenced.core.ports import LinkDown
from presenced.pbx import link as link_module
from tests.pbx.scripted import Pbx, running, until


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
        task, _ = await door.write(pbx)
        pbx.abort()
        with pytest.raises(LinkDown, match="broke off"):
            await task
        await door.master("a")
        assert door.listener.times("linked") == 2


async def test_a_peer_that_vanished_is_noticed_by_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "_PING_SECONDS", 0.02)
    monkeypatch.setattr(link_module, "_CLOSE_SECONDS", 0.02)
    async with running() as door:
        pbx = await door.master("a")
        pbx.socket.transport.pause_reading()
        await until(lambda: door.listener.times("unlinked"))
        assert door.listener.heard[-1] == ("unlinked", "the connection was closed: keepalive ping timeout")
        pbx.abort()
