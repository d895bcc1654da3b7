"""Documents that bluesky's ``Publisher`` sends over 0MQ, straight or by a proxy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from threading import Event
from types import TracebackType
from typing import Any, Self

import zmq

from .address import Address
from .curve import CurveKeys
from .refusals import Refusals
from .wire import MOST_BYTES, Refused, refuse_if_larger, split_message, unpack, unpack_pickles_too
from .zmq_peers import Peers
from .zmq_socket import open_socket

POLL_MS = 100
# Of 17 MB each, where frames of 4 Mpx are in the events; the publisher keeps a thousand more, by 0MQ's default.
WAITING_MESSAGES = 100
# Whoever sends a message that is this much larger is disconnected before it is here.
MUCH_LARGER = 4


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
        Larger messages are dropped; who sends one four times larger is disconnected.

    Attributes
    ----------
    endpoint
        The address as 0MQ has it.
    received
        How many documents came.
    refused
        How many messages were dropped, by reason.

    Raises
    ------
    OSError
        The address cannot be had.
    ValueError
        The prefix has a blank.
    """

    nobody = "no publisher or proxy is connected"

    def __init__(
        self,
        address: Address,
        *,
        prefix: bytes = b"",
        keys: CurveKeys | None = None,
        allow_pickle: bool = False,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        if b" " in prefix:
            raise ValueError(f"prefix {prefix!r}: a blank ends it")
        self.endpoint = address.endpoint
        self.received = 0
        self.refused = Refusals()
        self._prefix, self._most_bytes = prefix, most_bytes
        self._read = unpack_pickles_too if allow_pickle else unpack
        self._peers = Peers(bind=address.bind)
        most = MUCH_LARGER * most_bytes
        self._socket = open_socket(zmq.SUB, address, keys, waiting=WAITING_MESSAGES, most_bytes=most, peers=self._peers)
        self._socket.setsockopt(zmq.SUBSCRIBE, prefix)

    @property
    def peers(self) -> int:
        """How many are connected."""
        return self._peers.number

    @property
    def lonely(self) -> bool:
        """Whether somebody is missing, who should be connected."""
        return not self.peers

    @property
    def strangers(self) -> Counter[str]:
        """How many tries to connect have failed, by reason."""
        return self._peers.failed

    def documents(self, over: Event) -> Iterator[tuple[str, dict[str, Any]] | None]:
        """Documents as they come, until `over` is set; None now and then while none come.

        What has arrived by then is given still.
        """
        left = WAITING_MESSAGES
        while not over.is_set() or left:
            if not self._socket.poll(0 if over.is_set() else POLL_MS):
                if over.is_set():
                    return
                yield None
                continue
            left -= over.is_set()
            try:
                document = self._document(self._socket.recv(copy=False))
            except Refused as error:
                self.refused.add(error)
                document = None
            self.received += document is not None
            yield document

    def _document(self, message: zmq.Frame) -> tuple[str, dict[str, Any]] | None:
        refuse_if_larger(len(message), self._most_bytes)
        if message.more:
            while self._socket.getsockopt(zmq.RCVMORE):
                self._socket.recv(copy=False)
            raise Refused("garbage", "it has several parts")
        prefix, name, payload = split_message(message.buffer)
        if self._prefix and prefix != self._prefix:  # 0MQ compares how they begin
            return None
        return name, self._read(payload)

    def position(self, open_runs: Collection[str]) -> None:
        """0MQ keeps nothing that could be asked for again."""

    def acknowledge(self, position: None) -> None:
        """Nothing to be done, see `position`."""

    def close(self) -> None:
        """Receive no more."""
        self._peers.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
