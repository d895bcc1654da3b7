"""Which lines are fitted together, and over which bins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bins = NDArray[np.intp]

# Half of a window, in FWHM and at least in bins; lines so near to each other, in mean FWHM, are fitted jointly.
REACH, LEAST_REACH, JOINT = 3.0, 6.0, 4.0


def windows(position: Array, fwhm: Array, npt: int, most: int) -> tuple[Bins, Bins, Bins]:
    """First and last bin (one past it) of each group's window, and at which line each group begins.

    Parameters
    ----------
    position, fwhm
        ``(n,)`` of lines, from left to right, in bins.
    npt
        Bins that there are.
    most
        So many lines at most are in a group.
    """
    gaps = np.diff(position)
    cuts = gaps > JOINT * 0.5 * (fwhm[1:] + fwhm[:-1])
    while True:
        group = np.concatenate([[0], np.flatnonzero(cuts) + 1, [len(position)]])
        large = np.flatnonzero(np.diff(group) > most)
        if not len(large):
            break
        for g in large:
            inside = np.arange(group[g], group[g + 1] - 1)
            cuts[inside[gaps[inside].argmax()]] = True
    first, last = group[:-1], group[1:] - 1
    low, high = _reaches(position, fwhm)
    start, stop = low[first], high[last]
    between = 0.5 * (position[last[:-1]] + position[first[1:]])
    start[1:], stop[:-1] = np.maximum(start[1:], between), np.minimum(stop[:-1], between)
    return *_in_bins(start, stop, npt), group


def windows_of_each(position: Array, fwhm: Array, npt: int) -> tuple[Bins, Bins]:
    """As `windows`, of every line by itself."""
    low, high = _reaches(position, fwhm)
    between = 0.5 * (position[1:] + position[:-1])
    return _in_bins(
        np.append(low[:1], np.maximum(low[1:], between)), np.append(np.minimum(high[:-1], between), high[-1:]), npt
    )


def _reaches(position: Array, fwhm: Array) -> tuple[Array, Array]:
    reach = np.maximum(REACH * fwhm, LEAST_REACH)
    return position - reach, position + reach


def _in_bins(start: Array, stop: Array, npt: int) -> tuple[Bins, Bins]:
    return np.maximum(np.ceil(start), 0).astype(np.intp), np.minimum(np.floor(stop) + 1, npt).astype(np.intp)
