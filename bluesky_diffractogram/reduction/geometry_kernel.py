"""The compiled loops over arrays of a geometry, each of which takes one pass where numpy takes several."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled


@compiled
def half_widths(centre: NDArray, corners: NDArray, coordinate: int, period: float) -> NDArray[np.float64]:
    """How far each pixel reaches from its centre, with the bits of pyFAI's ``"delta"`` arrays.

    Parameters
    ----------
    centre
        ``(ny, nx)`` float64.
    corners
        ``(ny, nx, corners, 2)`` float32.
    coordinate
        Which of a corner's two coordinates is that of `centre`.
    period
        After how much the coordinate is the same again, 2π for χ; 0 if it never is.

    Returns
    -------
    numpy.ndarray
        ``(ny, nx)`` the largest distance of a corner; NaN where a corner's is.
    """
    width = np.empty(centre.shape)
    for i in range(centre.shape[0]):
        for j in range(centre.shape[1]):
            most = 0.0
            for corner in range(corners.shape[2]):
                distance = abs(corners[i, j, corner, coordinate] - centre[i, j])
                if period > 0.0 and not distance < period - distance:
                    distance = period - distance
                if not distance <= most:
                    most = distance
                if np.isnan(distance):
                    break
            width[i, j] = most
    return width


@compiled
def extent(centre: NDArray, width: NDArray, used: NDArray) -> tuple[float, float]:
    """The least and the largest finite value that pixels of ``centre ± width`` reach.

    Parameters
    ----------
    centre, width, used
        ``(ny, nx)``; the last is False at pixels that do not count.

    Returns
    -------
    low, high
        Infinity and −infinity where there is none.
    """
    low, high = np.inf, -np.inf
    for i in range(centre.shape[0]):
        for j in range(centre.shape[1]):
            inner, outer = centre[i, j] - width[i, j], centre[i, j] + width[i, j]
            if used[i, j] and -np.inf < inner < low:
                low = inner
            if used[i, j] and high < outer < np.inf:
                high = outer
    return low, high
