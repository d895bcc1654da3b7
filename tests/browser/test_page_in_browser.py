"""A terminal program whose figure is a page (WebAgg): looked at and clicked in a real browser while it scans."""

from __future__ import annotations

import socket
import time

import pytest
from windows.program import Program, changed, until

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("browser")]


@pytest.fixture
def program(tmp_path):
    pytest.importorskip("tornado", reason="tornado is not installed, which WebAgg needs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Program("WebAgg", tmp_path / "beamline", port=port)
    yield made
    made.end()


@pytest.fixture
def page(browser, program):
    from browsing import Picture
    from selenium.webdriver.common.by import By

    browser.get(f"http://127.0.0.1:{program.port}/1")
    canvas = until(lambda: browser.find_elements(By.TAG_NAME, "canvas"), "the figure on the page")[-1]
    until(lambda: canvas.size["width"] >= 900, "the figure's size")
    return Picture(browser, canvas)


def test_the_page_shows_a_scan_while_it_runs_and_takes_clicks(program, page, keep):
    boxes = program.ready["boxes"]
    empty = page.png()
    program.tell("scan 150 0.5")
    until(lambda: changed(empty, page.png()) > 0.02, "the first frames")
    early = page.png()
    until(lambda: changed(early, page.png()) > 0.001, "the next frames")
    keep("web-page-during-scan", page.png())
    page.click(*boxes["show"])  # Stop
    time.sleep(2.0)
    done = program.enough()
    assert done["scanned"] == 150
    assert 2 <= done["rows"] < 150
    state = program.state_where(lambda state: not state["configuration"]["show_diff"])
    assert state["rows"] == done["rows"]
    page.click(*boxes["next"])
    state = program.state_where(lambda state: state["rows"] == done["rows"] + 1)
    page.click(*boxes["reset"])
    program.state_where(lambda state: state["rows"] == 0)


def test_everything_in_the_window_works_in_the_browser(program, page, browser, keep):
    from selenium.webdriver.common.by import By

    boxes = program.ready["boxes"]
    assert program.ask("scan 6 0.1")["rows"] == 6
    until(lambda: program.ask("pixel 6 90")["at"], "the image")

    time.sleep(2.0)  # drawn, and in its place
    keep("web-page-after-scan", page.png())
    page.point(*program.ask("pixel 6 90")["at"])
    readout = until(
        lambda: [each.text for each in browser.find_elements(By.CSS_SELECTOR, ".mpl-message") if "2θ" in each.text],
        "the readout",
    )[0]
    assert all(word in readout for word in ("x ", "y ", "2θ ", "q ", "d ", "χ ", "r ", "I "))
    two_theta, chi = (float(readout.split(f"{word} ")[1].split("°")[0].replace("−", "-")) for word in ("2θ", "χ"))
    assert (two_theta, chi) == pytest.approx((6, 90), abs=2)  # the pixels are large

    def row() -> list[float] | None:
        at = program.ask("row 3")["at"]
        return at if 200 < at[1] < 690 and at[0] < 990 else None  # where the heat-map is when it has been drawn

    page.click(*until(row, "the rows"))
    assert program.state_where(lambda state: state["held"])["picked"] == 3
    time.sleep(0.6)
    keep("web-page-row-picked", page.png())
    page.keys("escape")
    program.state_where(lambda state: not state["held"])

    page.click(*boxes["buffer"])
    page.keys("enter")
    page.click(*boxes["buffer"])
    page.keys(*["\ue003"] * 4, "0", "enter")  # Backspace
    refused = program.state_where(lambda state: state["message"].startswith("buffer"))
    assert refused["message"].startswith("buffer_size = 0: allowed: an integer")
    assert refused["configuration"]["buffer_size"] == 512
    time.sleep(0.6)
    keep("web-page-refused", page.png())

    before = page.png()

    def look() -> None:
        until(lambda: changed(before, page.png()) > 0.0005, "the outline under the mouse")
        keep("web-page-dragging", page.png())

    page.drag(program.ask("pixel 12 5")["at"], program.ask("pixel 12 40")["at"], look)
    moved = program.state_where(lambda state: state["configuration"]["diff_ranges"][1][1] > 20)
    assert moved["configuration"]["diff_ranges"][1] == pytest.approx([-5, 40, 5, 15], abs=1)

    page.click(*boxes["unit"])
    time.sleep(0.8)
    keep("web-page-menu", page.png())
    left, bottom = boxes["unit"]
    page.click(left, bottom + 13 + 25 * 6.5)  # the uppermost of seven words
    program.state_where(lambda state: state["configuration"]["diff_units"] == "q [1/nm]")
    program.state_where(lambda state: state["message"] == "")
