"""Raw documents as they arrive: what they amount to, and which image came last."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from .intake import Intake
from .messages import FramesPassedOver, ImagesReceived, Message, RunAbandoned, RunStarted, RunStopped
from .setting import Setting


class Arrivals:
    """Turns raw documents into messages, and keeps the latest image; may be called by any thread.

    Parameters
    ----------
    clock, read_text
        See `Intake`.
    in_force
        Gives the setting of what arrives.
    on_error
        Gets what is wrong with a document.

    Attributes
    ----------
    intake
        Sorts the documents.
    latest
        The last message that brought an image, be it reduced or passed over.
    """

    def __init__(
        self,
        clock: Callable[[], float] | None,
        read_text: Callable[[str], str] | None,
        in_force: Callable[[], Setting],
        on_error: Callable[[Exception], None],
    ) -> None:
        self.intake = Intake(clock, read_text)
        self.latest: ImagesReceived | None = None
        self._in_force, self._on_error = in_force, on_error
        self._latest_start: dict[str, Any] = {}
        self._starts: dict[str, dict[str, Any]] = {}  # of the runs that are open
        self._lock = threading.Lock()

    def receive(self, name: str, doc: dict[str, Any]) -> list[Message]:
        """The messages that a document amounts to; those before the part of a page that is damaged."""
        messages: list[Message] = []
        with self._lock:
            try:
                for message in self.intake.receive(name, doc, self._in_force()):
                    messages.append(self._decide(message))
            except Exception as error:
                self._on_error(error)
        return messages

    def flush(self) -> list[Message]:
        """The frames of open runs that wait for their events."""
        return self._all(self.intake.flush)

    def abandon_silent(self, seconds: float) -> list[Message]:
        """The ends of runs of which no document has come for so long."""
        return self._all(lambda: self.intake.abandon_silent(seconds))

    def latest_with_start(self) -> tuple[ImagesReceived | None, dict[str, Any]]:
        """The latest image, and the start document of its run."""
        with self._lock:
            return self.latest, self._latest_start

    @property
    def open_runs(self) -> frozenset[str]:
        """The uids of the runs that have started and not stopped, those passed over too."""
        with self._lock:
            return self.intake.open_runs

    def _all(self, messages: Callable[[], Iterable[Message]]) -> list[Message]:
        with self._lock:
            return [self._decide(message) for message in messages()]

    def _decide(self, message: Message) -> Message:
        """The message, or that its frames are passed over."""
        if isinstance(message, RunStarted):
            self._starts[message.start["uid"]] = message.start
        elif isinstance(message, (RunStopped, RunAbandoned)):
            self._starts.pop(message.run_uid, None)
        if not isinstance(message, ImagesReceived):
            return message
        self.latest, self._latest_start = message, self._starts[message.run_uid]
        if self._in_force().config.show_diff:
            return message
        return FramesPassedOver(message.run_uid, message.event["uid"], message.frames, "not_requested")
