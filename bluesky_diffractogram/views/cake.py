"""The latest cake of a derived run: intensity against radial value and azimuth."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bluesky.callbacks.core import CallbackBase, make_class_safe

from .cake_marks import CakeLines, CakeRanges
from .colored_image import ColoredImage
from .colors import RangeColors
from .derived import DerivedRuns
from .labels import radial_label
from .lines import Lines
from .raster import block_mean, in_a_pixel
from .readout import cake_text
from .redraw import View, new_figure
from .scales import Scale
from .shown_cake import ShownCake, read_cake

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from bluesky_diffractogram.reduction.geometry import Geometry

logger = logging.getLogger(__name__)

PERCENTILES = (1.0, 99.8)
NOTHING = "no cakes yet: the key cake of the configuration makes them"
EMPTY = "0.82"  # what no valid pixel reaches, and around the cake
EDGE = 0.012  # of the cake's size, kept free around it so that ranges along its edge are seen
AZIMUTH_STEPS = (1, 1.5, 2, 3, 4.5, 6, 9, 10)


@make_class_safe(logger=logger)
class LiveCake(View, CallbackBase):
    """The latest cake of derived runs that have one, with the ranges as rectangles in their colours.

    Called with the documents of derived runs, from any thread; others are ignored. A window redraws itself; without
    one, call `draw` or `save`. Re-usable from run to run.

    Parameters
    ----------
    ax
        The axes to draw on, cleared first; None makes a new figure.
    cax
        The axes for the colour bar; None takes some room of `ax`.
    scale
        Of the colours: ``"linear"``, ``"sqrt"`` or ``"log"``.
    clim
        Colour limits; None: the `percentiles` of the cake, so that a few spikes do not darken the rest.
    percentiles
        See `clim`.
    cmap
        A colour map. Empty bins have the colour of the background.
    colors
        One colour per range, see `RangeColors`; None: those of the configuration.
    title, xlabel, ylabel
        Instead of the generated ones; an empty string for none.
    auto_redraw
        Whether a window is redrawn by a timer; False where the owner of the figure draws it.

    Attributes
    ----------
    ax, im, colorbar
        The axes, the image and its colour bar.
    ranges
        What is drawn of the ranges (`CakeRanges`).

    Raises
    ------
    ValueError
        `scale`, `percentiles` or a colour is none.

    Examples
    --------
    >>> diff.subscribe(LiveCake(scale="log"))  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        ax: Axes | None = None,
        cax: Axes | None = None,
        scale: Scale = "linear",
        clim: tuple[float, float] | None = None,
        percentiles: tuple[float, float] = PERCENTILES,
        cmap: Any = "viridis",
        colors: Sequence[Any] | None = None,
        title: str | None = None,
        xlabel: str | None = None,
        ylabel: str | None = None,
        auto_redraw: bool = True,
    ) -> None:
        from matplotlib.ticker import MaxNLocator

        CallbackBase.__init__(self)
        View.__init__(self)
        if ax is None:
            figure = new_figure(figsize=(8, 5))
            figure.subplots_adjust(left=0.1, right=0.98)
            ax = figure.add_subplot()
        ax.cla()
        self.ax = ax
        self.figure = ax.figure.canvas.figure  # not the subfigure that ax may be in
        self._title, self._xlabel = title, xlabel
        self._colors = RangeColors(colors) if colors else None
        self._runs = DerivedRuns()
        self._latest: ShownCake | None = None
        self._drawn: ShownCake | None = None
        self._lines: tuple[Lines | None, Geometry | None] = (None, None)
        self._drawn_lines: tuple[Any, ...] = ()
        self._refreshing = False
        ax.set_facecolor(EMPTY)
        self._colored = ColoredImage(
            ax, cax, cmap=cmap, bad=EMPTY, scale=scale, clim=clim, percentiles=percentiles, aspect="auto"
        )
        self.im, self.colorbar = self._colored.im, self._colored.colorbar
        self.ranges, self._powder = CakeRanges(ax), CakeLines(ax)
        ax.set_ylabel("azimuth χ (°)" if ylabel is None else ylabel)
        ax.yaxis.set_major_locator(MaxNLocator("auto", steps=AZIMUTH_STEPS))
        if title:
            ax.set_title(title)
        self._empty = ax.text(0.5, 0.5, NOTHING, transform=ax.transAxes, ha="center", va="center", color="0.4")
        self._show_axes(False)
        ax.format_coord = self.readout  # type: ignore[method-assign]
        self.im.mouseover = False  # the value is part of the readout
        for signal in ("xlim_changed", "ylim_changed"):
            ax.callbacks.connect(signal, self._zoomed)
        if auto_redraw:
            self.redraw_by_clock()

    def start(self, doc: Mapping[str, Any]) -> None:
        """Take a start document."""
        self._runs.start(doc)

    def descriptor(self, doc: Mapping[str, Any]) -> None:
        """Take a descriptor."""
        self._runs.descriptor(doc)

    def event(self, doc: Mapping[str, Any]) -> Any:
        """Take an event: its cake is shown at the next drawing, unless a later one comes before.

        Raises
        ------
        ValueError
            The cake has another shape than the stream says.
        """
        stream = self._runs.stream_of(doc)
        shown = None if stream is None else read_cake(stream, doc)
        if shown is None:
            return
        with self._lock:
            self._latest = shown
        self._news.set()

    def stop(self, doc: Mapping[str, Any]) -> None:
        """Take a stop document; what is shown stays."""
        self._runs.stop(doc)

    def set_scale(self, scale: Scale) -> None:
        """Show intensities linear, by their square root (``"sqrt"``) or logarithmic; ValueError for anything else."""
        self._colored.set_scale(scale)
        self._news.set()

    def set_percentiles(self, low: float, high: float) -> None:
        """Set the percentiles that the colours span, 0 to 100; ValueError if they do not rise within that."""
        self._colored.set_percentiles(low, high)
        self._news.set()

    def set_colors(self, colors: Sequence[Any] | None) -> None:
        """Give the ranges other colours, see `RangeColors`; None: those of the configuration."""
        self._colors = RangeColors(colors) if colors else None
        self._news.set()

    def set_lines(self, lines: Lines | None, geometry: Geometry | None = None) -> None:
        """Draw the lines of a powder, or none; on an axis of r the `geometry` of the detector is needed."""
        with self._lock:
            self._lines = (lines, geometry)
        self._news.set()

    def moving(self) -> list[Artist]:
        """What changes with every frame, and what lies over that."""
        return [self.im, *self._powder.artists, *self.ranges.artists, *self.ax.spines.values(), self.ax.title]

    def refresh(self, *, full: bool = False) -> None:
        """Bring cake, ranges, lines, limits and title up to date; nothing is rendered."""
        self._news.clear()
        with self._lock:
            shown, lines, colors = self._latest, self._lines, self._colors
        if shown is None:
            return
        self._refreshing = True
        try:
            self._show(shown, full)
        finally:
            self._refreshing = False
        self.ranges.show(shown.stream, shown.edges(), colors)
        if self._drawn_lines != (*lines, shown.stream):
            self._drawn_lines = (*lines, shown.stream)
            self._powder.show(lines[0], shown.stream, shown.edges(), lines[1])
        if self._title is None:
            self.ax.set_title(f"cake of {shown.frame}", fontsize="medium")

    def _show(self, shown: ShownCake, full: bool) -> None:
        before, self._drawn = self._drawn, shown
        (left, right), (bottom, top) = shown.edges()
        if before is None or before.stream is not shown.stream:
            self._show_axes(True)
            self.ax.set_xlabel(radial_label(shown.stream) if self._xlabel is None else self._xlabel)
            if before is None or (before.edges(), before.stream.unit) != (shown.edges(), shown.stream.unit):
                self.ax.autoscale(True)  # a zoom into another cake means nothing
        by_row, by_column = (1, 1)
        if not full:
            by_row, by_column = in_a_pixel(self.ax, shown.axes.shape, (left, right), (bottom, top))
        image = block_mean(shown.intensity, by_row, by_column)
        self._colored.show(image, all_values=shown.intensity, full=full)
        self._colored.label(shown.axes.units)
        # the last block may reach beyond the cake, by less than a pixel of the screen
        rows, columns = shown.axes.shape
        width = (right - left) * image.shape[1] * by_column / columns
        height = (top - bottom) * image.shape[0] * by_row / rows
        self.im.set_extent((left, left + width, bottom, bottom + height))
        edge_x, edge_y = EDGE * (right - left), EDGE * (top - bottom)
        if self.ax.get_autoscalex_on():
            self.ax.set_xlim(left - edge_x, right + edge_x, auto=None)
        if self.ax.get_autoscaley_on():
            self.ax.set_ylim(bottom - edge_y, top + edge_y, auto=None)

    def _show_axes(self, filled: bool) -> None:
        self._empty.set_visible(not filled)
        self._colored.set_visible(filled)
        for axis in (self.ax.xaxis, self.ax.yaxis):
            axis.set_visible(filled)

    def readout(self, x: float, y: float) -> str:
        """What is at a point of the axes: radial value, azimuth, d, and intensity."""
        with self._lock:
            shown, (_, geometry) = self._drawn, self._lines
        return "" if shown is None else cake_text(shown.stream, shown.axes, shown.intensity, x, y, geometry)

    def _zoomed(self, ax: Axes) -> None:
        if not self._refreshing:  # another zoom needs another resolution
            self._news.set()
