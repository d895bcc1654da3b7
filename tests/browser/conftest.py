"""A browser, where there is one: these tests are skipped elsewhere, and say what is missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

SCREENSHOTS = os.environ.get("DIFFRACTOGRAM_SCREENSHOTS")


@pytest.fixture
def browser(tmp_path):
    """Chromium, driven by Selenium."""
    pytest.importorskip("selenium", reason="selenium is not installed: pip install '.[browser]'")
    from browsing import CHROMIUM, DRIVER, open_browser

    for program in (CHROMIUM, DRIVER):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not there: apt-get install chromium chromium-driver")
    driver = open_browser(tmp_path / "profile")
    yield driver
    driver.quit()


@pytest.fixture
def keep():
    """Writes a screenshot to the folder that DIFFRACTOGRAM_SCREENSHOTS names, for people to look at."""

    def write(name: str, png: bytes) -> None:
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            (Path(SCREENSHOTS) / f"{name}.png").write_bytes(png)

    return write
