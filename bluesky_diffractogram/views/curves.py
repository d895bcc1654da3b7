"""The latest diffractogram of every range as a line."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from bluesky.callbacks.core import CallbackBase, make_class_safe
from numpy.typing import NDArray

from .colors import RangeColors
from .curve_limits import CurveLimits
from .derived import DerivedRuns, Stream
from .frozen import DrawnReferences, Reference
from .labels import (
    intensity_exponent,
    intensity_formatter,
    intensity_label,
    intensity_units,
    radial_label,
    range_text,
)
from .latest import SEPARATOR, ShownEvent, read_event
from .legend import write_legend
from .lines import DrawnLines, Lines
from .peak_labels import PeakLabels
from .readout import curves_text
from .redraw import View, new_figure
from .scales import Scale, check_scale, scale_intensities

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from bluesky_diffractogram.reduction.geometry import Geometry

logger = logging.getLogger(__name__)

GRID = "0.9"


@make_class_safe(logger=logger)
class LiveDiffractogram(View, CallbackBase):
    """The latest diffractograms of a derived run, one line per range in its colour, with their peaks.

    Called with the documents of derived runs, from any thread; others are ignored. A window redraws itself; without
    one, call `draw` or `save`. Re-usable from run to run.

    Parameters
    ----------
    ax
        The axes to draw on, cleared first; None makes a new figure.
    colors
        One colour per range, see `RangeColors`; None: those of the configuration.
    peaks
        Whether peaks are marked.
    scale
        Of the intensity axis: ``"linear"``, ``"sqrt"`` or ``"log"``.
    title, xlabel, ylabel
        Instead of the generated ones; an empty string for none.
    legend
        ``"inside"`` the axes, or ``"above"`` them, where it hides nothing but needs the room.
    auto_redraw
        Whether a window is redrawn by a timer; False where the owner of the figure draws it.

    Attributes
    ----------
    ax
        The axes.
    lines, markers
        The drawn lines and the peaks' markers, by range number.
    """

    def __init__(
        self,
        *,
        ax: Axes | None = None,
        colors: Sequence[Any] | None = None,
        peaks: bool = True,
        scale: Scale = "linear",
        title: str | None = None,
        xlabel: str | None = None,
        ylabel: str | None = None,
        legend: Literal["inside", "above"] = "inside",
        auto_redraw: bool = True,
    ) -> None:
        CallbackBase.__init__(self)
        View.__init__(self)
        if ax is None:
            figure = new_figure(figsize=(8, 4.5))
            figure.subplots_adjust(left=0.1, right=0.97)
            ax = figure.add_subplot()
        ax.cla()
        self.ax = ax
        self.figure = ax.figure.canvas.figure  # not the subfigure that ax may be in
        self.lines: dict[int, Line2D] = {}
        self.markers: dict[int, Line2D] = {}
        self._colors = RangeColors(colors) if colors else None
        self._drawn_colors: RangeColors | None = None
        self._with_peaks = peaks
        self._title, self._xlabel, self._ylabel = title, xlabel, ylabel
        self._legend_above = legend == "above"
        self._legend_room = 0.0
        self._runs = DerivedRuns()
        self._latest: ShownEvent | None = None
        self._held: ShownEvent | None = None
        self._drawn: Stream | None = None
        # replaced as a whole at every change, so that the drawing sees by identity whether it is drawn already
        self._references: tuple[Reference, ...] = ()
        self._frozen = DrawnReferences(ax)
        self._lines: tuple[Lines | None, Geometry | None] = (None, None)
        self._drawn_lines: tuple[Lines | None, Geometry | None, Stream | None, float | None] = (None,) * 4
        self._powder = DrawnLines(ax)
        self._labels = PeakLabels(ax)
        self._scale, self._drawn_scale = check_scale(scale), check_scale(scale)
        scale_intensities(ax, self._scale)
        ax.set_ylabel("intensity" if ylabel is None else ylabel)
        self._labelled: tuple[int, str] | None = None
        ax.grid(color=GRID, linewidth=0.6)
        ax.set_axisbelow(True)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_visible(False)
        self._empty = ax.text(0.5, 0.5, "no frames yet", transform=ax.transAxes, ha="center", va="center", color="0.5")
        self._limits = CurveLimits(ax, self._empty, peaks=peaks)
        ax.format_coord = self.readout  # type: ignore[method-assign]
        if auto_redraw:
            self.redraw_by_clock()

    def start(self, doc: Mapping[str, Any]) -> None:
        """Take a start document."""
        self._runs.start(doc)

    def descriptor(self, doc: Mapping[str, Any]) -> None:
        """Take a descriptor."""
        self._runs.descriptor(doc)

    def event(self, doc: Mapping[str, Any]) -> Any:
        """Take an event: its curves are shown at the next drawing."""
        stream = self._runs.stream_of(doc)
        if stream is None:
            return
        shown = read_event(stream, doc, with_peaks=self._with_peaks)
        with self._lock:
            self._latest = shown
        self._news.set()

    def stop(self, doc: Mapping[str, Any]) -> None:
        """Take a stop document; what is shown stays."""
        self._runs.stop(doc)

    def freeze(self) -> None:
        """Keep the curves that are shown now as grey references, seen while the axis has their unit."""
        with self._lock:
            if self._shown is not None:
                unit = self._shown.stream.unit
                kept = [Reference(unit, curve) for curve in self._shown.curves.values()]
                self._references = (*self._references, *kept)
        self._news.set()

    def clear(self) -> None:
        """Remove the grey references."""
        with self._lock:
            self._references = ()
        self._news.set()

    def hold(self, event: ShownEvent | None) -> None:
        """Show the curves of another event instead of the latest; None shows these again."""
        with self._lock:
            self._held = event
        self._news.set()

    @property
    def held(self) -> bool:
        """Whether other curves than the latest are shown."""
        with self._lock:
            return self._held is not None

    @property
    def _shown(self) -> ShownEvent | None:
        """What is to be shown; with `_lock` held."""
        return self._held or self._latest

    def readout(self, x: float, y: float) -> str:
        """What is at a point of the axes: radial value, d, and the intensity of the nearest curve there."""
        with self._lock:
            shown, (_, geometry) = self._shown, self._lines
        return "" if shown is None else curves_text(shown.stream, shown.curves, x, y, shown.wavelength, geometry)

    def set_scale(self, scale: Scale) -> None:
        """Give the intensity axis another scale: linear, sqrt or log; ValueError for anything else."""
        self._scale = check_scale(scale)
        self._news.set()

    def set_colors(self, colors: Sequence[Any] | None) -> None:
        """Give the ranges other colours, see `RangeColors`; None: those of the configuration."""
        wanted = RangeColors(colors) if colors else None
        with self._lock:
            self._colors = wanted
        self._news.set()

    def set_lines(self, lines: Lines | None, geometry: Geometry | None = None) -> None:
        """Draw the lines of a powder, or none; on an axis of r the `geometry` of the detector is needed."""
        with self._lock:
            self._lines = (lines, geometry)
        self._news.set()

    def moving(self) -> list[Artist]:
        """What changes with every frame."""
        return [*self.lines.values(), *self.markers.values(), *self._labels.texts()]

    @property
    def blank(self) -> bool:
        """Whether the axes say that there is nothing to be seen."""
        return self._empty.get_visible()

    def caption(self) -> str:
        """The frame that is shown, in words, with its carried readings; empty if none is."""
        with self._lock:
            return "" if self._shown is None else self._shown.caption

    def refresh(self, *, full: bool = False) -> None:
        """Bring lines, markers, references, labels and limits up to date; nothing is rendered."""
        self._news.clear()
        with self._lock:
            shown, colors = self._shown, self._colors
            references, lines = self._references, self._lines
        if self._scale != self._drawn_scale:
            self._drawn_scale, self._labelled = self._scale, None
            self._limits.forget()
            scale_intensities(self.ax, self._scale)
        if shown is None:
            return
        if shown.stream is not self._drawn or colors is not self._drawn_colors:
            self._drawn_colors = colors
            self._begin(shown, colors or RangeColors.configured(shown.stream.configuration.get("colors")))
        for number, curve in shown.curves.items():
            line = self.lines[number]
            line.set_data(*curve)
            alone = isolated(curve[1])
            line.set_marker("o" if len(alone) else "none")  # of which no line is drawn
            line.set_markevery(alone.tolist() or None)
            self.markers[number].set_data(*shown.peaks.get(number, np.empty((2, 0))))
        if self._frozen.show(references, shown.stream.unit):
            self._write_legend(shown.stream)
        self._draw_lines(lines, shown)
        if self._legend_above and self._legend_room != self._room():
            self._write_legend(shown.stream)
        if self._title is None:
            self.ax.set_title(SEPARATOR.join((shown.stream.run_label, shown.caption)), loc="left", fontsize="medium")
        self._limits.fit(self._drawn_scale, full=full)
        self._label_intensity(shown.stream)
        self._label_peaks(shown)

    def _begin(self, shown: ShownEvent, colors: RangeColors) -> None:
        """Make the lines of a new stream, and its labels."""
        from matplotlib.markers import CARETDOWN

        for axis in (self.ax.xaxis, self.ax.yaxis):
            axis.set_visible(True)
        if self._drawn is None or self._drawn.unit != shown.stream.unit:
            self.ax.autoscale(True)  # a zoom into another unit means nothing
        for line in (*self.lines.values(), *self.markers.values()):
            line.remove()
        self.lines, self.markers = {}, {}
        for number in shown.curves:
            color = colors[number]
            (self.lines[number],) = self.ax.plot([], [], color=color, linewidth=1.2, markersize=3, zorder=2)
            (self.markers[number],) = self.ax.plot(
                [], [], linestyle="none", marker=CARETDOWN, markersize=7, color=color, zorder=3
            )
        self.ax.set_xlabel(radial_label(shown.stream) if self._xlabel is None else self._xlabel)
        if self._title:
            self.ax.set_title(self._title)
        self._drawn = shown.stream
        self._limits.forget()
        self._write_legend(shown.stream)

    def _draw_lines(self, lines: tuple[Lines | None, Geometry | None], shown: ShownEvent) -> None:
        wanted = (*lines, shown.stream, shown.wavelength)
        if wanted == self._drawn_lines or (lines[0] is None and self._drawn_lines[0] is None):
            return
        self._drawn_lines = wanted
        self._powder.show(lines[0], shown.stream, shown.wavelength, lines[1])
        self._write_legend(shown.stream)

    def _label_peaks(self, shown: ShownEvent) -> None:
        colors = {number: str(line.get_color()) for number, line in self.lines.items()}
        self._labels.show(shown.peaks, colors, shown.curves)

    def _write_legend(self, stream: Stream) -> None:
        lines = {range_text(stream, number): line for number, line in self.lines.items()}
        more: list[tuple[Artist, str]] = [(line, "frozen") for line in self._frozen.lines[:1]]
        powder = self._drawn_lines[0]
        if powder is not None and self._powder.artist is not None:
            more.append((self._powder.artist, powder.name))
        write_legend(self.ax, lines, more, above=self._legend_above)
        self._legend_room = self._room()

    def _room(self) -> float:
        """How wide the axes are, in inches."""
        return round(float(self.ax.get_position().width * self.figure.get_figwidth()), 2)

    def _label_intensity(self, stream: Stream) -> None:
        if self._ylabel is not None:
            return
        plain = self._drawn_scale != "log"
        exponent = intensity_exponent(max(map(abs, self.ax.get_ylim()))) if plain else 0
        units = {intensity_units(stream, number) for number in self.lines}
        labelled = (exponent, units.pop() if len(units) == 1 else "")
        if labelled != self._labelled:
            self._labelled = labelled
            self.ax.set_ylabel(intensity_label(*labelled))
            if plain:
                self.ax.yaxis.set_major_formatter(intensity_formatter(exponent))


def isolated(intensity: NDArray) -> NDArray[np.intp]:
    """The bins with a value between two without, or alone on their axis."""
    beside = np.pad(np.isfinite(intensity), 1)
    return np.flatnonzero(beside[1:-1] & ~beside[:-2] & ~beside[2:])
