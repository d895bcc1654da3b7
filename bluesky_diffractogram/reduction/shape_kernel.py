"""The compiled loops that measure peaks, as `peak_shape` says it."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .noise_kernel import deviation

# Where the windows for the feet begin, in scales.
FEET = (1.0, 1.5, 2.25)
# A peak is looked at in cells of so many to the scale (one bin at least), and so many cells each way.
CELLS_PER_SCALE, CELLS = 8, 36
CENTROID_STEPS = 3
# The apex is at most so far from the middle cell, in log: a peak two bins wide loses a tenth between two bins.
APEX_OVER_MIDDLE = 0.25
# Beside a gap or an end, a flank must come down so far, compared with the other one.
CUT_FLANK = 0.75
FOUR_LN2 = 4.0 * np.log(2.0)

# NaN where there is nothing to divide by, as numpy has it.
_compiled = partial(compiled, error_model="numpy")


@_compiled
def mean(sums: NDArray, start: int, stop: int) -> float:
    """Over ``start <= bin < stop``, from the running sums ``(npt + 1,)`` of a curve."""
    return (sums[stop] - sums[start]) / (stop - start)


@_compiled
def _cells(sums: NDArray, top: int, cell: int, low: int, high: int, values: NDArray, inside: NDArray) -> None:
    """Means over cells around a top, and whether they lie in its stretch from `low` to `high`."""
    for m in range(2 * CELLS + 1):
        start = top + (m - CELLS) * cell - cell // 2
        inside[m] = start >= low and start + cell <= high
        values[m] = mean(sums, start, start + cell) if inside[m] else mean(sums, 0, cell)


@_compiled
def _valley(values: NDArray, inside: NDArray, side: int, rise: float) -> int:
    """How many cells it is from the top to the lowest one before the curve rises by `rise` or ends."""
    found, lowest = 0, np.inf
    for k in range(CELLS + 1):
        value = values[CELLS + side * k]
        if not inside[CELLS + side * k] or value > lowest + rise:
            break
        if value < lowest:
            found, lowest = k, value
    return found


@_compiled
def _foot(sums: NDArray, top: int, scale: int, valley: int, side: int, low: int, high: int) -> tuple[float, int, float]:
    """Where the background is taken on one side: distance of its middle, of its near end, and its level.

    The lowest mean of some windows, each half a scale wide; none of them begins beyond the valley but the
    first. A window that does not lie in the stretch is cut off; NaN if nothing is left of any.
    """
    width = max(scale // 2, 1)
    middle, edge, level = -float(top), 0, np.inf
    for k in range(len(FEET)):
        begin = min(int(np.rint(scale * FEET[k])), max(valley, scale))
        start = top + begin if side > 0 else top - begin - width + 1
        stop, start = min(start + width, high), max(start, low)
        if k == 0:
            edge = begin
        if stop > start:
            here = mean(sums, start, stop)
            if here < level:
                middle, edge, level = (start + stop - 1) / 2.0 - top, begin, here
    return middle, edge, level if np.isfinite(level) else np.nan


@_compiled
def _contiguous(net: NDArray, near: NDArray, level: float, above: bool, upper: NDArray) -> None:
    """Which cells hang together with the middle one, all near and higher than `level` (or as high, not `above`)."""
    for m in range(2 * CELLS + 1):
        upper[m] = False
    for side in (-1, 1):
        for k in range(CELLS + 1):
            m = CELLS + side * k
            if not (near[m] and (net[m] > level or (net[m] == level and not above))):
                break
            upper[m] = True


@_compiled
def _apex(net: NDArray, near: NDArray, upper: NDArray) -> tuple[float, float]:
    """Net height and its place in cells, from the log-parabola; the middle cell's own where there is none."""
    middle = net[CELLS]
    _contiguous(net, near, middle / 2.0, True, upper)
    for m in range(CELLS - 1, CELLS + 2):
        upper[m] = upper[m] or (near[m] and net[m] > 0.0)
    s0 = s1 = s2 = s3 = s4 = z0 = z1 = z2 = reach = 0.0
    for m in range(2 * CELLS + 1):
        if upper[m]:
            x, relative = float(m - CELLS), net[m] / middle
            weight = relative * relative
            log = weight * np.log(relative)
            s0, s1, s2 = s0 + weight, s1 + weight * x, s2 + weight * x**2
            s3, s4 = s3 + weight * x**3, s4 + weight * x**4
            z0, z1, z2 = z0 + log, z1 + log * x, z2 + log * x**2
            reach = max(reach, abs(x))
    d = s0 * (s2 * s4 - s3 * s3) - s1 * (s1 * s4 - s2 * s3) + s2 * (s1 * s3 - s2 * s2)
    a = (z0 * (s2 * s4 - s3 * s3) - s1 * (z1 * s4 - z2 * s3) + s2 * (z1 * s3 - z2 * s2)) / d
    b = (s0 * (z1 * s4 - z2 * s3) - z0 * (s1 * s4 - s2 * s3) + s2 * (s1 * z2 - s2 * z1)) / d
    c = (s0 * (s2 * z2 - s3 * z1) - s1 * (s1 * z2 - s2 * z1) + z0 * (s1 * s3 - s2 * s2)) / d
    vertex = -b / (2.0 * c)
    log_height = a + b * vertex / 2.0
    if c < 0.0 and abs(vertex) <= reach and abs(log_height) < APEX_OVER_MIDDLE:
        return middle * np.exp(log_height), vertex
    return middle, 0.0


@_compiled
def _half(net: NDArray, near: NDArray, upper: NDArray, height: float, side: int) -> float:
    """How many cells from the middle one a flank crosses half of the height; NaN where it does not."""
    inner = CELLS
    while 0 <= inner + side <= 2 * CELLS and upper[inner + side]:
        inner += side
    outer = inner + side
    if not (0 <= outer <= 2 * CELLS and near[outer] and height > 0.0):
        return np.nan
    part = (net[inner] - height / 2.0) / (net[inner] - net[outer])
    return np.nan if np.isnan(part) else inner + side * min(max(part, 0.0), 1.0) - CELLS


@_compiled
def _centroid(net: NDArray, near: NDArray, cell: int, shift: float, vertex: float, fwhm: float) -> float:
    """Centre of the net intensity under a Gaussian window of the peak's width; else the vertex.

    For a Gaussian on a flat background this is as good as a fit: the window is the weight that least squares
    give a shift of the peak.
    """
    width = fwhm if fwhm > 0.0 else 1.0
    centre = vertex
    for _ in range(CENTROID_STEPS):
        above = below = 0.0
        for m in range(2 * CELLS + 1):
            if near[m]:
                away = (m - CELLS) * cell + shift - centre
                weighted = np.exp(-FOUR_LN2 * (away / width) ** 2) * net[m]
                above, below = above + weighted * away, below + weighted
        # the product of two equal Gaussians lies half-way between them
        step = 2.0 * above / below
        if np.isfinite(step):
            centre += min(max(step, -width), width)
    return centre if np.isfinite(fwhm) and abs(centre - vertex) <= width / 2.0 else vertex


@_compiled
def _flank_seen(above: float, above_other: float, room: int, scale: int) -> bool:
    """Whether a side has all its windows, or else comes down nearly as far as the other side."""
    return room >= (FEET[2] + 0.5) * scale or above >= CUT_FLANK * above_other


@_compiled
def measure_peaks(
    y: NDArray,
    sums: NDArray,
    first: NDArray,
    end: NDArray,
    quiet: NDArray,
    background: NDArray,
    given: NDArray,
    correlation: float,
    tops: NDArray,
    scale: NDArray,
) -> NDArray:
    """Measure peaks above the line between their feet.

    Parameters
    ----------
    y, sums, first, end
        Of a `Curve`.
    quiet, background, given
        ``(npt,)`` of its noise, and over how many bins that is spread.
    tops, scale
        ``(n,)`` bins at or near the maxima, and each one's own scale in bins.

    Returns
    -------
    numpy.ndarray
        ``(6, n)``: the fields of `Shapes`.
    """
    n, cells = len(tops), 2 * CELLS + 1
    values, inside, net = np.empty(cells), np.empty(cells, np.bool_), np.empty(cells)
    near, upper = np.empty(cells, np.bool_), np.empty(cells, np.bool_)
    shapes = np.empty((6, n))
    for p in range(n):
        top, s = tops[p], scale[p]
        low, high = first[top], end[top]
        cell = max(s // CELLS_PER_SCALE, 1)
        shift = (cell - 1) / 2.0 - cell // 2
        _cells(sums, top, cell, low, high, values, inside)
        if cell > 1:  # noise chose the highest bin of a wide peak; take its highest cell instead
            highest = -1
            for m in range(cells):
                core = inside[m] and abs((m - CELLS) * cell + shift) <= s / 3.0
                if core and (highest < 0 or values[m] > values[highest]):
                    highest = m
            if highest >= 0:
                top += (highest - CELLS) * cell
                _cells(sums, top, cell, low, high, values, inside)
        rise = 3.0 * deviation(y[top], quiet[top], background[top], given[top])
        rise /= np.sqrt(max(cell / correlation, 1.0))
        left_valley = _valley(values, inside, -1, rise) * cell
        right_valley = _valley(values, inside, 1, rise) * cell
        left_foot, left_edge, left_level = _foot(sums, top, s, left_valley, -1, low, high)
        right_foot, right_edge, right_level = _foot(sums, top, s, right_valley, 1, low, high)
        slope = (right_level - left_level) / (right_foot - left_foot)
        below = left_level - left_foot * slope
        for m in range(cells):
            x = (m - CELLS) * cell + shift
            net[m] = values[m] - below - slope * x if inside[m] else 0.0
            near[m] = inside[m] and -left_edge <= x <= right_edge
        net_height, vertex = _apex(net, near, upper)
        _contiguous(net, near, net_height / 2.0, False, upper)
        left = _half(net, near, upper, net_height, -1) * cell + shift
        right = _half(net, near, upper, net_height, 1) * cell + shift
        above_left, above_right = values[CELLS] - left_level, values[CELLS] - right_level
        if not _flank_seen(above_left, above_right, top - low, s):
            left = np.nan
        if not _flank_seen(above_right, above_left, high - 1 - top, s):
            right = np.nan
        offset = _centroid(net, near, cell, shift, vertex * cell + shift, right - left)
        start = max(top - min(left_valley, left_edge), low)
        stop = min(top + min(right_valley, right_edge) + 1, high)
        area = (mean(sums, start, stop) - below - slope * ((start + stop - 1) / 2.0 - top)) * (stop - start)
        shapes[0, p], shapes[1, p] = top + offset, net_height + below + slope * offset
        shapes[2, p], shapes[3, p], shapes[4, p] = net_height, top + left, top + right
        shapes[5, p] = area if not np.isnan(right - left) else np.nan
    return shapes
