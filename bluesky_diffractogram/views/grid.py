"""The heat-map of one range: rows are frames, columns the radial axis."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from bluesky.callbacks.core import make_class_safe
from bluesky.callbacks.mpl_plotting import LiveGrid

from .colors import RangeColors
from .frame_rows import BUFFER_SIZE, ROW_AXES, FrameRows
from .heatmap import Heatmap
from .labels import intensity_units, radial_label, range_text, runs_text
from .readout import heatmap_text
from .redraw import View, new_figure
from .rows import Rows
from .scales import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

logger = logging.getLogger(__name__)

PERCENTILES = (1.0, 99.5)


@make_class_safe(logger=logger)
class LiveDiffractogramGrid(View, LiveGrid):
    """The last diffractograms of one range as a heat-map: bluesky's `LiveGrid` for whole rows.

    Called with the documents of derived runs, from any thread; others are ignored. It grows to `buffer_size` rows and
    then scrolls, and goes on from run to run until something that alters the numbers changes. A window redraws
    itself; without one, call `draw` or `save`.

    Parameters
    ----------
    number
        The range, from 1.
    buffer_size
        How many rows are kept; None: as the configuration says.
    row_axis
        What the y axis shows: ``"frame"``, ``"time"`` (seconds since the first frame), the name of a carried reading,
        or ``"auto"``, the first carried dimension of the scan. A reading that is missing, or neither rises nor falls
        throughout, gives the frames' numbers as documents have them.
    scale
        Of the colours: ``"linear"``, ``"sqrt"`` or ``"log"``.
    clim
        Colour limits; None: the `percentiles` of what is kept, so that a few spikes do not darken the rest.
    percentiles
        See `clim`.
    cmap, extent, aspect, x_positive, y_positive, title, xlabel, ylabel
        As in `LiveGrid`; the labels, the title and the extent are generated unless given. Without `extent`, x is in
        the configured unit; y has one step for each row, counted since the heat-map was last emptied, and the ticks
        say what the rows stand for.
    ax
        The axes to draw on, cleared first; None makes a new figure.
    cax
        The axes for the colour bar; None takes some room of `ax`.
    colors
        One colour per range, see `RangeColors`, for title and frame; None: those of the configuration.
    reset_on_start
        Whether each run begins with no rows; None: as the configuration says.
    frames
        Rows that somebody else fills, for several heat-maps at once; `buffer_size` and `reset_on_start` are theirs.
    run_in_title
        Whether the generated title names the run as well as the range.
    auto_redraw
        Whether a window is redrawn by a timer; False where the owner of the figure draws it.

    Attributes
    ----------
    ax, im, colorbar
        The axes, the image and its colour bar.
    drawn
        The rows as they were last drawn, or None.

    Raises
    ------
    ValueError
        `number` or `buffer_size` is below 1, `x_positive` or `y_positive` is none of LiveGrid's, a scale,
        percentiles or a colour are none.
    """

    def __init__(
        self,
        number: int = 1,
        *,
        buffer_size: int | None = None,
        row_axis: str = "auto",
        scale: Scale = "linear",
        clim: tuple[float, float] | None = None,
        percentiles: tuple[float, float] = PERCENTILES,
        cmap: Any = "viridis",
        extent: tuple[float, float, float, float] | None = None,
        aspect: Literal["auto", "equal"] | float = "auto",
        ax: Axes | None = None,
        cax: Axes | None = None,
        x_positive: str = "right",
        y_positive: str = "up",
        title: str | None = None,
        xlabel: str | None = None,
        ylabel: str | None = None,
        colors: Sequence[Any] | None = None,
        reset_on_start: bool | None = None,
        frames: FrameRows | None = None,
        run_in_title: bool = True,
        auto_redraw: bool = True,
    ) -> None:
        if number < 1 or (buffer_size is not None and buffer_size < 1):
            raise ValueError(f"number = {number}, buffer_size = {buffer_size}: both are at least 1")
        if x_positive not in ("right", "left"):
            raise ValueError('x_positive must be either "right" or "left"')
        if y_positive not in ("up", "down"):
            raise ValueError('y_positive must be either "up" or "down"')
        # LiveGrid's own set-up waits for its start(), which is never called: it makes one image of a fixed shape.
        # Its attributes are set here instead. No teleporter, since documents are only stored.
        LiveGrid.__init__(self, (buffer_size or BUFFER_SIZE, 1), "intensity", use_teleporter=False)
        View.__init__(self)
        self.number = number
        self.I = "intensity"
        self.clim, self.cmap, self.extent, self.aspect = clim, cmap, extent, aspect
        self.x_positive, self.y_positive, self.title = x_positive, y_positive, title
        self._xlabel, self._ylabel, self._run_in_title = xlabel, ylabel, run_in_title
        self._colors = RangeColors(colors) if colors else None
        self._own_rows = frames is None
        self._rows = frames or FrameRows(numbers=(number,), buffer_size=buffer_size, reset_on_start=reset_on_start)
        self._drawn_version = self._rows.version
        self.row_axis = row_axis
        self._keep_reading()
        if ax is None:
            figure = new_figure(figsize=(8, 5))
            figure.subplots_adjust(left=0.1, right=0.98)
            ax = figure.add_subplot()
        self.ax = ax
        self.figure = ax.figure.canvas.figure  # not the subfigure that ax may be in
        self._heatmap = Heatmap(
            ax,
            cax,
            cmap=cmap,
            aspect=aspect,
            extent=extent,
            x_positive=x_positive,
            y_positive=y_positive,
            clim=clim,
            percentiles=percentiles,
            scale=scale,
        )
        self.im, self.colorbar = self._heatmap.im, self._heatmap.colored.colorbar
        if title:
            ax.set_title(title)
        self._drawn_labels: tuple[str, ...] = ()
        self.drawn: Rows | None = None
        self._rows_labelled = True
        self._refreshing = False
        if extent is None:
            ax.format_coord = self.readout  # type: ignore[method-assign]
            self.im.mouseover = False  # the value is part of the readout
        for signal in ("xlim_changed", "ylim_changed"):
            ax.callbacks.connect(signal, self._zoomed)
        if auto_redraw:
            self.redraw_by_clock()

    def start(self, doc: Mapping[str, Any]) -> None:
        """Take a start document."""
        if self._own_rows:
            self._rows.start(doc)

    def descriptor(self, doc: Mapping[str, Any]) -> None:
        """Take a descriptor: a stream of another meaning empties the heat-map."""
        if self._own_rows:
            self._rows.descriptor(doc)

    def event(self, doc: Mapping[str, Any]) -> Any:
        """Take an event: a row, shown at the next drawing."""
        if self._own_rows:
            self._rows.event(doc)

    def stop(self, doc: Mapping[str, Any]) -> None:
        """Take a stop document; what is shown stays."""
        if self._own_rows:
            self._rows.stop(doc)

    def changed(self) -> bool:
        """Whether there is something that is not drawn yet."""
        return self._news.is_set() or self._rows.version != self._drawn_version

    def reset(self) -> None:
        """Empty the heat-map."""
        self._rows.reset()

    def collect(self, on: bool) -> None:
        """Whether diffractograms that come become rows, lavue's "Collect"."""
        self._rows.collecting = bool(on)

    def set_buffer_size(self, rows: int) -> None:
        """Keep so many rows, instead of as many as documents say; another number empties the heat-map."""
        self._rows.resize(rows)

    def set_scale(self, scale: Scale) -> None:
        """Colour intensities linear, by their square root (``"sqrt"``) or logarithmic; ValueError for all else."""
        self._heatmap.colored.set_scale(scale)
        self._news.set()

    def set_row_axis(self, row_axis: str) -> None:
        """Let the y axis show ``"frame"``, ``"time"``, a reading by its name, or what fits the scan (``"auto"``).

        A reading that is no dimension of the scan, nor carried by the configuration, is kept from now on. Before the
        first run any name is taken; if that run has no such reading, a warning says so.

        Raises
        ------
        ValueError
            The latest run has no such reading; the message lists what it has.
        """
        self._rows.check_row_axis(row_axis)
        self.row_axis = row_axis
        self._keep_reading()
        self._news.set()

    def _keep_reading(self) -> None:
        if self.row_axis not in ROW_AXES:
            self._rows.reading = self.row_axis

    def set_colors(self, colors: Sequence[Any] | None) -> None:
        """Give the ranges other colours, see `RangeColors`; None: those of the configuration."""
        self._colors = RangeColors(colors) if colors else None
        self._news.set()

    def set_percentiles(self, low: float, high: float) -> None:
        """Set the percentiles that the colours span, 0 to 100; ValueError if they do not rise within that."""
        self._heatmap.colored.set_percentiles(low, high)
        self._news.set()

    def label_rows(self, on: bool) -> None:
        """Whether the y axis has numbers and a label, which the heat-map at its left may have for both."""
        self._rows_labelled = bool(on)
        self.ax.tick_params(labelleft=self._rows_labelled)
        self._news.set()

    def rows(self) -> Rows | None:
        """What the heat-map holds, all of it; None while that is nothing."""
        return self._rows.snapshot(self.number)

    def run_labels(self) -> tuple[str, ...]:
        """The raw runs whose frames were among the rows when they were last drawn, the oldest first."""
        return self._drawn_labels

    def update(self, pos: Any, I: Any) -> None:
        """LiveGrid's way to set a single value, of which there are none here.

        Raises
        ------
        NotImplementedError
            Always: rows come with events.
        """
        raise NotImplementedError("rows come with events")

    def refresh(self, *, full: bool = False) -> None:
        """Bring image, limits, labels and title up to date; nothing is rendered."""
        self._news.clear()
        self._drawn_version = self._rows.version  # what comes after that is drawn the next time
        rows = self.drawn = self._rows.snapshot(self.number)
        self._drawn_labels = () if rows is None else rows.run_labels
        if rows is None:
            self._heatmap.clear()
            return
        self._refreshing = True
        try:
            self._heatmap.show(rows, self.number, full=full)
        finally:
            self._refreshing = False
        self._label(rows)

    def readout(self, x: float, y: float) -> str:
        """What is at a point of the axes: frame, time, readings, radial value and intensity."""
        return "" if self.drawn is None else heatmap_text(self.drawn, self.number, x, y)

    def _zoomed(self, ax: Axes) -> None:
        if not self._refreshing:  # another zoom needs another resolution
            self._news.set()

    def _label(self, rows: Rows) -> None:
        rows_label = self._heatmap.label_rows(rows, self.row_axis)
        self._heatmap.colored.label(intensity_units(rows.stream, self.number))
        wanted = rows_label if self._ylabel is None else self._ylabel
        self.ax.set_ylabel(wanted if self._rows_labelled else "")
        self.ax.set_xlabel(radial_label(rows.stream) if self._xlabel is None else self._xlabel)
        color = (self._colors or RangeColors.configured(rows.stream.configuration.get("colors")))[self.number]
        if self.title is None:
            lines = [range_text(rows.stream, self.number, "\n" if not self._run_in_title else ", ")]
            if self._run_in_title:
                lines.insert(0, runs_text(rows.run_labels))
            self.ax.set_title("\n".join(lines), fontsize="medium")
        self.ax.title.set_color(color)
        for spine in self.ax.spines.values():
            spine.set(color=color, linewidth=1.5)
