"""Panels put where the layout has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .cake import LiveCake
from .curves import LiveDiffractogram
from .grid import LiveDiffractogramGrid
from .image import LiveImage
from .layout import LEFT, Box, Layout
from .main_plot import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

HEADING = 0.12  # inches below the upper edge
# how far labels are from their axes, in inches: where matplotlib finds that out by itself, it measures every tick
# label in every drawing, a third of its time
X_LABEL, Y_LABEL, BAR_LABEL = 0.29, 0.6, 0.5
TITLE = 0.06


def place(
    layout: Layout,
    shown: Shown,
    size: tuple[float, float],
    heading: Text,
    image: LiveImage,
    cake: LiveCake,
    grids: Sequence[LiveDiffractogramGrid],
    curves: LiveDiffractogram,
) -> None:
    """Move the panels, and hide those that are not shown or have no room.

    Parameters
    ----------
    layout
        Where they are to be.
    shown
        Which are shown, the heat-maps in the order of the layout's boxes.
    size
        Width and height of the figure, in inches.
    heading, image, cake, grids, curves
        What is moved.
    """
    heading.set_position((LEFT / size[0], 1 - HEADING / size[1]))
    for view, seen in ((image, shown.image), (cake, shown.cake)):
        view.ax.set_visible(seen)
        if seen and layout.image is not None and layout.image_bar is not None:
            _put(view.ax, layout.image, size)
            _put_bar(view.colorbar, layout.image_bar, size)
        view.colorbar.ax.set_visible(seen and view.im.get_visible())
    boxes = dict(zip(shown.heatmaps, zip(layout.heatmaps, layout.bars, strict=True), strict=False))
    for grid in grids:
        grid.ax.set_visible(grid.number in boxes)
        if grid.number in boxes:
            box, bar = boxes[grid.number]
            _put(grid.ax, box, size)
            _put_bar(grid.colorbar, bar, size)
            grid.colorbar.ax.set_visible(grid.im.get_visible())
            # the rows of all of them are the same
            grid.label_rows(grid.number == shown.heatmaps[0])
        else:
            grid.colorbar.ax.set_visible(False)
    _put(curves.ax, layout.curves, size)


def _put(ax: Axes, box: Box, size: tuple[float, float]) -> None:
    ax.set_position(box)
    wide, high = box[2] * size[0], box[3] * size[1]
    ax.xaxis.set_label_coords(0.5, -X_LABEL / high)
    ax.yaxis.set_label_coords(-Y_LABEL / wide, 0.5)
    if ax.get_title():  # without, it may get one at the left or the right
        ax.set_title(ax.get_title(), y=1 + TITLE / high, fontsize=ax.title.get_fontsize())


def _put_bar(colorbar: Any, box: Box, size: tuple[float, float]) -> None:
    colorbar.ax.set_position(box)
    colorbar.ax.yaxis.set_label_coords(1 + BAR_LABEL / (box[2] * size[0]), 0.5)
