"""Who gets in: by name of the host, by form, by password; and how long a guesser waits."""

from __future__ import annotations

from datetime import timedelta

import aiohttp
import pytest

from presenced.daemon.web import signing
from presenced.store.memory import MemoryStore
from tests.clock import FakeClock
from tests.daemon.doors import Running
from tests.daemon.web.browser import Browser

PASSWORD = "correct horse"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "[::1"]
)
async def test_another_name_for_this_machine_is_refused(page: Browser, host: str) -> None:
    """DNS rebinding: a page elsewhere whose name was made to point here."""
    for path in ("/", "/api/status", "/metrics"):
        got = await page.get(path, Host=host)
        assert got.status in {421, 400}
        assert "ann" not in got.text
    assert (await page.post("/users/guid-ann/read", Host=host)).status in {421, 400}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9", "[::1]:8090", "LOCALHOST:1"])
async def test_this_machines_own_names_are_good(page: Browser, host: str) -> None:
    assert (await page.get("/", Host=host)).status == 200


@pytest.mark.parametrize("token", ["", "0" * 64, "ä" * 9])
async def test_a_form_without_its_token_is_refused(page: Browser, running: Running, token: str) -> None:
    await page.get("/")
    reads = len(running.calendars.reads)
    for path in ("/users/guid-ann/read", "/mapping/table", "/reload", "/sign-out"):
        assert (await page.post(path, token=token)).status == 403
    await running.settle(2)
    assert len(running.calendars.reads) == reads
    assert page.reloads == 0


async def test_a_token_is_worth_nothing_in_another_browser(page: Browser) -> None:
    got = await page.get("/mapping")
    token = got.text.split('name="form_token" value="')[1].split('"')[0]
    async with (
        page.new_session() as other,
        other.post(page.url + "/reload", data={"form_token": token}) as answer,
    ):
        assert answer.status == 403


async def test_a_form_from_another_site_is_refused(page: Browser) -> None:
    assert (await page.post("/reload", **{"Sec-Fetch-Site": "cross-site"})).status == 403
    assert (await page.post("/reload", **{"Sec-Fetch-Site": "same-origin"})).status == 303
    assert page.reloads == 1


async def test_methods_nobody_needs(page: Browser) -> None:
    async with page.session.request("PUT", page.url + "/") as answer:
        assert answer.status == 405


async def test_nothing_is_seen_without_the_password(locked: Browser) -> None:
    for path in ("/", "/users/guid-ann", "/mapping", "/requests"):
        got = await locked.get(path)
        assert got.status == 303
        assert got.headers["Location"].startswith("/sign-in?to=/")
    for path in ("/api/status", "/api/explain?user=ann", "/metrics", "/live?page=overview"):
        assert (await locked.get(path)).status == 401
    assert (await locked.post("/users/guid-ann/read")).status == 401
    page = await locked.get("/sign-in")
    assert page.status == 200
    assert "Users" not in page.text


async def test_the_health_is_open_and_terse(locked: Browser) -> None:
    got = await locked.get("/healthz")
    assert (got.status, got.text) == (200, '{"healthy": true}\n')


async def test_sign_in_and_out(locked: Browser) -> None:
    got = await locked.post("/sign-in", {"password": PASSWORD, "to": "/users/guid-ann"})
    assert (got.status, got.headers["Location"]) == (303, "/users/guid-ann")
    cookie = got.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert (await locked.get("/users/guid-ann")).status == 200
    assert (await locked.get("/healthz")).text != '{"healthy": true}\n'
    assert (await locked.post("/sign-out")).status == 303
    assert (await locked.get("/users/guid-ann")).status == 303


async def test_the_cookie_is_for_encrypted_ways_where_a_proxy_says_so(locked: Browser) -> None:
    got = await locked.post("/sign-in", {"password": PASSWORD}, **{"X-Forwarded-Proto": "https"})
    assert "Secure" in got.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil", "/sign-in?to=x", "/\r\nX: y"]
)
async def test_after_sign_in_nobody_is_sent_elsewhere(locked: Browser, to: str) -> None:
    got = await locked.post("/sign-in", {"password": PASSWORD, "to": to})
    assert got.headers["Location"] == "/"


async def test_a_guesser_waits_ever_longer(locked: Browser, clock: FakeClock) -> None:
    for _ in range(4):
        assert (await locked.post("/sign-in", {"password": "guess"})).status == 403
    got = await locked.post("/sign-in", {"password": "guess"})
    assert (got.status, got.headers["Retry-After"]) == (429, "2")
    assert (await locked.post("/sign-in", {"password": PASSWORD})).status == 429
    assert (
        await locked.get("/metrics", Authorization=aiohttp.encode_basic_auth("x", PASSWORD))
    ).status == 429
    await clock.advance(timedelta(seconds=3))
    got = await locked.post("/sign-in", {"password": "guess"})
    assert (got.status, got.headers["Retry-After"]) == (429, "4")
    await clock.advance(timedelta(seconds=5))
    assert (await locked.post("/sign-in", {"password": PASSWORD})).status == 303


async def test_a_session_ends_when_it_is_not_used(
    locked: Browser, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "SESSION_LASTS", timedelta(seconds=12))
    await locked.post("/sign-in", {"password": PASSWORD})
    for seconds, status in ((11, 200), (11, 200), (13, 303)):
        await clock.advance(timedelta(seconds=seconds))
        assert (await locked.get("/")).status == status


async def test_programs_sign_in_with_every_request(locked: Browser) -> None:
    good, bad = (aiohttp.encode_basic_auth("prometheus", word) for word in (PASSWORD, "guess"))
    assert (await locked.get("/metrics", Authorization=good)).status == 200
    assert (await locked.get("/api/status", Authorization=good)).status == 200
    refused = await locked.get("/metrics", Authorization=bad)
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic")
    for nonsense in ("Basic", "Basic !", "Bearer x", "Basic " + "A" * 20):
        assert (await locked.get("/metrics", Authorization=nonsense)).status == 401
    assert (await locked.get("/", Authorization=good)).status == 303


async def test_long_and_odd_passwords_are_only_wrong(locked: Browser) -> None:
    for password in ("", "x" * 5000, "\ud83d", "ü\x00"):
        word = password.encode("utf-8", "replace").decode()
        assert (await locked.post("/sign-in", {"password": word})).status == 403


async def test_the_settings_may_have_the_hash_alone(
    running: Running, store: MemoryStore, clock: FakeClock
) -> None:
    made = str(signing.PasswordHash.of(PASSWORD))
    async with Browser(running, store, clock, made) as page:
        assert (await page.post("/sign-in", {"password": made})).status == 403
        assert (await page.post("/sign-in", {"password": PASSWORD})).status == 303


@pytest.mark.parametrize(
    "text", ["", "scrypt:", "scrypt:00:00", "hunter2", "scrypt:" + "0" * 32 + ":" + "x" * 128]
)
def test_what_is_no_hash_is_a_password(text: str) -> None:
    assert signing.PasswordHash.read(text) is None
