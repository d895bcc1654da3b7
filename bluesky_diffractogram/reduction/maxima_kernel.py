"""Local maxima and their prominences, compiled, as `scipy.signal.find_peaks` has them.

scipy's own cost more in calls than in loops where there are many short searches on one curve.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled


@compiled
def local_maxima(y: NDArray) -> NDArray:
    """``(m,)`` bins that are higher than both neighbours, of several equal ones the middle one; never an end."""
    n = len(y)
    found, many = np.empty(n // 2 + 1, np.int64), 0
    i = 1
    while i < n - 1:
        if y[i - 1] < y[i]:
            ahead = i + 1
            while ahead < n - 1 and y[ahead] == y[i]:
                ahead += 1
            if y[ahead] < y[i]:
                found[many] = (i + ahead - 1) // 2
                many += 1
                i = ahead
        i += 1
    return found[:many]


@compiled
def prominence(y: NDArray, at: int) -> float:
    """How far one has to go down from a maximum before one comes to something higher, or to an end."""
    left = right = y[at]
    i = at
    while i >= 0 and y[i] <= y[at]:
        left = min(left, y[i])
        i -= 1
    i = at
    while i < len(y) and y[i] <= y[at]:
        right = min(right, y[i])
        i += 1
    return y[at] - max(left, right)
