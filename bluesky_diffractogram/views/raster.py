"""From rows of values to what the screen can show of them."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMIT_ROWS = 256
UNSEEN = 0.1


def block_mean(rows: NDArray, row_factor: int, column_factor: int) -> NDArray[np.float64]:
    """Means over blocks of `row_factor` × `column_factor` values, NaN left out.

    The last blocks of a direction hold what is left and may be smaller.

    Parameters
    ----------
    rows
        ``(n, npt)`` intensities.

    Returns
    -------
    ``(ceil(n / row_factor), ceil(npt / column_factor))`` means; NaN where a block holds NaN only.
    """
    if row_factor == column_factor == 1:
        return rows
    valid = np.isfinite(rows)
    total = _block_sum(np.where(valid, rows, 0.0), row_factor, column_factor)
    count = _block_sum(valid.astype(np.int32), row_factor, column_factor)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _block_sum(values: NDArray, row_factor: int, column_factor: int) -> NDArray:
    # sums of slices: np.add.reduceat does the same and takes six times as long
    by_row = values[::row_factor].copy()
    for offset in range(1, row_factor):
        part = values[offset::row_factor]
        by_row[: len(part)] += part
    total = by_row[:, ::column_factor].copy()
    for offset in range(1, column_factor):
        part = by_row[:, offset::column_factor]
        total[:, : part.shape[1]] += part
    return total


def color_limits(
    rows: NDArray, percentiles: tuple[float, float], *, positive: bool = False
) -> tuple[float, float] | None:
    """Colour limits that single spikes do not move.

    The values nearest to the percentiles on the inner side are taken, so that the largest and the smallest value never
    decide alone. Of many rows every k-th is looked at, from the newest on.

    Parameters
    ----------
    rows
        ``(n, npt)`` intensities; NaN and infinities are left out.
    percentiles
        Lower and upper one, 0 to 100.
    positive
        Whether only positive values can be shown, on a logarithmic scale.

    Returns
    -------
    Two different limits, or None if there is no value to be shown.
    """
    values = rows[:: -ceil(max(len(rows), 1) / LIMIT_ROWS)]
    values = values[np.isfinite(values) & (values > 0)] if positive else values[np.isfinite(values)]
    if not values.size:
        return None
    low = float(np.percentile(values, percentiles[0], method="higher"))
    high = float(np.percentile(values, percentiles[1], method="lower"))
    if low >= high:  # nearly everything is equal, an image of few counts say
        low, high = float(values.min()), float(values.max())
    if low == high:
        half = abs(low) / 20 or 0.5
        low, high = low - half, high + half
    return low, high


def settled(
    limits: tuple[float, float], before: tuple[float | None, float | None], *, log: bool = False
) -> tuple[float, float]:
    """`before`, unless `limits` have moved from them by what is seen.

    New limits cost a colour bar, which is a good part of a drawing, and flicker.

    Parameters
    ----------
    limits, before
        The limits wanted, and those that are shown.
    log
        Whether they are those of a logarithmic scale.
    """
    old = np.array([np.nan if limit is None else limit for limit in before], float)
    new = np.array(limits, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = np.abs(np.log(new) - np.log(old)) if log else np.abs(new - old)
        span = np.log(new[1] / new[0]) if log else new[1] - new[0]
    return (float(old[0]), float(old[1])) if (moved <= UNSEEN * span).all() else limits


def in_a_pixel(ax: Axes, shape: tuple[int, int], x: tuple[float, float], y: tuple[float, float]) -> tuple[int, int]:
    """How many rows and columns of an image fall into one pixel of the screen, as the axes are zoomed now.

    Parameters
    ----------
    ax
        The axes.
    shape
        Rows and columns of the image.
    x, y
        Its edges on the axes.
    """
    pixels = ax.get_window_extent()

    def factor(n: int, ends: tuple[float, float], view: tuple[float, float], size: float, auto: bool) -> int:
        visible = 1.0 if auto else min(1.0, abs((view[1] - view[0]) / (ends[1] - ends[0])))
        return max(1, int(n * visible / max(size, 1.0)))

    return (
        factor(shape[0], y, ax.get_ylim(), pixels.height, ax.get_autoscaley_on()),
        factor(shape[1], x, ax.get_xlim(), pixels.width, ax.get_autoscalex_on()),
    )


def equidistant_columns(radial: NDArray) -> tuple[tuple[float, float], NDArray[np.intp] | None]:
    """Where the columns of an image lie whose bin centres are `radial`.

    Parameters
    ----------
    radial
        ``(npt,)`` bin centres in ascending or descending order.

    Returns
    -------
    edges
        The outer edges of the first and the last column, half a bin beyond their centres.
    columns
        ``(npt,)`` for each of the image's equidistant columns the nearest bin, or None if the bins are equidistant
        themselves.
    """
    npt = len(radial)
    first, last = float(radial[0]), float(radial[-1])
    step = (last - first) / (npt - 1) if npt > 1 and last != first else 1.0
    edges = (first - step / 2, last + step / 2)
    centres = np.linspace(first, last, npt)
    if np.allclose(radial, centres, rtol=0, atol=abs(step) / 20):
        return edges, None
    sign = 1.0 if last > first else -1.0
    middles = sign * (radial[1:] + radial[:-1]) / 2
    return edges, np.searchsorted(middles, sign * centres)
