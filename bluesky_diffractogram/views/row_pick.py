"""Clicking a row of a heat-map shows that frame's curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .frame_rows import FrameRows
from .latest import SEPARATOR, ShownEvent
from .readout import row_index, row_words
from .rows import Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

MARK: dict[str, Any] = {"color": "white", "linewidth": 1.2, "linestyle": (0, (4, 3))}


class PickedGrid(Protocol):
    """What is needed of a heat-map: `LiveDiffractogramGrid` has it."""

    ax: Axes
    number: int

    @property
    def drawn(self) -> Rows | None:
        """The rows as they were last drawn."""


class RowPick:
    """Shows the curves of the row that was clicked, until Escape, `release`, or all rows are forgotten.

    Parameters
    ----------
    canvas
        That they are drawn on.
    rows
        What the heat-maps show, with the rows of the ranges that have none.
    grids
        Gives the heat-maps, of which others may come.
    hold
        Called with what is to be shown instead of the latest curves; None for these again.
    covered
        Whether a menu is open over the heat-maps.

    Attributes
    ----------
    picked
        The position of the row that is shown, or None.
    """

    def __init__(
        self,
        canvas: Any,
        rows: FrameRows,
        grids: Callable[[], Sequence[PickedGrid]],
        hold: Callable[[ShownEvent | None], Any],
        covered: Callable[[], bool] = lambda: False,
    ) -> None:
        self._rows, self._grids, self._hold, self._covered = rows, grids, hold, covered
        self._marks: dict[Axes, Line2D] = {}
        self.picked: int | None = None
        self._emptied = 0
        events: list[tuple[Any, Any]] = [("button_press_event", self._press), ("key_press_event", self._key)]
        for name, func in events:
            canvas.mpl_connect(name, func)

    def release(self) -> None:
        """Show the latest curves again."""
        if self.picked is None:
            return
        self.picked = None
        self._mark()
        self._hold(None)

    @property
    def stale(self) -> bool:
        """Whether the row that is shown is one of rows that were forgotten since."""
        return self.picked is not None and self._rows.emptied != self._emptied

    def follow(self) -> None:
        """Let go of a stale row, and mark others also in new heat-maps; to be called before these are drawn."""
        if self.stale:
            self.release()
        elif self.picked is not None:
            self._mark()

    def _press(self, event: Any) -> None:
        if event.button != 1 or self._covered() or getattr(getattr(event.canvas, "toolbar", None), "mode", ""):
            return
        for grid in self._grids():
            rows = grid.drawn
            if event.inaxes is not grid.ax or rows is None or not grid.ax.get_visible():
                continue
            index = row_index(rows, event.ydata)
            curves = {} if index is None else self._rows.curves(rows.emptied, rows.first + index)
            if index is not None and curves:
                self.picked, self._emptied = rows.first + index, rows.emptied
                # Of rows it is not kept where the detector was.
                length = None if rows.stream.moves else rows.stream.wavelength
                self._hold(ShownEvent(rows.stream, curves, {}, SEPARATOR.join(row_words(rows, index)), length))
                self._mark()
            return

    def _key(self, event: Any) -> None:
        if event.key == "escape" and not self._covered():
            self.release()

    def _mark(self) -> None:
        """Have a line at the picked row in every heat-map, or none."""
        from matplotlib.lines import Line2D

        wanted = {} if self.picked is None else {grid.ax: self.picked for grid in self._grids()}
        for ax in [ax for ax in self._marks if ax not in wanted]:
            mark = self._marks.pop(ax)
            if ax.figure is not None and mark in ax.lines:  # the heat-map may be gone
                mark.remove()
        for ax, row in wanted.items():
            if ax not in self._marks:
                mark = Line2D([0, 1], [row, row], zorder=3, transform=ax.get_yaxis_transform(), **MARK)
                ax.add_artist(mark)  # unlike a line of the axes', it alters no limits
                self._marks[ax] = mark
            self._marks[ax].set_ydata([row, row])
