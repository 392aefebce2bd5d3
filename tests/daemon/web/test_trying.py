"""The dry run on the page: what it finds, what it says of mistakes, what it refuses; and that it changes nothing."""

from __future__ import annotations

import pytest

from presenced.config.loading import MOST_BYTES
from presenced.core.appointment import ShowAs
from tests.daemon.day import meeting
from tests.daemon.doors import Running
from tests.daemon.web.browser import Browser

FETCH = {"X-Requested-With": "fetch"}
TABLE = {
    "busy": "away",
    "tentative": "ignore",
    "tentative_exception": "away",
    "tentative_exception_organizers": "",
    "out_of_office": "away",
    "working_elsewhere": "available",
    "no_data": "ignore",
}
WHOLE = """
[pbx]
listen = 127.0.0.1:9999
app_password = hunter2
master_pbx_name = other

[presence]
timezone = UTC

[mapping]
busy = dnd

[exchange]
sync_type = on-premises
user = x@example.com
password = env:NOWHERE
"""


async def test_another_table(page: Browser, running: Running) -> None:
    before, writes = dict(running.pbx.presences), len(running.pbx.writes)
    got = await page.post("/mapping/table", TABLE, **FETCH)
    assert got.status == 200
    assert not got.text.lstrip().startswith("<!DOCTYPE")
    assert "2 of 5 users would differ now" in got.text
    assert 'href="/users/guid-ann"' in got.text
    assert "presence away" in got.text
    assert "Divorce" not in got.text
    assert "<script>" not in got.text
    assert "busy = away" in got.text
    await running.settle(60)
    assert running.pbx.presences == before
    assert len(running.pbx.writes) == writes
    assert page.reloads == 0


async def test_without_scripts_it_is_a_whole_page(page: Browser) -> None:
    got = await page.post("/mapping/table", TABLE)
    assert "<!DOCTYPE html>" in got.text
    assert "2 of 5 users would differ now" in got.text
    assert "<option selected>away</option>" in got.text


async def test_a_form_with_a_part_of_the_table(page: Browser) -> None:
    got = await page.post("/mapping/table", {"busy": "away", "nonsense": "x"})
    assert got.status == 200
    assert "2 of 5 users would differ now" in got.text


async def test_the_same_table_changes_nothing(page: Browser) -> None:
    got = await page.post("/mapping/table", TABLE | {"busy": "busy"}, **FETCH)
    assert "Nobody’s presence would differ now" in got.text


async def test_a_wish_tried(page: Browser) -> None:
    got = await page.post("/mapping/text", {"text": "[user ann@*]\nsync = no\n"}, **FETCH)
    assert "would have no calendar presence any more" in got.text
    assert "would be looked up and read first" in got.text, "without its section, out is served again"
    got = await page.post(
        "/mapping/text", {"text": "[user *]\nsubject = hide\n[user out@*]\nsync = no"}, **FETCH
    )
    assert "Private until 14:00" in got.text
    assert "<script>" not in got.text


async def test_a_whole_file_uploaded_is_read_without_its_secrets(page: Browser) -> None:
    got = await page.post("/mapping/text", {"text": "", "file": WHOLE.encode()}, **FETCH)
    assert "users would differ now" in got.text
    assert "It would reconnect or ask for a restart: pbx, exchange" in got.text
    assert "hunter2" not in got.text
    got = await page.post("/mapping/text", {"text": WHOLE})
    assert "hunter2" not in got.text


async def test_mistakes_are_told_with_their_lines(page: Browser) -> None:
    got = await page.post("/mapping/text", {"text": "[mapping]\nbusy = buzy\noof = <b>\n"}, **FETCH)
    assert "2 things are wrong with it" in got.text
    assert "line 2" in got.text
    assert "line 3" in got.text
    assert "<b>" not in got.text


@pytest.mark.parametrize("text", ["", "nonsense", "[", "\x00", "[user *]\n", "[mapping]\nbusy =\n"])
async def test_odd_texts_are_answered(page: Browser, text: str) -> None:
    assert (await page.post("/mapping/text", {"text": text}, **FETCH)).status == 200


@pytest.mark.filterwarnings("ignore:Sending a large body")
@pytest.mark.parametrize("size", [MOST_BYTES + 1, 3 * MOST_BYTES])
async def test_what_is_too_long_is_refused(page: Browser, size: int) -> None:
    token = (await page.get("/mapping")).text.split('name="form_token" value="')[1].split('"')[0]
    for field in ("text", "file"):
        content = "x" * size
        got = await page.post(
            "/mapping/text", {field: content.encode() if field == "file" else content}, token=token
        )
        assert got.status == 413


async def test_what_only_a_new_read_can_tell_is_said(page: Browser, running: Running) -> None:
    keeper = running.engine.roster.keepers["guid-ann"]
    keeper.appointments = (meeting(-30, 60)._replace(show_as=ShowAs.TENTATIVE),)
    table = TABLE | {
        "busy": "busy",
        "tentative": "busy",
        "tentative_exception_organizers": "boss@example.com",
    }
    got = await page.post("/mapping/table", table, **FETCH)
    assert "the calendar would be read again, and may say more" in got.text
    assert "would be read again." in got.text


async def test_reading_the_file_again(page: Browser) -> None:
    got = await page.post("/reload")
    assert got.headers["Location"] == "/mapping?done=reload"
    assert page.reloads == 1
