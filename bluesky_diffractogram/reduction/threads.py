"""Work that is done side by side, and at the interpreter's end one after the other; what holds in one thread only."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

# Each may take memory for several numbers of every pixel.
MOST_THREADS = 8
MOST_THREADS_OF_A_FRAME = 4

_T = TypeVar("_T")


class OfThisThread(threading.local):
    """What holds in one thread only, as long as that is within ``with self.holds():``."""

    now = False

    @contextmanager
    def holds(self) -> Iterator[None]:
        """Make it hold here."""
        self.now = True
        try:
            yield
        finally:
            self.now = False


def cores() -> int:
    """How many cores this process may use, or fewer if OMP_NUM_THREADS says so, as batch systems and dask do."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return min(there, int(wanted)) if wanted.isdecimal() and int(wanted) > 0 else there


def submit(pool: ThreadPoolExecutor, work: Callable[..., _T], *arguments: Any) -> Future[_T] | None:
    """Have another thread do it; None when the interpreter is ending, which lets no executor begin anything."""
    try:
        return pool.submit(work, *arguments)
    except RuntimeError:
        return None


def side_by_side(work: Iterable[Callable[[], _T]]) -> list[_T]:
    """What each piece of work returns, in their order; as many are done at a time as there are cores, and at most 8."""
    work = list(work)
    if len(work) < 2:
        return [each() for each in work]
    with ThreadPoolExecutor(min(len(work), cores(), MOST_THREADS)) as pool:
        begun = [(each, submit(pool, each)) for each in work]
        return [each() if future is None else future.result() for each, future in begun]


def on_one_frame(work: Sequence[Callable[[], _T]]) -> list[_T]:
    """As `side_by_side`, in threads that are there from frame to frame: for work of milliseconds."""
    # One of the threads is this one, which would else only wait.
    begun = [submit(_pool(), each) for each in work[1:]]
    done = [work[0]()]
    for each, future in zip(work[1:], begun, strict=True):
        done.append(each() if future is None else future.result())
    return done


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_THREADS_OF_A_FRAME, thread_name_prefix="diffractogram-kernel")
