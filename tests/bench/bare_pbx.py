"""The floor's other half: what a cold start says to the PBX, by a client that does nothing else.

It logs in, asks for every row of the user table, one at a time as the protocol wants it, and sets
everybody's presence, as many at a time as the daemon. Answers are counted and not looked at, but for the
challenge of the login and the last one of each kind, which show whether anything was measured at all.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from itertools import islice

import aiohttp

from presenced.core.presence import Presence
from presenced.pbx import messages as m
from presenced.pbx import wire

AT_A_TIME = 16
"""`writes_in_flight`, as the daemon has it"""
APP = "presenced"
_SHOWN = Presence(
    "busy", "Projektbesprechung until 12:30 (then Free) #busy #until:1795426200000 #next:24:7:24:7"
)


async def converse(url: str, context: ssl.SSLContext, password: str, guids: Sequence[str]) -> None:
    """The whole conversation. Raises RuntimeError where it went otherwise than it should."""
    async with aiohttp.ClientSession() as session, session.ws_connect(url, ssl=context) as socket:
        challenge = json.loads(await _ask(socket, m.AppChallenge()))["challenge"]
        proof = wire.digest(m.AppLogin(APP, ""), challenge, password)
        await _ask(socket, m.AppLogin(APP, proof))
        await _ask(socket, m.ReplicateStart("users"))
        for _ in guids:
            await _ask(socket, m.ReplicateNext("users"))
        if "columns" in await _ask(socket, m.ReplicateNext("users")):
            raise RuntimeError("the floor has not asked for all users")
        await _write(socket, guids)


async def _ask(socket: aiohttp.ClientWebSocketResponse, message: m.Outgoing) -> str:
    await socket.send_str(wire.write(message))
    return await socket.receive_str()


async def _write(socket: aiohttp.ClientWebSocketResponse, guids: Sequence[str]) -> None:
    waiting, answer = iter(guids), ""
    for guid in islice(waiting, AT_A_TIME):
        await _set_presence(socket, guid)
    for _ in guids:
        answer = await socket.receive_str()
        for guid in islice(waiting, 1):
            await _set_presence(socket, guid)
    if '"SetPresenceResult"' not in answer or '"error"' in answer:
        raise RuntimeError(f"the floor's presence was answered {answer[:80]}")


async def _set_presence(socket: aiohttp.ClientWebSocketResponse, guid: str) -> None:
    message = m.SetPresence(guid, guid, "calendar:", _SHOWN.activity, _SHOWN.note)
    await socket.send_str(wire.write(message))
