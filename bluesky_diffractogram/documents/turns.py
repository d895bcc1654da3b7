"""One message after the other, by a worker or by the thread that brings them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from ..config import DiffractogramConfig
from .messages import Message
from .pipeline import Pipeline
from .worker import Worker

LOOK_EVERY_S = 0.05


class Turns:
    """Has a pipeline process messages in turn, whoever brings them.

    Parameters
    ----------
    pipeline
        Used by one thread at a time.
    on_error
        Gets what the pipeline raises.
    """

    def __init__(self, pipeline: Pipeline, on_error: Callable[[BaseException], None]) -> None:
        self._pipeline = pipeline
        self._on_error = on_error
        self._worker: Worker | None = None
        self._lock = threading.RLock()
        self._waiting: deque[Message] = deque()

    def start_worker(self, config: DiffractogramConfig, block_timeout: float, first: Callable[[], None]) -> None:
        """From now on a thread of its own does it, `first` something else."""
        self._worker = Worker(self._pipeline, config.queue_size, config.when_full, block_timeout, self._on_error, first)

    def limit(self, config: DiffractogramConfig) -> None:
        """Take over how many frames may wait, and what happens to more."""
        worker = self._worker
        if worker is not None:
            worker.queue.size, worker.queue.when_full = config.queue_size, config.when_full

    def put(self, message: Message) -> None:
        """Process a message, or leave it to the worker; from within the processing of another it comes after that."""
        worker = self._worker
        if worker is not None and worker.put(message):
            return
        with self._lock:
            self._waiting.append(message)
            if len(self._waiting) > 1:
                return
            while self._waiting:
                try:
                    self._pipeline.process(self._waiting[0])
                except Exception as error:
                    self._on_error(error)
                finally:
                    self._waiting.popleft()

    @property
    def busy(self) -> bool:
        """Whether a message waits or is being processed."""
        worker = self._worker
        return bool(self._waiting) or (worker is not None and worker.busy)

    def mark(self) -> int:
        """What has been handed over so far, for `is_past`."""
        worker = self._worker
        return 0 if worker is None else worker.mark()

    def is_past(self, mark: int) -> bool:
        """Whether what had been handed over by then is done, see `Worker.is_past`."""
        worker = self._worker
        return not self._pipeline.waiting_after_stop if worker is None else worker.is_past(mark)

    def retry(self) -> None:
        """Try parked frames again; a worker does so by itself."""
        if self._worker is None and self._pipeline.parked:
            with self._lock:
                self._pipeline.retry()

    def wait(self, timeout: float | None) -> bool:
        """Wait until all is done, see `Worker.wait`; in the calling thread only files are waited for."""
        if self._worker is not None:
            return self._worker.wait(timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._pipeline.waiting_after_stop:
            self.retry()
            if deadline is not None and time.monotonic() > deadline:
                return False
            time.sleep(LOOK_EVERY_S)
        return True

    def close(self, timeout: float, reason: str) -> None:
        """End the worker, process what it left, and close the runs that are open."""
        worker = self._worker
        left = [] if worker is None else worker.end(timeout)
        self._worker = None
        for message in left:
            self.put(message)
        with self._lock:
            self._pipeline.close(reason)
