"""A tiled server as a process of its own, which lets in only who has its key."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TiledServer:
    """Where it is, its key, and what it has logged."""

    uri: str
    key: str
    log: Path


@contextlib.contextmanager
def tiled_server(folder, *options):
    """``tiled serve catalog`` in `folder` with further `options`, ended with the block."""
    key = secrets.token_hex(16)
    command = [sys.executable, "-m", "tiled", "serve", "catalog", "--temp", "--api-key", key, "--host", "127.0.0.1",
               "--port", "0"]  # fmt: skip
    log = folder / "tiled.log"
    environment = {**os.environ, "TMPDIR": str(folder)}  # it leaves its temporary folder behind
    with log.open("w") as out:
        process = subprocess.Popen([*command, *options], stdout=out, stderr=out, cwd=folder, env=environment)
    try:
        yield TiledServer(_address(process, log), key, log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _address(process, log, seconds=60):
    """Where it serves; told once it does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        match = re.search(r"running on \S*?(http://127\.0\.0\.1:\d+)", log.read_text())
        if match:
            return match[1]
        time.sleep(0.2)
    raise AssertionError(f"tiled does not serve after {seconds} s: {log.read_text()}")
