"""Resolving users: rounds, batches, redirects of single users, dialects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from presenced.calendars.carrier import Reply
from presenced.calendars.discovery import Finder
from presenced.config.settings import ExchangeSettings, SyncType
from presenced.core.ports import Mailbox, Resolution
from tests.calendars.discovery.landscape import Exchange, Landscape, User, nothing_here, soap, status
from tests.clock import FakeClock

AUTODISCOVER = "https://autodiscover.example.com"
ENDPOINT = "https://mail.example.com/EWS/Exchange.asmx"
SETTINGS = ExchangeSettings(sync_type=SyncType.ON_PREMISES, user="CORP\\svc")


def make_finder(landscape: Landscape, **settings: object) -> Finder:
    return Finder(replace(SETTINGS, **settings), landscape, FakeClock())  # type: ignore[arg-type]


def address(resolution: Resolution) -> str:
    return resolution.mailbox.address if resolution.mailbox is not None else ""


def crowd(number: int) -> list[list[str]]:
    return [[f"user{each}@example.com"] for each in range(number)]


def staff(number: int) -> dict[str, User]:
    return {f"user{each}@example.com": User(f"User{each}@example.com") for each in range(number)}


async def test_users_are_resolved_in_batches() -> None:
    landscape = Landscape({AUTODISCOVER: Exchange(staff(250))})
    resolutions = await make_finder(landscape).fetch_mailboxes(crowd(250))
    assert [one.mailbox for one in resolutions] == [
        Mailbox(f"User{each}@example.com", ENDPOINT, "Site1") for each in range(250)
    ]
    assert landscape.batches() == [1, 100, 100, 50]
    words = f"autodiscover.example.com: mailbox User0@example.com at {ENDPOINT}"
    assert [(one.address, one.outcome) for one in resolutions[0].answers] == [("user0@example.com", words)]


async def test_batches_are_halved_until_the_server_takes_them_and_stay_so() -> None:
    landscape = Landscape({AUTODISCOVER: Exchange(staff(200), most=30)})
    finder = make_finder(landscape)
    assert all(one.mailbox for one in await finder.fetch_mailboxes(crowd(200)))
    assert landscape.batches() == [1, 100, 50, 25, 25, 50, 25, 25, *[25] * 4]
    landscape.asked.clear()
    await finder.fetch_mailboxes(crowd(200))
    assert landscape.batches() == [25] * 8


async def test_one_bad_address_does_not_spoil_the_batches() -> None:
    exchange = Exchange(staff(200), refusing=frozenset({"user7@example.com"}))
    landscape = Landscape({AUTODISCOVER: exchange})
    finder = make_finder(landscape)
    resolutions = await finder.fetch_mailboxes(crowd(200))
    assert [one.mailbox is None for one in resolutions] == [each == 7 for each in range(200)]
    assert resolutions[7].answers[0].outcome == "autodiscover.example.com: InvalidRequest, too many"
    landscape.asked.clear()
    await finder.fetch_mailboxes(crowd(200)[100:])
    assert landscape.batches() == [100]


async def test_candidates_are_tried_in_order_round_by_round() -> None:
    known = {"b@example.com": User("b@example.com"), "d@example.com": User("d@example.com")}
    landscape = Landscape({AUTODISCOVER: Exchange(known)})
    users = [
        ["a@example.com", " B@example.com ", "c@example.com"],
        ["d@example.com", "b@example.com"],
        ["c@example.com"],
        ["no address", "", "b@example.com"],
        [],
    ]
    resolutions = await make_finder(landscape).fetch_mailboxes(users)
    assert [address(one) for one in resolutions] == [
        "b@example.com",
        "d@example.com",
        "",
        "b@example.com",
        "",
    ]
    assert [[answer.address for answer in one.answers] for one in resolutions] == [
        ["a@example.com", "B@example.com"],
        ["d@example.com"],
        ["c@example.com"],
        ["no address", "b@example.com"],
        [],
    ]
    assert resolutions[2].answers[0].outcome == "autodiscover.example.com: InvalidUser, no such user"
    assert resolutions[3].answers[0].outcome == "not an e-mail address"
    rounds = [request.texts("Mailbox") for request in landscape.asked[1:]]
    assert rounds == [["a@example.com", "d@example.com", "c@example.com"], ["B@example.com"]]


@pytest.mark.parametrize(
    ("user", "server", "mailbox"),
    [
        (User("Ann@example.com"), "external", Mailbox("Ann@example.com", ENDPOINT, "Site1")),
        (User(), "external", Mailbox("ann@example.com", ENDPOINT, "Site1")),
        (User(grouping=""), "external", Mailbox("ann@example.com", ENDPOINT)),
        (
            User(external=""),
            "external",
            Mailbox("ann@example.com", "https://inside.example.com/EWS/Exchange.asmx", "Site1"),
        ),
        (
            User(),
            "internal",
            Mailbox("ann@example.com", "https://inside.example.com/EWS/Exchange.asmx", "Site1"),
        ),
        (User(internal=""), "internal", Mailbox("ann@example.com", ENDPOINT, "Site1")),
        (User(internal="http://inside/EWS"), "internal", Mailbox("ann@example.com", ENDPOINT, "Site1")),
        (User(schemas=""), "external", Mailbox("ann@example.com", ENDPOINT, "Site1")),
        (User(external="", internal=""), "external", "known there, but without an EWS URL"),
        (
            User(external="http://a/", internal=""),
            "external",
            "known there, but a would be asked without TLS",
        ),
        (User(schemas="Exchange2007, Exchange2010_SP2"), "external", "older than 2013"),
    ],
)
async def test_what_makes_a_mailbox(user: User, server: str, mailbox: Mailbox | str) -> None:
    landscape = Landscape({AUTODISCOVER: Exchange({"ann@example.com": user})})
    [resolution] = await make_finder(landscape, server=server).fetch_mailboxes([["ann@example.com"]])
    if isinstance(mailbox, Mailbox):
        assert resolution.mailbox == mailbox
    else:
        assert resolution.mailbox is None
        assert mailbox in resolution.answers[0].outcome


@pytest.mark.parametrize("absent", [(), (".svc",), (".svc", ".xml")])
async def test_redirects_of_single_users_are_followed(absent: Sequence[str]) -> None:
    users = {
        "stayed@example.com": User("stayed@example.com"),
        "moved@example.com": User(
            redirect_url="https://autodiscover.example.org/autodiscover/autodiscover.xml"
        ),
    }
    if ".xml" not in absent:  # JSON knows no RedirectAddress
        users["renamed@example.com"] = User(redirect_address="renamed@example.net")
    there = Exchange({"moved@example.com": User("Moved@example.com")})
    renamed = Exchange({"renamed@example.net": User("Renamed@example.net")})
    landscape = Landscape(
        {
            AUTODISCOVER: Exchange(users, absent=frozenset(absent)),
            "https://autodiscover.example.org": there,
            "https://autodiscover.example.net": renamed,
        }
    )
    resolutions = await make_finder(landscape).fetch_mailboxes([[one] for one in users])
    expected = ["stayed@example.com", "Moved@example.com", "Renamed@example.net"]
    assert [address(one) for one in resolutions] == expected[: len(users)]


@pytest.mark.parametrize(
    ("users", "words"),
    [
        ({"ann@example.com": User(redirect_address="ann@example.com")}, "leads nowhere"),
        ({"ann@example.com": User(redirect_address="nonsense")}, "leads nowhere"),
        ({"ann@example.com": User(redirect_url="http://mail.example.com/")}, "without TLS"),
        ({"ann@example.com": User(redirect_url="nonsense")}, "is no address"),
        ({"ann@example.com": User(redirect_url="https://autodiscover.example.com/")}, "asked about before"),
        (
            {
                "ann@example.com": User(redirect_address="bob@example.com"),
                "bob@example.com": User(redirect_address="ann@example.com"),
            },
            "leads nowhere",
        ),
        (
            {
                f"{name}@example.com": User(redirect_address=f"{chr(ord(name) + 1)}@example.com")
                for name in ("ann", *"bcdefghijklmnopq")
                if len(name) == 1
            }
            | {"ann@example.com": User(redirect_address="b@example.com")},
            "leads nowhere",
        ),
    ],
)
async def test_redirects_that_lead_nowhere(users: dict[str, User], words: str) -> None:
    landscape = Landscape({AUTODISCOVER: Exchange(users)})
    [resolution] = await make_finder(landscape).fetch_mailboxes([["ann@example.com"]])
    assert resolution.mailbox is None
    assert words in resolution.answers[0].outcome
    assert len(landscape.asked) <= 15


@pytest.mark.parametrize(
    ("absent", "asked"),
    [("", ["svc"]), (".svc", ["xml", "xml"]), (".svc .xml", ["json", "json", "json", "json"])],
)
async def test_the_dialect_that_answers_is_kept(absent: str, asked: list[str]) -> None:
    landscape = Landscape({AUTODISCOVER: Exchange(staff(2), absent=frozenset(absent.split()))})
    finder = make_finder(landscape)
    await finder.fetch_mailboxes(crowd(2))
    landscape.asked.clear()
    resolutions = await finder.fetch_mailboxes(crowd(2))
    assert all(one.mailbox is not None for one in resolutions)
    dialects = [request.path.removeprefix("/autodiscover/autodiscover.") for request in landscape.asked]
    assert [dialect.partition("/")[0] for dialect in dialects] == asked
    assert all(request.signed_in is ("json" not in asked) for request in landscape.asked)


async def test_a_dialect_that_vanishes_is_looked_for_again() -> None:
    exchange = Exchange(staff(3), absent=frozenset({".svc"}))
    landscape = Landscape({AUTODISCOVER: exchange})
    finder = make_finder(landscape)
    await finder.fetch_mailboxes(crowd(3))
    exchange.absent = frozenset({".xml"})
    assert all(one.mailbox for one in await finder.fetch_mailboxes(crowd(3)))
    exchange.absent = frozenset({".svc", ".xml", ".json"})
    resolutions = await finder.fetch_mailboxes(crowd(3))
    assert [one.mailbox for one in resolutions] == [None] * 3
    assert "HTTP 404" in resolutions[0].answers[0].outcome


@pytest.mark.parametrize(
    "odd",
    [
        soap("<ErrorCode>NoError</ErrorCode><UserResponses/>"),
        soap("<ErrorCode>InternalServerError</ErrorCode><ErrorMessage>oops</ErrorMessage>"),
    ],
)
async def test_answers_that_do_not_fit_are_named(odd: Reply) -> None:
    landscape = Landscape({AUTODISCOVER: lambda request: odd})
    resolutions = await make_finder(landscape).fetch_mailboxes(crowd(2))
    assert [one.mailbox for one in resolutions] == [None] * 2
    said = resolutions[1].answers[0].outcome
    assert said in (
        "autodiscover.example.com: it said something of 0 users when asked of 2",
        "autodiscover.example.com: InternalServerError, oops",
    )


async def test_each_domain_has_its_server() -> None:
    other = Exchange({"bob@example.org": User("Bob@example.org", external="https://mail.example.org/EWS")})
    landscape = Landscape({AUTODISCOVER: Exchange(staff(2)), "https://example.org": other})
    users = [["user0@example.com"], ["bob@example.org"], ["user1@example.com"], ["carl@example.net"]]
    resolutions = await make_finder(landscape).fetch_mailboxes(users)
    assert [address(one) for one in resolutions] == [
        "User0@example.com",
        "Bob@example.org",
        "User1@example.com",
        "",
    ]
    assert "the name example.net is unknown" in resolutions[3].answers[0].outcome


async def test_the_service_account_asks_at_home_where_a_domain_has_no_server() -> None:
    landscape = Landscape({AUTODISCOVER: Exchange({"ann@pbx.local": User("Ann@example.com")})})
    finder = make_finder(landscape, user="svc@example.com")
    [resolution] = await finder.fetch_mailboxes([["ann@pbx.local"]])
    assert address(resolution) == "Ann@example.com"
    assert landscape.asked[-1].headers["X-AnchorMailbox"] == "svc@example.com"
    assert landscape.asked[-1].budget == ""
    assert landscape.asked[-1].headers["return-client-request-id"] == "true"
    assert len({request.headers.get("client-request-id") for request in landscape.asked[-2:]}) == 2


async def test_user_names_are_asked_about_in_their_own_right() -> None:
    landscape = Landscape({AUTODISCOVER: Exchange(staff(5) | {"ann@pbx.local": User("x@example.com")})})
    finder = make_finder(landscape, user="svc@example.com", name_resolution="user-names")
    resolutions = await finder.fetch_mailboxes([*crowd(5), ["ann@pbx.local"]])
    assert [address(one) for one in resolutions] == [*(f"User{each}@example.com" for each in range(5)), ""]
    own = [request for request in landscape.asked if request.url.startswith(AUTODISCOVER)][1:]
    for each, request in enumerate(own):
        name = f"user{each}@example.com"
        assert request.texts("Mailbox") == [request.budget] == [request.headers["X-AnchorMailbox"]] == [name]


async def test_a_configured_server_is_the_only_one_asked() -> None:
    landscape = Landscape({"https://configured.example.net": Exchange({"ann@a.com": User("Ann@a.com")})})
    finder = make_finder(
        landscape,
        user="svc@example.com",
        autodiscover_url="https://configured.example.net/autodiscover/autodiscover.svc",
    )
    resolutions = await finder.fetch_mailboxes([["ann@a.com"], ["bob@b.com"]])
    assert [address(one) for one in resolutions] == ["Ann@a.com", ""]
    assert {url.partition("/autodiscover/")[0] for url in landscape.urls()} == {
        "https://configured.example.net"
    }
    assert landscape.batches() == [1, 2], "one server, one batch, whatever the domains"


async def test_redirects_of_servers_are_followed() -> None:
    landscape = Landscape(
        {
            AUTODISCOVER: status(302, Location="https://mail.example.com/autodiscover/autodiscover.xml"),
            "https://mail.example.com": Exchange(staff(2)),
        }
    )
    assert all(one.mailbox for one in await make_finder(landscape).fetch_mailboxes(crowd(2)))
    landscape = Landscape(
        {
            "https://example.com": nothing_here,
            "http://autodiscover.example.com": status(302, Location="https://autodiscover-s.outlook.com/"),
            "https://autodiscover-s.outlook.com": Exchange(staff(2)),
        }
    )
    assert all(one.mailbox for one in await make_finder(landscape).fetch_mailboxes(crowd(2)))
    plain = [request for request in landscape.asked if request.url.startswith("http:")]
    assert [(request.method, request.signed_in) for request in plain] == [("GET", False)]


async def test_requests_under_way_are_bounded() -> None:
    landscape = Landscape({AUTODISCOVER: Exchange(staff(200), absent=frozenset({".svc"}))})
    finder = make_finder(landscape, requests_in_flight=7)
    assert all(one.mailbox for one in await finder.fetch_mailboxes(crowd(200)))
    assert landscape.most_under_way == 7
