"""The thread that reduces while the scan goes on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from .frame_queue import FrameQueue
from .messages import ImagesReceived, Message
from .pipeline import Pipeline

logger = logging.getLogger(__name__)

RETRY_EVERY_S = 0.1
GRACE_S = 10.0


class Worker:
    """Takes messages from a queue in a daemon thread and gives them to a pipeline.

    Parameters
    ----------
    pipeline
        Used by this thread alone.
    queue_size, when_full, block_timeout
        Of the queue, see `FrameQueue`.
    on_error
        Called with an exception that the pipeline let through.
    first
        Done in the thread before anything else.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        queue_size: int,
        when_full: str,
        block_timeout: float,
        on_error: Callable[[BaseException], None],
        first: Callable[[], None] = lambda: None,
    ) -> None:
        self._pipeline = pipeline
        self._first = first
        self._on_error = on_error
        self._ready = False
        self.queue = FrameQueue(queue_size, when_full, block_timeout, self._is_alive, lambda: not self._ready)
        self._state = threading.Condition()
        self._put = self._done = 0
        self._waiting_for_files = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="diffractogram-worker", daemon=True)
        self._thread.start()

    def _is_alive(self) -> bool:
        return self._thread.is_alive()

    def put(self, message: Message) -> bool:
        """Hand a message over, which may wait as the queue's policy says; False when the worker has ended."""
        with self._state:
            if self._ended:
                return False
            self._put += 1
        self.queue.put(message)
        return True

    @property
    def busy(self) -> bool:
        """Whether something handed over is not done."""
        return self._put > self._done

    def mark(self) -> int:
        """What has been handed over so far, for `is_past`."""
        return self._put

    def is_past(self, mark: int) -> bool:
        """Whether what had been handed over by then is done, and no run that has ended waits for files."""
        return self._done >= mark and not self._waiting_for_files

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until everything handed over is done; False if that takes longer.

        Frames of a run that goes on, whose files cannot be read before it ends, are not waited for.

        Raises
        ------
        RuntimeError
            When called from the worker itself, which would wait for ever.
        """
        self._not_from_within("wait")
        with self._state:
            return self._state.wait_for(self._is_done, timeout)

    def end(self, timeout: float) -> list[Message]:
        """Finish what is queued, at most for `timeout` seconds, then drop the frames that are left, and end.

        Returns
        -------
        list of Message
            What nobody dealt with.

        Raises
        ------
        RuntimeError
            When called from the worker itself.
        """
        self._not_from_within("close")
        self.wait(timeout)
        self.queue.drop_frames()
        with self._state:
            self._ended = True
        self.queue.end()
        self._thread.join(GRACE_S)
        if self._thread.is_alive():
            logger.warning("the reduction of a frame did not end within %g s", GRACE_S)
        left = []
        while (message := self.queue.get(0)) is not None:
            left.append(message)
        return left

    def _not_from_within(self, what: str) -> None:
        if threading.current_thread() is self._thread:
            raise RuntimeError(
                f"{what}() was called from the reduction's own thread, by a subscriber: it would never end"
            )

    def _is_done(self) -> bool:
        return self.is_past(self._put)

    def _run(self) -> None:
        last_retry = time.monotonic()
        self._guarded(self._first)
        while not (self._ended and len(self.queue) == 0):
            message = self.queue.get(RETRY_EVERY_S)
            if message is not None:
                following = self.queue.peek()
                self._guarded(lambda: self._pipeline.process(message, following))  # noqa: B023  (called at once)
                self._ready |= isinstance(message, ImagesReceived)  # all is compiled, and the table is there
                del following
            if self._pipeline.parked and time.monotonic() - last_retry >= RETRY_EVERY_S:
                self._guarded(self._pipeline.retry)
                last_retry = time.monotonic()
            with self._state:
                self._done += message is not None
                self._waiting_for_files = self._pipeline.waiting_after_stop
                if self._is_done():
                    self._state.notify_all()
            del message  # it may hold a frame, which must not stay while this thread waits for the next

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # a subscriber's SystemExit must not end this thread, and with it all reductions
            self._on_error(error)
