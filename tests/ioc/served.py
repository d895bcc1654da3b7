"""Starts the areaDetector of tests, and says how this process reaches it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROGRAM = Path(__file__).with_name("area_detector_ioc.py")
PREFIX = f"T{os.getpid()}:"


@contextlib.contextmanager
def area_detector_ioc(log: Path) -> Iterator[str]:
    """Serve it from a process of its own; gives the prefix of its names.

    Channel Access reads where to look once in a process, at its first channel: that must come after this, and one
    process can have one such server only.

    Parameters
    ----------
    log
        A file for what the server says.
    """
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        ports = []
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
            ports.append(str(free.getsockname()[1]))
    address, repeater = f"127.0.0.1:{ports[0]}", ports[1]
    # The port of the server is read when ophyd is imported, which was long ago; a list of addresses may name it too.
    os.environ.update(EPICS_CA_ADDR_LIST=address, EPICS_CA_AUTO_ADDR_LIST="NO", EPICS_CA_REPEATER_PORT=repeater)
    served = {
        "EPICS_CA_SERVER_PORT": ports[0],
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_BEACON_PORT": repeater,
    }
    command = [sys.executable, str(PROGRAM), PREFIX, str(os.getpid())]
    with log.open("w") as output:
        server = subprocess.Popen(command, env=os.environ | served, stdout=subprocess.PIPE, stderr=output, text=True)
        try:
            if server.stdout.readline() != "serving\n":
                raise RuntimeError(f"the server did not start: {log.read_text()}")
            yield PREFIX
        finally:
            server.terminate()
            server.wait(10)
            server.stdout.close()
