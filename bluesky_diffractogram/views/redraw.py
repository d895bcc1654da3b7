"""When a figure is drawn, and on which thread: never by who brings the data."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .main_thread import expect_calls
from .web_page import call_where_drawn, drawn_here, handle_events_one_at_a_time

if TYPE_CHECKING:
    from matplotlib.backend_bases import FigureCanvasBase
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

_RUNNING: weakref.WeakSet[RedrawClock] = weakref.WeakSet()

INTERVAL = 0.1
# of the GUI thread's time; the rest belongs to the person
LARGEST_SHARE = 1 / 3
# While something else in this process computes, drawing takes the interpreter from it: from the scan, say.
BUSY = 0.3  # of a processor
SHARE_WHEN_BUSY = 1 / 20  # half of it for quick drawings, where there are any
BRISK_S = 3.0
SWITCH_INTERVAL = 5e-4  # s
LONGEST_REST = 4.0  # s, however long a drawing takes


def has_event_loop(canvas: FigureCanvasBase) -> bool:
    """Whether timers of `canvas` ever fire; those of Agg, PDF and the notebook's inline backend do not."""
    from matplotlib.backend_bases import TimerBase

    return type(canvas.new_timer(interval=1000)) is not TimerBase


def display_available() -> bool:
    """Whether matplotlib's backend, chosen or found, can open a live window here.

    It is tried with a window that is never shown. False outside the main thread, where no window may be opened.
    """
    available = _interactive_figure() is not None
    # Tk aborts the process if what is left of its window is collected by another thread later, by a worker of ours say.
    gc.collect()
    return available


def new_figure(kind: type[Figure] | None = None, **kwargs: Any) -> Any:
    """A figure in a window where one can be opened, else one that can only be drawn and saved.

    The latter is not known to pyplot: it goes when its last reference goes.

    Parameters
    ----------
    kind
        Its class; None: matplotlib's.
    **kwargs
        Passed on to that.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = _interactive_figure(keep=True, FigureClass=kind or Figure, **kwargs)
    if figure is None:
        figure = (kind or Figure)(**kwargs)
        FigureCanvasAgg(figure)
    return figure


def adopted(figure: Figure) -> bool:
    """Give a window to a figure that has none any more; False where none can be opened."""
    return _interactive_figure(keep=True, FigureClass=lambda **_: figure) is not None


def _interactive_figure(*, keep: bool = False, **kwargs: Any) -> Figure | None:
    if threading.current_thread() is not threading.main_thread():
        return None
    import matplotlib.pyplot as plt

    try:
        with plt.ioff():  # otherwise IPython shows it at once
            figure = plt.figure(**kwargs)
    except (ImportError, RuntimeError) as error:  # the backend wants a display (Qt: another than that), or is not there
        logger.info("no window can be opened: %s", error)
        return None
    alive = has_event_loop(figure.canvas)
    if not (keep and alive):
        plt.close(figure)
    return figure if alive else None


def turn_clocks() -> None:
    """Do what the timers of windows would do whose event loop is the main thread's own, a Jupyter kernel's say.

    To be called in the main thread when it waits for something else.
    """
    for clock in list(_RUNNING):
        clock.turn()


class RedrawClock:
    """Looks, on the canvas's own thread, whether there is something new, and draws it then.

    At most every `interval` seconds, and so that drawing takes no more than a third of that thread's time, or a
    twentieth while the process is busy with something else. A canvas without an event loop gets no timer and no
    thread; who owns it calls ``draw()``.

    Parameters
    ----------
    figure
        What is drawn.
    changed, draw
        Whether there is something new; draw it.
    interval
        In seconds.
    quick
        Draws what it can with little work, in between.

    Attributes
    ----------
    running, closed
        Whether it draws; whether it did, in a window that is gone.

    Raises
    ------
    RuntimeError
        Called outside the main thread for a canvas with an event loop.
    """

    def __init__(
        self,
        figure: Figure,
        changed: Callable[[], bool],
        draw: Callable[[], None],
        interval: float = INTERVAL,
        quick: Callable[[], None] | None = None,
    ) -> None:
        self._changed = changed
        self._draw, self._quick = draw, quick
        self._rest_until = self._complete_from = self._brisk_until = 0.0
        self._drawn_at = (time.monotonic(), time.process_time())
        self._failed = False
        self.closed = False
        self.running = has_event_loop(figure.canvas)
        if not self.running:
            return
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("make views of a window on the main thread, before the scan")
        self._canvas = figure.canvas
        self._timer = figure.canvas.new_timer(interval=int(1000 * interval))
        self._timer.add_callback(self.tick)
        call_where_drawn(self._canvas, self._timer.start)
        figure.canvas.mpl_connect("close_event", self.stop)
        _RUNNING.add(self)

    def hasten(self) -> None:
        """Draw at the next tick, and often for a while: somebody has clicked and waits to see what comes of it."""
        self._rest_until = self._complete_from = 0.0
        self._brisk_until = time.monotonic() + BRISK_S

    def tick(self) -> None:
        """Draw if there is something new and the last drawing is long enough ago."""
        begin = time.monotonic()
        if begin < self._rest_until or not self._changed():
            return
        complete = self._quick is None or begin >= self._complete_from
        since, used = self._drawn_at
        busy = time.process_time() - used > BUSY * (begin - since)
        share = LARGEST_SHARE
        if busy and begin > self._brisk_until:
            share = SHARE_WHEN_BUSY if self._quick is None else SHARE_WHEN_BUSY / 2
        try:
            with _yielding():
                (self._draw if complete or self._quick is None else self._quick)()
        except Exception:  # toolkits end the process, or stop the timer, at an exception in a timer
            if not self._failed:
                logger.exception("the figure cannot be drawn; this is said once")
            self._failed = True
        end = time.monotonic()
        self._drawn_at = (end, time.process_time())
        rest = (end - begin) * (1 / share - 1)
        if busy:
            rest = min(rest, LONGEST_REST)
        if complete and self._quick is not None:
            self._complete_from, rest = end + rest, 0.0
        self._rest_until = end + rest

    def turn(self) -> None:
        """`tick`, if no call of the toolkit's would make the timer fire meanwhile."""
        from matplotlib.backend_bases import FigureCanvasBase

        turned = type(self._canvas).flush_events is not FigureCanvasBase.flush_events
        if self.running and not turned and drawn_here(self._canvas):
            self.tick()

    def stop(self, event: Any = None) -> None:
        """Draw no more: the window is gone."""
        if self.running:
            call_where_drawn(self._canvas, self._timer.stop)
            _RUNNING.discard(self)
            self.closed = True
        self.running = False


@contextmanager
def _yielding() -> Iterator[None]:
    """Let other threads have the interpreter often.

    bluesky passes each message between threads, and at every turn waits for who draws to let go of the interpreter:
    by default for 5 ms, with which a drawing of 0.1 s would hold up a scan for 0.5 s.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, SWITCH_INTERVAL))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class View:
    """What all views share: documents come from any thread and are stored; drawing is asked for, or a clock's.

    A subclass stores what a document brings under `_lock`, sets `_news`, and brings its artists up to date in
    `refresh`.
    """

    figure: Figure

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drawing = threading.RLock()
        self._news = threading.Event()
        self._clock: RedrawClock | None = None

    def redraw_by_clock(self, quick: Callable[[], None] | None = None) -> None:
        """Redraw whenever there is something new, if the figure has a window; see `RedrawClock`."""
        handle_events_one_at_a_time(self.figure.canvas, self._drawing)
        expect_calls(self.figure.canvas)
        self._clock = RedrawClock(self.figure, self.changed, self.draw, quick=quick)

    def changed(self) -> bool:
        """Whether there is something that is not drawn yet."""
        return self._news.is_set()

    def hasten(self) -> None:
        """Draw what is new without the pause that lets others compute: somebody has clicked. From any thread."""
        if self._clock is not None:
            self._clock.hasten()

    def refresh(self, *, full: bool = False) -> None:
        """Bring the artists up to date with what has come; nothing is rendered.

        Parameters
        ----------
        full
            Give the artists all values, for a file; otherwise what the screen can show is enough.
        """
        raise NotImplementedError

    def draw(self) -> None:
        """Bring the figure up to date and render it, now. On the main thread if it has a window.

        A page in a browser is drawn by its server, soon.
        """
        if not drawn_here(self.figure.canvas):
            self._news.set()
            return
        with self._drawing:
            self.refresh()
            self.figure.canvas.draw()

    def save(self, path: str | Path, **kwargs: Any) -> None:
        """Write the figure, brought up to date, to a file; no display is needed.

        Parameters
        ----------
        path
            Its suffix says the format: ``.png``, ``.pdf``, ``.svg``.
        **kwargs
            Passed on to ``matplotlib.figure.Figure.savefig``.
        """
        with self._drawing:
            self.refresh(full=True)
            self.figure.savefig(path, **kwargs)
            self._news.set()
