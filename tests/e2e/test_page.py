"""The status page of the demo in a real browser: every page, as people with phones and without scripts see it.

With PRESENCED_PICTURES=docs/admin/pictures in the environment the pictures for the manual are made on the way.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from tests.e2e.chromium import CHROMIUM, DRIVER, PHONE, Chromium
from tests.e2e.page_stage import EVIL

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="the page is looked at with chromium and chromedriver; install them"
)
MALLORY = "/users/" + "f" * 32
NORA = "/users/" + "e" * 32
PAGES = (
    "/",
    "/users",
    MALLORY,
    "/mapping",
    "/writes?text=mallory",
    "/doors",
    "/requests?outcome=failed",
    "/nothing",
)
TREE = Path(__file__).parents[2]


class Demo(NamedTuple):
    browser: Chromium
    ini: Path

    def user(self, name: str) -> str:
        """The path of the page of the first user found."""
        self.browser.open(f"/users?text={name}")
        return (
            "/users/" + str(self.browser.find("table.users tbody a").get_attribute("href")).rsplit("/", 1)[1]
        )


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tests.e2e.page_stage", str(port)]
    with (
        tempfile.TemporaryDirectory() as profile,
        subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        browser = Chromium(Path(profile))
        try:
            announced = json.loads(process.stdout.readline())
            browser.url = announced["page"].rstrip("/")
            browser.be()
            browser.until(
                lambda: "is current" in browser.text_of(MALLORY, "main"), "Mallory's calendar is read"
            )
            yield Demo(browser, Path(announced["ini"]))
        finally:
            browser.close()
            process.terminate()


@pytest.fixture
def browser(demo: Demo) -> Iterator[Chromium]:
    """Light, wide and with scripts, until a test says otherwise; nothing complained of in the end."""
    demo.browser.be()
    demo.browser.complaints()
    yield demo.browser
    complaints = [one for one in demo.browser.complaints() if "/nothing" not in one and "401" not in one]
    assert complaints == []


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_accessible(browser: Chromium, path: str) -> None:
    for scheme in ("light", "dark") if path in {"/", MALLORY, "/mapping"} else ("light",):
        browser.be(scheme=scheme)
        browser.open(path)
        assert browser.violations() == []


@pytest.mark.parametrize("path", PAGES)
def test_pages_fit_on_a_phone(browser: Chromium, path: str) -> None:
    browser.be(width=PHONE, height=844)
    browser.open(path)
    assert browser.width() <= PHONE
    if path in {"/", MALLORY}:
        assert browser.violations() == []


def test_the_picture_of_a_day_begins_at_the_present_on_a_phone(browser: Chromium) -> None:
    browser.be(width=PHONE, height=844)
    browser.open(NORA)
    now, shown = (browser.find(css).rect for css in (".now line", ".day .scroll"))
    assert shown["x"] <= now["x"] <= shown["x"] + shown["width"]
    browser.take_picture("phone", most=1500)


def test_the_overview_is_live(browser: Chromium) -> None:
    browser.open("/")
    browser.until(lambda: browser.text(".live-text") == "live", "connected")
    newest = browser.find("#latest tbody tr").get_attribute("data-key")
    browser.until(
        lambda: browser.find("#latest tbody tr").get_attribute("data-key") != newest, "a new write on top"
    )
    browser.take_picture("overview", most=1250)
    browser.find(".live button").click()
    assert browser.text(".live-text") == "paused"


def test_one_user(browser: Chromium) -> None:
    browser.open(NORA)
    browser.until(lambda: browser.text(".live-text") == "live", "connected")
    browser.take_picture("user")
    assert "of those running it began last" in browser.text(".decision")
    assert "busy = busy" in browser.text(".decision")
    assert len(browser.driver.find_elements(By.CSS_SELECTOR, ".timeline")) == 2
    browser.find("form[action$=write] button").click()
    assert browser.text(".notice") == "The presence is being written again."
    browser.until(lambda: "somebody asked for it" in browser.text("table.writes"), "it was written again")


def test_markup_in_titles_and_names_is_text(browser: Chromium) -> None:
    for path in ("/", "/users", MALLORY, "/writes"):
        browser.open(path)
        assert browser.driver.title.endswith("presenced")
        assert not browser.driver.find_elements(By.CSS_SELECTOR, "main b, main img, main script")
    browser.open(MALLORY)
    assert EVIL in browser.text(".decision")
    assert browser.text("h1") == "Mallory <b>Bold</b>"


def test_a_broken_mailbox_and_its_remedy_are_two_clicks_away(browser: Chromium) -> None:
    browser.open("/")
    browser.until(lambda: "Needs attention" in browser.text(), "the broken ones are known")
    browser.driver.find_element(By.CSS_SELECTOR, ".attention a").click()
    assert "may not impersonate this mailbox" in browser.text(".trouble")
    assert "ApplicationImpersonation" in browser.text(".trouble")
    browser.take_picture("broken", most=800)


def test_users_are_found_by_keyboard(browser: Chromium) -> None:
    browser.open("/users")
    browser.find("body").send_keys(Keys.TAB)
    assert browser.driver.switch_to.active_element.text == "Skip to the content"
    browser.find("#text").send_keys("mallory", Keys.ENTER)
    browser.until(lambda: "1 user found" in browser.text(), "one is found")
    assert "resolved" in browser.text("table.users")


def test_a_dry_run_of_the_table(browser: Chromium) -> None:
    browser.open("/mapping")
    Select(browser.find("#try-busy")).select_by_visible_text("dnd")
    browser.find("form[action='/mapping/table'] button").click()
    browser.until(lambda: "would differ now" in browser.text("#outcome"), "the outcome is there")
    assert "Mallory" in browser.text("#outcome")
    assert "busy = dnd" in browser.text("#lines")
    assert browser.driver.current_url.endswith("/mapping"), "the form keeps what was chosen"
    assert browser.violations() == []
    browser.take_picture("mapping", most=2200)


def test_a_dry_run_of_a_file(browser: Chromium, demo: Demo, tmp_path: Path) -> None:
    changed = tmp_path / "changed.ini"
    changed.write_text(
        demo.ini.read_text().replace("busy = busy", "busy = ignore").replace("language", "lang")
    )
    browser.open("/mapping")
    browser.find("#try-file").send_keys(str(changed))
    browser.until(
        lambda: "busy = ignore" in str(browser.find("#try-text").get_property("value")), "it is shown"
    )
    browser.find("form[action='/mapping/text'] button").click()
    browser.until(lambda: "would differ now" in browser.text("#outcome"), "the outcome is there")
    assert "A trip until" in browser.text("#outcome"), "without the busy one the trip counts"


def test_without_scripts(browser: Chromium, demo: Demo) -> None:
    browser.be(scripts=False)
    browser.open("/users")
    Select(browser.find("#state")).select_by_value("blocked")
    browser.find(".filter button").click()
    browser.until(lambda: "1 user found" in browser.text(), "the filter works")
    browser.open("/mapping")
    Select(browser.find("#try-busy")).select_by_visible_text("dnd")
    browser.find("form[action='/mapping/table'] button").click()
    browser.until(lambda: "would differ now" in browser.text("#outcome"), "the dry run works")
    assert Select(browser.find("#try-busy")).first_selected_option.text == "dnd"
    browser.open("/")
    assert not browser.find(".live").is_displayed()


def test_every_page_in_the_dark(browser: Chromium) -> None:
    browser.be(scheme="dark")
    for name, path in (
        ("dark", NORA),
        ("doors", "/doors"),
        ("requests", "/requests?door=exchange"),
        ("", "/writes"),
    ):
        browser.open(path)
        background = browser.find("body").value_of_css_property("background-color")
        assert background == "rgba(20, 23, 28, 1)"
        if name:
            browser.take_picture(name, most=1000)


def test_a_mapping_changed_in_the_file(browser: Chromium, demo: Demo) -> None:
    text = demo.ini.read_text()
    try:
        demo.ini.write_text(text.replace("busy = busy", "busy = dnd"))
        browser.open("/mapping")
        browser.find("form[action='/reload'] button").click()
        browser.until(lambda: "settings are being read again" in browser.text(".notice"), "it is said")
        browser.until(lambda: "dnd" in browser.text_of("/mapping", ".settings"), "in force")
        browser.open(MALLORY)
        browser.until(lambda: "busy = dnd" in browser.text(".decision"), "decided by the new table")
        browser.until(lambda: "the settings changed" in browser.text("table.writes"), "written because of it")
        demo.ini.write_text(text.replace("busy = busy", "busy = bussy"))
        browser.open("/mapping")
        browser.find("form[action='/reload'] button").click()
        browser.until(lambda: "line 13" in browser.text_of("/mapping", ".trouble"), "the mistake is told")
        assert "did you mean busy?" in browser.text(".trouble")
        assert "dnd" in browser.text(".settings"), "the old table stays in force"
        assert browser.violations() == []
    finally:
        demo.ini.write_text(text)


def test_the_password(browser: Chromium, demo: Demo) -> None:
    """The last one: from here on the page asks for it."""
    demo.ini.chmod(0o600)
    demo.ini.write_text(demo.ini.read_text().replace("[log]", "password = correct horse battery\n\n[log]"))
    browser.open("/mapping")
    browser.find("form[action='/reload'] button").click()
    browser.until(lambda: browser.text_of(MALLORY, "h1") == "Sign in", "the password is asked")
    assert browser.violations() == []
    browser.find("#password").send_keys("wrong", Keys.ENTER)
    browser.until(lambda: "The password is wrong." in browser.text(".sign-in"), "it is refused")
    assert browser.violations() == []
    browser.find("#password").send_keys("correct horse battery", Keys.ENTER)
    browser.until(lambda: browser.text("h1").startswith("Mallory"), "signed in, and where one wanted to go")
    browser.until(lambda: browser.text(".live-text") == "live", "live behind the password, too")
    browser.find(".sign-out button").click()
    browser.until(lambda: browser.text("h1") == "Sign in", "signed out")
    browser.complaints()
