"""All that a person can do in the window: controls, dragging of edges, picking of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bluesky_diffractogram.reduction.pyfai_library import calibrant_names

from .commands import Commands
from .controls import Controls
from .latest import ShownEvent
from .range_drag import RangeDrag
from .row_pick import RowPick

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from .figure import DiffractogramFigure


class Interaction:
    """The controls of a `DiffractogramFigure`, and what its panels do when they are clicked.

    Parameters
    ----------
    view
        The figure.
    commands
        The callback that is commanded; None for what changes the looks alone.

    Attributes
    ----------
    controls, drag, pick
        What it is made of; `drag` is None without a callback.
    """

    def __init__(self, view: DiffractogramFigure, commands: Commands | None) -> None:
        self._view, self._commands = view, commands
        self.figure: Figure = view.figure
        self.controls = Controls(self, commands)
        focus = self.controls.focus
        self.pick = RowPick(view.figure.canvas, view.rows, lambda: view.grids, self._hold, lambda: focus.covered)
        self.drag: RangeDrag | None = None
        if commands is not None:
            self.drag = RangeDrag(
                view.image, focus, lambda: commands.config, self.controls.configure, self.controls.refuse
            )
            view.image.ax.format_coord = self._image_readout  # type: ignore[method-assign]
        self.place()
        for name, func in (("resize_event", self._resized), ("close_event", self._closed)):
            canvas: Any = view.figure.canvas
            canvas.mpl_connect(name, func)

    # -- what the controls ask of the figure --------------------------------------------------------------

    @property
    def scale(self) -> str:
        """The scale of the intensities."""
        return self._view.scale

    @property
    def calibrant(self) -> str | None:
        """The calibrant whose lines are drawn."""
        return self._view.calibrant

    @property
    def live_curves(self) -> bool:
        """Whether the latest curves are shown, not those of a row."""
        return not self._view.curves.held

    @property
    def main_plot(self) -> str:
        """What the main panel is to show."""
        return self._view.main_plot

    def main_plots(self) -> Sequence[str]:
        """See `DiffractogramFigure.main_plots`."""
        self._tell_what_there_is()
        return self._view.main_plots()

    def set_main_plot(self, main_plot: str) -> None:
        """See `DiffractogramFigure.set_main_plot`."""
        self._tell_what_there_is()
        self._view.set_main_plot(main_plot)

    def _tell_what_there_is(self) -> None:
        if self._commands is not None:  # a figure that is not the callback's own is told by nobody else
            self._view.set_diff_number(self._commands.config.diff_number)
            self._view.set_cake(self._commands.config.cake is not None)

    def calibrants(self) -> Sequence[str]:
        """Those that pyFAI knows."""
        return calibrant_names()

    def set_scale(self, scale: Any) -> None:
        """See `DiffractogramFigure.set_scale`."""
        self._view.set_scale(scale)

    def set_calibrant(self, name: str | None) -> None:
        """See `DiffractogramFigure.set_calibrant`."""
        self._view.set_calibrant(name)

    def freeze(self) -> None:
        """See `DiffractogramFigure.freeze`."""
        self._view.freeze()

    def clear(self) -> None:
        """See `DiffractogramFigure.clear`."""
        self._view.clear()

    def live_rows(self) -> None:
        """Show the latest curves again."""
        self.pick.release()

    def save(self, path: str | Path) -> None:
        """See `DiffractogramFigure.save`."""
        self._view.save(path)

    def hasten(self) -> None:
        """See `View.hasten`."""
        self._view.hasten()

    def _hold(self, event: ShownEvent | None) -> None:
        self._view.curves.hold(event)
        self._view.hasten()

    # -- what the figure asks of them ---------------------------------------------------------------------

    def changed(self) -> bool:
        """Whether there is something that is not shown yet."""
        return self.controls.changed() or self.pick.stale

    def follow(self) -> None:
        """Let go of a row that is there no more; to be called before the panels are brought up to date."""
        self.pick.follow()

    def refresh(self) -> None:
        """Bring the controls up to date; nothing is rendered."""
        self.controls.refresh()

    @property
    def dragging(self) -> bool:
        """Whether somebody holds an edge."""
        return self.drag is not None and self.drag.held

    def above(self, complete: bool) -> list[Artist]:
        """What lies over the panels: an open menu; and unless the figure was drawn completely, controls drawn since."""
        focus = self.controls.focus
        if complete:
            focus.painted.clear()
        menu = None if focus.menu is None else focus.menu.menu
        painted = [ax for ax in focus.painted if ax is not menu and ax.figure is not None]
        return [*painted, *([] if menu is None else [menu])]

    def place(self) -> None:
        """Have as much room as the width of the figure needs."""
        width = float(self.figure.get_size_inches()[0])
        self.controls.place()
        self._view.set_strip(height=self.controls.height(width))

    @contextmanager
    def out_of_sight(self) -> Iterator[None]:
        """Leave the controls and their room out of what is drawn meanwhile."""
        try:
            with self.controls.out_of_sight():
                self.place()
                yield
        finally:
            self.place()

    def _image_readout(self, x: float, y: float) -> str:
        dragged = "" if self.drag is None else self.drag.text
        return dragged or self._view.image.readout(x, y)

    def _resized(self, event: Any) -> None:
        self.place()

    def _closed(self, event: Any) -> None:
        self.controls.close()
