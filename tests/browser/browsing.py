"""A browser that tests drive: Chromium without a screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--force-device-scale-factor=1",
)  # fmt: skip
KEYS = {"enter": Keys.ENTER, "tab": Keys.TAB, "escape": Keys.ESCAPE}


def open_browser(profile: Any, width: int = 1300, height: int = 1000) -> webdriver.Chrome:
    """Start Chromium with an empty profile in the folder `profile`."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--window-size={width},{height}", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=Service(DRIVER))


class Picture:
    """A figure on a page; places are pixels of the figure, from its lower left corner."""

    def __init__(self, driver: webdriver.Chrome, canvas: Any) -> None:
        self._driver, self.canvas = driver, canvas
        self.height = float(canvas.size["height"])
        self.width = float(canvas.size["width"])

    def _move(self, x: float, y: float) -> ActionChains:
        from_centre = (round(x - self.width / 2), round(self.height / 2 - y))
        return ActionChains(self._driver).move_to_element_with_offset(self.canvas, *from_centre)

    def point(self, x: float, y: float) -> None:
        """Move the mouse there."""
        self._move(x, y).perform()

    def click(self, x: float, y: float) -> None:
        """Click there."""
        self._move(x, y).click().perform()

    def drag(
        self, start: tuple[float, float], end: tuple[float, float], there: Callable[[], Any] = lambda: None
    ) -> None:
        """Press the mouse at one place and let it go at another, after `there` was called."""
        self._move(*start).click_and_hold().perform()
        self._move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2).perform()
        self._move(*end).perform()
        there()
        ActionChains(self._driver).release().perform()

    def keys(self, *keys: str) -> None:
        """Press keys; a text is typed."""
        for key in keys:
            ActionChains(self._driver).send_keys(KEYS.get(key, key)).perform()

    def png(self) -> bytes:
        """What is seen of it."""
        return bytes(self.canvas.screenshot_as_png)
