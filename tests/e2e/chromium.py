"""A headless Chromium, and what the tests of the page do with it again and again."""

from __future__ import annotations

import json
import os
import shutil
import time
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium_axe_python.axe import Axe

T = TypeVar("T")
CHROMIUM = shutil.which("chromium") or ""
DRIVER = shutil.which("chromedriver") or ""
PICTURES = os.environ.get("PRESENCED_PICTURES", "")
"""a folder for pictures of the pages; none are made without it"""
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
PHONE = 390
DESK = 1180


class Chromium:
    """One browser with one window."""

    def __init__(self, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.driver.set_page_load_timeout(20)
        self.url = ""

    def close(self) -> None:
        self.driver.quit()

    def be(self, width: int = DESK, height: int = 900, scheme: str = "light", scripts: bool = True) -> None:
        """As wide, as light or dark, with or without scripts, from the next page on."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width == PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})

    def open(self, path: str) -> None:
        self.driver.get(self.url + path)

    def find(self, css: str) -> WebElement:
        """The element, as soon as it is there: after a click another page may be on its way."""
        return self._when_there(lambda: self.driver.find_element(By.CSS_SELECTOR, css))

    def text(self, css: str = "main") -> str:
        return self._when_there(lambda: self.driver.find_element(By.CSS_SELECTOR, css).text)

    def _when_there(self, look: Callable[[], T], seconds: float = 20) -> T:
        end = time.monotonic() + seconds
        while True:
            try:
                return look()
            except WebDriverException:
                if time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def text_of(self, path: str, css: str) -> str:
        """Of a page loaded anew; for `until`, which loads it again where the element is not there yet."""
        self.open(path)
        return self.driver.find_element(By.CSS_SELECTOR, css).text

    def until(self, holds: Callable[[], object], what: str, seconds: float = 20) -> None:
        """Wait until it holds; a page that is being replaced counts as not yet."""
        end = time.monotonic() + seconds
        while True:
            try:
                if holds():
                    return
            except WebDriverException:
                if time.monotonic() > end:
                    raise
            assert time.monotonic() < end, f"it never came to this: {what}; the page says {self.text('body')}"
            time.sleep(0.05)

    def width(self) -> int:
        return int(self.driver.execute_script("return document.documentElement.scrollWidth"))

    def violations(self) -> list[str]:
        """What axe-core finds against WCAG and its own best practices."""
        axe = Axe(self.driver)
        axe.inject()  # type: ignore[no-untyped-call]
        found: list[dict[str, Any]] = axe.run()["violations"]
        return [f"{one['id']}: {json.dumps([node['target'] for node in one['nodes']])}" for one in found]

    def complaints(self) -> list[str]:
        """What the browser itself complained of: refused scripts and styles, failed requests."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def take_picture(self, name: str, *, most: int = 1900) -> None:
        """Of the whole page, where pictures are wanted."""
        if not PICTURES:
            return
        self.driver.execute_script("scrollTo(0, 0)")
        size = self.driver.execute_script(
            "return [document.documentElement.clientWidth, document.documentElement.scrollHeight]"
        )
        clip = {"x": 0, "y": 0, "width": size[0], "height": min(size[1], most), "scale": 1}
        shot = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True, "format": "png"}
        )
        folder = Path(PICTURES)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.png").write_bytes(b64decode(shot["data"]))
