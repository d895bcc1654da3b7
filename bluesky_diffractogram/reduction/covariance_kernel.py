"""The compiled loops that tell how much of its noise each bin shares with its neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled

MOST_ENTRIES = 256


@compiled
def widest_pixel(pixel: NDArray, first_bin: NDArray, second_part: NDArray, begin: int, end: int) -> np.int64:
    """The largest distance between two bins of ``begin:end`` that one pixel reaches."""
    row, rows, widest = 0, len(pixel), np.int64(0)
    while row < rows:
        low, high, this = np.int64(end), np.int64(-1), pixel[row]
        while row < rows and pixel[row] == this:
            bin = np.int64(first_bin[row])
            if begin <= bin < end:
                low = min(low, bin)
                high = max(high, bin + (second_part[row] != 0))
            row += 1
        widest = max(widest, high - low)
    return widest


@compiled
def shared_variance(
    pixel: NDArray,
    first_bin: NDArray,
    first_part: NDArray,
    second_part: NDArray,
    weight: NDArray,
    begin: int,
    end: int,
    reach: int,
) -> NDArray[np.float64]:
    """Σ c_i·c_{i+k}·weight over the pixels that reach both bin i and bin i + k.

    Parameters
    ----------
    pixel, first_bin, first_part, second_part
        Of a `PixelTable`.
    weight
        ``(used pixels,)`` the variance that a pixel brings, in any unit.
    begin, end
        The bins of one range.
    reach
        The largest k.

    Returns
    -------
    numpy.ndarray
        ``(end - begin, reach + 1)``.
    """
    shared = np.zeros((end - begin, reach + 1))
    bins, parts = np.empty(MOST_ENTRIES, np.int64), np.empty(MOST_ENTRIES)
    row, rows, which = 0, len(pixel), 0
    while row < rows:
        entries, this = 0, pixel[row]
        while row < rows and pixel[row] == this:
            bin = np.int64(first_bin[row])
            if begin <= bin < end and entries < MOST_ENTRIES - 1:
                bins[entries], parts[entries] = bin - begin, first_part[row]
                entries += 1
                if second_part[row] != 0 and bin + 1 < end:
                    bins[entries], parts[entries] = bin + 1 - begin, second_part[row]
                    entries += 1
            row += 1
        for i in range(entries):
            amount = weight[which] * parts[i]
            for j in range(i, entries):
                distance = abs(bins[j] - bins[i])
                if distance <= reach:
                    shared[min(bins[i], bins[j]), distance] += amount * parts[j]
        which += 1
    return shared
