"""Those who get the derived documents: called in order, each isolated from the others."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

logger = logging.getLogger(__name__)

MOST_WAITING = 3000
PATIENCE_S = 60.0


class Patience:
    """What is left of a time in seconds, which several waits share; None is for ever."""

    def __init__(self, timeout: float | None) -> None:
        self._until = None if timeout is None else time.monotonic() + timeout

    def __call__(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - time.monotonic())


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

    def mark(self) -> dict[int, int]:
        """What those with threads of their own have been given so far, for `are_past`."""
        return {token: subscriber.given for token, subscriber in list(self._subscribers.items())}

    def are_past(self, mark: Mapping[int, int]) -> bool:
        """Whether all have dealt with what they had been given by then."""
        return all(subscriber.done >= mark.get(token, 0) for token, subscriber in list(self._subscribers.items()))

    def lost(self, token: int) -> int:
        """How many calls of a subscriber raised, or were left out as it was too slow; KeyError if unknown."""
        return self._subscribers[token].lost

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until those with threads of their own have got everything; False if that takes longer.

        Raises
        ------
        RuntimeError
            When called by one of them, which would wait for itself.
        """
        left = Patience(timeout)
        return all(subscriber.wait(left()) for subscriber in list(self._subscribers.values()))


class _Direct:
    def __init__(self, func: Callable[..., Any], what: str) -> None:
        self._func, self._what = func, what
        self._known: set[str] = set()
        self.given = self.done = self.lost = 0

    def call(self, *args: Any) -> None:
        try:
            self._func(*args)
        except (Exception, SystemExit) as error:
            self.lost += 1
            kind = type(error).__name__
            if kind not in self._known:
                self._known.add(kind)
                logger.exception("%s %r raised; further exceptions of this kind are not logged", self._what, self._func)

    def wait(self, timeout: float | None = None) -> bool:
        return True

    def close(self) -> None:
        pass


class _OwnThread(_Direct):
    """Called in a thread of its own, for slow sinks: what they take longer for waits here and not in the worker.

    Up to `MOST_WAITING` calls; with more the worker waits as well, for `PATIENCE_S`, and from then on what there is no
    room for is left out.
    """

    def __init__(self, func: Callable[..., Any], what: str) -> None:
        super().__init__(func, what)
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._changed = threading.Condition()
        self._busy = self._given_up = self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"diffractogram-{what}", daemon=True)
        self._thread.start()

    def call(self, *args: Any) -> None:
        with self._changed:
            if not self._has_room() and threading.current_thread() is not self._thread and not self._given_up:
                self._given_up = not self._changed.wait_for(self._has_room, PATIENCE_S)
                if self._given_up:
                    what = "%s %r is too slow: %d calls wait for it, and further ones are left out"
                    logger.error(what, self._what, self._func, MOST_WAITING)
            if self._has_room():
                self._given_up = False
                self._waiting.append(args)
                self.given += 1
                self._changed.notify_all()
            else:
                self.lost += 1

    def _has_room(self) -> bool:
        return len(self._waiting) < MOST_WAITING

    def _run(self) -> None:
        while True:
            with self._changed:
                self.done += self._busy
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                args = self._waiting.popleft()
                self._busy = True
                self._changed.notify_all()
            super().call(*args)
            del args

    def wait(self, timeout: float | None = None) -> bool:
        if threading.current_thread() is self._thread:
            raise RuntimeError("wait() was called by a subscriber in its own thread: it would wait for itself")
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._busy), timeout)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
