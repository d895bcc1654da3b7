"""The ranges drawn on the detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bluesky_diffractogram.reduction.outlines import Outline

from .colors import RangeColors
from .outlines import DrawnOutlines
from .raster import color_limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LARGEST = 1200
MASKED = "0.35"
UNUSED = "0.93"
NO_COUNTS = "#24425c"
TINT = 0.22
LEGEND_ENTRIES = 12


@dataclass(frozen=True, eq=False, slots=True)
class DrawnRange:
    """One range on the detector.

    Attributes
    ----------
    number
        From 1; decides the colour.
    text
        What it is, for the legend.
    outline
        Where it is.
    """

    number: int
    text: str
    outline: Outline


def draw_ranges(
    path: str | Path,
    ranges: Sequence[DrawnRange],
    mask: NDArray[np.bool_],
    *,
    image: NDArray | None = None,
    colors: Sequence[Any] | None = None,
    beam_centre: tuple[float, float] | None = None,
    title: str = "",
    **options: Any,
) -> None:
    """Write a picture of the detector with the outline of every range in its colour.

    Row 0 is at the bottom, so that azimuths run counter-clockwise from the right.

    Parameters
    ----------
    path
        Its suffix says the format, if `options` do not.
    ranges
        What to draw.
    mask
        ``(ny, nx)``, True for pixels that are never used; grey in the picture.
    image
        ``(ny, nx)``, a frame to draw them on, on a logarithmic scale; NaN is not drawn.
    colors
        One colour per range, see `RangeColors`; None: the default ones.
    beam_centre
        Column and row where the beam meets the detector, in pixels, 0 in the centre of the first; a cross is
        drawn there if it is on the detector.
    title
        Above the picture.
    options
        Further arguments of matplotlib's ``savefig``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ny, nx = mask.shape
    figure = Figure(figsize=(8.0, min(max(7.0 * ny / nx + 1.0, 4.0), 10.0)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    step = ceil(max(ny, nx) / LARGEST)
    _draw_detector(axes, figure, mask, image, step)
    range_colors = RangeColors(colors)
    DrawnOutlines(axes, tint=TINT).show([each.outline for each in ranges], range_colors, (ny, nx))
    handles = [_handle(range_colors[each.number]) for each in ranges]
    if beam_centre is not None and 0 <= beam_centre[0] < nx and 0 <= beam_centre[1] < ny:
        for color, width in (("white", 3.5), ("black", 1.5)):
            axes.plot(*beam_centre, marker="+", markersize=12, markeredgewidth=width, color=color, linestyle="none")
    edge = 0.5 + 0.01 * max(ny, nx)  # so that the outline of the whole detector is seen
    axes.set(
        xlabel="column (pixel)",
        ylabel="row (pixel)",
        xlim=(-edge, nx - 1 + edge),
        ylim=(-edge, ny - 1 + edge),
    )
    axes.set_title(title, loc="left", fontsize="medium")
    _legend(figure, handles, [each.text for each in ranges])
    figure.savefig(path, dpi=110, **options)


def _draw_detector(axes: Axes, figure: Figure, mask: NDArray[np.bool_], image: NDArray | None, step: int) -> None:
    """The frame under the ranges, or what is masked of the detector."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, LogNorm

    ny, nx = mask.shape
    extent = (-0.5, nx - 0.5, -0.5, ny - 0.5)
    if image is None:
        # A gap of a few pixels is seen in a coarse picture too.
        coarse = _any_of_blocks(mask, step)
        shown = ListedColormap([UNUSED, MASKED])
        axes.imshow(coarse, origin="lower", extent=extent, cmap=shown, vmin=0, vmax=1, interpolation="none")
        return
    values = np.where(mask, np.nan, image)[::step, ::step]
    limits = color_limits(values, (1.0, 99.8), positive=True)
    norm = None if limits is None else LogNorm(*limits, clip=True)
    shades = colormaps["gray"].with_extremes(bad=NO_COUNTS)
    drawn = axes.imshow(
        np.where(values > 0, values, np.where(np.isnan(values), np.nan, limits[0] if limits else 0)),
        origin="lower", extent=extent, cmap=shades, norm=norm, interpolation="none",
    )  # fmt: skip
    figure.colorbar(drawn, ax=axes, label="counts", fraction=0.04, pad=0.02)


def _any_of_blocks(mask: NDArray[np.bool_], step: int) -> NDArray[np.bool_]:
    """Whether any pixel of each `step` × `step` block is masked."""
    if step == 1:
        return mask
    rows = np.logical_or.reduceat(mask, np.arange(0, mask.shape[0], step), axis=0)
    return np.logical_or.reduceat(rows, np.arange(0, mask.shape[1], step), axis=1)


def _handle(color: str) -> Any:
    """What stands for a range in the legend."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Patch

    return Patch(facecolor=to_rgba(color, 0.3), edgecolor=color)


def _legend(figure: Figure, handles: list[Any], texts: list[str]) -> None:
    if not handles:
        return
    more = len(handles) - LEGEND_ENTRIES
    if more > 0:
        handles, texts = handles[:LEGEND_ENTRIES], [*texts[: LEGEND_ENTRIES - 1], f"… and {more + 1} more"]
    figure.legend(handles, texts, loc="outside lower center", ncols=2, fontsize="small", frameon=False)
