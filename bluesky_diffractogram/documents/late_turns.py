"""Messages that wait while the frames in them are reduced elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .ahead import Ahead
from .messages import DarkPassedOver, DarkReceived, FramesPassedOver, ImagesReceived, Message
from .pipeline import Pipeline
from .turns import Turns


class LateTurns(Turns):
    """`Turns` that let messages wait, all in the thread that brings them; what waits is processed with `wait`.

    Parameters
    ----------
    pipeline, on_error
        As for `Turns`.
    ahead
        Sees each message when it comes.
    """

    def __init__(self, pipeline: Pipeline, on_error: Callable[[BaseException], None], ahead: Ahead) -> None:
        super().__init__(pipeline, on_error)
        self._ahead = ahead
        self._later: deque[Message] = deque()

    def put(self, message: Message) -> None:
        """Let a message wait, as long as `ahead` has room for what it brings."""
        message = _light(message)
        with self._lock:
            while self._later and self._ahead.full:
                super().put(self._later.popleft())
            may_wait = self._ahead.see(message)
            self._later.append(message)
            if not may_wait:
                self._all()

    def _all(self) -> None:
        while self._later:
            super().put(self._later.popleft())

    def wait(self, timeout: float | None) -> bool:
        """Process what waits."""
        with self._lock:
            self._all()
        return super().wait(timeout)

    def close(self, timeout: float, reason: str) -> None:
        """Close the runs that are open; frames that still wait are nobody's any more, and dropped."""
        with self._lock:
            self._later = deque(_dropped(message) for message in self._later)
            self._all()
        super().close(timeout, reason)


def _light(message: Message) -> Message:
    """Without arrays beside the image, of which many would be kept in memory and which nobody reads."""
    if not isinstance(message, ImagesReceived) or message.in_memory:
        return message
    data = message.event["data"]
    kept = {key: value for key, value in data.items() if not _is_array(value)}
    if len(kept) == len(data):
        return message
    return replace(message, event={**message.event, "data": kept})


def _is_array(value: Any) -> bool:
    # Of no dimensions it is a number, which may be carried or a monitor's.
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _dropped(message: Message) -> Message:
    if isinstance(message, DarkReceived):
        return DarkPassedOver(message.images.run_uid, "dropped")
    if not isinstance(message, ImagesReceived):
        return message
    return FramesPassedOver(message.run_uid, message.event["uid"], message.frames, "dropped")
