"""At which scale a maximum stands out from its surroundings, and how clearly.

All lengths are in bins, which are uniform. Nothing here decides what is a peak.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .noise import CurveNoise
from .scale_kernel import own_scales

Array = NDArray[np.float64]
Bins = NDArray[np.intp]
Mask = NDArray[np.bool_]


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
        self.sums = np.concatenate([[0.0], np.cumsum(self.intensity)])
        """``(npt + 1,)`` of all bins before one."""

    def mean(self, start: Bins, stop: Bins) -> Array:
        """The mean over ``start <= bin < stop``, of any shape; windows must lie inside the curve."""
        return (self.sums[stop] - self.sums[start]) / (stop - start)


@lru_cache(maxsize=64)
def scales(n: int) -> Bins:
    """Half-widths in bins to try on a curve of `n` bins, √2 apart from 2 up to where both sides still fit."""
    largest = max(2.0, n / 3.0)
    powers = np.arange(2, int(2 * np.log2(largest)) + 1)
    return np.unique(np.round(2.0 ** (powers / 2.0)).astype(np.intp))


def own_sizes(curve: Curve, noise: CurveNoise, tops: Bins, enough: float, *, among: bool = False) -> Bins:
    """Find each top's own scale, in bins.

    Parameters
    ----------
    tops
        ``(n,)`` bins; in ascending order, if `among`.
    enough
        The contrast that makes a scale a top's own.
    among
        Whether the middle of a top's scale must hold no higher one of the others.
    """
    sizes = scales(len(curve.finite))
    of_curve = (curve.intensity, curve.sums, curve.first, curve.end)
    return sizes[own_scales(*of_curve, *noise.columns, tops, among, sizes, enough)]
