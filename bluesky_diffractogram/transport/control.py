"""Asking a service that runs, and telling it: one JSON message, one answer."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import zmq

from .address import Address
from .curve import CurveKeys
from .zmq_socket import open_socket

logger = logging.getLogger(__name__)

MOST_BYTES = 2**20
POLL_MS = 100
ANSWER_S = 10.0

Answers = Mapping[str, Callable[[Any], Any]]


class ControlRefused(Exception):
    """The service has refused a request; the message is its own."""


class ControlServer:
    """Answers requests in a thread of its own.

    Parameters
    ----------
    address
        Ours, where requests come.
    answers
        What gives the answer (as JSON has it), by the word that is asked with; each gets what came with the word.
    keys
        For CURVE.

    Raises
    ------
    OSError
        The address cannot be had.
    ValueError
        It is none of 0MQ's.
    """

    def __init__(self, address: Address, answers: Answers, keys: CurveKeys | None = None) -> None:
        self._answers = answers
        ours = replace(_of_0mq(address), bind=True)
        self._socket = open_socket(zmq.REP, ours, keys, most_bytes=MOST_BYTES)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="diffractogram-control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._over.is_set():
            if self._socket.poll(POLL_MS):
                self._socket.send(self._answer(b"".join(self._socket.recv_multipart())))

    def _answer(self, message: bytes) -> bytes:
        try:
            return json.dumps({"ok": True, "value": self._value(message)}, default=str).encode()
        except Exception as error:  # whatever is asked for, the next one is answered
            logger.info("a request is refused: %s", error)
            return json.dumps({"ok": False, "error": str(error) or type(error).__name__}).encode()

    def _value(self, message: bytes) -> Any:
        try:
            request = json.loads(message)
        except (ValueError, RecursionError):
            raise ValueError("a request is a JSON object") from None
        word = request.get("request") if isinstance(request, dict) else None
        if not isinstance(word, str) or word not in self._answers:
            raise ValueError(f"{word!r} is no request: allowed are {', '.join(self._answers)}")
        return self._answers[word](request.get("value"))


def _of_0mq(address: Address) -> Address:
    if address.kind != "0mq":
        raise ValueError(f"a control is at an address of 0mq://, not at {address.endpoint}")
    return address


def ask(
    address: Address, request: str, value: Any = None, *, keys: CurveKeys | None = None, timeout: float = ANSWER_S
) -> Any:
    """Ask a service.

    Parameters
    ----------
    address
        Of its control.
    request, value
        The word, and what goes with it.
    keys
        For CURVE.
    timeout
        How many seconds to wait for the answer.

    Raises
    ------
    ControlRefused
        It refuses.
    TimeoutError
        Nobody answers.
    ValueError
        The address is none of 0MQ's.
    """
    theirs = replace(_of_0mq(address), bind=False)
    socket = open_socket(zmq.REQ, theirs, keys)
    socket.linger = 0
    try:
        socket.send(json.dumps({"request": request, "value": value}).encode())
        if not socket.poll(round(timeout * 1000)):
            raise TimeoutError(f"nobody answers at {address.endpoint} within {timeout:g} s")
        answer = json.loads(socket.recv())
    finally:
        socket.close()
    if not answer.get("ok"):
        raise ControlRefused(answer.get("error", "refused"))
    return answer.get("value")
