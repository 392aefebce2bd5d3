"""Where autodiscover is looked for: the order, the redirects, and who may get credentials."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presenced.calendars.discovery.order import (
    Dialect,
    Place,
    Search,
    Trail,
    Trust,
    choose_endpoint,
    find_domain,
    find_place,
    search_domain,
    search_place,
)

TRUST = Trust("example.com")


def next_url(search: Search) -> str:
    probe = search.probe
    if probe is None:
        return "found" if search.found else "nowhere"
    return ("GET " if probe.plain else "") + probe.place.url(probe.dialect, "ann@example.com")


def test_the_published_order() -> None:
    search = search_domain("example.com", TRUST, {})
    urls = []
    while search.probe is not None:
        urls.append(next_url(search))
        search.refused("no")
    json = "json/v1.0/ann@example.com?Protocol=AutodiscoverV1"
    assert urls == [
        *(
            f"https://autodiscover.example.com/autodiscover/autodiscover.{end}"
            for end in ("svc", "xml", json)
        ),
        *(f"https://example.com/autodiscover/autodiscover.{end}" for end in ("svc", "xml", json)),
        "GET http://autodiscover.example.com/autodiscover/autodiscover.xml",
        "GET http://example.com/autodiscover/autodiscover.xml",
    ]
    assert search.found is None
    assert len(search.words) == 8
    assert search.words[0] == "https://autodiscover.example.com/autodiscover/autodiscover.svc: no"


def test_a_server_that_cannot_be_reached_is_left_altogether() -> None:
    search = search_domain("example.com", TRUST, {})
    search.gave_up("no connection")
    assert next_url(search) == "https://example.com/autodiscover/autodiscover.svc"
    search.refused("404")
    search.gave_up("refused the password")
    assert next_url(search) == "GET http://autodiscover.example.com/autodiscover/autodiscover.xml"


def test_the_dialect_known_of_a_server_comes_first() -> None:
    known = {"https://example.com/autodiscover": Dialect.JSON}
    search = search_domain("example.com", TRUST, known)
    search.gave_up("")
    assert "json" in next_url(search)
    search.answered()
    assert search.probe is None
    assert search.found is not None
    assert search.found.dialect is Dialect.JSON


@pytest.mark.parametrize(
    ("steps", "location", "then", "words"),
    [
        (
            0,
            "https://mail.example.org/autodiscover/autodiscover.xml",
            "https://mail.example.org/autodiscover/autodiscover.xml",
            "",
        ),
        (0, "https://mail.example.org/", "https://mail.example.org/autodiscover/autodiscover.svc", ""),
        (
            0,
            "/Autodiscover/autodiscover.svc",
            "https://autodiscover.example.com/Autodiscover/autodiscover.svc",
            "",
        ),
        (
            0,
            "http://mail.example.com/",
            "https://autodiscover.example.com/autodiscover/autodiscover.xml",
            "without TLS",
        ),
        (
            0,
            "https://user:pw@mail.example.com/",
            "https://autodiscover.example.com/autodiscover/autodiscover.xml",
            "no address",
        ),
        (
            0,
            "ftp://mail.example.com/",
            "https://autodiscover.example.com/autodiscover/autodiscover.xml",
            "no address",
        ),
        (0, "https://[::1/", "https://autodiscover.example.com/autodiscover/autodiscover.xml", "no address"),
        (
            0,
            "https://autodiscover.example.com:443/autodiscover/autodiscover.svc",
            "https://autodiscover.example.com/autodiscover/autodiscover.xml",
            "have been",
        ),
        (
            6,
            "https://mail.example.com/autodiscover/autodiscover.svc?x=y",
            "https://mail.example.com/autodiscover/autodiscover.svc",
            "",
        ),
        (
            6,
            "https://autodiscover-s.outlook.com/autodiscover/autodiscover.xml",
            "https://autodiscover-s.outlook.com/autodiscover/autodiscover.xml",
            "",
        ),
        (
            6,
            "https://example.com.evil.org/",
            "GET http://example.com/autodiscover/autodiscover.xml",
            "over plain http",
        ),
        (
            6,
            "https://evilexample.com/",
            "GET http://example.com/autodiscover/autodiscover.xml",
            "over plain http",
        ),
        (
            6,
            "https://xoutlook.com/",
            "GET http://example.com/autodiscover/autodiscover.xml",
            "over plain http",
        ),
        (
            6,
            "https://autodiscover.example.com/autodiscover/autodiscover.svc",
            "GET http://example.com/autodiscover/autodiscover.xml",
            "have been",
        ),
    ],
)
def test_where_a_redirect_leads(steps: int, location: str, then: str, words: str) -> None:
    search = search_domain("example.com", TRUST, {})
    for _ in range(steps):
        search.refused("404")
    search.redirected(location)
    assert next_url(search) == then
    assert words in search.words[-1]


def test_the_taint_of_plain_http_stays() -> None:
    search = search_domain("example.com", TRUST, {})
    for _ in range(6):
        search.refused("404")
    search.redirected("https://redirector.example.com/")
    search.redirected("https://mail.evil.org/")
    assert next_url(search) == "https://redirector.example.com/autodiscover/autodiscover.xml"


def test_redirects_end() -> None:
    search = search_domain("example.com", TRUST, {})
    for number in range(100):
        if "example.com" in next_url(search):
            assert number in (0, 11)
        search.redirected(f"https://host{number}.example.org/")
        if "one redirect too many" in search.words[-1]:
            break
    assert number == 10
    while search.probe is not None:
        search.refused("404")
    assert len(search.words) == 8 + 3 * 10


@given(st.lists(st.sampled_from(["answer", "refuse", "give up"]) | st.text(max_size=30), max_size=120))
def test_every_search_ends(steps: list[str]) -> None:
    search = search_domain("example.com", TRUST, {})
    asked = 0
    for step in [*steps, *["refuse"] * 200]:
        if search.probe is None:
            break
        asked += 1
        match step:
            case "answer":
                search.answered()
            case "refuse":
                search.refused("x")
            case "give up":
                search.gave_up("x")
            case _:
                search.redirected(step)
    assert search.probe is None
    assert asked <= 8 + 3 * 10


@pytest.mark.parametrize(
    ("configured", "first"),
    [
        ("https://mail.example.com", "https://mail.example.com/autodiscover/autodiscover.svc"),
        ("https://mail.example.com/Autodiscover/", "https://mail.example.com/Autodiscover/autodiscover.svc"),
        ("https://mail.example.com/x/autodiscover.xml", "https://mail.example.com/x/autodiscover.xml"),
        ("https://MAIL.example.com:8443/", "https://mail.example.com:8443/autodiscover/autodiscover.svc"),
        ("http://mail.example.com/", "GET http://mail.example.com/autodiscover/autodiscover.xml"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/autodiscover/autodiscover.svc"),
        ("http://[::1]:8080/", "http://[::1]:8080/autodiscover/autodiscover.svc"),
        (
            "https://x/autodiscover/autodiscover.json/v1.0/a@b?Protocol=x",
            "https://x/autodiscover/autodiscover.json/v1.0/ann@example.com?Protocol=AutodiscoverV1",
        ),
    ],
)
def test_a_configured_server(configured: str, first: str) -> None:
    found = find_place(configured)
    assert found is not None
    search = search_place(*found, Trust("example.com", plain_loopback=True), {})
    assert next_url(search) == first


@pytest.mark.parametrize(
    "url", ["", "mail.example.com", "ftp://x/", "https://u@x/", "https://x:99999/", "https://[x/"]
)
def test_no_place(url: str) -> None:
    assert find_place(url) is None


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("ann@example.com", "example.com"),
        (" Ann@EXAMPLE.com ", "example.com"),
        ("ann@bücher.example", "xn--bcher-kva.example"),
        ("ännchen@example.com", "example.com"),
        ("ann", None),
        ("@example.com", None),
        ("ann@", None),
        ("ann@example..com", None),
        ("ann@.example.com", None),
        ("ann@example.com/evil", None),
        ("ann@example.com:99", None),
        ("ann@evil.org@example.com", None),
        ("an n@example.com", None),
        ("ann;bob@example.com", None),
        ("ann\x00@example.com", None),
        ("a" * 65 + "@example.com", None),
        ("ann@" + "a" * 64 + ".com", None),
        ("ann@" + "a." * 130 + "com", None),
    ],
)
def test_domains_of_addresses(address: str, domain: str | None) -> None:
    assert find_domain(address) == domain


@given(st.text(max_size=50))
def test_any_text_is_an_address_or_none(text: str) -> None:
    domain = find_domain(f"x@{text}")
    if domain is not None:
        place = find_place(f"https://autodiscover.{domain}/")
        assert place is not None
        assert place[0].host == f"autodiscover.{domain}"


@pytest.mark.parametrize(
    ("urls", "loopback", "chosen"),
    [
        (["https://a/EWS", "https://b/EWS"], False, "https://a/EWS"),
        (["http://a/EWS", "https://b/EWS"], False, "https://b/EWS"),
        (["http://127.0.0.1/EWS"], False, ""),
        (["http://127.0.0.1/EWS"], True, "http://127.0.0.1/EWS"),
        (["http://a/EWS"], True, ""),
        ([], False, ""),
    ],
)
def test_the_endpoint_that_is_used(urls: list[str], loopback: bool, chosen: str) -> None:
    endpoint, objection = choose_endpoint(urls, Trust("example.com", plain_loopback=loopback))
    assert endpoint == chosen
    assert bool(objection) is (bool(urls) and not chosen)


def test_a_trail_ends_and_goes_in_no_circle() -> None:
    start = Trail(frozenset({"ann@example.com"}))
    assert start.follow("ANN@example.com") is None
    steps = 0
    current: Trail | None = start
    while current is not None:
        current = current.follow(f"{steps}@example.com")
        steps += 1
    assert steps == 11


def test_addresses_are_quoted_in_urls() -> None:
    url = Place("https://x/autodiscover").url(Dialect.JSON, "a/b?c#d%@example.com")
    assert url.startswith("https://x/autodiscover/autodiscover.json/v1.0/a%2Fb%3Fc%23d%25@example.com?")
