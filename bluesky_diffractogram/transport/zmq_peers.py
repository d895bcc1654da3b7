"""Who is at the other end of a 0MQ socket, as its monitor tells."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

import zmq
from zmq.utils.monitor import parse_monitor_message

FAILURES = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "key refused",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "other protocol or no key",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "ended while connecting",
}
EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
for each in FAILURES:
    EVENTS |= each


class Peers:
    """Counts who is connected to a socket; may be asked by any thread.

    Parameters
    ----------
    bind
        Whether others connect to the socket. If not, it has one peer or none.

    Attributes
    ----------
    failed
        How many tries to connect have failed, by reason.
    """

    def __init__(self, *, bind: bool) -> None:
        self.failed: Counter[str] = Counter()
        self._bind = bind
        self._connected: set[int] = set()
        self._socket: zmq.Socket[Any] | None = None
        self._lock = threading.Lock()

    def watch(self, socket: zmq.Socket[Any]) -> None:
        """Have a socket tell of who comes and goes; before it is bound or connected."""
        self._watched = socket
        address = f"inproc://peers-{id(self)}"
        socket.monitor(address, EVENTS)
        self._socket = socket.context.socket(zmq.PAIR)
        self._socket.rcvhwm = 0  # 0MQ itself would wait for room
        self._socket.linger = 0
        self._socket.connect(address)

    @property
    def number(self) -> int:
        """How many there are now."""
        with self._lock:
            while self._socket is not None and self._socket.poll(0):
                self._note(parse_monitor_message(self._socket.recv_multipart()))
            return len(self._connected)

    def close(self) -> None:
        """Ask no more, before the socket is closed."""
        with self._lock:
            self._connected.clear()
            if self._socket is not None:
                self._watched.monitor(None, 0)
                self._socket.close()
                self._socket = None

    def _note(self, told: Mapping[str, Any]) -> None:
        event, value = told["event"], told["value"]
        if event in FAILURES:
            self.failed[FAILURES[event]] += 1
        elif event == zmq.EVENT_DISCONNECTED:
            self._connected.discard(value if self._bind else 0)
        elif not self._bind and event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._connected.add(0)
        elif self._bind and event == zmq.EVENT_ACCEPTED:  # of those that succeed it is not said which they are
            self._connected.add(value)
