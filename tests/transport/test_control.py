"""Requests and answers through real sockets."""

from __future__ import annotations

import json
import threading

import pytest
import zmq

from bluesky_diffractogram.transport.address import parse_address
from bluesky_diffractogram.transport.control import ControlRefused, ControlServer, ask


@pytest.fixture
def server(address):
    said = []

    def refuse(value):
        raise ValueError(f"{value!r} is not allowed")

    answers = {
        "say": said.append,
        "refuse": refuse,
        "count": lambda _: len(said),
        "odd": lambda _: {1, 2},
        "worse": lambda _: {(1, 2): 3},
    }
    served = ControlServer(address[1], answers)
    yield address[1]
    served.close()


def test_what_is_asked_is_answered(server):
    assert ask(server, "say", {"a": [1, None]}) is None
    assert ask(server, "count") == 1
    with pytest.raises(ControlRefused, match="'x' is not allowed"):
        ask(server, "refuse", "x")
    with pytest.raises(ControlRefused, match="allowed are say, refuse, count"):
        ask(server, "nonsense")
    assert ask(server, "odd")  # what is no JSON is answered as text
    with pytest.raises(ControlRefused):
        ask(server, "worse")
    assert ask(server, "count") == 1


def test_whatever_is_sent_the_next_request_is_answered(server):
    hostile = [b"", b"{", b"[]", b"1", b'"say"', b'{"request": 1}', b'{"request": ["say"]}', b"[" * 100_000, b"\xff"]
    socket = zmq.Context.instance().socket(zmq.REQ)
    socket.linger = 0
    socket.connect(server.endpoint)
    for message in hostile:
        socket.send(message)
        assert socket.poll(5000)
        assert json.loads(socket.recv())["ok"] is False
    socket.close()
    assert ask(server, "count") == 0


def test_many_may_ask_at_once(server):
    threads = [threading.Thread(target=lambda: [ask(server, "say", 1) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(server, "count") == 160


def test_nobody_answers(address):
    with pytest.raises(TimeoutError, match="nobody answers"):
        ask(address[1], "status", timeout=0.3)


@pytest.mark.parametrize("other", ["kafka://127.0.0.1:9092/runs", "tiled+http://127.0.0.1:8000"])
def test_a_control_is_at_an_address_of_0mq(other):
    with pytest.raises(ValueError, match="0mq://"):
        ask(parse_address(other), "status")
    with pytest.raises(ValueError, match="0mq://"):
        ControlServer(parse_address(other), {})
