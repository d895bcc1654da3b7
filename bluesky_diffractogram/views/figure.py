"""Image or cake, heat-maps and curves, in one window that is used from run to run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bluesky.callbacks.core import CallbackBase, make_class_safe

from bluesky_diffractogram.reduction.pyfai_library import calibrant_lines

from .derived import DerivedRuns
from .frame_rows import FrameRows
from .grid import PERCENTILES, LiveDiffractogramGrid
from .image import ShownFrame
from .labels import runs_text
from .latest import SEPARATOR
from .layout import Layout, Strip
from .lines import Lines
from .main_choice import MainChoice
from .main_plot import Shown
from .panels import Panels
from .quick import QuickDrawing
from .scales import Scale
from .web_page import drawn_here
from .windowed import WindowedView

if TYPE_CHECKING:
    from matplotlib.artist import Artist

    from bluesky_diffractogram.reduction.projection import Projection

    from .commands import Commands
    from .interaction import Interaction

logger = logging.getLogger(__name__)

FIGSIZE = (10.0, 7.0)
HEATMAPS = 4


@make_class_safe(logger=logger)
class DiffractogramFigure(WindowedView, CallbackBase):
    """The latest image or cake with its ranges, heat-maps of the ranges, and the latest curves of all under them.

    Called with the documents of derived runs, from any thread; others are ignored. Frames to be shown are offered to
    `offer`; without any, in another process say, there is no image and all heat-maps are alike. Make it on the main
    thread, before the scan. It is one figure for all runs: panels come and go with the ranges. A window redraws
    itself; without one, call `draw` or `save`. A window that somebody has closed comes back with the next run, or at
    once by `show`; see `WindowedView`.

    Parameters
    ----------
    figsize
        Width and height in inches.
    heatmaps
        How many ranges get a heat-map, at most, besides that of the main panel; none if this is 0, or if the
        configuration says ``"buffering": false``. Beside a main panel, those that have no room are not shown.
    scale
        Of intensities in all panels: ``"linear"``, ``"sqrt"`` or ``"log"``.
    row_axis, clim, percentiles, cmap, reset_on_start
        See `LiveDiffractogramGrid`.
    colors
        One colour per range, see `RangeColors`; None: those of the configuration.
    images
        Whether frames that are offered are shown.
    title
        The window's title.

    Attributes
    ----------
    figure
        matplotlib's figure.
    image, cake
        The `LiveImage`, the `LiveCake`.
    curves
        The `LiveDiffractogram`.
    interaction
        The controls (`Interaction`), once they were added; or None.
    rows
        What the heat-maps show, of all ranges (`FrameRows`).
    scale, calibrant
        As they were set.

    Raises
    ------
    ValueError
        `heatmaps` is below 0; a scale, percentiles or a colour are none.
    """

    def __init__(
        self,
        figsize: tuple[float, float] = FIGSIZE,
        *,
        heatmaps: int = HEATMAPS,
        scale: Scale = "linear",
        row_axis: str = "auto",
        clim: tuple[float, float] | None = None,
        percentiles: tuple[float, float] = PERCENTILES,
        cmap: Any = "viridis",
        colors: Sequence[Any] | None = None,
        reset_on_start: bool | None = None,
        images: bool = True,
        title: str = "Diffractograms",
    ) -> None:
        if heatmaps < 0:
            raise ValueError(f"heatmaps = {heatmaps}: at least 0")
        CallbackBase.__init__(self)
        WindowedView.__init__(self, figsize, title)
        self._runs = DerivedRuns()
        self._images = images
        self.scale: Scale = scale
        self.calibrant: str | None = None
        self.interaction: Interaction | None = None
        self._main = MainChoice(heatmaps)
        self._lines: Lines | None = None
        self._run_label = ""
        self._moved = False
        self._heading = self.figure.suptitle("", ha="left", va="top", fontsize="large")
        self._complete: tuple[Any, ...] = ()
        self._projection: Projection | None = None
        self._commands = threading.RLock()
        self.rows = FrameRows(numbers=None if heatmaps else (), seen=heatmaps, reset_on_start=reset_on_start)
        self._panels = Panels(
            self.figure,
            self._heading,
            heatmaps,
            self.rows,
            scale=scale,
            row_axis=row_axis,
            clim=clim,
            percentiles=percentiles,
            cmap=cmap,
            colors=colors,
        )
        self.image, self.cake, self.curves = self._panels.image, self._panels.cake, self._panels.curves
        self._takers = (self.rows, self.curves, self.cake)
        self._panels.place(self._choice())
        self.figure.canvas.mpl_connect("resize_event", self._resized)
        self._quick = QuickDrawing(self.figure, self._panels.moving, self._heading, self._above)
        self.redraw_by_clock(self.draw_quickly if self._quick.possible else None)

    @property
    def grids(self) -> tuple[LiveDiffractogramGrid, ...]:
        """The heat-maps that there are, of range 1 on; those that are not shown are hidden."""
        return self._panels.grids

    @property
    def layout(self) -> Layout:
        """Where the panels are, and the room kept free for controls."""
        return self._panels.layout

    # -- what comes in ------------------------------------------------------------------------------------

    def __call__(self, name: str, doc: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Take a document."""
        return CallbackBase.__call__(self, name, doc, *args, **kwargs)

    def start(self, doc: Mapping[str, Any]) -> None:
        """Take a start document."""
        for view in self._takers:
            view.start(doc)
        if self._runs.start(doc) is not None:
            self.run_begins()

    def descriptor(self, doc: Mapping[str, Any]) -> None:
        """Take a descriptor: it says how many panels there are."""
        for view in self._takers:
            view.descriptor(doc)
        stream = self._runs.descriptor(doc)
        if stream is None:
            return
        self._main.describe(stream)
        self._run_label = stream.run_label
        self._news.set()

    def event(self, doc: Mapping[str, Any]) -> Any:
        """Take an event: a row of all heat-maps, the latest curves, and the latest cake."""
        if self.rows.leads(doc):
            self.curves.event(doc)
            self.cake.event(doc)
            self.rows.event(doc)

    def stop(self, doc: Mapping[str, Any]) -> None:
        """Take a stop document; what is shown stays."""
        for view in self._takers:
            view.stop(doc)
        self._runs.stop(doc)

    def offer(self, frame: ShownFrame) -> None:
        """Take a frame to be shown, for `ReductionCallback.on_frame`; the latest is kept, by reference."""
        if not self._images or self.closed:
            return
        self.image.offer(frame)
        if frame.detector.projection is not self._projection:
            self._projection = frame.detector.projection
            self._pass_lines()

    def changed(self) -> bool:
        """Whether there is something that is not drawn yet."""
        if self.interaction is not None and self.interaction.changed():
            return True
        return self._news.is_set() or any(view.changed() for view in self._panels.seen(self._choice()))

    # -- commands, from any thread ------------------------------------------------------------------------

    @property
    def main_plot(self) -> str:
        """What the main panel is to show, as `set_main_plot` takes it; as the configuration says unless set there."""
        return self._main.main_plot

    def main_plots(self) -> tuple[str, ...]:
        """What the main panel can show: the image, the cake if one is made, and every range's heat-map."""
        return self._main.main_plots()

    def set_diff_number(self, ranges: int) -> None:
        """So many ranges there are to choose from, instead of as many as documents say."""
        self._main.tell_ranges(ranges)
        self._news.set()

    def set_cake(self, there: bool) -> None:
        """Whether there is a cake to choose, instead of what documents say."""
        self._main.tell_cake(bool(there))
        self._news.set()

    def set_main_plot(self, main_plot: str) -> None:
        """Show the image, the cake, or the heat-map of one range in the main panel, until somebody chooses another.

        Without an image all heat-maps are alike, and so they are if there comes a run without such a range. Rows are
        kept of every range; of those beyond the first `heatmaps` as many as go into 256 MB, if that is less. Where
        there comes a run without a cake, there is the image.

        Parameters
        ----------
        main_plot
            ``"image"``, ``"cake"`` or ``"buffer i"``.

        Raises
        ------
        ValueError
            It is none of them, or there is no such range, or no cake.
        """
        self._main.choose(main_plot)
        self._news.set()

    def set_scale(self, scale: Scale) -> None:
        """Show intensities of all panels linear, by their square root (``"sqrt"``) or logarithmic.

        Raises
        ------
        ValueError
            `scale` is none of the three.
        """
        with self._commands:
            self._panels.set_scale(scale)
        self.scale = scale

    def set_percentiles(self, low: float, high: float) -> None:
        """Set the percentiles, 0 to 100, that the colours of image and heat-maps span.

        Raises
        ------
        ValueError
            They do not rise from 0 to 100.
        """
        with self._commands:
            self._panels.set_percentiles(low, high)

    def set_row_axis(self, row_axis: str) -> None:
        """Let the y axes of the heat-maps show ``"frame"``, ``"time"``, a reading by its name, or ``"auto"``.

        See `LiveDiffractogramGrid.set_row_axis`, also for what is refused.
        """
        with self._commands:
            self._panels.set_row_axis(row_axis)

    def set_colors(self, colors: Sequence[Any] | None) -> None:
        """Give the ranges other colours in all panels, see `RangeColors`; None: those of the configuration.

        Raises
        ------
        ValueError
            An entry is no colour.
        """
        with self._commands:
            self._panels.set_colors(colors)

    def set_calibrant(self, name: str | None) -> None:
        """Draw the lines of a calibrant over the curves, and as rings on the image.

        Positions follow from the run's wavelength; on an axis of r also from the detector, which is known where frames
        are offered.

        Parameters
        ----------
        name
            Any that pyFAI knows, ``"CeO2"`` say; None removes the lines.

        Raises
        ------
        ValueError
            pyFAI does not know it; the message offers names that are near.
        """
        self._lines = None if name is None else Lines(name, tuple(float(d) for d in calibrant_lines(name)))
        self.calibrant = name
        self._pass_lines()

    def reset(self) -> None:
        """Empty the heat-maps."""
        self.rows.reset()

    def collect(self, on: bool) -> None:
        """Whether diffractograms that come become rows of the heat-maps, lavue's "Collect"."""
        self.rows.collecting = bool(on)

    def set_buffer_size(self, rows: int) -> None:
        """Keep so many rows, instead of as many as documents say; another number empties the heat-maps."""
        self.rows.resize(rows)

    def set_buffering(self, on: bool) -> None:
        """Whether heat-maps are shown, instead of what documents say, lavue's "Buffering"."""
        self._main.tell_buffering(bool(on))
        self._news.set()

    def freeze(self) -> None:
        """Keep the curves that are shown now as grey references."""
        self.curves.freeze()

    def clear(self) -> None:
        """Remove the grey references."""
        self.curves.clear()

    # -- the window, on the main thread -------------------------------------------------------------------

    def window_opened(self) -> None:
        """See `WindowedView.window_opened`."""
        self._quick.forget()

    def add_controls(self, commands: Commands | None = None) -> None:
        """Show lavue's controls at the bottom, and let edges of ranges be dragged and rows be clicked.

        On the main thread, once.

        Parameters
        ----------
        commands
            The callback that they command; None leaves out all but the looks.
        """
        from .interaction import Interaction

        self.interaction = Interaction(self, commands)

    def save(self, path: str | Path, **kwargs: Any) -> None:
        """Write the figure without its controls to a file, as its window's toolbar does; see `View.save`."""
        self.figure.savefig(path, **kwargs)

    @contextmanager
    def _for_picture(self) -> Iterator[None]:
        with self._drawing, nullcontext() if self.interaction is None else self.interaction.out_of_sight():  # noqa: SIM117
            with super()._for_picture():
                yield

    def set_strip(self, *, height: float = 0.0, width: float = 0.0) -> None:
        """Keep room free for controls, in inches: a row at the bottom, or a column at the right.

        `layout` says where it is then, as ``row`` and ``column``.
        """
        self._panels.strip = Strip(height, width)
        self._resized(None)

    def refresh(self, *, full: bool = False) -> None:
        """Bring all panels up to date; nothing is rendered."""
        self._news.clear()
        choice = self._choice()
        self._provide_grid(choice)
        if self.interaction is not None:
            self.interaction.follow()
        moved, self._moved = self._panels.place(choice) or self._moved, False
        for view in self._panels.seen(choice):
            if full or moved or view.changed():
                view.refresh(full=full)
        self._write_heading(choice)
        if self.interaction is not None:
            self.interaction.refresh()

    def _write_heading(self, choice: Shown) -> None:
        shown = [grid for grid in self.grids if grid.number in choice.heatmaps]
        runs = runs_text(shown[0].run_labels() if shown else ()) or self._run_label
        self._heading.set_text(SEPARATOR.join(filter(None, (runs, self.curves.caption()))))

    def _resized(self, event: Any) -> None:
        if self._panels.place(self._choice()):
            self._moved = True  # panels of another size have room for other pixels, and for other texts
            self._news.set()

    def draw(self) -> None:
        """Bring the figure up to date and render it, now, see `View.draw`."""
        if not drawn_here(self.figure.canvas):
            self._news.set()
            return
        with self._drawing:
            self.refresh()
            self._quick.mark()
            self.figure.canvas.draw()
            self._complete = self._panels.signature(self._choice())

    def draw_quickly(self) -> None:
        """Bring image or cake, curves and heading up to date, and the window as far as neither axes nor labels change.

        The rest, and heat-maps, are left to the next complete drawing.
        """
        if self.interaction is not None and self.interaction.dragging:
            return  # its outline is drawn in the same way
        choice = self._choice()
        with self._drawing:
            if not (self._quick.ready and self._panels.signature(choice) == self._complete):
                return
            quick = (self.image, self.cake, self.curves)
            views = [view for view in self._panels.seen(choice) if view in quick and view.changed()]
            for view in views:
                view.refresh()
            if views and self._panels.signature(choice) != self._complete:
                self._news.set()
            elif views:
                if self.interaction is not None and self.interaction.changed():
                    self._news.set()  # controls are drawn with all the rest
                self._write_heading(choice)
                self._quick.mark()
                self._quick.draw()

    def _above(self, complete: bool) -> list[Artist]:
        return [] if self.interaction is None else self.interaction.above(complete)

    def _choice(self) -> Shown:
        return self._main.shown(image=self.image.frame is not None)

    def _provide_grid(self, choice: Shown) -> None:
        """Make the heat-map of a range beyond the first ones if it is to be the main panel."""
        number = self._panels.missing(choice)
        if number is None:
            return
        with self._commands:
            self._panels.add_grid(self._panels.new_grid(number))

    def _pass_lines(self) -> None:
        geometry = None if self._projection is None else self._projection.geometry
        self.curves.set_lines(self._lines, geometry)
        self.cake.set_lines(self._lines, geometry)
        self.image.set_lines(self._lines)
