"""From PBX users to mailboxes, with the whole daemon between the simulators: every way an address may go."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from presenced.core.ports import MailboxState
from presenced.daemon.keeper import Keeper
from presenced.sim.exchange.autodiscover.service import redirections
from presenced.sim.exchange.ntlm import ExtendedProtection
from presenced.sim.exchange.organisation import SimulatedMailbox
from presenced.sim.exchange.server import SimulatedExchange
from presenced.sim.pbx import SimulatedPbx, SimulatedUser
from presenced.sim.stage import HOST
from tests.e2e.test_main_job import World, item
from tests.names import Names
from tests.sim.serving import serving


class Place(World):
    """A world whose users and mailboxes a test chooses before it begins."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.keys: dict[str, str | None] = {}
        """keys of [exchange] to set, or (None) to leave out"""
        self.pbx = SimulatedPbx([], clock=self.clock, password="pbx-secret")

    def rewrite(self, ini: str) -> str:
        head, _, rest = ini.partition("[exchange]\n")
        old, _, tail = rest.partition("\n\n")
        keys: dict[str, str | None] = {}
        for line in old.splitlines():
            key, _, value = line.partition(" = ")
            keys[key] = value
        keys |= self.keys
        own = "".join(f"{key} = {value}\n" for key, value in keys.items() if value is not None)
        return f"{head}[exchange]\n{own}\n{tail}"

    def mailbox(self, address: str, *aliases: str) -> None:
        self.organisation.add(SimulatedMailbox(address, aliases=aliases, zone="UTC"))

    def user(self, name: str, *emails: str, h323_email: bool = False) -> None:
        self.pbx.add_user(SimulatedUser(f"guid-{name}", name, emails=emails, h323_email=h323_email))

    async def begin(self) -> None:
        if not self.stage.exchange.base_url:
            await self.open_exchange()
        await self.open_daemon()
        self.open_pbx()

    async def let_pass(self, duration: timedelta) -> None:
        """Time passes, in steps short enough for the sockets to keep up."""
        for _ in range(int(duration / timedelta(seconds=5))):
            await self.clock.advance(timedelta(seconds=5), turns=3)
            await self.clock.rest()

    def keeper(self, name: str) -> Keeper:
        assert self.supervisor.engine is not None
        found = self.supervisor.engine.roster.keepers.get(f"guid-{name}")
        assert found is not None, f"{name} has not come yet"
        return found

    def found(self, name: str) -> str:
        """The primary address of the mailbox found for a user, "" for none."""
        engine = self.supervisor.engine
        keeper = engine.roster.keepers.get(f"guid-{name}") if engine is not None else None
        return keeper.mailbox.address if keeper is not None and keeper.mailbox is not None else ""

    async def finds(self, **addresses: str) -> None:
        await self.until(
            lambda: {name: self.found(name) for name in addresses} == addresses,
            f"{addresses}, found {[(name, self.found(name)) for name in addresses]}",
        )


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path)
    yield place
    await place.close()
    assert list(place.pbx.client_bugs) == []
    assert list(place.stage.exchange.client_bugs) == []


def put_every_shape(place: Place) -> dict[str, str]:
    """Users whose addresses come in every shape a PBX may have; name -> primary address of the mailbox."""
    place.mailbox("kim@example.com", "kim.berg@example.com")
    place.mailbox("o'neil@example.com")
    place.mailbox("tom+work@example.com")
    place.mailbox("jörg@bücher.example")
    place.mailbox("Mixed.Case@Example.com")
    place.user("ann")
    place.user("list", " ghost@example.com ;; kim.berg@example.com;bob@example.com")
    place.user("several", "ghost@example.com", "eve@example.com")
    place.user("bare", "bob")
    place.user("kim", h323_email=True)
    place.user("shared", "ann@example.com")
    place.user("apostrophe", "o'neil@example.com")
    place.user("plus", "tom+work@example.com")
    place.user("foreign", "jörg@bücher.example")
    place.user("mixed", "mixed.case@EXAMPLE.com")
    return {
        "ann": "ann@example.com",
        "list": "kim@example.com",
        "several": "eve@example.com",
        "bare": "bob@example.com",
        "kim": "kim@example.com",
        "shared": "ann@example.com",
        "apostrophe": "o'neil@example.com",
        "plus": "tom+work@example.com",
        "foreign": "jörg@bücher.example",
        "mixed": "Mixed.Case@Example.com",
    }


@pytest.mark.parametrize("resolution", ["impersonation-user", "user-names"])
@pytest.mark.parametrize("by", ["autodiscover", "resolve names"])
async def test_addresses_in_every_shape(place: Place, by: str, resolution: str) -> None:
    await place.open_exchange()
    place.keys["name_resolution"] = resolution
    if by == "resolve names":
        place.keys |= {"autodiscover_url": None, "ews_url": place.stage.exchange.ews_url}
    expected = put_every_shape(place)
    await place.begin()
    await place.finds(**expected)
    for address in set(expected.values()):
        place.organisation.put(address, item(f"visit to {address}", -30, 300))
    await place.shows(**{name: f"Visit To {address.title()} until" for name, address in expected.items()})


async def test_nothing_resolves(place: Place) -> None:
    """What was asked and what came back stands in the status, and the user is asked about again hourly."""
    place.user("ghost", "ghost@example.com;phantom@example.com")
    await place.begin()
    engine = place.supervisor.engine
    assert engine is not None
    await place.until(lambda: engine.resolving.counters["asked"] == 1)
    await place.until(lambda: place.keeper("ghost").resolved_at is not None)
    keeper = place.keeper("ghost")
    assert keeper.state is MailboxState.UNRESOLVED
    for address in ("ghost@example.com", "phantom@example.com"):
        assert f"{address}: 127.0.0.1: InvalidUser" in keeper.reason
    assert place.note("ghost") == ""
    place.mailbox("phantom@example.com")
    await place.clock.advance(timedelta(minutes=59), turns=2)
    assert place.found("ghost") == ""
    await place.clock.advance(timedelta(minutes=2), turns=2)
    await place.finds(ghost="phantom@example.com")


async def test_a_changed_row_is_asked_about_at_once(place: Place) -> None:
    place.user("ann", "ghost@example.com")
    place.pbx.update_user(SimulatedUser("guid-ann", "nobody", emails=("ghost@example.com",)))
    await place.begin()
    await place.until(lambda: bool(place.supervisor.engine and place.supervisor.engine.roster.keepers))
    await place.until(lambda: place.keeper("ann").resolved_at is not None)
    place.pbx.update_user(SimulatedUser("guid-ann", "nobody", emails=("bob@example.com",)))
    await place.finds(ann="bob@example.com")
    place.pbx.update_user(SimulatedUser("guid-ann", "nobody", emails=("eve@example.com",)))
    await place.finds(ann="eve@example.com")


async def test_redirects_of_addresses_and_urls(place: Place) -> None:
    await place.open_exchange()
    directory = place.stage.directory
    directory.address_redirections = {f"step{n}@example.com": f"step{n + 1}@example.com" for n in range(12)}
    directory.address_redirections["step10@example.com"] = "ann@example.com"
    directory.address_redirections["a@example.com"] = "b@example.com"
    directory.address_redirections["b@example.com"] = "a@example.com"
    place.user("ten", "step1@example.com")
    place.user("eleven", "step0@example.com")
    place.user("loop", "a@example.com;bob@example.com")
    await place.begin()
    await place.finds(ten="ann@example.com", loop="bob@example.com")
    assert place.found("eleven") == ""
    assert "which leads nowhere" in place.keeper("eleven").reason


async def test_batches_shrink(place: Place) -> None:
    await place.open_exchange()
    place.stage.autodiscover.max_users = 3
    for number in range(10):
        place.mailbox(f"user{number}@example.com")
        place.user(f"user{number}")
    await place.begin()
    await place.finds(**{f"user{number}": f"user{number}@example.com" for number in range(10)})
    assert max(list(place.stage.autodiscover.batches)[-3:]) <= 3


@pytest.mark.parametrize("first", ["autodiscover.example.com", "example.com"])
async def test_the_published_order(place: Place, monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    """https at both hosts, then plain http at both, whose 302 leads to the server."""
    await open_named(place, "mail.example.com")
    origin = f"https://mail.example.com:{place.stage.exchange.port}"
    application = web.Application()
    application.add_routes(redirections(origin))
    place.keys["autodiscover_url"] = None
    names = Names(monkeypatch)
    names.put("mail.example.com", place.stage.exchange.port, at=place.stage.exchange.port)
    place.user("ann")
    async with serving(application) as plain:
        names.put("autodiscover.example.com", 443)
        names.put("example.com", 443)
        names.put(first, 80, at=int(plain.rpartition(":")[2]))
        await place.begin()
        await place.finds(ann="ann@example.com")
    order = [("autodiscover.example.com", 443), ("example.com", 443), ("autodiscover.example.com", 80)]
    order += [("example.com", 80)] if first == "example.com" else []
    asked = [asked for asked in dict.fromkeys(names.asked) if asked[0] != "mail.example.com"]
    assert asked == order
    await place.shows(ann="Free")


async def test_a_plain_redirect_leads_to_no_strange_host(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_named(place, "mail.elsewhere.example")
    application = web.Application()
    application.add_routes(redirections(f"https://mail.elsewhere.example:{place.stage.exchange.port}"))
    place.keys["autodiscover_url"] = None
    names = Names(monkeypatch)
    names.put("mail.elsewhere.example", place.stage.exchange.port, at=place.stage.exchange.port)
    place.user("ann")
    async with serving(application) as plain:
        names.put("autodiscover.example.com", 80, at=int(plain.rpartition(":")[2]))
        await place.begin()
        engine = place.supervisor.engine
        assert engine is not None
        await place.until(
            lambda: not engine.watch.standing.healthy or bool(engine.resolving.counters["asked"])
        )
        await place.clock.advance(timedelta(seconds=30), turns=3)
    assert place.stage.signin.counters["handshakes"] == 0, "no credentials went there"
    assert place.found("ann") == ""


async def open_named(place: Place, name: str) -> None:
    """The simulated Exchange under a name, known by it in its own answers."""
    place.stage.signin.protection = ExtendedProtection.NONE  # its certificate is not the one of the stage
    authority = trustme.CA()
    with place.stage.certificates.authority.open("ab") as trusted:
        trusted.write(authority.cert_pem.bytes())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    await place.stage.exchange.start(HOST, 0, context)
    place.organisation.endpoints[""] = f"https://{name}:{place.stage.exchange.port}/EWS/Exchange.asmx"


# --- what is kept, and what moves -----------------------------------------------------------------


async def test_answers_are_kept_over_a_restart(place: Place) -> None:
    place.user("ann")
    await place.begin()
    await place.shows(ann="Free")
    await place.stop()
    asked = place.stage.autodiscover.counters["soap"]
    place.stage.autodiscover.statuses = dict.fromkeys(("soap", "pox", "json"), 503)
    place.organisation.put("ann@example.com", item("meeting", -30, 300))
    await place.open_daemon()
    await place.shows(ann="Meeting until")
    assert place.stage.autodiscover.counters["soap"] == asked


async def test_kept_answers_are_asked_about_again_within_a_day(place: Place) -> None:
    place.user("ann")
    await place.begin()
    await place.shows(ann="Free")
    await place.stop()
    await place.open_daemon()
    engine = place.supervisor.engine
    assert engine is not None
    await place.until(lambda: engine.watch.door is not None)
    due, resolved_at = engine.resolving.due_at("guid-ann"), place.keeper("ann").resolved_at
    assert due is not None
    assert resolved_at is not None
    assert resolved_at < due <= resolved_at + timedelta(days=1)


async def second_server(place: Place) -> SimulatedExchange:
    """Another Exchange of the same organisation; mailboxes whose home is "B" live there."""
    second = SimulatedExchange(
        place.organisation, clock=place.clock, authenticator=place.stage.signin, name="B"
    )
    await second.start(HOST, 0, place.stage.certificates.for_server())
    place.organisation.endpoints |= {"": place.stage.exchange.ews_url, "B": second.ews_url}
    return second


async def test_a_mailbox_moves_while_it_is_followed(place: Place) -> None:
    await place.open_exchange()
    second = await second_server(place)
    place.user("ann")
    place.user("bob")
    await place.begin()
    await place.shows(ann="Free", bob="Free")
    place.stage.exchange.begin_move("ann@example.com")
    await place.clock.advance(timedelta(seconds=30), turns=3)
    place.stage.exchange.finish_move("ann@example.com", "B")
    await place.until(lambda: second.counters["Subscribe"] > 0, "a subscription at the new server")
    place.organisation.put("ann@example.com", item("meeting", -30, 600))
    await place.shows(ann="Meeting until", bob="Free")
    await second.stop()


async def test_the_server_moves(place: Place) -> None:
    """The old name answers nobody any more; autodiscover knows the new one."""
    await place.open_exchange()
    second = await second_server(place)
    place.organisation.endpoints[""] = second.ews_url
    for address in ("ann@example.com", "bob@example.com"):
        mailbox = place.organisation.find(address)
        assert mailbox is not None
        mailbox.home = "B"
    place.user("ann")
    place.user("bob")
    await place.begin()
    await place.shows(ann="Free", bob="Free")
    await place.let_pass(timedelta(minutes=10))
    await second.stop()
    for address in ("ann@example.com", "bob@example.com"):
        mailbox = place.organisation.find(address)
        assert mailbox is not None
        mailbox.home = ""
    place.organisation.endpoints[""] = place.stage.exchange.ews_url
    place.organisation.put("ann@example.com", item("meeting", -30, 600))
    await place.shows(ann="Meeting until", bob="Free")
