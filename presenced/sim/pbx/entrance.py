"""How a connection begins: the PBX logs in at the daemon, or the daemon at the PBX (section 2).

Each function returns the apis that are served from then on, and raises LineLost where the login fails.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import timedelta

from presenced.sim.pbx import presences, table
from presenced.sim.pbx.faults import LossPoint
from presenced.sim.pbx.line import Line, LineLost
from presenced.sim.pbx.login import app_login, check_challenge, digest
from presenced.sim.pbx.state import Message, PbxState

PATIENCE = timedelta(seconds=10)
"""by the clock, for each step"""


async def lose_at(point: LossPoint, line: Line, state: PbxState) -> None:
    """Lose the socket here if a test said so."""
    if state.loses(point):
        line.lose()
        raise LineLost(f"told to be lost {point}")


async def log_in(line: Line, state: PbxState) -> frozenset[str]:
    """Log in to a listening daemon and say who we are."""
    faults = state.faults
    await lose_at(LossPoint.CONNECTED, line, state)
    await line.send({"mt": "AppChallenge"})
    challenge = _take_challenge(await _expect("AppChallengeResult", line, state), state)
    await lose_at(LossPoint.CHALLENGED, line, state)
    reused = bool(faults.reuse_challenge and state.first_challenge)
    state.first_challenge = state.first_challenge or challenge
    message = app_login(
        app=state.app,
        domain=state.domain,
        pbx=state.name,
        info=faults.login_info,
        challenge=state.first_challenge if reused else challenge,
        password=state.password + ("?" if faults.wrong_password else ""),
    )
    await line.send(message, escape=faults.escape_login)
    await lose_at(LossPoint.LOGIN_SENT, line, state)
    result = await _expect("AppLoginResult", line, state)
    if result.get("ok") is not True:
        await _be_refused(result, line, state)
    if reused or faults.wrong_password:
        state.report(f"accepts a {'reused challenge' if reused else 'wrong password'}")
    await lose_at(LossPoint.LOGGED_IN, line, state)
    info = _pbx_info(state)
    await line.send(info)
    await lose_at(LossPoint.INFORMED, line, state)
    return frozenset(info["apis"])


async def let_log_in(line: Line, state: PbxState) -> frozenset[str]:
    """Let a dialling daemon log in with the App object's name and password."""
    await lose_at(LossPoint.CONNECTED, line, state)
    challenge = ""
    while (message := await _wait(line, state))["mt"] != "AppLogin":
        if message["mt"] != "AppChallenge":
            state.report(f"sends {message['mt']} before the login")
            continue
        challenge = secrets.token_hex(8)
        await line.send({"mt": "AppChallengeResult", "challenge": challenge})
        await lose_at(LossPoint.CHALLENGED, line, state)
    await lose_at(LossPoint.LOGIN_SENT, line, state)
    if not challenge:
        state.report("logs in without a challenge")
    if message.get("sip"):
        state.report("logs in with sip: the App object's own rights would not apply")
    known = message.get("app") == state.app and message.get("domain") in {"", None, state.domain}
    right = digest(message, challenge, state.password)
    fits = secrets.compare_digest(str(message.get("digest")).encode(), right.encode())
    if not (challenge and known and fits):
        state.counters["refused"] += 1
        await line.send({"mt": "AppLoginResult"})
        await line.close()
        raise LineLost("the daemon's login was refused")
    await line.send({"mt": "AppLoginResult", "ok": True})
    await lose_at(LossPoint.LOGGED_IN, line, state)
    return frozenset((table.API, presences.API))


def _pbx_info(state: PbxState) -> Message:
    absent = {
        table.API: state.faults.without_table_users,
        presences.API: state.faults.without_pbx_api,
    }
    return {
        "mt": "PbxInfo",
        "domain": state.domain,
        "pbx": state.name,
        "pbxDns": f"{state.name}.{state.domain}",
        "apis": [api for api, is_absent in absent.items() if not is_absent],
        "version": "14r2",
        "build": "1412345",
    }


def _take_challenge(message: Message, state: PbxState) -> str:
    challenge = message.get("challenge")
    if problem := check_challenge(challenge):
        state.report(problem)
    if challenge in state.challenges:
        state.report(f"gives the challenge {challenge!r} again")
    state.challenges.add(str(challenge))
    return str(challenge)


async def _be_refused(result: Message, line: Line, state: PbxState) -> None:
    """The daemon has to close now."""
    state.counters["refused"] += 1
    if "ok" in result:
        state.report(f"refuses with ok {result['ok']!r} in place of no ok")
    with suppress(TimeoutError):
        async with state.clock.timeout(PATIENCE):
            await line.wait_closed()
            raise LineLost("the login was refused")
    state.report("does not close after refusing a login")
    raise LineLost("the login was refused")


async def _expect(mt: str, line: Line, state: PbxState) -> Message:
    """The answer that is due; anything else is a bug."""
    while (message := await _wait(line, state))["mt"] != mt:
        state.report(f"sends {message['mt']} where {mt} was due")
    return message


async def _wait(line: Line, state: PbxState) -> Message:
    try:
        async with state.clock.timeout(PATIENCE):
            return await line.receive()
    except TimeoutError as error:
        line.lose()
        raise LineLost("the login took too long") from error
