"""The compiled least-squares fit of pseudo-Voigt lines on a linear background.

Lines that stand close together are fitted jointly, each with a width and a mixing of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .least_squares import covariance
from .line_kernel import descend, model, start_heights
from .peak_shape import GAUSS_AREA, LORENTZ_AREA

# Parameters before those of lines, and of a line.
BACKGROUND, OF_LINE = 2, 4
# Least squares with the weights of the data's smoothed level first, then twice with those of the fitted curve's.
ROUNDS = 3
MOST_STEPS, SMALL_STEP = 30, 1e-3
# A line that is left so much of the height it started with is none.
NO_HEIGHT, LEAST_WIDTH = 1e-9, 0.7


@compiled
def fit_lines(
    intensity: NDArray,
    per_level: NDArray,
    constant: NDArray,
    least_level: NDArray,
    correlation: NDArray,
    position: NDArray,
    height: NDArray,
    fwhm: NDArray,
    first: NDArray,
    stop: NDArray,
    group: NDArray,
) -> tuple[NDArray, NDArray, NDArray]:
    """Fit all groups of lines of a curve.

    Parameters
    ----------
    intensity
        ``(npt,)``, NaN in bins that are left out.
    per_level, constant, least_level
        ``(npt,)``: a bin's variance is `per_level` times its expected level, at least `least_level`, plus `constant`.
    correlation
        ``(npt, reach + 1)``: of the noise of bin i and bin i + k.
    position, height, fwhm
        ``(lines,)`` where to start, from left to right; bins and intensity.
    first, stop
        ``(groups,)`` the windows, in bins.
    group
        ``(groups + 1,)`` at which line each group begins.

    Returns
    -------
    figures
        ``(lines, 6)``: position, height, FWHM, area (in bins), mixing, background at the position; NaN where the fit
        found no minimum inside its limits.
    deviations
        ``(lines, 4)``: of the first four.
    quality
        ``(groups,)``: χ² per degree of freedom.
    """
    lines = len(position)
    figures, deviations = np.full((lines, 6), np.nan), np.full((lines, 4), np.nan)
    quality, grows = np.full(len(first), np.nan), np.empty(OF_LINE)
    for g in range(len(first)):
        begin, end = group[g], group[g + 1]
        n, m = BACKGROUND + OF_LINE * (end - begin), stop[g] - first[g]
        middle = 0.5 * (first[g] + stop[g] - 1)
        y, level, weight, there, lowest = np.empty(m), np.empty(m), np.zeros(m), 0, np.inf
        for i in range(m):
            y[i] = intensity[first[g] + i]
            here, total = 0, 0.0
            for j in range(max(first[g] + i - 2, 0), min(first[g] + i + 3, len(intensity))):
                if np.isfinite(intensity[j]):
                    here, total = here + 1, total + intensity[j]
            level[i] = total / here if here else 0.0
            there += np.isfinite(y[i])
            lowest = min(lowest, level[i])
        if there < n + 2:
            continue
        theta, low, high = np.empty(n), np.full(n, -np.inf), np.full(n, np.inf)
        links = np.arange(BACKGROUND, n).reshape(-1, OF_LINE)
        theta[0], theta[1] = lowest, 0.0
        for k in range(begin, end):
            at = BACKGROUND + OF_LINE * (k - begin)
            width = max(fwhm[k], 1.0)
            theta[at], theta[at + 1], theta[at + 2], theta[at + 3] = height[k], position[k], width, 0.3
            low[at], low[at + 1], low[at + 2], low[at + 3] = (
                NO_HEIGHT * height[k],
                position[k] - width,
                max(0.3 * width, LEAST_WIDTH),
                0.0,
            )
            high[at + 1], high[at + 2], high[at + 3] = position[k] + width, min(3.0 * width, float(m)), 1.0
        curve, slopes, arrived = np.empty(m), np.empty((n, m)), False
        deviation = np.ones(m)
        for turn in range(ROUNDS):
            for i in range(m):
                j = first[g] + i
                variance = max(level[i], least_level[j]) * per_level[j] + constant[j]
                deviation[i] = np.sqrt(variance)
                if np.isfinite(y[i]) and variance > 0.0:
                    weight[i] = 1.0 / variance
                else:
                    y[i], weight[i] = 0.0, 0.0
            if turn == 0:
                start_heights(theta, links, y, weight, first[g], stop[g], middle)
            arrived = descend(theta, links, low, high, y, weight, first[g], stop[g], middle, MOST_STEPS, SMALL_STEP)
            if not arrived and turn > 0:
                break
            model(theta, links, first[g], stop[g], middle, curve, slopes, turn == ROUNDS - 1)
            for i in range(m):
                level[i] = curve[i]
        if not arrived:
            continue
        held = np.zeros(n, np.bool_)
        for p in range(n):
            held[p] = theta[p] <= low[p] or theta[p] >= high[p]
        fine, spreads = covariance(slopes, weight, deviation, correlation, first[g], held)
        if not fine:
            continue
        used, cost = 0, 0.0
        for i in range(m):
            used += weight[i] > 0.0
            cost += weight[i] * (y[i] - curve[i]) ** 2
        quality[g] = cost / max(used - n, 1)
        for k in range(begin, end):
            at = BACKGROUND + OF_LINE * (k - begin)
            h, p, width, mixing = theta[at], theta[at + 1], theta[at + 2], theta[at + 3]
            if held[at] or held[at + 1] or held[at + 2]:
                continue
            unit_area = mixing * LORENTZ_AREA + (1.0 - mixing) * GAUSS_AREA
            figures[k, 0], figures[k, 1], figures[k, 2] = p, h, width
            figures[k, 3], figures[k, 4] = h * width * unit_area, mixing
            figures[k, 5] = theta[0] + theta[1] * (p - middle)
            deviations[k, 0] = np.sqrt(spreads[at + 1, at + 1])
            deviations[k, 1] = np.sqrt(spreads[at, at])
            deviations[k, 2] = np.sqrt(spreads[at + 2, at + 2])
            grows[0], grows[1], grows[2] = width * unit_area, 0.0, h * unit_area
            grows[3] = h * width * (LORENTZ_AREA - GAUSS_AREA)
            spread = 0.0
            for a in range(OF_LINE):
                for b in range(OF_LINE):
                    spread += grows[a] * grows[b] * spreads[at + a, at + b]
            deviations[k, 3] = np.sqrt(spread)
    return figures, deviations, quality
