"""PbxApi as one connection sees it: taking presences and reading them back (pbx-link.md section 4)."""

from __future__ import annotations

from presenced.sim.pbx.state import Message, PbxState
from presenced.sim.pbx.users import SimulatedUser

API = "PbxApi"
CONTACTS = ("calendar:", "cal:")
ACTIVITIES = ("", "busy", "away", "dnd")
NO_SUCH_USER = 1
NOT_ALLOWED = 2
TOLD_TO_FAIL = "the object is locked"

_SET = {"api", "mt", "src", "guid", "contact", "activity", "note"}


class ServedPresences:
    """SetPresence and SubscribePresence for one connection."""

    def __init__(self, state: PbxState) -> None:
        self._state = state
        self._outstanding: set[str] = set()
        """src of every SetPresence not answered yet"""
        self._watched: dict[str, object] = {}
        """guid -> src of its SubscribePresence"""

    def check(self, message: Message) -> Message | None:
        """Note every bug of a SetPresence; its refusal, None where it may be stored."""
        state, guid, contact = self._state, message.get("guid"), message.get("contact")
        if state.faults.slave:
            state.report("SetPresence at a PBX that is not the master")
        if set(message) != _SET or not all(isinstance(value, str) for value in message.values()):
            state.report(f"SetPresence with the members {sorted(message)}, not all of them strings")
            return self._refuse(message, NOT_ALLOWED, "bad request")
        if message["src"] in self._outstanding:
            state.report(f"SetPresence with src {message['src']!r}, which is in flight")
        self._outstanding.add(message["src"])
        state.counters["most in flight"] = max(state.counters["most in flight"], len(self._outstanding))
        if contact not in CONTACTS:
            state.report(f"SetPresence for the contact {contact!r}: only {' or '.join(CONTACTS)} is ours")
            return self._refuse(message, NOT_ALLOWED, "not allowed")
        if message["activity"] not in ACTIVITIES:
            state.report(f"SetPresence with the activity {message['activity']!r}")
        if guid not in state.users:
            if guid in state.former:
                state.counters["writes to removed users"] += 1
            else:
                state.report(f"SetPresence for {guid!r}, who has never been a user")
            return self._refuse(message, NO_SUCH_USER, "user not found")
        if state.faults.set_presence_error and state.faults.hit(guid):
            return self._refuse(message, state.faults.set_presence_error, TOLD_TO_FAIL)
        return None

    def store(self, message: Message) -> Message:
        """Store it; the result."""
        self._state.write_presence(message["guid"], message["contact"], message["activity"], message["note"])
        return _result("SetPresenceResult", message)

    def answered(self, message: Message) -> None:
        """The result of this SetPresence is being sent."""
        self._outstanding.discard(str(message.get("src")))

    def subscribe(self, message: Message) -> list[Message]:
        """SubscribePresence by `sip` or `num`: the result, the state and the presence as it is."""
        result = _result("SubscribePresenceResult", message)
        user = self._find(str(message.get("sip", "")), str(message.get("num", "")))
        if user is None:
            down = _result("PresenceState", message) | {"up": False}
            return [result, down | {name: message[name] for name in ("sip", "num") if name in message}]
        self._watched[user.guid] = message.get("src")
        state = {
            "up": True,
            "sip": user.h323,
            "num": user.e164,
            "dn": user.dn,
            "email": user.emails[0] if user.emails else "",
        }
        return [result, _result("PresenceState", message) | state, *self.updates(user.guid)]

    def updates(self, guid: str) -> list[Message]:
        """PresenceUpdate for a watched user: all items, the newest first."""
        if guid not in self._watched:
            return []
        items = self._state.presences.get(guid, {}).items()
        presence = [
            {"contact": contact, "status": "open", "activity": activity, "note": note}
            for contact, (activity, note) in reversed(items)
        ]
        return [_result("PresenceUpdate", {"src": self._watched[guid]}) | {"presence": presence}]

    def _find(self, sip: str, num: str) -> SimulatedUser | None:
        name = sip.removesuffix(f"@{self._state.domain}")
        for user in self._state.users.values():
            if (name and user.h323 == name) or (num and user.e164 == num):
                return user
        return None

    def _refuse(self, message: Message, error: int, text: str) -> Message:
        return _result("SetPresenceResult", message) | {"error": error, "errorText": text}


def _result(mt: str, message: Message) -> Message:
    """The members all answers share; `src` is echoed where it came."""
    src = message.get("src")
    return {"api": API, "mt": mt} if src is None else {"api": API, "mt": mt, "src": src}
