"""Those who get the derived documents: called in order, each isolated from the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

logger = logging.getLogger(__name__)


class Subscribers:
    """Functions that are called with the same arguments, whatever one of them does.

    An exception in one is logged once for each kind, and reaches neither the caller nor the others.

    Parameters
    ----------
    what
        What they are, for the log.
    tokens
        Where their tokens come from.
    """

    def __init__(self, what: str, tokens: Iterator[int]) -> None:
        self._what = what
        self._subscribers: dict[int, _Direct | _OwnThread] = {}
        self._tokens = tokens
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._subscribers)

    def __contains__(self, token: int) -> bool:
        return token in self._subscribers

    def add(self, func: Callable[..., Any], *, own_thread: bool = False) -> int:
        """Add `func`, held strongly; returns the token with which to remove it."""
        if not callable(func):
            raise TypeError(f"a subscriber must be callable, not {func!r}")
        with self._lock:
            token = next(self._tokens)
            self._subscribers[token] = (_OwnThread if own_thread else _Direct)(func, self._what)
            return token

    def remove(self, token: int) -> None:
        """Remove a subscriber; one that has a thread of its own gets what it was already sent. KeyError if unknown."""
        with self._lock:
            subscriber = self._subscribers.pop(token, None)
        if subscriber is None:
            raise KeyError(f"no subscriber has the token {token}")
        subscriber.close()

    def call(self, *args: Any) -> None:
        """Call every subscriber."""
        for subscriber in list(self._subscribers.values()):
            subscriber.call(*args)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until those with threads of their own have got everything; False if that takes longer.

        Raises
        ------
        RuntimeError
            When called by one of them, which would wait for itself.
        """
        return all(subscriber.wait(timeout) for subscriber in list(self._subscribers.values()))


class _Direct:
    def __init__(self, func: Callable[..., Any], what: str) -> None:
        self._func, self._what = func, what
        self._known: set[str] = set()

    def call(self, *args: Any) -> None:
        try:
            self._func(*args)
        except (Exception, SystemExit) as error:
            kind = type(error).__name__
            if kind not in self._known:
                self._known.add(kind)
                logger.exception("%s %r raised; further exceptions of this kind are not logged", self._what, self._func)

    def wait(self, timeout: float | None = None) -> bool:
        return True

    def close(self) -> None:
        pass


class _OwnThread(_Direct):
    """Called in a thread of its own, for slow sinks: what they take longer for waits here and not in the worker."""

    def __init__(self, func: Callable[..., Any], what: str) -> None:
        super().__init__(func, what)
        self._waiting: Queue[tuple[Any, ...] | None] = Queue()
        self._idle = threading.Event()
        self._idle.set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"diffractogram-{what}", daemon=True)
        self._thread.start()

    def call(self, *args: Any) -> None:
        with self._lock:
            self._idle.clear()
            self._waiting.put(args)

    def _run(self) -> None:
        while True:
            args = self._waiting.get()
            if args is None:
                self._idle.set()
                return
            super().call(*args)
            with self._lock:
                if self._waiting.empty():
                    self._idle.set()

    def wait(self, timeout: float | None = None) -> bool:
        if threading.current_thread() is self._thread:
            raise RuntimeError("wait() was called by a subscriber in its own thread: it would wait for itself")
        return self._idle.wait(timeout)

    def close(self) -> None:
        self._waiting.put(None)
