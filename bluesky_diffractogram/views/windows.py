"""Keeping plots' windows alive while the main thread waits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from bluesky.utils import DuringTask

from .browser_messages import BrowserMessages
from .main_thread import turn_main_thread
from .redraw import turn_clocks

logger = logging.getLogger(__name__)

TURN_S = 0.03


class KeepWindowsAlive(DuringTask):
    """Turns the event loop of every open matplotlib window, of any toolkit, while a plan runs.

    bluesky's own default does so for Qt only: with Tk, GTK or macOS, windows stand still until the plan ends. In a
    Jupyter notebook (ipympl) figures are drawn, and clicks in the browser are handled, which otherwise wait for the
    end of the cell. Windows that were closed during an earlier run come back with the next one.

    Examples
    --------
    >>> RE = RunEngine({}, during_task=KeepWindowsAlive())  # doctest: +SKIP
    """

    _failed = False

    def block(self, blocking_event: threading.Event) -> None:
        """Wait for the plan's end."""
        from matplotlib._pylab_helpers import Gcf

        if threading.current_thread() is not threading.main_thread():  # windows are for that one
            blocking_event.wait()
            return
        with BrowserMessages() as browser:
            while not blocking_event.wait(TURN_S):
                for manager in Gcf.get_all_fig_managers():
                    self._guarded(manager.canvas.flush_events)
                self._guarded(browser.turn)
                self._guarded(turn_clocks)
                turn_main_thread()

    def _guarded(self, turn: Callable[[], Any]) -> None:
        """A window that fails, closed at the wrong moment say, is no reason to end the scan."""
        try:
            turn()
        except Exception:
            if not self._failed:
                logger.exception("a window could not be kept alive; this is said once")
            self._failed = True


def wait_until_closed(canvas: Any) -> None:
    """Turn the event loop of a figure's window until somebody closes it."""
    closed = threading.Event()
    canvas.mpl_connect("close_event", lambda _: closed.set())
    while not closed.wait(TURN_S):
        canvas.flush_events()
