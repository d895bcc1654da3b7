"""The compiled loops of the noise of a curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled

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
