"""Panels put where the layout has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .curves import LiveDiffractogram
from .grid import LiveDiffractogramGrid
from .image import LiveImage
from .layout import Layout
from .main_plot import Shown

if TYPE_CHECKING:
    from matplotlib.text import Text

HEADING = 0.12  # inches below the upper edge


def place(
    layout: Layout,
    shown: Shown,
    heading: Text,
    image: LiveImage,
    grids: Sequence[LiveDiffractogramGrid],
    curves: LiveDiffractogram,
    height: float,
) -> None:
    """Move the panels, and hide those that are not shown or have no room.

    Parameters
    ----------
    layout
        Where they are to be.
    shown
        Which are shown, the heat-maps in the order of the layout's boxes.
    heading, image, grids, curves
        What is moved.
    height
        Of the figure, in inches.
    """
    heading.set_position((layout.curves[0], 1 - HEADING / height))
    image.ax.set_visible(layout.image is not None)
    if layout.image is not None and layout.image_bar is not None:
        image.ax.set_position(layout.image)
        image.colorbar.ax.set_position(layout.image_bar)
    else:
        image.colorbar.ax.set_visible(False)
    boxes = dict(zip(shown.heatmaps, zip(layout.heatmaps, layout.bars, strict=True), strict=False))
    for grid in grids:
        grid.ax.set_visible(grid.number in boxes)
        if grid.number in boxes:
            box, bar = boxes[grid.number]
            grid.ax.set_position(box)
            grid.colorbar.ax.set_position(bar)
            # the rows of all of them are the same
            grid.label_rows(grid.number == shown.heatmaps[0])
        else:
            grid.colorbar.ax.set_visible(False)
    curves.ax.set_position(layout.curves)
