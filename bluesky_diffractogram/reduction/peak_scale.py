"""At which scale a maximum stands out from its surroundings, and how clearly.

All lengths are in bins, which are uniform. Nothing here decides what is a peak.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bins = NDArray[np.intp]
Mask = NDArray[np.bool_]

# How many larger scales a top is compared at, and by how much (a part, and in sigma) contrast falls beyond a peak.
LOOK_AHEAD, DROPPED, DROPPED_SIGMA = 3, 0.8, 5.0
# A peak stands out from its higher side alone by at least min_snr / 1.5. At / 2 one in twenty sharp steps of the
# background had a false peak beside it.
ONE_SIDED = 1.5


class Curve:
    """An intensity with gaps, prepared for averages over windows.

    Parameters
    ----------
    intensity
        ``(npt,)``; every stretch between bins that are NaN or infinite stands for itself.
    """

    def __init__(self, intensity: Array) -> None:
        self.finite = np.isfinite(intensity)
        n = len(intensity)
        bins = np.arange(n)
        self.intensity = np.where(self.finite, intensity, 0.0)
        self.first = np.maximum.accumulate(np.where(self.finite, -1, bins)) + 1
        """``(npt,)`` the first bin of the stretch that a bin is in."""
        self.end = np.minimum.accumulate(np.where(self.finite, n, bins)[::-1])[::-1]
        """``(npt,)`` one past its last bin."""
        self._sums = np.concatenate([[0.0], np.cumsum(self.intensity)])

    def mean(self, start: Bins, stop: Bins) -> Array:
        """The mean over ``start <= bin < stop``, of any shape; windows must lie inside the curve."""
        return (self._sums[stop] - self._sums[start]) / (stop - start)


def scales(n: int) -> Bins:
    """Half-widths in bins to try on a curve of `n` bins, √2 apart from 2 up to where both sides still fit."""
    largest = max(2.0, n / 3.0)
    powers = np.arange(2, int(2 * np.log2(largest)) + 1)
    return np.unique(np.round(2.0 ** (powers / 2.0)).astype(np.intp))


@np.errstate(all="ignore")
def contrast(
    curve: Curve, sigma: Array, correlation: float, tops: Bins, reach: Bins, sizes: Bins
) -> tuple[Array, Array]:
    """How far each top stands out at each scale.

    The mean over about ``2 s / 3`` bins is compared with those of two windows ``s / 2`` wide that begin at the
    distance ``s``, in units of the difference's standard deviation.

    Parameters
    ----------
    sigma
        ``(n,)`` standard deviation of a bin at the height of each top.
    correlation
        Over how many bins noise is spread.
    tops
        ``(n,)`` bins.
    reach
        ``(n,)`` distance to the next higher maximum: no top stands for a scale whose middle holds a higher one.
    sizes
        The scales, in bins.

    Returns
    -------
    contrast
        ``(n, len(sizes))`` above the mean of both windows, but at most 1.5 times `least`: a bulge of a slope is no
        peak. −inf where a scale is beyond the reach, or a window is not inside the top's stretch.
    least
        ``(n, len(sizes))`` above the higher of them.
    """
    at, s = tops[:, None], sizes[None, :]
    core, side = s // 3, np.maximum(s // 2, 2)
    usable = (at - s - side + 1 >= curve.first[tops][:, None]) & (at + s + side <= curve.end[tops][:, None])
    usable &= core < reach[:, None]
    s, core, side = (np.where(usable, each, fill) for each, fill in ((s, 0), (core, 0), (side, 1)))
    middle = curve.mean(at - core, at + core + 1)
    left, right = curve.mean(at - s - side + 1, at - s + 1), curve.mean(at + s, at + s + side)
    of_middle = 1.0 / np.maximum((2 * core + 1) / correlation, 1.0)
    of_side = 1.0 / np.maximum(side / correlation, 1.0)
    found = (middle - (left + right) / 2.0) / (sigma[:, None] * np.sqrt(of_middle + of_side / 2.0))
    least = (middle - np.maximum(left, right)) / (sigma[:, None] * np.sqrt(of_middle + of_side))
    found = np.minimum(found, ONE_SIDED * least)
    usable &= ~np.isnan(found)
    return np.where(usable, found, -np.inf), np.where(usable, least, -np.inf)


@np.errstate(all="ignore")
def own_scale(contrast: Array, least: Array, enough: float) -> Bins:
    """``(n,)`` which scale is each top's own: the first with `enough` contrast that beats those after it in `least`.

    Not all after it: a line on a halo stands out twice, first as itself and then with the halo, and so does one
    of a close pair. It is compared with scales up to 2.8 times as large (three columns), because noise makes
    small maxima on the way up to that of a wide peak; or up to where `least` has fallen by more than noise can
    do. Where there is none, the scale of the highest contrast.
    """
    columns = least.shape[1]
    padded = np.hstack([least, np.full((len(least), LOOK_AHEAD), -np.inf)])
    fallen = np.minimum(DROPPED * least, least - DROPPED_SIGMA)
    own, still = contrast >= enough, np.ones(least.shape, dtype=bool)
    for ahead in range(1, LOOK_AHEAD + 1):
        after = padded[:, ahead : ahead + columns]
        own &= ~still | (after <= least)
        still &= after > fallen
    return np.where(own.any(axis=1), own.argmax(axis=1), contrast.argmax(axis=1))
