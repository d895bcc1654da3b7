"""Keeping a plot's window alive while the main thread waits."""

from __future__ import annotations

import threading
from typing import Any

from bluesky.utils import DuringTask

TURN_S = 0.03


class KeepWindowAlive(DuringTask):
    """Turns the event loop of a figure's window, of any toolkit, while a plan runs.

    bluesky's own default does so for Qt only.

    Parameters
    ----------
    canvas
        matplotlib's canvas of that figure.
    """

    def __init__(self, canvas: Any) -> None:
        super().__init__()
        self._canvas = canvas

    def block(self, blocking_event: threading.Event) -> None:
        """Wait for the plan's end."""
        while not blocking_event.wait(TURN_S):
            self._canvas.flush_events()


def wait_until_closed(canvas: Any) -> None:
    """Turn the event loop of a figure's window until somebody closes it."""
    closed = threading.Event()
    canvas.mpl_connect("close_event", lambda _: closed.set())
    while not closed.wait(TURN_S):
        canvas.flush_events()
