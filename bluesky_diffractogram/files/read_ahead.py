"""Reading the next frame while the last one is worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TypeVar

THREAD = "diffractogram-reader"

_Index = TypeVar("_Index")
_Frame = TypeVar("_Frame")


def read_ahead(
    read: Callable[[_Index], _Frame], indices: Sequence[_Index], *, depth: int = 1
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
    if len(indices) < 2:  # nothing to be ahead of
        for index in indices:
            yield partial(read, index)
        return
    waiting: deque[Callable[[], _Frame]] = deque()
    pool = ThreadPoolExecutor(1, thread_name_prefix=THREAD)
    try:
        for index in indices:
            waiting.append(_later(pool, partial(read, index)))
            if len(waiting) > depth:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def begin_reading(read: Callable[[], _Frame]) -> Callable[[], _Frame]:
    """Read one frame in another thread, for somebody who will ask for it soon.

    Returns
    -------
    callable
        Gives the frame, or raises what `read` raised.
    """
    return _later(_one_ahead(), read)


def _later(pool: ThreadPoolExecutor, read: Callable[[], _Frame]) -> Callable[[], _Frame]:
    try:
        return pool.submit(read).result
    except RuntimeError:  # the interpreter is ending, which lets no executor begin anything
        return read


@cache
def _one_ahead() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix=THREAD)
