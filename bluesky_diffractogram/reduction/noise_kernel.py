"""The compiled loops of the noise of a curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled

# |z| of a standard normal variable lies below this half of the time.
HALF_NORMAL_MEDIAN = 0.6744897501960817
# The background is rather below than above the median, where lines are.
BACKGROUND_QUANTILE = 0.3
# The part of a block's bins, the lowest, that is looked at alone; its noise, a median, has a relative deviation of 1.17
# over the root of how many they are, and must be quieter by more than so many of these for lines to be the reason.
LOW_PART, CHANCE = 0.35, 3.2 * 1.17
# Smaller blocks follow the background better, larger ones bear more peaks.
BLOCK_BINS, MOST_BLOCKS = 100, 8
# A sum in float32 is not better than this, relative to its level.
ROUNDING = 1e-6


@compiled
def deviation(level: float, quiet: float, background: float, given: float) -> float:
    """The standard deviation of a bin that is as high as `level`, as `CurveNoise.sigma` says."""
    base = max(background, quiet)
    found = 0.0
    if base > 0.0:
        growth = level / base
        found = quiet * np.sqrt(growth) if growth > 1.0 else quiet
    least = max(ROUNDING * abs(level), given)
    return max(found, least)


@compiled
def level_variance(y: NDArray, quiet: NDArray, background: NDArray, given: NDArray) -> NDArray:
    """``(npt,)`` variance of each bin at the mean level of three."""
    n = len(y)
    variance = np.empty(n)
    for i in range(n):
        level = (y[max(i - 1, 0)] + y[i] + y[min(i + 1, n - 1)]) / 3.0
        variance[i] = deviation(level, quiet[i], background[i], given[i]) ** 2
    return variance


@compiled
def smallest(values: NDArray, n: int, k: int) -> float:
    """The k-th smallest, from 0, of the first `n` values, which are put into another order (Hoare's selection)."""
    low, high = 0, n - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return values[k]


@compiled
def _median(values: NDArray, n: int) -> float:
    upper = smallest(values, n, n // 2)
    if n % 2:
        return upper
    lower = values[0]
    for i in range(1, n // 2):
        lower = max(lower, values[i])
    return 0.5 * (lower + upper)


@compiled
def blocks_of_noise(
    y: NDArray, lag: int, root: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Deviations times `root`, levels of the background, and middles of blocks of equally many usable bins.

    Parameters
    ----------
    y
        ``(npt,)``, NaN in bins that are left out.
    lag
        Between the bins whose difference is taken.
    root
        ``(npt,)`` what the noise of a bin is divided by, as it grows with the pixels of a bin.

    Returns
    -------
    quiet, background, centres
        ``(blocks,)``; none where no bin is usable.
    """
    n = len(y)
    usable, differences, level = np.empty(n, np.int64), np.empty(n), np.empty(n)
    many = 0
    for i in range(lag, n - lag):
        difference = abs(y[i] - (y[i - lag] + y[i + lag]) / 2.0) / np.sqrt(1.5) * root[i]
        if np.isfinite(difference):
            usable[many], differences[many] = i, difference
            level[many] = (y[i - lag] + y[i] + y[i + lag]) / 3.0
            many += 1
    blocks = min(max(1, many // max(BLOCK_BINS, 8 * lag)), MOST_BLOCKS) if many else 0
    size = many // max(blocks, 1)
    quiet, background, centres = np.empty(blocks), np.empty(blocks), np.empty(blocks)
    low = max(int(LOW_PART * size), 1)
    by_chance = max(1.0 - CHANCE / np.sqrt(low), 0.4)
    room, of_low = np.empty(size), np.empty(low)
    for b in range(blocks):
        begin = b * size
        for i in range(size):
            room[i] = differences[begin + i]
        quiet[b] = smallest(room, size, size // 2) / HALF_NORMAL_MEDIAN
        for i in range(size):
            room[i] = y[usable[begin + i]]
        background[b] = smallest(room, size, int(BACKGROUND_QUANTILE * (size - 1)))
        centres[b] = usable[begin + size // 2]
        # Lines are where the curve is high, and differ by more than noise there. The mean of the three bins that make a
        # difference is independent of it, as far as it is noise, so that to choose by one does not alter the other.
        for i in range(size):
            room[i] = level[begin + i]
        highest = smallest(room, size, low - 1)
        of_level = _median(room, low)  # the lowest have come to the front
        chosen = 0
        for i in range(size):
            if level[begin + i] < highest:
                of_low[chosen] = differences[begin + i]
                chosen += 1
        for i in range(size):
            if chosen < low and level[begin + i] == highest:
                of_low[chosen] = differences[begin + i]
                chosen += 1
        quiet_low = _median(of_low, low) / HALF_NORMAL_MEDIAN
        # Where the lowest bins are much quieter, beyond what their level explains, the others are lines.
        higher = 1.0
        if background[b] > of_level >= 0.0:
            higher = background[b] / of_level if of_level > 0.0 else np.inf
        if by_chance * quiet[b] > quiet_low * np.sqrt(higher):
            quiet[b], background[b] = quiet_low, of_level
    return quiet, background, centres
