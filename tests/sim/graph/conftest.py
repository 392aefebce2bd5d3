"""One simulated Graph over an organisation of two, on loopback with TLS, and a bare client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from presenced.sim.exchange.organisation import Organisation, SimulatedMailbox
from presenced.sim.graph.ports import Caller, TokenRefused
from presenced.sim.graph.server import SimulatedGraph
from presenced.sim.stage import Certificates
from tests.clock import FakeClock
from tests.sim.exchange.raw import item

APP = Caller("app-1", frozenset({"Calendars.Read", "User.Read.All"}))
WINDOW = "startDateTime=2026-11-16T00:00:00Z&endDateTime=2026-11-18T00:00:00Z"


class KnownTokens:
    """Tokens by their text; `refused` ones with the claims that are asked for."""

    def __init__(self) -> None:
        self.callers = {"good": APP}
        self.claims: dict[str, str] = {}

    async def identify(self, token: str) -> Caller:
        if token in self.claims:
            raise TokenRefused(
                "Continuous access evaluation resulted in challenge.", claims=self.claims[token]
            )
        if token not in self.callers:
            raise TokenRefused("Lifetime validation failed, the token is expired.")
        return self.callers[token]


@dataclass
class Client:
    """Sends what it is told to and hands back status, headers and JSON."""

    session: ClientSession
    graph: SimulatedGraph
    trust: Any
    token: str = "good"

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        token: str | None = None,
    ) -> tuple[int, Mapping[str, str], Any]:
        sign_in = {"Authorization": f"Bearer {self.token if token is None else token}"}
        url = path if path.startswith("https:") else self.graph.base_url + path
        async with self.session.request(
            method, url, json=body, headers=sign_in | dict(headers or {}), ssl=self.trust
        ) as response:
            text = await response.read()
            return response.status, response.headers, (await response.json() if text else None)

    async def get(self, path: str, **more: Any) -> Any:
        status, _, body = await self.send("GET", path, **more)
        assert status == 200, body
        return body


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tokens() -> KnownTokens:
    return KnownTokens()


@pytest.fixture
def organisation() -> Organisation:
    organisation = Organisation()
    ann = SimulatedMailbox("Ann@example.com", aliases=("a.o'hara@example.com",), zone="Europe/Berlin")
    organisation.add(ann)
    organisation.add(SimulatedMailbox("bob@example.com"))
    ann.put(item("standup", "2026-11-16 08:30", "2026-11-16 08:45", item_type="Occurrence", uid="series"))
    ann.put(item("secret", "2026-11-16 11:00", "2026-11-16 12:00", show_as="OOF", sensitivity="Private"))
    ann.put(
        item(
            "fair",
            "2026-11-16 23:00",
            "2026-11-17 23:00",
            all_day=True,
            zone="Europe/Berlin",
            show_as="NoData",
        )
    )
    return organisation


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder: Path = tmp_path_factory.mktemp("certificates")
    return Certificates(folder)


@pytest.fixture
async def graph(
    organisation: Organisation, clock: FakeClock, tokens: KnownTokens, certificates: Certificates
) -> AsyncIterator[SimulatedGraph]:
    graph = SimulatedGraph(organisation, clock=clock, tokens=tokens, trust=certificates.for_client())
    await graph.start(tls=certificates.for_server())
    yield graph
    await graph.stop()


@pytest.fixture
async def client(graph: SimulatedGraph, certificates: Certificates) -> AsyncIterator[Client]:
    async with ClientSession() as session:
        yield Client(session, graph, certificates.for_client())


@pytest.fixture
def ann(graph: SimulatedGraph, organisation: Organisation) -> str:
    """Ann's object id."""
    mailbox = organisation.find("ann@example.com")
    assert mailbox is not None
    return graph.resources.directory.id_of(mailbox)
