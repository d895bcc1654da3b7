"""Messages of widgets during a cell, in a real Jupyter kernel."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from bluesky_diffractogram.views.browser_messages import BrowserMessages

PACKAGE = Path(__file__).parents[2]

SET_UP = f"""
import sys, time, json, threading
sys.path.insert(0, {str(PACKAGE)!r})
from ipykernel.comm import Comm
from bluesky_diffractogram.views.browser_messages import BrowserMessages
heard = []
comm = Comm(target_name="test")
def hear(message):
    heard.append((message["content"]["data"]["n"], threading.current_thread() is threading.main_thread()))
    if message["content"]["data"]["n"] == 1:
        raise ValueError("a handler that fails")
comm.on_msg(hear)
print(comm.comm_id)
"""
CELL = """
with BrowserMessages() as browser:
    end = time.monotonic() + 3
    while len(heard) < 3 and time.monotonic() < end:
        browser.turn()
        time.sleep(0.03)
during = list(heard)
print(json.dumps(during))
"""


@pytest.fixture
def kernel():
    manager = pytest.importorskip("jupyter_client.manager", reason="jupyter_client is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    km = manager.KernelManager(kernel_name="python3")
    km.kernel_spec.argv[0] = sys.executable
    km.start_kernel()
    client = km.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield client
    client.stop_channels()
    km.shutdown_kernel(now=True)


def printed(client, request: str, timeout: float = 30.0) -> str:
    """What a cell has written on its standard output, in the end."""
    text = ""
    while True:
        message = client.get_iopub_msg(timeout=timeout)
        if message["parent_header"].get("msg_id") != request:
            continue
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            text += message["content"]["text"]
        if message["msg_type"] == "error":
            raise AssertionError("\n".join(message["content"]["traceback"]))
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return text


def test_widgets_are_heard_while_a_cell_runs_and_cells_wait_for_their_turn(kernel):
    comm = printed(kernel, kernel.execute(SET_UP)).split()[-1]
    cell = kernel.execute(CELL)
    time.sleep(0.5)
    idle = set()
    sent = []
    for n in range(3):
        message = kernel.session.msg("comm_msg", {"comm_id": comm, "data": {"n": n}})
        kernel.shell_channel.send(message)
        sent.append(message["header"]["msg_id"])
    first = kernel.execute("order = ['first']; print(order, len(during))")
    second = kernel.execute("order.append('second'); print(order)")
    texts = {cell: "", first: "", second: ""}
    end = time.monotonic() + 20
    while time.monotonic() < end and "second" not in texts[second]:
        message = kernel.get_iopub_msg(timeout=20)
        parent = message["parent_header"].get("msg_id")
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            texts[parent] += message["content"]["text"]
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            idle.add(parent)
    assert json.loads(texts[cell]) == [[0, True], [1, True], [2, True]]  # also after the one that failed
    assert texts[first] == "['first'] 3\n"
    assert texts[second] == "['first', 'second']\n"
    assert set(sent) <= idle  # widgets are told that they may send their next state
    # and the usual way works again
    kernel.shell_channel.send(kernel.session.msg("comm_msg", {"comm_id": comm, "data": {"n": 3}}))
    time.sleep(0.5)
    assert printed(kernel, kernel.execute("print(len(heard))")) == "4\n"


def test_outside_a_kernel_nothing_happens():
    with BrowserMessages() as browser:
        assert not browser.available
        browser.turn()
