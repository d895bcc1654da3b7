"""Calls that only the main thread may make: windows are opened there."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

_WAITING: deque[Callable[[], Any]] = deque()
_QT_CALLER: list[Any] = []  # made with the first window of Qt, kept for ever


def call_in_main_thread(func: Callable[[], Any]) -> None:
    """Call `func` in the main thread: at once if this is it, else when that waits for a plan.

    With Qt that is when its loop is turned, also at the prompt; with other toolkits, in `KeepWindowsAlive`.
    """
    if threading.current_thread() is threading.main_thread():
        func()
        return
    _WAITING.append(func)
    for caller in _QT_CALLER:
        caller.wanted.emit()


def turn_main_thread() -> None:
    """Make the calls that wait; to be called in the main thread."""
    while _WAITING:
        func = _WAITING.popleft()
        try:
            func()
        except Exception:
            logger.exception("a window could not be opened")


def expect_calls(canvas: Any) -> None:
    """Have the toolkit of a window make them, if it can be told to from another thread. In the main thread."""
    if getattr(canvas, "required_interactive_framework", None) != "qt" or _QT_CALLER:
        return
    from matplotlib.backends import qt_compat

    core: Any = qt_compat.QtCore  # type: ignore[attr-defined]

    class Caller(core.QObject):
        wanted = core.Signal()

        @core.Slot()
        def call(self) -> None:
            turn_main_thread()

    caller = Caller()
    caller.wanted.connect(caller.call, core.Qt.ConnectionType.QueuedConnection)
    _QT_CALLER.append(caller)
