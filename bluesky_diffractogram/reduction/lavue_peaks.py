"""Peaks as lavue's diffractogram tool finds them, for those who want to compare.

Position and height are lavue's. What lavue does not give (height above the background, width, area) is measured
as for `peaks.find_peaks`.

Two differences to lavue 3.16 are meant. It looks only at the twenty roots of the lowest radius, minima
included; here all roots are looked at, and the highest kept. And where lavue has zeros for bins without a pixel,
those bins are left out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import InterpolatedUnivariateSpline

from .diffractogram import Diffractogram, Peaks
from .peaks import peaks_of, shapes_at

Array = NDArray[np.float64]

ORDER = 4


def lavue_peaks(diffractogram: Diffractogram, max_peaks: int = 20) -> Peaks:
    """Find stationary points of a spline through the curve: lavue's default.

    The roots of the derivative of the interpolating quartic spline, by the spline's value there. There is no
    threshold and no test for a maximum: noise gives as many peaks as are asked for, some of them minima.

    Parameters
    ----------
    diffractogram
        Bins whose intensity is NaN or infinite are left out, and so are roots between the bins beside them.
    max_peaks
        At most so many, the highest.

    Returns
    -------
    Peaks
        Highest first. `position_error` is the largest bin step.
    """
    usable = np.flatnonzero(np.isfinite(diffractogram.intensity))
    x, y = diffractogram.radial[usable], diffractogram.intensity[usable]
    if len(usable) <= ORDER or np.all(y == y[0]):
        return Peaks.none()
    spline = InterpolatedUnivariateSpline(x, y, k=ORDER)
    roots = spline.derivative().roots()
    before = np.clip(np.searchsorted(x, roots, side="right") - 1, 0, len(x) - 2)
    roots = roots[usable[before + 1] - usable[before] == 1]
    values = spline(roots)
    good = np.isfinite(values)
    roots, values = roots[good], values[good]
    highest = np.argsort(-values, kind="stable")[:max_peaks]
    step = np.full(len(highest), np.diff(diffractogram.radial).max())
    return _listed(diffractogram, usable, roots[highest], values[highest], step)


def lavue_simple_peaks(diffractogram: Diffractogram, max_peaks: int = 20) -> Peaks:
    """Take the highest bin, strike it out with its flanks, and so on: lavue's fallback.

    While positive values are left. A flank is struck out as far as it falls strictly.

    Parameters
    ----------
    diffractogram
        Bins whose intensity is NaN or infinite are left out.
    max_peaks
        At most so many.

    Returns
    -------
    Peaks
        Highest first, each at the middle of a bin. `position_error` is the larger of the steps to its neighbours.
    """
    usable = np.flatnonzero(np.isfinite(diffractogram.intensity))
    x, y = diffractogram.radial[usable], diffractogram.intensity[usable]
    if len(usable) < 2 or np.all(y == y[0]):
        return Peaks.none()
    left_over = y.copy()
    tops: list[int] = []
    while len(tops) < max_peaks:
        top = int(left_over.argmax())
        if left_over[top] <= 0.0:
            break
        tops.append(top)
        first = last = top
        while first > 0 and left_over[first - 1] < left_over[first]:
            first -= 1
        while last + 1 < len(left_over) and left_over[last + 1] < left_over[last]:
            last += 1
        left_over[first : last + 1] = 0.0
    found = np.array(tops, dtype=np.intp)
    steps = np.diff(diffractogram.radial)
    beside = np.maximum(np.append(0.0, steps), np.append(steps, 0.0))[usable]
    return _listed(diffractogram, usable, x[found], y[found], beside[found])


def _listed(
    diffractogram: Diffractogram, usable: NDArray[np.intp], position: Array, height: Array, error: Array
) -> Peaks:
    """Add to lavue's figures what is measured at the nearest of the `usable` bins."""
    if not len(position):
        return Peaks.none()
    x = diffractogram.radial[usable]
    after = np.clip(np.searchsorted(x, position), 1, len(x) - 1)
    nearest = np.where(position - x[after - 1] <= x[after] - position, after - 1, after)
    shapes = shapes_at(diffractogram, usable[nearest])
    figures = peaks_of(diffractogram.radial, shapes, np.arange(len(position)))
    return replace(
        figures,
        position=position,
        height=height,
        net_height=height - (shapes.height - shapes.net_height),
        position_error=error,
    )
