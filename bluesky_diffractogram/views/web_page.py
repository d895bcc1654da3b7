"""matplotlib's WebAgg backend beside a program that does something else: its server has a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

BACKEND = "matplotlib.backends.backend_webagg"
START_S = 10.0


class _Server:
    """WebAgg's server, started when the first figure is made. matplotlib itself serves in `pyplot.show` only, which
    does not return, so that a page would be dead during a scan and at the prompt."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def call(self, func: Callable[[], Any]) -> None:
        """Call `func` in the server's thread, where pages are drawn and clicks are handled."""
        if threading.current_thread() is self._thread:
            func()
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="diffractogram-web-page", daemon=True)
                self._thread.start()
        if self._ready.wait(START_S) and self._loop is not None:
            self._loop.call_soon_threadsafe(func)

    def here(self) -> bool:
        """Whether this is the server's thread."""
        return threading.current_thread() is self._thread

    def _serve(self) -> None:
        from matplotlib.backends.backend_webagg import WebAggApplication

        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            WebAggApplication.initialize()
        except SystemExit as error:  # no free port
            logger.error("no page can be served: %s", error)
            self._ready.set()
            return
        WebAggApplication.started = True  # so that pyplot.show says where the page is, and returns
        self._loop = loop
        self._ready.set()
        loop.run_forever()


_SERVER = _Server()


def is_web_page(canvas: Any) -> bool:
    """Whether a canvas is drawn in a browser by WebAgg."""
    return type(canvas).__module__ == BACKEND


def call_where_drawn(canvas: Any, func: Callable[[], Any]) -> None:
    """Call `func` in the thread in which `canvas` is drawn: the server's for WebAgg, else this one, at once."""
    if is_web_page(canvas):
        _SERVER.call(func)
    else:
        func()


def drawn_here(canvas: Any) -> bool:
    """Whether `canvas` may be drawn in this thread."""
    return not is_web_page(canvas) or _SERVER.here()


def handle_events_one_at_a_time(canvas: Any, lock: Any) -> None:
    """Have a canvas in a browser take `lock` while it handles what the browser sends.

    It does so in another thread than the main one: WebAgg's server, or a subshell of a Jupyter kernel.
    """
    handle = getattr(canvas, "handle_event", None)
    if handle is None:
        return

    def locked(event: Any) -> Any:
        with lock:
            return handle(event)

    canvas.handle_event = locked
