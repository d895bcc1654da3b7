"""Reading the next frame while the last one is worked on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import chain, islice
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

THREAD = "diffractogram-reader"

_Index = TypeVar("_Index")
_Frame = TypeVar("_Frame")


def read_ahead(
    read: Callable[[_Index], _Frame], indices: Iterable[_Index], *, depth: int = 1
) -> Iterator[Callable[[], _Frame]]:
    """Read frames in another thread, a few ahead of who takes them.

    Parameters
    ----------
    read
        Reads one frame; called in order, never twice at the same time.
    indices
        What it is called with.
    depth
        How many frames are read before they are taken. Of few, those in use stay in the cache of the processor.

    Yields
    ------
    callable
        Gives the frame, or raises what `read` raised for it; the frames behind it are not lost thereby.
    """
    left = iter(indices)
    first = list(islice(left, 2))
    if len(first) < 2:  # nothing to be ahead of
        yield from (partial(read, index) for index in first)
        return
    waiting: deque[Callable[[], _Frame]] = deque()
    reader = Reader()
    try:
        for index in chain(first, left):
            waiting.append(reader.begin(partial(read, index)))
            if len(waiting) > depth:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        reader.end()


class Reader:
    """A thread that reads in order. The interpreter's end does not wait for it: a file system may never answer."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Future, Callable[[], Any]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name=THREAD, daemon=True).start()

    def begin(self, read: Callable[[], _Frame]) -> Callable[[], _Frame]:
        """Read one frame soon; gives what gives the frame, or raises what `read` raised."""
        future: Future[_Frame] = Future()
        self._work.put((future, read))
        return future.result

    def end(self) -> None:
        """End when what is being read now has been; the rest is not read."""
        with suppress(Empty):
            while (work := self._work.get_nowait()) is not None:
                work[0].cancel()  # whoever still asks for it is not to wait for ever
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            future, read = work
            try:
                future.set_result(read())
            except BaseException as error:
                future.set_exception(error)
            del work, future, read  # they hold a frame
