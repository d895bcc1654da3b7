"""Drives `scan_program`, and looks at what it shows."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

PROGRAM = Path(__file__).with_name("scan_program.py")
PACKAGE = Path(__file__).parents[2]


class Program:
    """The program, and what it answers."""

    def __init__(
        self, backend: str, folder: Path, *, port: int = 0, during: str = "ours", env: Mapping[str, str] | None = None
    ) -> None:
        self.port = port
        self._enough = folder / "enough"
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), backend, str(folder), str(port), during],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(PACKAGE), "MPLBACKEND": backend, **(env or {})},
        )  # fmt: skip
        self.ready = self.answer()

    def tell(self, command: str) -> None:
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        while True:
            line = self._process.stdout.readline()
            assert line, "the program has ended"
            if line.startswith("{"):
                return json.loads(line)

    def ask(self, command: str) -> dict[str, Any]:
        self.tell(command)
        return self.answer()

    def enough(self) -> dict[str, Any]:
        """Let the scan end at once; what it answers."""
        self._enough.touch()
        answer = self.answer()
        self._enough.unlink()
        return answer

    def state_where(self, condition: Callable[[dict[str, Any]], Any], timeout: float = 15.0) -> dict[str, Any]:
        """The state once it is as wanted."""
        end = time.monotonic() + timeout
        while True:
            state = self.ask("state")
            if condition(state):
                return state
            assert time.monotonic() < end, state
            time.sleep(0.2)

    def end(self) -> None:
        try:
            self.tell("end")
            assert self._process.wait(30) == 0
        finally:
            self._process.kill()
            self._process.wait()


def until(condition: Callable[[], Any], what: str, timeout: float = 60.0) -> Any:
    """Wait until `condition` gives something true, and return that."""
    end = time.monotonic() + timeout
    while True:
        try:
            found = condition()
        except Exception:  # a page is being built
            found = None
        if found:
            return found
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.1)


def pixels(png: bytes) -> np.ndarray:
    """``(ny, nx, 3)`` of a picture."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def changed(before: bytes, after: bytes) -> float:
    """The share of pixels that differ."""
    return float((np.abs(pixels(before) - pixels(after)).max(axis=-1) > 24).mean())
