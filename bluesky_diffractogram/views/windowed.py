"""A view with a figure of its own: its window is opened, closed, and opened again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .main_thread import call_in_main_thread
from .picture_figure import PictureFigure
from .redraw import View, new_figure
from .reopening import give_window


class WindowedView(View):
    """A view in a window, or without one where there is no display.

    A window that somebody has closed comes back when the next run begins, with all that it showed, as the plots of
    bluesky's `BestEffortCallback` do; in the rest of the run in which it was closed it does not. Closed by `close` it
    stays closed. `show` brings it back at once in either case.

    Parameters
    ----------
    figsize
        Width and height in inches.
    title
        The window's title.
    """

    figure: PictureFigure

    def __init__(self, figsize: tuple[float, float], title: str) -> None:
        super().__init__()
        self.figure = new_figure(PictureFigure, figsize=figsize)
        self.figure.prepared = self._for_picture
        self._title = title
        self._comes_back, self._coming = True, False
        self._manager: Any = None
        self._drawn_in_between: Callable[[], None] | None = None

    def redraw_by_clock(self, quick: Callable[[], None] | None = None) -> None:
        """See `View.redraw_by_clock`."""
        self._drawn_in_between = quick
        self._manager = self.figure.canvas.manager
        if self._manager is not None:
            self._manager.set_window_title(self._title)
        super().redraw_by_clock(quick)

    @property
    def live(self) -> bool:
        """Whether it has a window, that is still open."""
        return self._clock is not None and self._clock.running

    @property
    def closed(self) -> bool:
        """Whether it had a window, which is closed and not about to come back."""
        return self._clock is not None and self._clock.closed and not self._coming

    def show(self) -> None:
        """Open the window, also one that was closed, without waiting; nothing where there is no display.

        On the main thread.
        """
        self._coming, self._comes_back = False, True
        if self.closed and give_window(self.figure, self._manager):
            self.window_opened()
            self.redraw_by_clock(self._drawn_in_between)
            self._news.set()
        manager: Any = self.figure.canvas.manager
        if self.live and manager is not None:
            manager.show()

    def window_opened(self) -> None:
        """The figure has another window than before: what is of the former has to be forgotten."""

    def close(self) -> None:
        """Close the window, if there is one, until `show`, and stop redrawing. On the main thread."""
        self._comes_back = False
        if self._clock is not None:
            self._clock.stop()
        if self.figure.canvas.manager is not None:
            import matplotlib.pyplot as plt

            plt.close(self.figure)

    def run_begins(self) -> None:
        """Have a window that somebody has closed come back. From any thread."""
        if self.closed and self._comes_back:
            self._coming = True
            call_in_main_thread(self._return)

    def _return(self) -> None:
        if self._coming:  # else it was shown, or closed, meanwhile
            self.show()

    @contextmanager
    def _for_picture(self) -> Iterator[None]:
        """Bring the figure up to date, all of it, while a picture is saved by whoever does."""
        with self._drawing:
            self.refresh(full=True)
            try:
                yield
            finally:
                self._news.set()
