"""What the pages show, and what they never show."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from presenced.core.ports import CalendarDoorStatus, MailboxState, SignInStatus
from presenced.core.presence import Presence
from tests.daemon.doors import Running
from tests.daemon.web.browser import Browser
from tests.daemon.web.conftest import EVIL

PAGES = ("/", "/users", "/users/guid-ann", "/users/guid-bob", "/mapping", "/writes", "/doors", "/requests")


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_there_and_keeps_what_it_must(page: Browser, path: str) -> None:
    got = await page.get(path)
    assert got.status == 200
    assert got.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in got.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script(?! src)|<style|\sstyle=|\son[a-z]+=", got.text)
    assert EVIL not in got.text
    assert "Divorce" not in got.text


async def test_a_title_with_markup_is_text(page: Browser) -> None:
    for path in ("/", "/users", "/users/guid-ann", "/writes"):
        assert (
            "&lt;script&gt;document.title=&#34;gone&#34;&lt;/script&gt; &amp;" in (await page.get(path)).text
        )


async def test_one_user_is_explained(page: Browser) -> None:
    text = (await page.get("/users/guid-ann")).text
    assert "until 14:00" in text
    assert "it is the only one running that counts" in text
    assert "<code>busy = busy</code>" in text
    assert 'ann@example.com</span> <span class="quiet">found' in text
    assert "it was read for the first time, or the daemon started" in text
    assert text.count('<svg class="timeline"') == 2
    assert 'class="now"' in text


IN_MARCH = datetime(2027, 3, 1, 7, 30, tzinfo=UTC)
SIGNED_IN = SignInStatus(
    "certificate",
    "",
    healthy=True,
    expires_at=IN_MARCH,
    credential_expires_at=IN_MARCH + timedelta(days=90),
    permissions=frozenset({"full_access_as_app", "Calendars.Read"}),
)
FAILING = SignInStatus(
    "",
    "",
    healthy=False,
    reason="no such secret",
    remedy="make another",
    failing_since=IN_MARCH,
    next_try=IN_MARCH + timedelta(minutes=1),
)


@pytest.mark.parametrize(
    ("sign_in", "reason", "told"),
    [
        (SIGNED_IN, "", "Who the app by certificate Token until 1 Mar 07:30"),
        (
            SIGNED_IN,
            "",
            "Certificate until 30 May 07:30 Permissions Calendars.Read, full_access",
        ),
        (replace(SIGNED_IN, account="svc@x.com"), "", "Who svc@x.com by certificate"),
        (SignInStatus("", "", healthy=True), "", "Sign-in Not tried yet. Subscriptions"),
        (FAILING, "", "Sign-in ▲ no such secret Make another. Failing since 1 Mar 07:30:00 Next try"),
        (FAILING, "no such secret; make another", "Sign-in Failing since"),
        (None, "", "proof of life 08:00:00 Subscriptions by group"),
    ],
)
async def test_the_sign_in_is_told(
    sign_in: SignInStatus | None,
    reason: str,
    told: str,
    page: Browser,
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status = CalendarDoorStatus("graph", healthy=not reason, reason=reason, sign_in=sign_in)
    monkeypatch.setattr(running.calendars, "status", lambda: status)
    text = re.sub(r"<[^>]*>", " ", (await page.get("/doors")).text)
    assert told in " ".join(text.split())


async def test_a_hidden_title_is_private_everywhere(page: Browser, running: Running) -> None:
    assert "Private until 09:00" in (await page.get("/users/guid-bob")).text
    keeper = running.engine.roster.keepers["guid-bob"]
    keeper.written = Presence("busy", "Divorce lawyer until 09:00 #busy #len:14:14 #until:1794819600000")
    assert "Divorce" not in (await page.get("/users/guid-bob")).text
    assert "Divorce" not in (await page.get("/api/explain?user=bob")).text


async def test_the_wish_to_hide_counts_at_once_for_what_was_kept_before(
    page: Browser, running: Running
) -> None:
    """Before the calendar has been read again without the titles."""
    keeper = running.engine.roster.keepers["guid-ann"]
    keeper.admission = running.engine.roster.keepers["guid-bob"].admission
    for path in PAGES:
        assert "gone" not in (await page.get(path)).text


async def test_a_broken_mailbox_is_told_with_its_remedy(page: Browser) -> None:
    for path in ("/", "/users/guid-eve"):
        text = (await page.get(path)).text
        assert "The account may not impersonate this mailbox" in text
        assert "What to do: grant it the role" in text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Ann", "Bob", "Eve", "Nobody", "Out"]),
        ("?text=an", ["Ann"]),
        ("?text=BOB@", ["Bob"]),
        ("?state=blocked", ["Eve"]),
        ("?state=disabled", ["Out"]),
        ("?state=unresolved", ["Nobody"]),
        ("?order=descending", ["Out", "Nobody", "Eve", "Bob", "Ann"]),
        ("?sort=presence", ["Ann", "Bob", "Eve", "Nobody", "Out"]),
        ("?text=zzz", []),
        ("?sort=nonsense&page=999999999&state=x", ["Ann", "Bob", "Eve", "Nobody", "Out"]),
        ("?page=0", ["Ann", "Bob", "Eve", "Nobody", "Out"]),
    ],
)
async def test_users_are_searched_filtered_and_sorted(page: Browser, query: str, names: list[str]) -> None:
    text = (await page.get(f"/users{query}")).text
    assert re.findall(r'<th scope="row"><a href="[^"]+">([^<]+)', text) == names


async def test_read_now(page: Browser, running: Running) -> None:
    reads = len(running.calendars.reads)
    done = await page.post("/users/guid-ann/read")
    assert (done.status, done.headers["Location"]) == (303, "/users/guid-ann?done=read")
    await running.settle(1)
    assert [address for address, _ in running.calendars.reads[reads:]] == ["ann@example.com"]
    assert "The calendar is being read." in (await page.get("/users/guid-ann?done=read")).text
    assert (await page.post("/users/guid-nobody/read")).headers["Location"].endswith("done=nothing")


async def test_resolve_again(page: Browser, running: Running) -> None:
    running.calendars.calendars["nobody@example.com"] = []
    await page.post("/users/guid-nobody/resolve")
    await running.settle(2)
    assert running.engine.roster.keepers["guid-nobody"].state is MailboxState.RESOLVED
    assert (await page.post("/users/guid-out/resolve")).headers["Location"].endswith("done=nothing")


async def test_write_again(page: Browser, running: Running) -> None:
    writes = len(running.pbx.writes)
    await page.post("/users/guid-ann/write")
    await running.settle(1)
    assert [guid for guid, _ in running.pbx.writes[writes:]] == ["guid-ann"]
    assert "somebody asked for it on the status page" in (await page.get("/writes")).text
    assert (await page.post("/users/guid-nobody/write")).headers["Location"].endswith("done=nothing")


async def test_who_is_not_there(page: Browser) -> None:
    for path in ("/users/guid-x", "/nothing", "/static/../site.py", "/live?page=user:x"):
        got = await page.get(path)
        assert got.status == 404
        assert "Content-Security-Policy" in got.headers
    assert (await page.post("/users/guid-x/read")).status == 404


async def test_the_record_is_searched(page: Browser, running: Running) -> None:
    assert (await page.get("/writes?text=ann")).text.count('<td class="when">') == 1
    assert "Nothing fits" in (await page.get("/writes?refused=yes")).text
    assert "Nothing fits" in (await page.get("/writes?text=divorce")).text
    running.pbx.refusals["guid-ann"] = "no licence"
    await page.post("/users/guid-ann/write")
    await running.settle(1)
    assert "refused: no licence" in (await page.get("/writes?refused=yes")).text
    assert "no licence" in (await page.get("/requests?outcome=failed")).text
    assert "no licence" not in (await page.get("/requests?text=bob")).text
    assert "no licence" in (await page.get("/users/guid-ann")).text


async def test_the_wishes_are_on_the_mapping_page(page: Browser) -> None:
    text = (await page.get("/mapping")).text
    assert "[user bob@example.com]" in text
    assert "subject = hide" in text
    assert "[user out@*]" in text


async def test_programs_get_the_same_answers(page: Browser) -> None:
    status = json.loads((await page.get("/api/status")).text)
    assert {one["guid"] for one in status["users"]} == {
        "guid-ann",
        "guid-bob",
        "guid-eve",
        "guid-nobody",
        "guid-out",
    }
    told = json.loads((await page.get("/api/explain?user=ann")).text)
    assert told["decision"]["rule"] == "only"
    refused = await page.get("/api/explain?user=zoe")
    assert refused.status == 404
    assert "zoe" in json.loads(refused.text)["problem"]
    writes = json.loads((await page.get("/api/writes?guid=guid-bob")).text)["writes"]
    assert [one["text"] for one in writes] == ["Private until 09:00"]
    assert (await page.get("/api/writes?limit=0")).status == 400
    assert (
        json.loads((await page.get("/api/requests?door=pbx")).text)["requests"][0]["operation"]
        == "SetPresence"
    )
    assert (await page.get("/api/requests?limit=x")).status == 400
    metrics = await page.get("/metrics")
    assert 'presenced_users{state="blocked"} 1.0' in metrics.text
    assert (await page.get("/healthz")).status == 200


async def test_statics_may_be_kept_for_as_long_as_they_are_the_same(page: Browser) -> None:
    text = (await page.get("/")).text
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', text):
        kept = await page.get(path)
        assert kept.status == 200
        assert "immutable" in kept.headers["Cache-Control"]
    assert "immutable" not in (await page.get("/static/page.css")).headers["Cache-Control"]
