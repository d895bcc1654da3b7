"""Tiled servers: in this process, in one that lets in only who has its key, and one that anybody may read."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from unittest import mock


@dataclass(frozen=True)
class TiledServer:
    """Where it is, its key, and what it has logged."""

    uri: str
    key: str
    log: Path


@contextlib.contextmanager
def tiled_server(folder):
    """``tiled serve catalog`` in `folder`, ended with the block."""
    key = secrets.token_hex(16)
    command = [sys.executable, "-m", "tiled", "serve", "catalog", "--temp", "--api-key", key, "--host", "127.0.0.1",
               "--port", "0"]  # fmt: skip
    log = folder / "tiled.log"
    environment = {**os.environ, "TMPDIR": str(folder)}  # it leaves its temporary folder behind
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder, env=environment)
    try:
        yield TiledServer(_address(process, log), key, log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@contextlib.contextmanager
def tiled_server_here(folder, **settings):
    """A `SimpleTiledServer` in this process, ended with the block whatever its clients still hold open.

    uvicorn alone waits without end for a response that somebody has begun to read and forgotten.
    """
    from tiled.server import SimpleTiledServer

    server = SimpleTiledServer(folder, **settings)
    uvicorn = server._server
    uvicorn.config.timeout_graceful_shutdown = 5
    given_up = threading.Timer(20, setattr, (uvicorn, "force_exit", True))
    try:
        yield server
    finally:
        given_up.start()
        server.close()
        given_up.cancel()


@contextlib.contextmanager
def public_tiled_server(folder):
    """The URI of a server in this process that anybody may read, and nobody may write to without its key."""
    from tiled.config import Authentication

    public = functools.partial(Authentication, allow_anonymous_access=True)
    with contextlib.ExitStack() as stack:
        with mock.patch("tiled.config.Authentication", public):
            server = stack.enter_context(tiled_server_here(folder))
        yield server.uri.partition("?")[0]


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
