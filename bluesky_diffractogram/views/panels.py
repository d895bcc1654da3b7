"""The panels of the figure: which there are, which are seen, and where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .cake import LiveCake
from .curves import LiveDiffractogram
from .frame_rows import FrameRows
from .grid import LiveDiffractogramGrid
from .image import LiveImage
from .layout import Layout, Strip, arrange
from .main_plot import Shown
from .placing import place
from .redraw import View
from .scales import Scale

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text


class Panels:
    """Image, cake, heat-maps and curves on one figure. But for scale and percentiles, all on the thread that draws.

    Parameters
    ----------
    figure
        matplotlib's figure.
    heading
        Its title, moved with the panels.
    heatmaps
        Of how many ranges there are heat-maps from the beginning.
    rows
        What the heat-maps show.
    scale, row_axis, clim, percentiles, cmap, colors
        See `DiffractogramFigure`.

    Attributes
    ----------
    image, cake, grids, curves
        The panels.
    layout
        Where they are.
    strip
        The room kept free for controls.
    """

    def __init__(
        self,
        figure: Figure,
        heading: Text,
        heatmaps: int,
        rows: FrameRows,
        *,
        scale: Scale,
        row_axis: str,
        clim: tuple[float, float] | None,
        percentiles: tuple[float, float],
        cmap: Any,
        colors: Sequence[Any] | None,
    ) -> None:
        self._figure, self._heading, self._heatmaps = figure, heading, heatmaps
        self._placed: tuple[Any, ...] = ()
        self._make_grid = partial(
            LiveDiffractogramGrid,
            scale=scale,
            row_axis=row_axis,
            clim=clim,
            percentiles=percentiles,
            cmap=cmap,
            colors=colors,
            frames=rows,
            run_in_title=False,
            auto_redraw=False,
        )
        self.grids = tuple(self.new_grid(number) for number in range(1, heatmaps + 1))
        self.image = LiveImage(
            ax=self._axes("image"), cax=self._axes("colour bar"), scale=scale, colors=colors, auto_redraw=False
        )
        self.cake = LiveCake(
            ax=self._axes("cake"),
            cax=self._axes("colour bar of the cake"),
            scale=scale,
            cmap=cmap,
            colors=colors,
            auto_redraw=False,
        )
        self.curves = LiveDiffractogram(
            ax=self._axes("curves"), colors=colors, scale=scale, title="", legend="above", auto_redraw=False
        )
        self.layout = Layout((), (), (0.1, 0.1, 0.8, 0.3))
        self.strip = Strip()

    def set_scale(self, scale: Scale) -> None:
        """Give all panels a scale, also those that are made later; ValueError if it is none."""
        self.curves.set_scale(scale)
        self.image.set_scale(scale)
        self.cake.set_scale(scale)
        self._make_grid.keywords["scale"] = scale
        for grid in self.grids:
            grid.set_scale(scale)

    def set_percentiles(self, low: float, high: float) -> None:
        """Set the percentiles of all colours, also of panels made later; ValueError if they do not rise."""
        self.image.set_percentiles(low, high)
        self.cake.set_percentiles(low, high)
        self._make_grid.keywords.update(percentiles=(low, high), clim=None)
        for grid in self.grids:
            grid.set_percentiles(low, high)

    def set_row_axis(self, row_axis: str) -> None:
        """Let the y axes of all heat-maps show something else, also of later ones; ValueError if there is none."""
        self._make_grid.keywords["frames"].check_row_axis(row_axis)
        self._make_grid.keywords["row_axis"] = row_axis
        for grid in self.grids:
            grid.set_row_axis(row_axis)

    def set_colors(self, colors: Sequence[Any] | None) -> None:
        """Give the ranges other colours in all panels; None: those of the configuration."""
        self._make_grid.keywords["colors"] = colors
        self.curves.set_colors(colors)
        self.image.set_colors(colors)
        self.cake.set_colors(colors)
        for grid in self.grids:
            grid.set_colors(colors)

    def seen(self, shown: Shown) -> list[View]:
        """The panels that are shown and have room."""
        numbers = shown.heatmaps[: len(self.layout.heatmaps)]
        return [*self._picture(shown), *(grid for grid in self.grids if grid.number in numbers), self.curves]

    def missing(self, shown: Shown) -> int | None:
        """The range whose heat-map is the main panel and has still to be made; None if there is none."""
        number = shown.heatmaps[0] if shown.main else None
        return None if number in (None, *(grid.number for grid in self.grids)) else number

    def new_grid(self, number: int) -> LiveDiffractogramGrid:
        """Make the heat-map of a range."""
        return self._make_grid(number, ax=self._axes(f"heat-map {number}"), cax=self._axes(f"colour bar {number}"))

    def add_grid(self, new: LiveDiffractogramGrid) -> None:
        """Add the heat-map of a range beyond the first ones, in the place of the last such one."""
        for old in self.grids[self._heatmaps :]:
            old.ax.remove()
            old.colorbar.ax.remove()
        self.grids = (*self.grids[: self._heatmaps], new)

    def place(self, shown: Shown) -> bool:
        """Put the panels where the figure's size and their number want them; whether anything has moved."""
        width, height = self._figure.get_size_inches()
        ratio = self.image.ratio if shown.image else math.inf if shown.cake else None
        wanted = (width, height, shown, ratio, self.strip, tuple(map(id, self.grids)))
        if wanted == self._placed:
            return False
        self._placed = wanted
        self.layout = arrange(width, height, len(shown.heatmaps), image=ratio, main=shown.main, strip=self.strip)
        place(self.layout, shown, (width, height), self._heading, self.image, self.cake, self.grids, self.curves)
        return True

    def moving(self) -> list[Artist]:
        """What changes with every frame, heat-maps apart."""
        pictures = [artist for each in (self.image, self.cake) if each.ax.get_visible() for artist in each.moving()]
        return [*pictures, *self.curves.moving()]

    def signature(self, shown: Shown) -> tuple[Any, ...]:
        """What of the axes a drawing without them takes for granted."""
        views = [*self._picture(shown), self.curves]
        axes = [(view.ax.get_xlim(), view.ax.get_ylim(), view.ax.get_ylabel()) for view in views]
        curves = self.curves.ax
        still = (curves.get_xlabel(), curves.get_yscale(), curves.get_legend(), self.curves.blank)
        colors = [(view.ax.get_xlabel(), view.im.get_clim(), view.im.norm) for view in self._picture(shown)]
        return (*self._placed, shown, *axes, *still, *colors)

    def _picture(self, shown: Shown) -> list[LiveImage | LiveCake]:
        """The main panel, if it is none of the heat-maps."""
        return [self.image] if shown.image else [self.cake] if shown.cake else []

    def _axes(self, label: str) -> Axes:
        return self._figure.add_axes((0.1, 0.5, 0.1, 0.1), label=label)
