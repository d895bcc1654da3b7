"""Peaks measured with numpy, array by array: what the compiled measuring is compared with."""

from __future__ import annotations

import numpy as np

from bluesky_diffractogram.reduction.peak_shape import Shapes
from bluesky_diffractogram.reduction.shape_kernel import (
    APEX_OVER_MIDDLE,
    CELLS,
    CELLS_PER_SCALE,
    CENTROID_STEPS,
    CUT_FLANK,
    FOUR_LN2,
)  # fmt: skip

FEET = np.array([1.0, 1.5, 2.25])
STEPS = np.arange(-CELLS, CELLS + 1)
POWERS = STEPS[:, None] ** np.arange(5.0)


@np.errstate(all="ignore")
def plain_measure(curve, noise, tops, scale):
    """Measure peaks above the line between their feet.

    Parameters
    ----------
    tops
        ``(n,)`` bins at or near the maxima.
    scale
        ``(n,)`` each one's own scale, in bins.

    Notes
    -----
    Height: apex of a parabola through the logarithm of the net intensity above half of it, weighted with its
    square (Guo, IEEE Signal Processing Magazine 28 (2011) 134). Width: where straight lines between cells cross
    half of that. Position: the centroid under a Gaussian window as wide as the peak, iterated.
    """
    cell = np.maximum(scale // CELLS_PER_SCALE, 1)
    values, inside, x = _cells(curve, tops, cell)
    if (cell > 1).any():  # noise chose the highest bin of a wide peak; take its highest cell instead
        core = inside & (np.abs(x) <= scale[:, None] / 3.0) & (cell[:, None] > 1)
        highest = np.where(core, values, -np.inf).argmax(axis=1)
        tops = tops + np.where(core.any(axis=1), (highest - CELLS) * cell, 0)
        values, inside, x = _cells(curve, tops, cell)

    rise = 3.0 * noise.sigma(tops, curve.intensity[tops])
    rise /= np.sqrt(np.maximum(cell / noise.correlation, 1.0))
    left_valley = _valley(values[:, CELLS::-1], inside[:, CELLS::-1], rise) * cell
    right_valley = _valley(values[:, CELLS:], inside[:, CELLS:], rise) * cell
    left_foot, left_edge, left_level = _foot(curve, tops, scale, left_valley, -1)
    right_foot, right_edge, right_level = _foot(curve, tops, scale, right_valley, +1)
    slope = (right_level - left_level) / (right_foot - left_foot)
    background = left_level - left_foot * slope  # below the top
    net = np.where(inside, values - background[:, None] - slope[:, None] * x, 0.0)

    near = inside & (x >= -left_edge[:, None]) & (x <= right_edge[:, None])
    net_height, vertex = _apex(net, near, x, cell)
    left, right = _half(net, near, net_height, x)
    above_left, above_right = values[:, CELLS] - left_level, values[:, CELLS] - right_level
    left = np.where(_flank_seen(above_left, above_right, tops - curve.first[tops], scale), left, np.nan)
    right = np.where(_flank_seen(above_right, above_left, curve.end[tops] - 1 - tops, scale), right, np.nan)
    offset = _centroid(net, near, x, vertex, right - left)
    area = _area(
        curve,
        tops,
        np.minimum(left_valley, left_edge),
        np.minimum(right_valley, right_edge),
        background,
        slope,
    )
    return Shapes(
        position=tops + offset,
        height=net_height + background + slope * offset,
        net_height=net_height,
        left=tops + left,
        right=tops + right,
        area=np.where(np.isnan(right - left), np.nan, area),
    )


def _cells(curve, tops, cell):
    """Means over cells around each top, whether they lie in its stretch, and their centres' distance from it.

    ``(n, 2 CELLS + 1)`` each; the top is in the middle one.
    """
    start = tops[:, None] + STEPS * cell[:, None] - (cell // 2)[:, None]
    inside = (start >= curve.first[tops][:, None]) & (start + cell[:, None] <= curve.end[tops][:, None])
    start = np.where(inside, start, 0)
    x = STEPS * cell[:, None] + ((cell - 1) / 2.0 - cell // 2)[:, None]
    return curve.mean(start, start + cell[:, None]), inside, x


def _valley(outward, inside, rise):
    """``(n,)`` how many cells it is from the top to the lowest one before the curve rises by `rise` or ends."""
    lowest = np.minimum.accumulate(np.where(inside, outward, np.inf), axis=1)
    risen = ~inside | (outward > lowest + rise[:, None])
    last = np.where(risen.any(axis=1), risen.argmax(axis=1), outward.shape[1])
    cells = np.arange(outward.shape[1])
    return np.where(inside & (cells < last[:, None]), outward, np.inf).argmin(axis=1)


def _foot(curve, tops, scale, valley, side):
    """Where the background is taken on one side: distance of its middle, of its near end, and its level.

    The lowest mean of some windows, each half a scale wide; none of them begins beyond the valley but the
    first. A window that does not lie in the stretch is cut off; NaN if nothing is left of any.
    """
    width = np.maximum(scale // 2, 1)[:, None]
    begin = np.round(scale[:, None] * FEET).astype(np.intp)
    begin = np.minimum(begin, np.maximum(valley, scale)[:, None])
    start = tops[:, None] + (begin if side > 0 else -begin - width + 1)
    stop = np.minimum(start + width, curve.end[tops][:, None])
    start = np.maximum(start, curve.first[tops][:, None])
    there = stop > start
    start, stop = np.where(there, start, 0), np.where(there, stop, 1)
    means = np.where(there, curve.mean(start, stop), np.inf)
    rows, lowest = np.arange(len(tops)), means.argmin(axis=1)
    level = means[rows, lowest]
    level = np.where(np.isinf(level), np.nan, level)
    middle = (start[rows, lowest] + stop[rows, lowest] - 1) / 2.0 - tops
    return middle, begin[rows, lowest], level


def _flank_seen(above, above_other, room, scale):
    """``(n,)`` whether a side has all its windows, or else comes down nearly as far as the other side."""
    return (room >= (FEET[-1] + 0.5) * scale) | (above >= CUT_FLANK * above_other)


def _apex(net, near, x, cell):
    """Net height and its place, from the log-parabola; the middle cell's own where there is no such parabola."""
    middle = net[:, CELLS]
    upper = _contiguous(near & (net > middle[:, None] / 2.0))
    upper |= near & (np.abs(STEPS) <= 1) & (net > 0.0)
    relative = np.where(upper, net / middle[:, None], 1.0)
    weight = np.where(upper, relative**2, 0.0)
    s0, s1, s2, s3, s4 = (weight @ POWERS).T
    z0, z1, z2 = ((weight * np.log(relative)) @ POWERS[:, :3]).T
    d = s0 * (s2 * s4 - s3 * s3) - s1 * (s1 * s4 - s2 * s3) + s2 * (s1 * s3 - s2 * s2)
    a = (z0 * (s2 * s4 - s3 * s3) - s1 * (z1 * s4 - z2 * s3) + s2 * (z1 * s3 - z2 * s2)) / d
    b = (s0 * (z1 * s4 - z2 * s3) - z0 * (s1 * s4 - s2 * s3) + s2 * (s1 * z2 - s2 * z1)) / d
    c = (s0 * (s2 * z2 - s3 * z1) - s1 * (s1 * z2 - s2 * z1) + z0 * (s1 * s3 - s2 * s2)) / d
    vertex = -b / (2.0 * c)
    log_height = a + b * vertex / 2.0
    reach = np.abs(np.where(upper, STEPS, 0)).max(axis=1)
    good = (c < 0.0) & (np.abs(vertex) <= reach) & (np.abs(log_height) < APEX_OVER_MIDDLE)
    height = np.where(good, middle * np.exp(np.where(good, log_height, 0.0)), middle)
    return height, np.where(good, vertex, 0.0) * cell + x[:, CELLS]


def _contiguous(upper):
    """Those of `upper` that hang together with the middle cell."""
    right = np.logical_and.accumulate(upper[:, CELLS:], axis=1)
    left = np.logical_and.accumulate(upper[:, CELLS::-1], axis=1)[:, ::-1]
    return np.concatenate([left, right[:, 1:]], axis=1)


def _half(net, near, height, x):
    """Where the flanks cross half of the height, ``(n,)`` each, NaN where they do not."""
    upper = _contiguous(near & (net >= height[:, None] / 2.0))
    upper[:, CELLS] = True
    rows = np.arange(len(net))
    crossings = []
    for side in (-1, +1):
        outward = upper[:, CELLS:] if side > 0 else upper[:, CELLS::-1]
        last = outward.sum(axis=1) - 1
        inner = CELLS + side * last
        outer = np.clip(inner + side, 0, 2 * CELLS)
        seen = near[rows, outer] & (inner != outer) & (height > 0.0)
        high, low = net[rows, inner], net[rows, outer]
        part = np.clip((high - height / 2.0) / (high - low), 0.0, 1.0)
        crossings.append(np.where(seen, x[rows, inner] + part * (x[rows, outer] - x[rows, inner]), np.nan))
    return crossings[0], crossings[1]


def _centroid(net, near, x, vertex, fwhm):
    """Centre ``(n,)`` of the net intensity under a Gaussian window of the peak's width; else the vertex.

    For a Gaussian on a flat background this is as good as a fit: the window is the weight that least squares
    give a shift of the peak.
    """
    width = np.where(fwhm > 0.0, fwhm, 1.0)[:, None]
    centre = vertex
    for _ in range(CENTROID_STEPS):
        away = x - centre[:, None]
        weighted = np.where(near, np.exp(-FOUR_LN2 * (away / width) ** 2), 0.0) * net
        # the product of two equal Gaussians lies half-way between them
        step = 2.0 * (weighted * away).sum(axis=1) / weighted.sum(axis=1)
        centre = centre + np.where(np.isfinite(step), np.clip(step, -width[:, 0], width[:, 0]), 0.0)
    good = np.isfinite(fwhm) & (np.abs(centre - vertex) <= width[:, 0] / 2.0)
    return np.where(good, centre, vertex)


def _area(curve, tops, left, right, background, slope):
    """Sum over bins ``(n,)`` above the line, from `left` to `right` bins from the top."""
    start = np.maximum(tops - left, curve.first[tops])
    stop = np.minimum(tops + right + 1, curve.end[tops])
    middle = (start + stop - 1) / 2.0 - tops
    return (curve.mean(start, stop) - background - slope * middle) * (stop - start)
