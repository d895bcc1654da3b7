"""Real windows of Qt and Tk: alive while a plan runs, and clicked as a person clicks."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from windows.program import Program, changed, until

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("browser")]

SCREENSHOTS = os.environ.get("DIFFRACTOGRAM_SCREENSHOTS")


def need(backend: str) -> None:
    module = {"QtAgg": "PySide6", "TkAgg": "tkinter"}[backend]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


@pytest.fixture
def screen(tmp_path):
    """A virtual screen; its DISPLAY."""
    for program, package in (("Xvfb", "xvfb"), ("xdotool", "xdotool"), ("import", "imagemagick")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not there: apt-get install {package}")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1920x1200x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[write], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as told:
        number = told.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait(10)


class Person:
    """Moves the mouse over a virtual screen, and looks at it."""

    def __init__(self, display: str, program: Program) -> None:
        self._env = {**os.environ, "DISPLAY": display}
        left, top, _, self._height = program.ask("origin")["origin"]
        self._left, self._top = left, top

    def _do(self, *words: str) -> None:
        subprocess.run(["xdotool", *words], env=self._env, check=True, stdout=subprocess.DEVNULL)

    def _place(self, x: float, y: float) -> tuple[str, str]:
        return str(round(self._left + x)), str(round(self._top + self._height - y))

    def click(self, x: float, y: float) -> None:
        self._do("mousemove", *self._place(x, y))
        self._do("click", "1")

    def drag(self, start: list[float], end: list[float]) -> None:
        middle = [(start[0] + end[0]) / 2, (start[1] + end[1]) / 2]
        self._do("mousemove", *self._place(*start))
        time.sleep(0.3)
        self._do("mousedown", "1")
        for place in (middle, end):
            time.sleep(0.3)
            self._do("mousemove", *self._place(*place))
        time.sleep(0.3)
        self._do("mouseup", "1")

    def key(self, *keys: str) -> None:
        for key in keys:
            self._do("key", key)

    def png(self, name: str = "") -> bytes:
        png = subprocess.run(
            ["import", "-window", "root", "png:-"], env=self._env, check=True, stdout=subprocess.PIPE
        ).stdout
        if name and SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            (Path(SCREENSHOTS) / f"{name}.png").write_bytes(png)
        return png


@pytest.mark.parametrize(
    ("backend", "during"), [("QtAgg", "ours"), ("QtAgg", "default"), ("TkAgg", "ours")], ids=lambda word: word
)
def test_a_window_on_a_screen_shows_a_scan_while_it_runs_and_takes_clicks(screen, tmp_path, backend, during):
    need(backend)
    program = Program(backend, tmp_path / "beamline", during=during, env={"DISPLAY": screen, "QT_QPA_PLATFORM": "xcb"})
    try:
        time.sleep(1.0)
        person = Person(screen, program)
        boxes = program.ask("boxes")["boxes"]
        empty = person.png()
        program.tell("scan 150 0.5")
        until(lambda: changed(empty, person.png()) > 0.01, "the first frames")
        early = person.png()
        until(lambda: changed(early, person.png()) > 0.0005, "the next frames")
        before = person.png(f"window-{backend}-{during}-during-scan")
        person.click(*boxes["show"])  # Stop
        until(lambda: changed(before, person.png()) > 0.0005, "the other word on the button")
        time.sleep(1.5)
        done = program.enough()
        assert 1 <= done["rows"] < 150
        assert program.ask("state")["configuration"]["show_diff"] is False

        person.click(*boxes["next"])
        program.state_where(lambda state: state["rows"] == done["rows"] + 1)
        person.click(*boxes["buffer"])
        person.key("BackSpace", "BackSpace", "BackSpace", "q", "Return")  # q would close the window
        refused = program.state_where(lambda state: state["message"].startswith("buffer_size = 'q'"))
        assert refused["live"]
        person.drag(program.ask("pixel 12 5")["at"], program.ask("pixel 12 40")["at"])
        moved = program.state_where(lambda state: state["configuration"]["diff_ranges"][1][1] > 20)
        assert moved["configuration"]["diff_ranges"][1] == pytest.approx([-5, 40, 5, 15], abs=1.5)
        time.sleep(2.5)
        person.png(f"window-{backend}-{during}-after")
    finally:
        program.end()


def test_a_window_of_qt_without_a_screen(tmp_path):
    need("QtAgg")
    program = Program("QtAgg", tmp_path / "beamline", env={"QT_QPA_PLATFORM": "offscreen"})
    try:
        boxes = program.ready["boxes"]
        pictures = [tmp_path / f"{n}.png" for n in range(2)]
        program.ask(f"grab {pictures[0]}")
        program.ask(f"click-later {boxes['show'][0]} {boxes['show'][1]} 6")
        program.tell("scan 150 0.5")
        time.sleep(9)
        done = program.enough()
        assert 1 <= done["rows"] < 150
        program.ask(f"click {boxes['reset'][0]} {boxes['reset'][1]}")
        program.state_where(lambda state: state["rows"] == 0)
        program.ask(f"grab {pictures[1]}")
        assert changed(pictures[0].read_bytes(), pictures[1].read_bytes()) > 0.005
        if SCREENSHOTS:
            shutil.copy(pictures[1], Path(SCREENSHOTS) / "window-qt-offscreen.png")
    finally:
        program.end()


@pytest.mark.parametrize(
    ("backend", "during"), [("QtAgg", "ours"), ("QtAgg", "default"), ("TkAgg", "ours")], ids=lambda word: word
)
def test_a_window_that_was_closed_comes_back(screen, tmp_path, backend, during):
    need(backend)
    program = Program(backend, tmp_path / "beamline", during=during, env={"DISPLAY": screen, "QT_QPA_PLATFORM": "xcb"})
    try:
        time.sleep(1.0)
        person = Person(screen, program)
        boxes = program.ask("boxes")["boxes"]
        assert program.ask("scan 4 0.1")["rows"] == 4
        program.state_where(lambda state: state["live"])
        assert not program.ask("close-window")["live"]
        assert program.ask("show")["shown"]  # at the prompt
        program.state_where(lambda state: state["live"])
        time.sleep(1.0)
        assert not program.ask("close-window")["live"]
        empty = person.png()
        program.tell("scan 150 0.5")
        until(lambda: changed(empty, person.png()) > 0.02, "the window, with the first frames of the next run")
        time.sleep(2.0)
        early = person.png(f"window-{backend}-{during}-again")
        until(lambda: changed(early, person.png()) > 0.0005, "the next frames")
        person.click(*boxes["show"])
        time.sleep(2.0)
        assert program.enough()["rows"] < 154
        assert program.ask("state")["configuration"]["show_diff"] is False
        assert not program.ask("close-window")["live"]
    finally:
        program.end()
