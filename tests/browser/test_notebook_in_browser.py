"""A Jupyter notebook with ipympl in a real browser: the figure is seen and clicked while a cell scans."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from windows.program import changed, until

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("browser")]

HERE = Path(__file__).parent


@pytest.fixture
def laboratory(tmp_path):
    """A JupyterLab with one notebook, and nothing of this user's settings."""
    for name in ("ipympl", "jupyterlab", "nbformat"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install '.[browser]'")
    import nbformat
    from notebook_cells import AFTER, SCAN, SET_UP

    paths = [str(HERE.parents[1]), str(HERE.parent / "windows")]
    cells = [
        SET_UP.format(paths=paths, folder=str(tmp_path / "beamline")),
        SCAN.format(frames=150, seconds=0.6, enough=str(tmp_path / "enough")),
        AFTER,
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    served = tmp_path / "served"
    served.mkdir()
    nbformat.write(notebook, served / "scan.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # the kernels of this Python, wherever others are
    data = tmp_path / "data"
    shutil.copytree(Path(sys.prefix) / "share" / "jupyter" / "kernels", data / "kernels")
    own = {
        name: str(tmp_path / name)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR")
    }
    log = (tmp_path / "lab.log").open("w")
    server = subprocess.Popen(
        [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root",
            "--IdentityProvider.token=test", f"--ServerApp.root_dir={served}", "--LabApp.news_url=",
        ],
        stdout=log, stderr=log, env={**os.environ, **own, "JUPYTER_DATA_DIR": str(data), "MPLBACKEND": ""},
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}/api?token=test", timeout=2)
                break
            except OSError:
                assert server.poll() is None, (tmp_path / "lab.log").read_text()[-2000:]
                assert time.monotonic() < end
                time.sleep(0.3)
        yield f"{url}/lab/tree/scan.ipynb?token=test"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


def test_a_notebook_shows_a_scan_while_its_cell_runs_and_takes_clicks(browser, laboratory, tmp_path, keep):
    from browsing import Picture
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.set_window_size(1700, 1500)
    browser.get(laboratory)

    def cells():
        return browser.find_elements(By.CSS_SELECTOR, ".jp-CodeCell")

    def printed(word: str):
        for each in browser.find_elements(By.CSS_SELECTOR, ".jp-OutputArea-output pre"):
            if word in each.text and "END" in each.text:
                return json.loads(each.text.split(word)[1].split("END")[0])
        return None

    def run(cell: int) -> None:
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", cells()[cell])
        cells()[cell].find_element(By.CSS_SELECTOR, ".cm-content").click()
        ActionChains(browser).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(Keys.CONTROL).perform()

    until(lambda: len(cells()) == 3, "the notebook")
    until(lambda: "Idle" in browser.find_element(By.TAG_NAME, "body").text, "the kernel")
    run(0)
    boxes = until(lambda: printed("BOXES"), "the first cell")
    canvas = until(
        lambda: browser.find_elements(By.CSS_SELECTOR, ".jupyter-matplotlib-canvas-div canvas"), "the figure"
    )[-1]
    until(lambda: canvas.size["width"] >= 900, "the figure's size")
    run(1)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    time.sleep(1.0)
    page = Picture(browser, canvas)
    empty = page.png()
    until(lambda: changed(empty, page.png()) > 0.03, "the first frames")
    early = page.png()
    until(lambda: changed(early, page.png()) > 0.001, "the next frames")
    keep("notebook-during-scan", browser.get_screenshot_as_png())
    assert printed("SCANNED") is None  # the cell is running
    page.click(*boxes["show"])  # Stop
    run(2)  # waits for its turn
    time.sleep(2.0)
    (tmp_path / "enough").touch()
    rows = until(lambda: printed("SCANNED"), "the end of the scan")
    assert 2 <= rows < 150
    show_diff, unit = until(lambda: printed("AFTER"), "the last cell")
    assert (show_diff, unit) == (False, "2th [deg]")

    # at the prompt
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    page.click(*boxes["unit"])
    time.sleep(1.0)
    keep("notebook-menu", browser.get_screenshot_as_png())
    left, bottom = boxes["unit"]
    page.click(left, bottom + 13 + 25 * 6.5)
    time.sleep(1.5)
    keep("notebook-after", browser.get_screenshot_as_png())
    run(2)
    assert until(lambda: (printed("AFTER") or [""])[-1] == "q [1/nm]", "the unit that was chosen", 20)
