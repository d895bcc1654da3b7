"""The artists of a heat-map: image, colour bar, axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from .colored_image import ColoredImage
from .raster import block_mean, equidistant_columns, in_a_pixel
from .rowaxis import ROUND_STEPS, FrameFormatter, RowFormatter, RowLocator, RowScale, monotonic, row_values
from .rows import Rows
from .scales import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAPS = "0.82"
BORDER: dict[str, Any] = {"colors": "white", "linewidths": 0.8, "alpha": 0.7, "zorder": 2.5}
MOST_BORDERS = 40


class Heatmap:
    """Draws `Rows` on axes; everything is called on the thread that draws.

    Scale and percentiles may be set from any; they hold from the next `show` on.

    Parameters
    ----------
    ax, cax
        The axes, cleared first, and those for the colour bar, or None to take some room of `ax`.
    cmap, aspect, extent, x_positive, y_positive, clim, percentiles, scale
        See `LiveDiffractogramGrid`.
    """

    def __init__(
        self,
        ax: Axes,
        cax: Axes | None,
        *,
        cmap: Any,
        aspect: Any,
        extent: tuple[float, float, float, float] | None,
        x_positive: str,
        y_positive: str,
        clim: tuple[float, float] | None,
        percentiles: tuple[float, float],
        scale: Scale,
    ) -> None:
        self.ax = ax
        self._extent = extent
        self._backwards = (x_positive == "left", y_positive == "down")
        self._edges: tuple[float, float] | None = None
        ax.cla()
        self.colored = ColoredImage(
            ax, cax, cmap=cmap, bad=GAPS, scale=scale, clim=clim, percentiles=percentiles, aspect=aspect, extent=extent
        )
        self.im = self.colored.im
        self._empty = ax.text(0.5, 0.5, "no frames yet", transform=ax.transAxes, ha="center", va="center", color="0.4")
        self._borders = LineCollection([], transform=ax.get_yaxis_transform(), **BORDER)
        ax.add_collection(self._borders, autolim=False)
        self.clear()

    def clear(self) -> None:
        """Show no rows."""
        self._show_axes(False)

    def _show_axes(self, filled: bool) -> None:
        self._empty.set_visible(not filled)
        self.colored.set_visible(filled)
        for axis in (self.ax.xaxis, self.ax.yaxis):
            axis.set_visible(filled)

    def show(self, rows: Rows, number: int, *, full: bool) -> None:
        """Show `rows` of range `number`; with `full` every value, else not more than the screen has pixels for."""
        self._show_axes(True)
        axis = rows.stream.ranges[number]
        (left, right), columns = equidistant_columns(axis.radial)
        if len(axis.radial) == 1 and np.isfinite(axis.radial_range).all():
            left, right = axis.radial_range
        if self._edges != (left, right):
            self._edges = (left, right)
            self.ax.autoscale(True, axis="x")  # a zoom into another axis means nothing
        intensity = rows.intensity if columns is None else rows.intensity[:, columns]
        count, npt = intensity.shape
        bottom, top = rows.first - 0.5, rows.first + count - 0.5
        if self._extent is not None:
            left, right, bottom, top = self._extent
        by_row, by_column = (1, 1) if full else in_a_pixel(self.ax, (count, npt), (left, right), (bottom, top))
        image = block_mean(intensity, by_row, by_column)
        self.colored.show(image, all_values=intensity, full=full)
        # the last block may reach beyond the data; the axes' limits cut it
        width = (right - left) * image.shape[1] * by_column / npt
        height = (top - bottom) * image.shape[0] * by_row / count
        self.im.set_extent((left, left + width, bottom, bottom + height))
        self._follow("x", left, right)
        self._follow("y", bottom, top)
        self._part_runs(rows)

    def _part_runs(self, rows: Rows) -> None:
        """Draw a line between the rows of one run and those of another, unless there are too many."""
        at = rows.first + np.flatnonzero(np.diff(rows.runs)) + 0.5
        if len(at) > MOST_BORDERS or self._extent is not None:
            at = at[:0]
        self._borders.set_segments([((0.0, y), (1.0, y)) for y in at])

    def label_rows(self, rows: Rows, row_axis: str) -> str:
        """Put the ticks of the y axis where what `row_axis` names has round values; returns the axis's label."""
        label, values = row_values(rows, row_axis)
        axis = self.ax.yaxis
        if self._extent is not None:
            return label
        numbered = values is rows.seq_nums
        if monotonic(values) and not (numbered and len(rows.run_labels) > 1):
            scale = RowScale(rows.first + np.arange(len(values)), values)
            axis.set_major_locator(RowLocator(scale, integer=numbered))
            axis.set_major_formatter(RowFormatter(scale))
        else:
            axis.set_major_locator(MaxNLocator("auto", integer=True, steps=ROUND_STEPS))
            axis.set_major_formatter(FrameFormatter(rows.first, values))
        return label

    def _follow(self, axis: str, low: float, high: float) -> None:
        """Show all of the image, unless the user has zoomed."""
        backwards = self._backwards["xy".index(axis)]
        limits = (high, low) if backwards else (low, high)
        if axis == "x" and self.ax.get_autoscalex_on():
            self.ax.set_xlim(limits, auto=None)
        elif axis == "y" and self.ax.get_autoscaley_on():
            self.ax.set_ylim(limits, auto=None)
