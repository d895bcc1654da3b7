"""Documents sent over 0MQ, as bluesky's ``Publisher`` does and ``RemoteDispatcher`` expects."""

from __future__ import annotations

import threading
from typing import Any

import zmq

from .address import Address
from .curve import CurveKeys
from .wire import pack
from .zmq_peers import Peers
from .zmq_socket import open_socket

WAITING_MESSAGES = 5000


class ZmqSink:
    """Sends every document that it is called with.

    Parameters
    ----------
    address
        Of a proxy's way in, or ours, if those that listen connect to it.
    prefix
        Before each message.
    keys
        For CURVE.

    Raises
    ------
    ValueError
        The prefix has a blank.
    OSError
        The address cannot be had.
    """

    nobody = "no proxy is connected"
    undelivered = None  # 0MQ drops what a slow listener does not take, and tells nobody

    def __init__(self, address: Address, *, prefix: bytes = b"", keys: CurveKeys | None = None) -> None:
        if b" " in prefix:
            raise ValueError(f"prefix {prefix!r}: a blank ends it")
        self.endpoint = address.endpoint
        self._prefix = prefix
        self._peers = Peers(bind=address.bind)
        self._socket = open_socket(zmq.PUB, address, keys, waiting=WAITING_MESSAGES, peers=self._peers)
        self._bound = address.bind
        self._lock = threading.Lock()

    @property
    def peers(self) -> int:
        """How many are connected."""
        return self._peers.number

    @property
    def lonely(self) -> bool:
        """Whether somebody is missing, who should be connected."""
        return not self._bound and not self.peers

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Send a document."""
        message = b" ".join([self._prefix, name.encode(), pack(doc)])
        with self._lock:  # a socket is for one thread at a time
            self._socket.send(message)

    def flush(self) -> bool:
        """0MQ does not say what has been sent; it is taken for granted."""
        return True

    def close(self) -> None:
        """Send what waits, for two seconds at most, and no more."""
        with self._lock:
            self._peers.close()
            self._socket.close()
