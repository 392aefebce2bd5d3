"""A session on a desk: what is said to it, what it sends, what it tells; and rows to feed it with."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from presenced.config.settings import PbxSettings, Secret
from presenced.core.replica import PbxUser, Replica
from presenced.pbx.events import Event
from presenced.pbx.session import Session

START = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
SETTINGS = PbxSettings(app_name="presenced", app_password=Secret("pwd"), master_pbx_name="master")
BOTH = ["PbxTableUsers", "PbxApi"]
NEXT = {"api": "PbxTableUsers", "mt": "ReplicateNext", "src": "users"}
END = {"mt": "ReplicateNextResult", "api": "PbxTableUsers"}


class Desk:
    """One session, the clock on its wall, and what came out of it so far."""

    def __init__(
        self, config: PbxSettings = SETTINGS, *, dialled: bool = False, replica: Replica | None = None
    ) -> None:
        self.now = START
        self.counts: Counter[str] = Counter()
        self.replica = Replica() if replica is None else replica
        self.session = Session(config, self.replica, self.counts, START, dialled=dialled)
        self.nonces: Iterator[str] = iter(f"{number:016x}" for number in range(1000))
        self.events: list[Event] = []

    def say(self, mt: str, **members: object) -> list[dict[str, object]]:
        return self.hear(json.dumps({"mt": mt, **members}))

    def hear(self, data: str | bytes) -> list[dict[str, object]]:
        self.session.receive(data, self.now, lambda: next(self.nonces))
        return self.sent()

    def wait(self, seconds: float) -> list[dict[str, object]]:
        self.now += timedelta(seconds=seconds)
        self.session.tick(self.now)
        return self.sent()

    def sent(self) -> list[dict[str, object]]:
        while (event := self.session.take_event()) is not None:
            self.events.append(event)
        texts: list[dict[str, object]] = []
        while (text := self.session.take_text()) is not None:
            texts.append(json.loads(text))
        return texts

    def news(self) -> list[Event]:
        """The events since the last look."""
        events, self.events = self.events, []
        return events

    def due(self) -> float | None:
        """Seconds until the deadline."""
        deadline = self.session.deadline
        return None if deadline is None else (deadline - self.now).total_seconds()

    def challenge(self) -> str:
        (answer,) = self.say("AppChallenge", pbx="ignored")
        challenge = answer["challenge"]
        assert isinstance(challenge, str)
        return challenge

    def login(self, password: str = "pwd", info: str = "", **members: object) -> list[dict[str, object]]:
        fields = {
            "app": "presenced",
            "domain": "ex.org",
            "sip": "presenced",
            "guid": "1",
            "dn": "P",
            **members,
        }
        parts = [*map(str, fields.values()), *([info] if info else []), self.challenge(), password]
        digest = hashlib.sha256(":".join(parts).encode()).hexdigest()
        body = json.dumps({"mt": "AppLogin", **fields, "digest": digest})
        return self.hear(f'{body[:-1]},"info":{info}}}' if info else body)

    def link(self, pbx: str = "master", apis: list[str] = BOTH) -> list[dict[str, object]]:
        self.login()
        return self.say("PbxInfo", pbx=pbx, domain="ex.org", pbxDns="m.ex.org", apis=apis, version="14r2")

    def complete(self, *rows: dict[str, object]) -> None:
        self.link()
        self.say("ReplicateStartResult", api="PbxTableUsers", columns={})
        for row in rows:
            self.say("ReplicateNextResult", api="PbxTableUsers", columns=row)
        self.hear(json.dumps(END))
        self.news()


def row(guid: str, **columns: object) -> dict[str, object]:
    return {"guid": guid, "h323": guid, **columns}


def user(guid: str, cn: str = "") -> PbxUser:
    return PbxUser(guid=guid, sip=guid, cn=cn, addresses=(f"{guid}@ex.org",))
