"""The queue between the scan and the reduction: bounded in frames, never in documents."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from .messages import DarkPassedOver, DarkReceived, FramesPassedOver, ImagesReceived, Message

MOST_MESSAGES = 100_000
LONGEST_START_S = 600.0


class FrameQueue:
    """Messages in order, of which at most `size` frames are held in memory.

    Parameters
    ----------
    size
        How many frames in memory may wait. Frames that are references into files do not count, but there are
        never more than 100 000 messages.
    when_full
        ``"block"``: the caller waits, at most `block_timeout` seconds and only while somebody takes messages,
        then its frame is dropped; seconds in which the reduction is `starting` do not count. ``"drop_oldest"``: the
        frame that waited longest is dropped. ``"latest"``: all that wait are dropped. Darks take room as frames do, and
        are not dropped for others: all that follow need them.
    block_timeout
        In seconds.
    alive
        Whether somebody takes messages.
    starting
        Whether whoever takes them is not ready yet: on a fresh installation loops are compiled, for up to minutes on a
        busy machine.
    """

    def __init__(
        self,
        size: int,
        when_full: str,
        block_timeout: float,
        alive: Callable[[], bool] = lambda: True,
        starting: Callable[[], bool] = lambda: False,
    ) -> None:
        self.size = size
        self.when_full = when_full
        self._block_timeout = block_timeout
        self._alive = alive
        self._starting = starting
        self._messages: deque[Message] = deque()
        self._frames = 0
        self._ending = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message) -> None:
        """Append a message; frames may have to be dropped, in which case the message that says so takes their place."""
        with self._changed:
            if isinstance(message, (ImagesReceived, DarkReceived)) and not self._made_room(message):
                message = _dropped(message) if isinstance(message, ImagesReceived) else message
            self._messages.append(message)
            self._frames += _frames_in_memory(message)
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> Message | None:
        """The next message; None if there was none for `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._messages or self._ending, timeout)
            if not self._messages:
                return None
            message = self._messages.popleft()
            self._frames -= _frames_in_memory(message)
            self._changed.notify_all()
            return message

    def peek(self) -> Message | None:
        """What `get` will give next if nothing is dropped; None if nothing waits."""
        with self._changed:
            return self._messages[0] if self._messages else None

    def end(self) -> None:
        """Have nobody wait for messages any more."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def drop_frames(self) -> None:
        """Drop every frame that waits, so that what remains takes no time."""
        with self._changed:
            for position, waiting in enumerate(self._messages):
                if isinstance(waiting, (ImagesReceived, DarkReceived)):
                    self._messages[position] = _dropped(waiting)
            self._frames = 0
            self._changed.notify_all()

    def _made_room(self, message: Message) -> bool:
        """Make room for a message as the policy says; whether there is some."""
        wanted = _frames_in_memory(message)
        if self._fits(wanted):
            return True
        if self.when_full == "block":
            now = time.monotonic()
            deadline, started_by = now + self._block_timeout, now + LONGEST_START_S
            while not self._fits(wanted):
                now = time.monotonic()
                if now < started_by and self._starting():
                    deadline = now + self._block_timeout
                left = deadline - now
                if left <= 0 or not self._alive():
                    return False
                self._changed.wait(min(left, 0.1))
            return True
        for position, waiting in enumerate(self._messages):
            if self.when_full == "drop_oldest" and self._fits(wanted):
                break
            # A reference into a file holds no memory: dropping it would make no room, but for too many messages.
            if isinstance(waiting, ImagesReceived) and (waiting.in_memory or not self._short()):
                self._messages[position] = _dropped(waiting)
                self._frames -= _frames_in_memory(waiting)
        return self._fits(wanted)

    def _short(self) -> bool:
        return len(self._messages) < MOST_MESSAGES

    def _fits(self, frames: int) -> bool:
        # An event that holds more frames than the queue may is let in when no other frame waits.
        in_memory = frames == 0 or self._frames == 0 or self._frames + frames <= self.size
        return in_memory and self._short()


def _frames_in_memory(message: Message) -> int:
    images = message.images if isinstance(message, DarkReceived) else message
    return images.frames if isinstance(images, ImagesReceived) and images.in_memory else 0


def _dropped(message: ImagesReceived | DarkReceived) -> FramesPassedOver | DarkPassedOver:
    if isinstance(message, DarkReceived):
        return DarkPassedOver(message.images.run_uid, "dropped")
    return FramesPassedOver(message.run_uid, message.event["uid"], message.frames, "dropped")
