"""Clicking a row of a heat-map shows that frame's curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .latest import SEPARATOR, ShownEvent
from .readout import row_index, row_words
from .rows import Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

MARK = {"color": "white", "linewidth": 1.2, "linestyle": (0, (4, 3))}


class PickedGrid(Protocol):
    """What is needed of a heat-map: `LiveDiffractogramGrid` has it."""

    ax: Axes
    number: int

    @property
    def drawn(self) -> Rows | None:
        """The rows as they were last drawn."""


class RowPick:
    """Shows the curves of the row that was clicked, until Escape or `release`.

    Parameters
    ----------
    canvas
        That they are drawn on.
    grids
        Gives the heat-maps, of which others may come.
    hold
        Called with what is to be shown instead of the latest curves; None for these again.
    covered
        Whether a menu is open over the heat-maps.
    """

    def __init__(
        self,
        canvas: Any,
        grids: Callable[[], Sequence[PickedGrid]],
        hold: Callable[[ShownEvent | None], Any],
        covered: Callable[[], bool] = lambda: False,
    ) -> None:
        self._grids, self._hold, self._covered = grids, hold, covered
        self._marks: list[Line2D] = []
        self.picked: int | None = None
        self._first = 0
        self._canvas = canvas
        events: list[tuple[Any, Any]] = [("button_press_event", self._press), ("key_press_event", self._key)]
        for name, func in events:
            canvas.mpl_connect(name, func)

    def release(self) -> None:
        """Show the latest curves again."""
        if self.picked is None:
            return
        self.picked = None
        self._mark(None)
        self._hold(None)

    def follow(self) -> None:
        """Let go of a row if the heat-maps were emptied since; to be called when they have been drawn."""
        first = [grid.drawn.first for grid in self._grids() if grid.drawn is not None]
        if self.picked is not None and (not first or min(first) < self._first):
            self.release()

    def _press(self, event: Any) -> None:
        if event.button != 1 or self._covered() or getattr(getattr(self._canvas, "toolbar", None), "mode", ""):
            return
        for grid in self._grids():
            rows = grid.drawn
            if event.inaxes is not grid.ax or rows is None or not grid.ax.get_visible():
                continue
            index = row_index(rows, event.ydata)
            if index is not None:
                self.picked, self._first = rows.first + index, rows.first
                self._hold(picked_event(rows, index, self._grids()))
                self._mark(self.picked)
            return

    def _key(self, event: Any) -> None:
        if event.key == "escape" and not self._covered():
            self.release()

    def _mark(self, row: int | None) -> None:
        for mark in self._marks:
            if mark.axes is not None and mark in mark.axes.lines:  # the heat-map may be gone
                mark.remove()
        self._marks = []
        if row is not None:
            self._marks = [grid.ax.axhline(row, zorder=3, **MARK) for grid in self._grids()]  # type: ignore[arg-type]


def picked_event(rows: Rows, index: int, grids: Sequence[PickedGrid]) -> ShownEvent:
    """One row as an event of its own, with the same frame's rows of the other ranges.

    Parameters
    ----------
    rows, index
        The heat-map that was clicked, and which of its rows.
    grids
        All heat-maps. Those that were emptied at another time hold other frames under that number, and are left out.
    """
    curves = {}
    for grid in grids:
        other = grid.drawn
        alike = other is not None and other.first == rows.first and np.array_equal(other.seconds, rows.seconds)
        if other is not None and alike and grid.number in rows.stream.ranges:
            radial = other.stream.ranges[grid.number].radial
            curves[grid.number] = np.stack([radial, other.intensity[index]])
    return ShownEvent(rows.stream, curves, {}, SEPARATOR.join(row_words(rows, index)))
