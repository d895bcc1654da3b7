"""Documents that bluesky's ``Publisher`` sends over 0MQ, straight or by a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from types import TracebackType
from typing import Any, Self

import zmq

from .address import Address
from .curve import CurveKeys
from .refusals import Refusals
from .wire import MOST_BYTES, Refused, split_message, unpack, unpack_pickles_too
from .zmq_socket import open_socket

POLL_MS = 100
WAITING_MESSAGES = 1000


class ZmqSource:
    """Receives documents; what is none is counted and dropped.

    Parameters
    ----------
    address
        Of a proxy's way out, or ours, if publishers connect to it.
    prefix
        Only messages of publishers with this one are read; empty: of all.
    keys
        For CURVE.
    allow_pickle
        Whether pickled documents are read, which may run any code.
    most_bytes
        Larger messages are dropped.

    Attributes
    ----------
    received
        How many documents came.
    refused
        How many messages were dropped, by reason.

    Raises
    ------
    OSError
        The address cannot be had.
    """

    def __init__(
        self,
        address: Address,
        *,
        prefix: bytes = b"",
        keys: CurveKeys | None = None,
        allow_pickle: bool = False,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.received = 0
        self.refused = Refusals()
        self._prefix, self._most_bytes = prefix, most_bytes
        self._read = unpack_pickles_too if allow_pickle else unpack
        self._socket = open_socket(zmq.SUB, address, keys, waiting=WAITING_MESSAGES)
        self._socket.setsockopt(zmq.SUBSCRIBE, prefix)

    def documents(self, over: Event) -> Iterator[tuple[str, dict[str, Any]] | None]:
        """Documents as they come, until `over` is set; None now and then while none come."""
        while not over.is_set():
            if not self._socket.poll(POLL_MS):
                yield None
                continue
            try:
                document = self._document(self._socket.recv(copy=False))
            except Refused as error:
                self.refused.add(error)
                continue
            if document is not None:
                self.received += 1
                yield document

    def _document(self, message: zmq.Frame) -> tuple[str, dict[str, Any]] | None:
        if len(message) > self._most_bytes:
            raise Refused("too large", f"it has {len(message)} bytes; more than {self._most_bytes} are not read")
        if message.more:
            while self._socket.getsockopt(zmq.RCVMORE):
                self._socket.recv(copy=False)
            raise Refused("garbage", "it has several parts")
        prefix, name, payload = split_message(message.bytes)
        if self._prefix and prefix != self._prefix:  # 0MQ compares how they begin
            return None
        return name, self._read(payload)

    def acknowledge(self) -> None:
        """0MQ keeps nothing that could be asked for again."""

    def close(self) -> None:
        """Receive no more."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
