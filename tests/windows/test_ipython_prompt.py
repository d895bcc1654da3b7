"""A window at IPython's prompt, with IPython's own event loops, and while a plan runs there."""

from __future__ import annotations

import os
import time

import pytest
from test_toolkit_windows import Person, need, screen  # noqa: F401  (a fixture)
from windows.program import PACKAGE, changed, until

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("browser")]

SET_UP = [
    "import json, sys",
    f"sys.path[:0] = [{str(PACKAGE)!r}, {str(PACKAGE / 'tests' / 'windows')!r}]",
    "from pathlib import Path",
    "from bluesky import RunEngine",
    "from bluesky_diffractogram import DiffractogramCallback, KeepWindowsAlive",
    "from bluesky_diffractogram.sim.beamline import simulated_beamline",
    "from scanning import control_boxes, slow_scan, window_origin",
    "beamline = simulated_beamline(Path({folder!r}), detector='small')",
    "diff = DiffractogramCallback(beamline.configuration)",
    "RE = RunEngine({{}}, during_task=KeepWindowsAlive())",
    "RE.subscribe(diff);",
]


class Prompt:
    """IPython in a terminal of its own."""

    def __init__(self, *arguments: str, env: dict[str, str]) -> None:
        import sys

        import pexpect

        terminal = {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "PYTHONPATH": str(PACKAGE)}
        self._child = pexpect.spawn(
            sys.executable,
            ["-m", "IPython", "--no-banner", "--colors=NoColor", *arguments],
            env={**os.environ, **env, **terminal},
            encoding="utf-8",
            timeout=60,
        )
        self._number = 0
        self.end_of()

    def start(self, line: str) -> None:
        self._child.send(line + "\r")

    def end_of(self) -> str:
        self._number += 1
        self._child.expect(rf"In \W*\[\S*?{self._number}\S*?\]")
        return self._child.before

    def ask(self, line: str) -> str:
        self.start(line)
        return self.end_of()

    def value(self, expression: str):
        import json

        text = self.ask(f"print('<<' + json.dumps({expression}) + '>>')")
        return json.loads(text.split("<<")[-1].split(">>")[0])

    def close(self) -> None:
        self._child.close(force=True)


@pytest.mark.parametrize(("backend", "arguments"), [("QtAgg", ["--matplotlib=qt"]), ("TkAgg", ["--matplotlib=tk"])])
def test_a_window_lives_at_the_prompt_and_during_a_plan(screen, tmp_path, backend, arguments):  # noqa: F811
    need(backend)
    pytest.importorskip("pexpect", reason="pexpect is not installed: pip install '.[browser]'")
    prompt = Prompt(
        *arguments, env={"DISPLAY": screen, "QT_QPA_PLATFORM": "xcb", "IPYTHONDIR": str(tmp_path / "ipython")}
    )
    try:
        for line in SET_UP:
            said = prompt.ask(line.format(folder=str(tmp_path / "beamline")))
            assert "Error" not in said, said
        time.sleep(1.0)

        class Origin:
            def ask(self, _):
                return {"origin": prompt.value("window_origin(diff)")}

        person = Person(screen, Origin())
        boxes = prompt.value("control_boxes(diff)")
        empty = person.png()
        person.click(*boxes["show"])  # at the prompt
        time.sleep(1.5)
        assert prompt.value("diff.config.show_diff") is False
        person.click(*boxes["show"])
        time.sleep(1.0)
        enough = tmp_path / "enough"
        prompt.start(f"RE(slow_scan(beamline, 150, 0.5, Path({str(enough)!r}))); diff.wait()")
        until(lambda: changed(empty, person.png()) > 0.01, "the first frames")
        person.png(f"ipython-{backend}")
        person.click(*boxes["show"])  # during the plan
        time.sleep(3.0)
        enough.touch()
        prompt.end_of()
        assert prompt.value("diff.config.show_diff") is False
        assert 1 <= prompt.value("len(diff.buffers[0])") < 150
    finally:
        prompt.close()
